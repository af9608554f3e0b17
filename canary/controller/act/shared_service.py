"""The Service that users call, where it leads to the pods of both versions: what it selects is changed in place.

All else of it is applied as ever, with what it selects at the time: two applications of different parts by one manager
would take each other's fields off.
"""

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.controller.observe.caches import Caches
from canary.kube.client import KubeClient
from canary.kube.types import SERVICE, Json
from canary.routers.base import Router


async def shift(client: KubeClient, caches: Caches, canary: Canary, router: Router, split: Split) -> Json | None:
    """Have it divide requests so, where it is what divides them; the Service as it is stored then, if it was changed.

    Raises:
        KubeError: the API server did not do it; doing it again is safe.
        ValueError: it can't divide requests so.
    """
    if router.shared is None:
        return None
    patch = router.shared.shift(canary, split, _services(caches, canary))
    if not patch:
        return None
    return await client.merge_patch(SERVICE, canary.namespace, canary.service_name, patch)


def as_shifted(caches: Caches, canary: Canary, router: Router, service: Json) -> Json:
    """The manifest of that Service, with what it selects now where the canary has traffic by that."""
    if router.shared is None:
        return service
    selected = router.shared.selected(canary, _services(caches, canary))
    return {**service, "spec": {**service["spec"], "selector": dict(selected)}} if selected else service


def _services(caches: Caches, canary: Canary) -> dict[tuple[str, str], Json]:
    """The Services as the actions before have left them."""
    found = caches.named(SERVICE, canary.namespace, canary.services)
    return {(SERVICE.kind, name): service for name, service in found.items()}
