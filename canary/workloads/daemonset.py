"""DaemonSets as targets: a pod on every node that fits, or on none."""

from typing import ClassVar

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import Readiness
from canary.kube.types import DAEMON_SET, Json, Resource, items, mapping
from canary.workloads.base import Rules, Services
from canary.workloads.pod_template_target import PodTemplates

NOWHERE = "flagger.app/scale-to-zero"
"""In the node selector of a DaemonSet without pods, with the value "true": no node has such a label."""

_ROLLING = "RollingUpdate"


class DaemonSet(PodTemplates):
    """A DaemonSet as target; every function is pure."""

    resource: Resource = DAEMON_SET
    cloned: ClassVar[tuple[str, ...]] = ("updateStrategy", "minReadySeconds", "revisionHistoryLimit")

    def readiness(self, workload: Json) -> Readiness:
        """How far the DaemonSet has come, by its own status, which counts nodes."""
        status = mapping(workload.get("status"))
        generation = mapping(workload.get("metadata")).get("generation") or 0
        return Readiness(
            desired=self.replicas(workload),
            updated=status.get("updatedNumberScheduled") or 0,
            ready=status.get("numberReady") or 0,
            available=status.get("numberAvailable") or 0,
            total=status.get("currentNumberScheduled") or 0,
            observed=(status.get("observedGeneration") or 0) >= generation,
        )

    def replicas(self, workload: Json) -> int:
        """How many pods it should have: none while it is told to run nowhere, else one a node that fits.

        One at least, even where no node fits or none has been counted yet: a version without pods is not ready.
        """
        if NOWHERE in _node_selector(workload):
            return 0
        return max(1, mapping(workload.get("status")).get("desiredNumberScheduled") or 0)

    def scaled(self, workload: Json, replicas: int) -> Json:
        """The merge patch that takes it off all nodes, or lets it on all that fit; empty where it is so already."""
        if (NOWHERE in _node_selector(workload)) is (replicas == 0):
            return {}
        selector = {NOWHERE: None if replicas else "true"}
        return {"spec": {"template": {"spec": {"nodeSelector": selector}}}}

    def template(self, workload: Json) -> Json:
        """The pod template as its author wrote it: a DaemonSet is scaled by the node selector in it."""
        template = super().template(workload)
        spec = mapping(template.get("spec"))
        if "nodeSelector" not in spec:
            return template
        selector = {key: value for key, value in _node_selector(workload).items() if key != NOWHERE}
        rest = {key: value for key, value in spec.items() if key != "nodeSelector"}
        return {**template, "spec": {**rest, "nodeSelector": selector} if selector else rest}

    def problems(self, canary: Canary, target: Json, *, rules: Rules, observed: Services) -> tuple[Problem, ...]:
        """What keeps this DaemonSet from being rolled out by this spec."""
        return (
            *super().problems(canary, target, rules=rules, observed=observed),
            *_strategy_problems(canary, target),
            *_host_port_problems(canary, self.template(target)),
            *_autoscaler_problems(canary),
        )


def _node_selector(workload: Json) -> Json:
    template = mapping(mapping(workload.get("spec")).get("template"))
    return mapping(mapping(template.get("spec")).get("nodeSelector"))


def _strategy_problems(canary: Canary, target: Json) -> tuple[Problem, ...]:
    name = canary.target_name
    strategy = mapping(mapping(target.get("spec")).get("updateStrategy")).get("type") or _ROLLING
    if strategy == _ROLLING:
        return ()
    message = f"DaemonSet {name} has the update strategy {strategy}, and replaces no pod by itself"
    return (Problem("spec.targetRef", message, f"set spec.updateStrategy.type of {name} to {_ROLLING}"),)


def _host_port_problems(canary: Canary, template: Json) -> tuple[Problem, ...]:
    """A port of the node itself has room for one version only, and the other would wait for it for good."""
    spec = mapping(template.get("spec"))
    taken = [
        port["hostPort"]
        for each in items(spec.get("containers"))
        for port in items(each.get("ports"))
        if port.get("hostPort")
    ]
    if not taken:
        return ()
    message = f"the pods of {canary.target_name} take port {taken[0]} of their node, so no two versions can run on it"
    return (Problem("spec.targetRef", message, "take hostPort and hostNetwork out, and reach the pods by a Service"),)


def _autoscaler_problems(canary: Canary) -> tuple[Problem, ...]:
    if canary.spec.autoscaler_ref is None:
        return ()
    message = "a DaemonSet has as many pods as there are nodes, and no autoscaler"
    return (Problem("spec.autoscalerRef", message, "take it out"),)
