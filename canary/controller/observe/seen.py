"""What was seen around one Canary, as the rules look it up."""

from collections.abc import Iterable

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.controller.lookup import Configuration, Found, Gap
from canary.controller.observe.caches import Caches, Freshness
from canary.controller.observe.index import Claims
from canary.controller.observe.surroundings import Surroundings
from canary.kube.types import SERVICE, Json, ObjectRef, Resource
from canary.routers import route_refs
from canary.routers.registry import KINDS, ROUTES


class Seen:
    """Objects as they were at the look, and as the caches have them where the look was not about them.

    Args:
        around: what was seen.
        caches: what is known of the cluster.
        claims: which Canaries want which workloads.
    """

    def __init__(self, around: Surroundings, caches: Caches, claims: Claims) -> None:
        self._around = around
        self._caches = caches
        self.claims = claims
        canary, kind, scaler = around.canary, around.kind, around.autoscaler_kind
        namespace = canary.namespace
        known: dict[ObjectRef, Json | None] = {**around.routes, **around.glanced}
        known |= {ObjectRef(SERVICE, namespace, name): service for name, service in around.services.items()}
        if kind is not None:
            known[ObjectRef(kind.resource, namespace, canary.primary_name)] = around.primary
            known[ObjectRef(kind.resource, namespace, canary.target_name)] = around.target
        if scaler is not None and canary.spec.autoscaler_ref is not None:
            known[ObjectRef(scaler.resource, namespace, canary.spec.autoscaler_ref.name)] = around.autoscaler
        self._known = known
        self._led = {each.resource for each in route_refs.refs(canary)}

    def find(self, resource: Resource, namespace: str, name: str) -> Found:
        """An object, or why there is none to look at."""
        ref = ObjectRef(resource, namespace, name)
        if ref in self._known:
            found = self._known[ref]
        elif resource in KINDS or resource == SERVICE:
            found = None
        else:
            found = self._caches.get(resource, namespace, name)
        if found is not None:
            return found
        if (resource in ROUTES or resource in self._led) and self._caches.state(resource).freshness is Freshness.ABSENT:
            return Gap.UNSERVED
        return Gap.UNKNOWN if resource in self._around.unseen else None

    def configuration(self, canary: Canary) -> Configuration:
        """What its pods read."""
        return Configuration(self._around.shared.refs, self._around.missing, tuple(self._around.configs))

    def strangers(self, canary: Canary) -> Iterable[Problem]:
        """What is wrong with objects of others that have the names of what is made for it."""
        return self._around.foreign
