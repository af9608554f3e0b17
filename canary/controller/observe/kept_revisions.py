"""Which revisions of a Canary's primary are kept, by the caches."""

from canary.api.canary import Canary
from canary.controller.configs import RESOURCE
from canary.controller.observe.caches import Caches
from canary.kube.types import CONTROLLER_REVISION
from canary.workloads import revisions


def askable(canary: Canary) -> tuple[str, ...]:
    """The revisions that a decision may ask for: what is promoted, and what a failed bake puts back."""
    status = canary.status
    asked = (status.last_promoted_spec, status.bake.last_good_spec if status.bake is not None else "")
    return tuple(dict.fromkeys(filter(None, asked)))


def kept(caches: Caches, canary: Canary, carried: str) -> frozenset[str]:
    """Those of them that the primary can be set to again.

    Args:
        caches: what there is.
        canary: the Canary.
        carried: what the primary carries; empty where there is none.
    """
    return frozenset(each for each in askable(canary) if _is_kept(caches, canary, carried, each))


def _is_kept(caches: Caches, canary: Canary, carried: str, revision: str) -> bool:
    record = caches.get(CONTROLLER_REVISION, canary.namespace, revisions.record_name(canary, revision))
    if record is None:
        return False
    # What its pods read is still in the primary's copies, or was kept before these were replaced.
    replaced = carried not in ("", revision)
    needed = revisions.configs_of(record) if replaced else ()
    names = ((RESOURCE[ref.kind], revisions.config_name(ref, revision)) for ref in needed)
    return all(caches.get(resource, canary.namespace, name) is not None for resource, name in names)
