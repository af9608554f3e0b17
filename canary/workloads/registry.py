"""The kinds of workload that a Canary can roll out."""

from collections.abc import Mapping
from types import MappingProxyType

from canary.workloads.base import Target
from canary.workloads.deployment import Deployment

TARGETS: Mapping[str, Target] = MappingProxyType({"Deployment": Deployment()})
"""By `targetRef.kind`."""


def target_for(kind: str) -> Target | None:
    """What knows this kind of target; None where nothing does."""
    return TARGETS.get(kind)


def supported() -> tuple[str, ...]:
    """The kinds that can be targets, sorted."""
    return tuple(sorted(TARGETS))
