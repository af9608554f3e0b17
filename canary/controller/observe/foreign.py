"""Objects of others that have the names of what is made for a Canary."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.controller.configs import RESOURCE
from canary.controller.observe.caches import Caches
from canary.controller.observe.rivals import Get
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError, NotLeading
from canary.kube.memo import Recent
from canary.kube.types import SERVICE, Json, Resource, mapping
from canary.workloads.autoscalers import Autoscaler
from canary.workloads.base import Target, name_of, primary_name
from canary.workloads.configs import ConfigRef
from canary.workloads.origin import Namesake, is_evident, is_made_by_us, problem

_KEPT = 256
"""Of how many objects it is kept who has made them: of those that don't say so themselves, which are few."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """What was found.

    Args:
        problems: what is wrong.
        unread: why it can't be known who has made one of them; empty where it is.
    """

    problems: tuple[Problem, ...] = ()
    unread: str = ""


class ForeignObjects:
    """Finds them; who has made an object that doesn't say so is read once.

    Args:
        client: where objects are read whole: caches don't keep who has written which field.
        caches: what there is.
    """

    def __init__(self, client: KubeClient, caches: Caches) -> None:
        self._client = client
        self._caches = caches
        self._made: Recent[tuple[Resource, str, str], tuple[str, bool]] = Recent(_KEPT)

    async def find(
        self,
        canary: Canary,
        kind: Target | None,
        primary: Json | None,
        services: Mapping[str, Json],
        tracked: Iterable[str],
        autoscaler: Autoscaler | None,
    ) -> Foreign:
        """What is wrong with those that are not this Canary's.

        Args:
            canary: the Canary.
            kind: what its target is, where a primary is stood beside it.
            primary: what is called as the primary.
            services: the Services that are there, by name.
            tracked: `configmap/NAME` and `secret/NAME` of which the primary reads its own copies.
            autoscaler: what its autoscaler is.

        Raises:
            NotLeading: another controller has taken over.
        """
        if kind is None:
            return Foreign()
        found: list[Problem] = []
        try:
            for each in namesakes(canary, kind, primary, services, tracked, autoscaler, self._caches.get):
                if not is_evident(canary, each) and not await self._is_made_by_us(canary.namespace, each):
                    found += problem(canary, each)
        except NotLeading:
            raise
        except KubeError as error:
            return Foreign(unread=str(error))
        return Foreign(tuple(found))

    async def _is_made_by_us(self, namespace: str, each: Namesake) -> bool:
        key = (each.resource, namespace, name_of(each.obj))
        uid = str(mapping(each.obj.get("metadata")).get("uid") or "")
        known = self._made.get(key)
        if known is None or known[0] != uid:
            whole = await self._client.find(each.resource, namespace, name_of(each.obj))
            known = (uid, whole is not None and is_made_by_us(whole))
            self._made.put(key, known)
        return known[1]


def namesakes(
    canary: Canary,
    kind: Target,
    primary: Json | None,
    services: Mapping[str, Json],
    tracked: Iterable[str],
    autoscaler: Autoscaler | None,
    get: Get,
) -> Iterator[Namesake]:
    """What there is under the names of what is made for a Canary beside the Service that users call.

    Args:
        canary: the Canary.
        kind: what its target is.
        primary: what is called as the primary.
        services: the Services that are there, by name.
        tracked: `configmap/NAME` and `secret/NAME` of which the primary reads its own copies.
        autoscaler: what its autoscaler is.
        get: finds copies of configuration and of the autoscaler, and what has a baseline's names.
    """
    if primary is not None:
        yield Namesake("spec.targetRef", kind.resource, primary)
    for name in (canary.service_primary_name, canary.service_canary_name):
        if name in services and services[name] is not primary:
            yield Namesake("spec.service.name", SERVICE, services[name])
    if canary.wants_baseline:
        for resource, name in ((kind.resource, canary.baseline_name), (SERVICE, canary.service_baseline_name)):
            if (fresh := get(resource, canary.namespace, name)) is not None:
                yield Namesake(f"{canary.analysis_field}.metrics", resource, fresh)
    copies = [("spec.targetRef", RESOURCE[ref.kind], ref.name) for ref in map(ConfigRef.of, tracked)]
    if autoscaler is not None and canary.spec.autoscaler_ref is not None:
        copies.append(("spec.autoscalerRef", autoscaler.resource, canary.spec.autoscaler_ref.name))
    for field, resource, name in copies:
        copy = get(resource, canary.namespace, primary_name(name))
        if copy is not None:
            yield Namesake(field, resource, copy)
