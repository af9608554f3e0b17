"""Workloads that have as many pods as their spec asks for: how many, and how far they have come."""

from canary.api.traffic import Readiness
from canary.kube.types import Json, mapping


def replicas(workload: Json) -> int:
    """How many pods its spec asks for: one, where it says nothing."""
    count = mapping(workload.get("spec")).get("replicas")
    return 1 if count is None else int(count)


def readiness(workload: Json) -> Readiness:
    """How far it has come, by its own status."""
    status = mapping(workload.get("status"))
    generation = mapping(workload.get("metadata")).get("generation") or 0
    return Readiness(
        desired=replicas(workload),
        updated=status.get("updatedReplicas") or 0,
        ready=status.get("readyReplicas") or 0,
        available=status.get("availableReplicas") or 0,
        total=status.get("replicas") or 0,
        observed=(status.get("observedGeneration") or 0) >= generation,
    )
