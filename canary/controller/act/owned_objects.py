"""What belongs to a Canary beside its target: the objects that come and go with it."""

from collections.abc import Iterator

from canary.controller.configs import RESOURCE
from canary.controller.observe.caches import Caches
from canary.controller.observe.routes import providers_of
from canary.controller.observe.surroundings import Surroundings
from canary.kube.types import DEPLOYMENT, SERVICE, Json, Resource
from canary.workloads import configs
from canary.workloads.base import name_of, owners_of, primary_name


def owned_objects(caches: Caches, seen: Surroundings) -> Iterator[tuple[Resource, Json]]:
    """The primary with its configuration and its autoscaler, the Services, and what divides traffic.

    Services and routes that were there before the Canary are among them; configuration that the primary reads and
    somebody else has made is not. Routes of every provider and every name count, and the Services that these lead to:
    the spec may name others by now.
    """
    canary, kind = seen.canary, seen.kind
    namespace = canary.namespace
    if kind is not None and kind.versions is None and seen.primary is not None:
        yield kind.resource, seen.primary
        for ref in sorted(configs.references(kind.template(seen.primary))):
            config = caches.get(RESOURCE[ref.kind], namespace, ref.name)
            if config is not None and is_owner(seen, config):
                yield RESOURCE[ref.kind], config
    if seen.autoscaler_kind is not None and seen.autoscaler is not None:
        copy = caches.get(seen.autoscaler_kind.resource, namespace, primary_name(name_of(seen.autoscaler)))
        if copy is not None:
            yield seen.autoscaler_kind.resource, copy
    is_target = kind is not None and kind.resource == SERVICE
    for name, service in seen.services.items():
        if not is_target or name not in (canary.target_name, canary.primary_name):
            yield SERVICE, service
    places = {ref for each in providers_of(canary, seen.provider) for ref in each.makes(canary)}
    # A baseline goes with its Canary, whatever else outlives it; the primary was told above.
    others = (ref for ref in caches.owners.of(canary) if ref not in seen.baselines and ref.resource is not DEPLOYMENT)
    places |= {ref for ref in others if ref.resource is not SERVICE or ref.name not in seen.services}
    for place in sorted(places, key=lambda place: (place.resource.kind, place.name)):
        obj = caches.get(*place)
        if obj is not None:
            yield place.resource, obj


def is_owner(seen: Surroundings, obj: Json) -> bool:
    """Whether an object names the Canary among its owners, and so is collected with it."""
    return any(owner.get("uid") == seen.canary.metadata.uid for owner in owners_of(obj))
