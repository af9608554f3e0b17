"""Routes of others that keep the weights of two versions somewhere else than in a list of backends."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from canary.api.route_refs import WeightPointers
from canary.api.traffic import TOTAL_WEIGHT
from canary.kube.types import Json, ObjectRef, items, mapping
from canary.routers import ingress, nginx, openshift
from canary.routers.route_kind import share
from canary.routers.weights import Part, Versions, says_nothing


class CanaryIngress:
    """ingress-nginx: the canary's own Ingress says its share in an annotation, and the primary's says nothing."""

    settle = nginx.FOLLOWS
    way = f"have a path of it lead to {{canary}}, with the annotation {nginx.IS_CANARY}: 'true'"

    def parts(self, versions: Versions, route: Json) -> list[Part]:
        """One, as the annotation is for all rules."""
        return [Part(nginx.share_of(route))] if versions.canary in ingress.services(route) else []

    def divided(self, versions: Versions, route: Json, percent: int) -> Json:
        """The annotations that give the canary so many percent."""
        there = ingress.annotations(route)
        said: Json = {nginx.IS_CANARY: "true", nginx.WEIGHT: str(percent)}
        said |= {nginx.WEIGHT_TOTAL: str(TOTAL_WEIGHT)} if nginx.WEIGHT_TOTAL in there else {}
        if not self.parts(versions, route) or all(there.get(name) == value for name, value in said.items()):
            return {}
        return {"metadata": {"annotations": said}}

    def handed_back(self, versions: Versions, route: Json) -> Json:
        """It is its author's to delete; until then it gets nothing."""
        return self.divided(versions, route, 0)

    def not_taken(self, ref: ObjectRef, route: Json) -> str:
        """No ingress controller says what it makes of annotations."""
        return says_nothing(ref, route)


class OpenShiftRoute:
    """OpenShift: one Service, and alternate ones."""

    settle = openshift.FOLLOWS
    way = "name {canary} in its spec.alternateBackends, with a weight of 0"

    def parts(self, versions: Versions, route: Json) -> list[Part]:
        """One, where the canary is among the alternate backends."""
        to, alternates = self._backends(route)
        weights = [openshift.weight_of(each) for each in alternates if each.get("name") == versions.canary]
        ours = to.get("name") in versions.primaries
        return [Part(share(sum(weights), openshift.weight_of(to) if ours else 0), ours)] if weights else []

    def divided(self, versions: Versions, route: Json, percent: int) -> Json:
        """Both weights, out of 100."""
        to, alternates = self._backends(route)
        named = [{**each, "weight": percent} if each.get("name") == versions.canary else each for each in alternates]
        rest = TOTAL_WEIGHT - percent
        ours = any(each.primary for each in self.parts(versions, route))
        if not ours or (named == alternates and to.get("weight") == rest):
            return {}
        return {"spec": {"to": {"weight": rest}, "alternateBackends": named}}

    def handed_back(self, versions: Versions, route: Json) -> Json:
        """The Service that users call, in place of the primary and the canary."""
        to, alternates = self._backends(route)
        others = [each for each in alternates if each.get("name") != versions.canary]
        if to.get("name") not in versions.primaries or (to.get("name") == versions.service and others == alternates):
            return {}
        return {"spec": {"to": {"name": versions.service, "weight": TOTAL_WEIGHT}, "alternateBackends": others or None}}

    def not_taken(self, ref: ObjectRef, route: Json) -> str:
        """Which router has not admitted the Route."""
        return openshift.not_admitted(ref, route)

    @staticmethod
    def _backends(route: Json) -> tuple[Json, list[Json]]:
        spec = mapping(route.get("spec"))
        return mapping(spec.get("to")), items(spec.get("alternateBackends"))


@dataclass(frozen=True, slots=True)
class Pointed:
    """Of any kind: two numbers, wherever they stand in its spec.

    Args:
        at: where.
        settle: how long requests may go on as before; nobody knows the gateway.
    """

    at: WeightPointers
    settle: timedelta

    @property
    def way(self) -> str:
        """Both places."""
        return f"have a number at {self.at.primary} and at {self.at.canary}"

    def parts(self, versions: Versions, route: Json) -> list[Part]:
        """One, where both numbers are there."""
        primary, canary = (_at(route, _path(each)) for each in (self.at.primary, self.at.canary))
        known = isinstance(primary, int) and isinstance(canary, int)
        return [Part(share(canary, primary))] if known else []

    def divided(self, versions: Versions, route: Json, percent: int) -> Json:
        """The field of the spec in which both numbers are, out of 100."""
        wanted = {self.at.primary: TOTAL_WEIGHT - percent, self.at.canary: percent}
        if not self.parts(versions, route) or all(_at(route, _path(at)) == value for at, value in wanted.items()):
            return {}
        spec = copy.deepcopy(route["spec"])
        for pointer, weight in wanted.items():
            *parents, last = _path(pointer)[1:]
            holder = _at(spec, parents)
            holder[_key(holder, last)] = weight
        return {"spec": {name: spec[name] for name in {_path(pointer)[1] for pointer in wanted}}}

    def handed_back(self, versions: Versions, route: Json) -> Json:
        """What the numbers are of is not known: the canary's is 0."""
        return self.divided(versions, route, 0)

    def not_taken(self, ref: ObjectRef, route: Json) -> str:
        """Nobody knows what its gateway says."""
        return says_nothing(ref, route)


def _path(pointer: str) -> list[str]:
    return [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]


def _key(holder: Any, name: str) -> Any:
    return int(name) if isinstance(holder, list) else name


def _at(value: Any, path: Iterable[str]) -> Any:
    """What stands there; None where nothing does."""
    for name in path:
        try:
            value = value[_key(value, name)]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return value
