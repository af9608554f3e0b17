"""Deployments as targets."""

from collections.abc import Mapping

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import Readiness
from canary.kube.types import DEPLOYMENT, Json, Resource
from canary.workloads import ports, template
from canary.workloads.base import (
    LABEL_VALUE_LIMIT,
    REVISION_ANNOTATION,
    Rules,
    SelectorLabel,
    annotations_of,
    included,
    is_owned,
    items,
    labels_of,
    mapping,
    name_of,
    owner_reference,
    primary_name,
    without_nulls,
)

_CONFIG_DIGITS = 8
# What decides how the primary rolls its pods. `replicas` is left to whoever scales it, `paused` to people.
_CLONED = ("strategy", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")


class Deployment:
    """A Deployment as target; every function is pure."""

    resource: Resource = DEPLOYMENT

    def revision(self, target: Json) -> str:
        """A hash over the pod template: the same for as long as the same pods would be made from it."""
        return template.fingerprint(self.template(target))

    def carried(self, target: Json, tracked: Mapping[str, str]) -> str:
        """What the primary's revision reads once it carries this target with this configuration.

        Args:
            target: the Deployment that the spec names.
            tracked: checksums of its configuration, as `configs.tracked_configs` gives them.
        """
        revision = self.revision(target)
        return f"{revision}-{template.digest(dict(tracked), _CONFIG_DIGITS)}" if tracked else revision

    def primary(
        self,
        target: Json,
        canary: Canary,
        *,
        tracked: Mapping[str, str],
        rules: Rules,
        existing: Json | None = None,
    ) -> Json:
        """The manifest to apply for the primary: everything but its replicas.

        Args:
            target: the Deployment that the spec names.
            canary: the Canary that names it.
            tracked: checksums of its configuration; the primary reads its own copy of each.
            rules: which label tells the two apart, and what else the primary gets.
            existing: the primary that is there already; one that the Canary doesn't own stays without owner.

        Raises:
            ValueError: the target has no selector label; `problems` tells beforehand.
        """
        label = self.selector_label(target, rules)
        if label is None:
            allowed = ", ".join(rules.selector_labels)
            msg = f"Deployment {name_of(target)} has none of the selector labels {allowed}"
            raise ValueError(msg)
        carried = self.carried(target, tracked)
        metadata: Json = {
            "name": primary_name(name_of(target)),
            "namespace": canary.metadata.namespace,
            "labels": {**included(labels_of(target), rules.include_label_prefixes), label.key: label.primary},
            "annotations": {
                **included(annotations_of(target), rules.include_label_prefixes),
                REVISION_ANNOTATION: carried,
            },
        }
        if is_owned(canary, existing):
            metadata["ownerReferences"] = [owner_reference(canary)]
        spec = mapping(target.get("spec"))
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": {label.key: label.primary}},
                "template": template.primary_template(self.template(target), label, tracked=tracked, roll=carried),
                **{field: without_nulls(spec[field]) for field in _CLONED if spec.get(field) is not None},
            },
        }

    def primary_revision(self, primary: Json) -> str | None:
        """What `carried` was when the primary was last written; None where we have not written it."""
        return annotations_of(primary).get(REVISION_ANNOTATION)

    def selector_label(self, target: Json, rules: Rules) -> SelectorLabel | None:
        """The label that tells this target's pods from the primary's: the first allowed that it selects by."""
        selected = mapping(mapping(mapping(target.get("spec")).get("selector")).get("matchLabels"))
        return next((SelectorLabel(key, selected[key]) for key in rules.selector_labels if key in selected), None)

    def readiness(self, workload: Json) -> Readiness:
        """How far the Deployment has come, by its own status.

        `stalled` is told only once the deployment controller has given up on the current generation, with what
        keeps it from making pods (a quota, an admission webhook) where that is known.
        """
        status = mapping(workload.get("status"))
        generation = mapping(workload.get("metadata")).get("generation") or 0
        observed = (status.get("observedGeneration") or 0) >= generation
        return Readiness(
            desired=self.replicas(workload),
            updated=status.get("updatedReplicas") or 0,
            ready=status.get("readyReplicas") or 0,
            available=status.get("availableReplicas") or 0,
            total=status.get("replicas") or 0,
            observed=observed,
            stalled=_stalled(status) if observed else "",
        )

    def replicas(self, workload: Json) -> int:
        """How many pods its spec asks for."""
        replicas = mapping(workload.get("spec")).get("replicas")
        return 1 if replicas is None else int(replicas)

    def template(self, workload: Json) -> Json:
        """The pod template."""
        return mapping(mapping(workload.get("spec")).get("template"))

    def problems(self, canary: Canary, target: Json, rules: Rules) -> tuple[Problem, ...]:
        """What keeps this target from being rolled out by this spec."""
        return (
            *_label_problems(self.selector_label(target, rules), canary, rules),
            *ports.problems(canary, self.template(target)),
            *_repeated_port_problems(canary, self.template(target)),
        )


def _stalled(status: Json) -> str:
    conditions = {str(item.get("type")): item for item in items(status.get("conditions"))}
    progress = conditions.get("Progressing", {})
    if progress.get("status") != "False" or progress.get("reason") != "ProgressDeadlineExceeded":
        return ""
    failure = conditions.get("ReplicaFailure", {})
    why = failure.get("message") if failure.get("status") == "True" else None
    message = str(progress.get("message") or "the Deployment has made no progress in time")
    return f"{message}: {why}" if why else message


def _label_problems(label: SelectorLabel | None, canary: Canary, rules: Rules) -> tuple[Problem, ...]:
    name = canary.target_name
    if label is None:
        message = f"Deployment {name} selects its pods by none of the labels {', '.join(rules.selector_labels)}"
        remedy = f"select by one of them in spec.selector.matchLabels of {name}, or name yours in --selector-labels"
        return (Problem("spec.targetRef", message, remedy),)
    if len(label.primary) > LABEL_VALUE_LIMIT:
        message = (
            f"the primary's label {label.key}: {label.primary} would be longer than {LABEL_VALUE_LIMIT} characters"
        )
        remedy = f"shorten the value of that label in spec.selector.matchLabels of {name}"
        return (Problem("spec.targetRef", message, remedy),)
    return ()


def _repeated_port_problems(canary: Canary, pod_template: Json) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            "spec.targetRef",
            f"container {container} of {canary.target_name} declares port {number} more than once",
            "declare it once, and name that one in probes and Services",
        )
        for container, number in template.repeated_ports(pod_template)
    )
