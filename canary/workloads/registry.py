"""The kinds of workload that a Canary can roll out."""

from collections.abc import Mapping
from types import MappingProxyType

from canary.api.canary import Canary
from canary.workloads.base import Target
from canary.workloads.daemonset import DaemonSet
from canary.workloads.deployment import Deployment
from canary.workloads.service_target import ServiceTarget
from canary.workloads.statefulset import StatefulSet

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "DaemonSet": DaemonSet(),
        "Deployment": Deployment(),
        "Service": ServiceTarget(),
        "StatefulSet": StatefulSet(),
    }
)
"""By `targetRef.kind`."""


def target_for(canary: Canary) -> Target | None:
    """What knows the kind of a Canary's target; None where nothing does."""
    return None if canary.targets_knative else TARGETS.get(canary.spec.target_ref.kind)


def kind_of(canary: Canary) -> str:
    """The kind of a Canary's target in words: Knative's Services are not Kubernetes' own."""
    ref = canary.spec.target_ref
    return f"{ref.kind} of {ref.api_version}" if canary.targets_knative else ref.kind


def supported() -> tuple[str, ...]:
    """The kinds that can be targets, sorted."""
    return tuple(sorted(TARGETS))
