"""The Services that lead to each version, and the one that users call."""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import CustomMetadata
from canary.api.traffic import SERVICE_LABEL
from canary.kube.types import Json, mapping
from canary.workloads.base import (
    PRIMARY_SUFFIX,
    SelectorLabel,
    annotations_of,
    is_owned,
    labels_of,
    owner_reference,
    selected_by,
)
from canary.workloads.origin import is_marked
from canary.workloads.service_ports import conflicts, service_ports

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
HEADLESS = "None"
"""The cluster IP of a headless Service."""

# Tell Flux's controllers to leave what is managed here alone.
_GITOPS_OFF = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}


def versions(
    canary: Canary,
    label: SelectorLabel,
    template: Json,
    observed: Mapping[str, Json],
    primary: Json | None = None,
) -> tuple[Json, Json]:
    """The manifests to apply for `NAME-primary` and `NAME-canary`, which lead to one version each.

    Args:
        canary: the Canary.
        label: tells the target's pods.
        template: the target's pod template.
        observed: the Services that are there already, by name.
        primary: the primary that is there; None where it is still to be made of the target.
    """
    service = canary.spec.service
    leading = _leading(canary, canary.service_primary_name, service.primary, label, template, observed, primary)
    follower = _manifest(canary, canary.service_canary_name, service.canary, label, template, observed)
    follower["spec"]["selector"] = {label.key: label.value}
    return leading, follower


def beside(
    canary: Canary, label: SelectorLabel, selector: Mapping[str, str], template: Json, observed: Mapping[str, Json]
) -> Json:
    """The manifest to apply for `NAME-baseline`, which leads to pods of the promoted version beside the canary.

    It has what the spec adds to the canary's Service, so that both are called alike.
    """
    name = canary.service_baseline_name
    manifest = _manifest(canary, name, canary.spec.service.canary, label, template, observed)
    manifest["spec"]["selector"] = dict(selector)
    return manifest


def apex(
    canary: Canary,
    label: SelectorLabel,
    template: Json,
    observed: Mapping[str, Json],
    primary: Json | None = None,
) -> Json:
    """The manifest to apply for `NAME`, the Service that users call: it leads to the primary.

    A Service of that name that was there before the Canary keeps its type, labels, ports and author, and its ports
    their names. Its selector is replaced as a whole: to the API server a Service's selector is one value.
    """
    return _leading(canary, canary.service_name, canary.spec.service.apex, label, template, observed, primary)


def handed_back(canary: Canary, label: SelectorLabel, template: Json, observed: Mapping[str, Json]) -> Json:
    """The manifest to apply for `NAME` when the Canary goes and its users must reach the target again.

    It names no owner, so that the Service outlives the Canary, and is given back to GitOps tools. One that was
    there before the Canary gets the selector back that kubectl applied it with, where that is known.
    """
    manifest = apex(canary, label, template, observed)
    metadata = manifest["metadata"]
    metadata.pop("ownerReferences", None)
    annotations = metadata.pop("annotations")
    if kept := {key: value for key, value in annotations.items() if key not in _GITOPS_OFF}:
        metadata["annotations"] = kept
    existing = observed.get(canary.service_name)
    before = {} if existing is None or is_owned(canary, existing) else _applied_selector(existing)
    manifest["spec"]["selector"] = before or {label.key: label.value}
    return manifest


def metadata(
    canary: Canary,
    name: str,
    custom: CustomMetadata,
    existing: Json | None,
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] = MappingProxyType({}),
) -> Json:
    """The metadata of a Service: its owner, and what the spec and we write on it.

    Of one that isn't the Canary's, nothing but `annotations` and the mark for GitOps tools is ours.

    Args:
        canary: the Canary.
        name: the Service's name.
        custom: what the spec adds to it.
        existing: the Service that is there already.
        labels: those that we set.
        annotations: those that we set.
    """
    made: Json = {
        "name": name,
        "namespace": canary.metadata.namespace,
        "annotations": {**annotations, **_GITOPS_OFF},
    }
    if is_owned(canary, existing):
        unmanaged, there = canary.spec.service.unmanaged_metadata, existing or {}
        marked = {**custom.annotations, **made["annotations"]}
        made["annotations"] = _leaving(marked, unmanaged.annotations, annotations_of(there))
        made["labels"] = _leaving({**custom.labels, **labels}, unmanaged.labels, labels_of(there))
        made["ownerReferences"] = [owner_reference(canary)]
    return made


def is_shared(template: Json, canary: Canary) -> bool:
    """Whether pods of this template carry the label by which one Service can lead to both versions."""
    labels = mapping(mapping(template.get("metadata")).get("labels"))
    return bool(labels.get(SERVICE_LABEL) == canary.service_name)


