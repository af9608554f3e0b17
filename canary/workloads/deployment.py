"""Deployments as targets."""

from dataclasses import replace
from typing import ClassVar

from canary.api.traffic import Readiness
from canary.kube.types import DEPLOYMENT, Json, Resource, items, mapping
from canary.workloads import replicas
from canary.workloads.pod_template_target import PodTemplates


class Deployment(PodTemplates):
    """A Deployment as target; every function is pure."""

    resource: Resource = DEPLOYMENT
    # `replicas` is left to whoever scales it, `paused` to people.
    cloned: ClassVar[tuple[str, ...]] = (
        "strategy",
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    )

    def readiness(self, workload: Json) -> Readiness:
        """How far the Deployment has come, by its own status.

        `stalled` is told of the current generation only: at once what keeps its pods from being made (a quota, an
        admission webhook), else that the deployment controller has given up.
        """
        found = replicas.readiness(workload)
        return replace(found, stalled=_stalled(mapping(workload.get("status")))) if found.observed else found

    def replicas(self, workload: Json) -> int:
        """How many pods its spec asks for."""
        return replicas.replicas(workload)

    def scaled(self, workload: Json, replicas: int) -> Json:
        """The merge patch after which the spec asks for this many pods; empty where it does already."""
        return {} if self.replicas(workload) == replicas else {"spec": {"replicas": replicas}}


def _stalled(status: Json) -> str:
    conditions = {str(item.get("type")): item for item in items(status.get("conditions"))}
    failure, progress = conditions.get("ReplicaFailure", {}), conditions.get("Progressing", {})
    found = []
    if progress.get("status") == "False" and progress.get("reason") == "ProgressDeadlineExceeded":
        found.append(str(progress.get("message") or "the Deployment has made no progress in time"))
    if failure.get("status") == "True":
        found.append(str(failure.get("message") or failure.get("reason") or "its pods can't be made"))
    return ": ".join(found)
