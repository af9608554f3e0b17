"""A baseline: fresh pods of what the primary runs, with a Service of their own, both made for one rollout.

It is made of the primary, and so of the promoted version with its own copies of the configuration. No Service but its
own leads to its pods: of the labels by which the primary is selected one has another value.
"""

from typing import Final

from canary.api.canary import Canary
from canary.api.traffic import SERVICE_LABEL
from canary.kube.types import Json, mapping
from canary.workloads import primary_template, services
from canary.workloads.base import (
    PRIMARY_SUFFIX,
    Rules,
    SelectorLabel,
    Services,
    annotations_of,
    labels_of,
    owner_reference,
    owners_of,
    portable,
    selected_by,
    without_nulls,
)

ANNOTATION: Final = "flagger.app/baseline"
"""On a baseline and on its Service: for which rollout it was made. Nothing without it is ever deleted."""

SUFFIX: Final = "-baseline"

_CLONED = ("strategy", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")


def manifests(
    primary: Json, canary: Canary, *, rules: Rules, observed: Services, revision: str, replicas: int
) -> tuple[Json, Json]:
    """What to apply for a baseline, in this order: its Service, by which it is found again, and the Deployment.

    Args:
        primary: the Deployment that is the primary.
        canary: the Canary.
        rules: which label tells workloads apart.
        observed: the Services that are there already, by name.
        revision: for which rollout it is made; with another one its pods are made anew.
        replicas: how many pods.

    Raises:
        ValueError: the primary selects its pods by no label.
    """
    selected, label = selected_by(primary), _label(primary, rules)
    value = _value(label)
    selector = {**selected, label.key: value}
    template = mapping(mapping(primary.get("spec")).get("template"))
    pods = primary_template.primary_template(template, label, tracked=(), roll=revision, value=value)
    pods["metadata"]["labels"].pop(SERVICE_LABEL, None)
    spec = mapping(primary.get("spec"))
    workload: Json = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": canary.baseline_name,
            "namespace": canary.namespace,
            "labels": {**portable(labels_of(primary)), label.key: value},
            "annotations": {ANNOTATION: revision},
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selector},
            "template": pods,
            **{field: without_nulls(spec[field]) for field in _CLONED if spec.get(field) is not None},
        },
    }
    service = services.beside(canary, label, selector, template, observed)
    service["metadata"]["annotations"][ANNOTATION] = revision
    service["metadata"]["ownerReferences"] = [owner_reference(canary)]
    return service, workload


def is_made_for(canary: Canary, obj: Json) -> bool:
    """Whether an object is a baseline of this Canary, or the Service of one."""
    owned = any(owner.get("uid") == canary.metadata.uid for owner in owners_of(obj))
    return owned and ANNOTATION in annotations_of(obj)


def revision_of(workload: Json) -> str:
    """For which rollout a baseline was made."""
    return annotations_of(workload).get(ANNOTATION, "")


def _label(primary: Json, rules: Rules) -> SelectorLabel:
    """The label by which the primary's pods are told from those of its baseline."""
    selected = selected_by(primary)
    keys = [key for key in (*rules.selector_labels, *sorted(selected)) if key in selected]
    if not keys:
        msg = f"{mapping(primary.get('metadata')).get('name')} selects its pods by no label"
        raise ValueError(msg)
    return SelectorLabel(keys[0], selected[keys[0]])


def _value(label: SelectorLabel) -> str:
    return label.value.removesuffix(PRIMARY_SUFFIX) + SUFFIX