def sharing_problems(canary: Canary, template: Json) -> tuple[Problem, ...]:
    """What keeps one Service from leading to the pods of both versions, where the spec divides requests by that."""
    if not canary.analysis.replica_ratio or is_shared(template, canary):
        return ()
    wanted, name = f"{SERVICE_LABEL}: {canary.service_name}", canary.target_name
    message = f"the pods of {name} have no label {wanted}, by which one Service leads to both versions"
    return (
        Problem(f"{canary.analysis_field}.replicaRatio", message, f"add it to spec.template.metadata.labels of {name}"),
    )


def problems(canary: Canary, observed: Mapping[str, Json], template: Json | None = None) -> tuple[Problem, ...]:
    """What keeps the Services from being as the spec asks.

    Args:
        canary: the Canary.
        observed: the Services that are there already, by name.
        template: the target's pod template.
    """
    found = []
    for name in canary.services:
        if name in observed:
            found += _conflicts(canary, name, observed[name], template or {})
    return tuple(found)


def _conflicts(canary: Canary, name: str, existing: Json, template: Json) -> list[Problem]:
    service = canary.spec.service
    spec = mapping(existing.get("spec"))
    if spec.get("type") == "ExternalName":
        return [
            Problem(
                "spec.service.name",
                f"Service {name} is of type ExternalName",
                "delete it or choose another name",
            )
        ]
    found = []
    if is_owned(canary, existing) and (spec.get("clusterIP") == HEADLESS) is not service.headless:
        has = "is" if spec.get("clusterIP") == HEADLESS else "is not"
        message = f"Service {name} {has} headless, and that can't be changed"
        found.append(Problem("spec.service.headless", message, f"delete Service {name}, and it is made anew"))
    if not is_owned(canary, existing):
        found += conflicts(canary, name, existing, template)
    if name == canary.service_name and not is_owned(canary, existing) and not is_marked(existing):
        found += _strangers(canary, name, existing, template)
    return found


def _strangers(canary: Canary, name: str, existing: Json, template: Json) -> Iterator[Problem]:
    """A Service whose users are another application's: it leads to pods of neither version."""
    labels = mapping(mapping(template.get("metadata")).get("labels"))
    selector = mapping(mapping(existing.get("spec")).get("selector"))
    known = {key: (value, value + PRIMARY_SUFFIX) for key, value in labels.items()}
    if all(key == SERVICE_LABEL or value in known.get(key, ()) for key, value in selector.items()):
        return
    selected = ", ".join(f"{key}={value}" for key, value in selector.items())
    message = f"Service {name} leads to other pods than those of {canary.target_name}: {selected}"
    remedy = f"write another name, or have that Service select the pods of {canary.target_name}"
    yield Problem("spec.service.name", message, remedy)


def _leading(
    canary: Canary,
    name: str,
    custom: CustomMetadata,
    label: SelectorLabel,
    template: Json,
    observed: Mapping[str, Json],
    primary: Json | None,
) -> Json:
    """A Service that leads to the primary: it selects what that selects, and has the ports of its pods."""
    own = mapping(mapping((primary or {}).get("spec")).get("template"))
    manifest = _manifest(canary, name, custom, label, own or template, observed)
    manifest["spec"]["selector"] = dict(selected_by(primary)) or {label.key: label.primary}
    return manifest


def _manifest(
    canary: Canary,
    name: str,
    custom: CustomMetadata,
    label: SelectorLabel,
    template: Json,
    observed: Mapping[str, Json],
) -> Json:
    """A Service without selector. Of one that isn't the Canary's, nothing but its ports is ours beside that."""
    existing, service = observed.get(name), canary.spec.service
    made = metadata(canary, name, custom, existing, labels={label.key: name})
    spec: Json = {"ports": service_ports(canary, template, existing)}
    if service.traffic_distribution:
        spec["trafficDistribution"] = service.traffic_distribution
    if is_owned(canary, existing):
        spec["type"] = "ClusterIP"
        if service.headless:
            spec["clusterIP"] = HEADLESS
    return {"apiVersion": "v1", "kind": "Service", "metadata": made, "spec": spec}


def _leaving(wanted: Mapping[str, str], unmanaged: tuple[str, ...], there: Mapping[str, str]) -> dict[str, str]:
    """The labels or annotations that we set, with the values that others gave to the unmanaged ones."""
    return {key: there.get(key, value) if key in unmanaged else value for key, value in wanted.items()}


def _applied_selector(existing: Json) -> dict[str, str]:
    try:
        applied = json.loads(annotations_of(existing).get(_LAST_APPLIED, "{}"))
    except ValueError:
        return {}
    return mapping(mapping(mapping(applied).get("spec")).get("selector"))
