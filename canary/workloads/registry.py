"""The kinds of workload that a Canary can roll out."""

from collections.abc import Mapping
from types import MappingProxyType

from canary.api.canary import Canary
from canary.kube.types import Resource
from canary.workloads.base import Target
from canary.workloads.daemonset import DaemonSet
from canary.workloads.deployment import Deployment
from canary.workloads.knative import KnativeService
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
"""By `targetRef.kind`; Services are those of Kubernetes."""

KNATIVE: Target = KnativeService()

WORKLOADS: tuple[Resource, ...] = tuple(each.resource for each in (*TARGETS.values(), KNATIVE))
"""The kinds of object that can be targets."""


def target_for(canary: Canary) -> Target | None:
    """What knows the kind of a Canary's target; None where nothing does."""
    return KNATIVE if canary.targets_knative else TARGETS.get(canary.spec.target_ref.kind)


def supported() -> tuple[str, ...]:
    """The kinds that can be targets, sorted."""
    return tuple(sorted(TARGETS))
