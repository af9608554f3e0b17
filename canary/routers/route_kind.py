"""How a kind of route leads to the versions of an application, read from the route itself.

Name and provider of a spec may be edited while a route of before leads requests to the canary. It stays where it is, as
people may still use it, and leads to the primary alone. The spec that it was made by is gone.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from canary.api.traffic import TOTAL_WEIGHT
from canary.kube.types import Json, mapping

PRIMARY, CANARY, BASELINE = "-primary", "-canary", "-baseline"
"""How the names of the versions' Services end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteKind:
    """Reads and ends what routes of one kind do.

    Args:
        leads_to: the names of the Services that a route leads to, or copies requests to.
        share: the greatest percent of requests that any part of a route gives to a canary and its baseline.
        without_canary: the merge patch that has a route lead to the primary alone.
        past_versions: the merge patch that has a route lead to the Service that users call, as the versions' own are
            to go.
    """

    leads_to: Callable[[Json], frozenset[str]]
    share: Callable[[Json], int]
    without_canary: Callable[[Json], Json]
    past_versions: Callable[[Json], Json]

    def canaries(self, route: Json) -> frozenset[str]:
        """The names of the canary's Services that a route leads to, or copies requests to."""
        return frozenset(name for name in self.leads_to(route) if name.endswith(CANARY))

    def versions(self, route: Json) -> frozenset[str]:
        """The names of the versions' Services that a route leads to, or copies requests to."""
        return frozenset(name for name in self.leads_to(route) if name.endswith((PRIMARY, CANARY)))


BESIDE = RouteKind(
    leads_to=lambda _route: frozenset(),
    share=lambda _route: 0,
    without_canary=lambda _route: {},
    past_versions=lambda _route: {},
)
"""What is made beside a route, and leads nobody anywhere."""


def name_of(backend: Json) -> str:
    """The name of the Service that a backend is, where it says so under `name`."""
    return str(backend.get("name", ""))


def _named(backend: Json, name: str) -> Json:
    return {**backend, "name": name}


def weight_of(backend: Json) -> int:
    """A backend's weight; 1 where it says nothing."""
    weight = backend.get("weight")
    return 1 if weight is None else int(weight)


def _none(_spec: Json) -> list[list[Json]]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """Where a spec keeps its backends, for kinds that keep them in lists.

    Args:
        backends: the lists among which requests are divided, as they stand in the spec.
        part: what of the spec a merge patch has to hold so that the lists are as in this spec.
        keeps_idle: whether a backend may stay on a list with a weight of 0.
        name: the name of the Service that a backend is.
        named: the backend with another Service's name.
        weight: the weight of a backend.
        mirrors: the lists of which entries may copy requests to a Service.
        mirrored: the name of the Service that such an entry copies requests to; empty where it does nothing like that.
        copied: whether a backend gets copies of requests only, for kinds that list it among those that answer.
        further: the names of further Services that a spec leads to.
    """

    backends: Callable[[Json], list[list[Json]]]
    part: Callable[[Json], Json]
    keeps_idle: bool = True
    name: Callable[[Json], str] = name_of
    named: Callable[[Json, str], Json] = _named
    weight: Callable[[Json], int] = weight_of
    mirrors: Callable[[Json], list[list[Json]]] = _none
    mirrored: Callable[[Json], str] = name_of
    copied: Callable[[Json], bool] = lambda _backend: False
    further: Callable[[Json], Iterable[str]] = lambda _spec: ()

    @property
    def kind(self) -> RouteKind:
        """How routes with such specs are read and ended."""
        return RouteKind(
            leads_to=lambda route: frozenset(self._leads_to(mapping(route.get("spec")))),
            share=lambda route: self._share(mapping(route.get("spec"))),
            without_canary=lambda route: self._patch(route, self._to_primary),
            past_versions=lambda route: self._patch(route, lambda found: self._to_service(self._to_primary(found))),
        )

    def _leads_to(self, spec: Json) -> Iterable[str]:
        yield from (self.name(each) for backends in self.backends(spec) for each in backends)
        yield from (self.mirrored(each) for entries in self.mirrors(spec) for each in entries if self._copies(each))
        yield from self.further(spec)

    def _copies(self, entry: Json) -> bool:
        return self.mirrored(entry).endswith(CANARY)

    def _share(self, spec: Json) -> int:
        shares = [0]
        for backends in self.backends(spec):
            passing = [*self._ending(backends, CANARY), *self._baselines(backends)]
            primary = sum(map(self.weight, self._ending(backends, PRIMARY)))
            shares.append(share(sum(map(self.weight, passing)), primary) or 0)
        return max(shares)

    def _baselines(self, backends: list[Json]) -> list[Json]:
        """Those that stand beside the primary of the same application; another may be called so."""
        stems = {self.name(each).removesuffix(PRIMARY) for each in self._ending(backends, PRIMARY)}
        return [each for each in self._ending(backends, BASELINE) if self.name(each).removesuffix(BASELINE) in stems]

    def _ending(self, backends: list[Json], end: str) -> list[Json]:
        return [each for each in backends if self.name(each).endswith(end) and not self.copied(each)]

    def _patch(self, route: Json, changed: Callable[[list[Json]], list[Json]]) -> Json:
        spec = copy.deepcopy(mapping(route.get("spec")))
        for backends in self.backends(spec):
            backends[:] = changed(backends)
        for entries in self.mirrors(spec):
            entries[:] = [each for each in entries if not self._copies(each)]
        return {"spec": self.part(spec)}

    def _to_primary(self, backends: list[Json]) -> list[Json]:
        """All requests for the primary; the canary is kept among the backends where it may be without any."""
        canaries = self._ending(backends, CANARY)
        copies = [each for each in backends if self.copied(each) and not self.name(each).endswith(CANARY)]
        if not canaries and not self._baselines(backends):
            return [*self._answering(backends), *copies]
        known = {self.name(each) for each in backends}
        made = [self.named(each, self.name(each).removesuffix(CANARY) + PRIMARY) for each in canaries]
        primaries = self._ending(backends, PRIMARY) + [each for each in made if self.name(each) not in known]
        idle = [{**each, "weight": 0} for each in canaries if self.keeps_idle]
        return [*({**each, "weight": TOTAL_WEIGHT} for each in primaries), *idle, *copies]

    def _answering(self, backends: list[Json]) -> list[Json]:
        return [each for each in backends if not self.copied(each)]

    def _to_service(self, backends: list[Json]) -> list[Json]:
        kept = (each for each in backends if not self.name(each).endswith(CANARY))
        return [self.named(each, self.name(each).removesuffix(PRIMARY)) for each in kept]


def summed(
    backends: Iterable[Json], name: Callable[[Json], str] = name_of, weight: Callable[[Json], int] = weight_of
) -> dict[str, int]:
    """The weight of each Service among backends, of which several may be the same."""
    found: dict[str, int] = {}
    for each in backends:
        found[name(each)] = found.get(name(each), 0) + weight(each)
    return found


def lists(parts: Iterable[Json], field: str) -> list[list[Json]]:
    """The lists that parts of a spec have under a name, as they stand there."""
    found = (part.get(field) for part in parts)
    return [each for each in found if isinstance(each, list)]


def share(canary_weight: int, primary_weight: int) -> int | None:
    """The canary's percent of two weights, of whatever total; None where nothing gets requests.

    A share below one percent counts as one: only 0 means that the canary gets nothing.
    """
    total = canary_weight + primary_weight
    return None if total <= 0 else -(-100 * canary_weight // total)
