"""The Services that lead to each version, and the one that users call."""

import json
from collections.abc import Mapping
from types import MappingProxyType

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import CustomMetadata, ServicePort
from canary.api.traffic import SERVICE_LABEL
from canary.kube.types import Json
from canary.workloads.base import (
    SelectorLabel,
    annotations_of,
    is_owned,
    items,
    labels_of,
    mapping,
    owner_reference,
)
from canary.workloads.ports import discovered_ports

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
HEADLESS = "None"
"""The cluster IP of a headless Service."""

# Tell Flux's controllers to leave what is managed here alone.
_GITOPS_OFF = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}


def versions(canary: Canary, label: SelectorLabel, template: Json, observed: Mapping[str, Json]) -> tuple[Json, Json]:
    """The manifests to apply for `NAME-primary` and `NAME-canary`, which lead to one version each.

    Args:
        canary: the Canary.
        label: tells the target's pods.
        template: the target's pod template.
        observed: the Services that are there already, by name.
    """
    service = canary.spec.service
    primary = _manifest(canary, canary.service_primary_name, service.primary, label, observed)
    primary["spec"].update(_spec(canary, label.key, label.primary, template))
    follower = _manifest(canary, canary.service_canary_name, service.canary, label, observed)
    follower["spec"].update(_spec(canary, label.key, label.value, template))
    return primary, follower


def apex(canary: Canary, label: SelectorLabel, template: Json, observed: Mapping[str, Json]) -> Json:
    """The manifest to apply for `NAME`, the Service that users call: it leads to the primary.

    A Service of that name that was there before the Canary keeps its type, labels, other ports and author. Its
    selector is replaced as a whole: to the API server a Service's selector is one value.
    """
    manifest = _manifest(canary, canary.service_name, canary.spec.service.apex, label, observed)
    manifest["spec"].update(_spec(canary, label.key, label.primary, template))
    return manifest


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


def problems(canary: Canary, observed: Mapping[str, Json]) -> tuple[Problem, ...]:
    """What keeps the Services from being as the spec asks.

    Args:
        canary: the Canary.
        observed: the Services that are there already, by name.
    """
    found = []
    for name in canary.services:
        if name in observed:
            found += _conflicts(canary, name, observed[name])
    return tuple(found)


def _conflicts(canary: Canary, name: str, existing: Json) -> list[Problem]:
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
        found += _port_conflicts(canary, name, items(spec.get("ports")))
    return found


def _port_conflicts(canary: Canary, name: str, theirs: list[Json]) -> list[Problem]:
    """Ports of somebody else's Service that ours can't stand beside: all but one have names, and no two the same."""
    ours = canary.spec.service.all_ports
    found = []
    for port in theirs:
        if any((port.get("port"), port.get("protocol", "TCP")) == (each.port, "TCP") for each in ours):
            continue
        if port.get("name", "") in {"", *(each.name for each in ours)}:
            message = f"Service {name} has a port {port.get('port')} named {port.get('name') or 'nothing'} already"
            remedy = "write its number as spec.service.port, or name that port differently"
            found.append(Problem("spec.service.port", message, remedy))
    return found


def _manifest(
    canary: Canary, name: str, custom: CustomMetadata, label: SelectorLabel, observed: Mapping[str, Json]
) -> Json:
    """A Service without selector and ports. Of one that isn't the Canary's, nothing but these is ours."""
    existing = observed.get(name)
    made = metadata(canary, name, custom, existing, labels={label.key: name})
    spec: Json = {}
    if is_owned(canary, existing):
        spec["type"] = "ClusterIP"
        if canary.spec.service.headless:
            spec["clusterIP"] = HEADLESS
    return {"apiVersion": "v1", "kind": "Service", "metadata": made, "spec": spec}


def _leaving(wanted: Mapping[str, str], unmanaged: tuple[str, ...], there: Mapping[str, str]) -> dict[str, str]:
    """The labels or annotations that we set, with the values that others gave to the unmanaged ones."""
    return {key: there.get(key, value) if key in unmanaged else value for key, value in wanted.items()}


def _spec(canary: Canary, key: str, value: str, template: Json) -> Json:
    service = canary.spec.service
    own = [_port(port) for port in service.all_ports]
    others = [
        {"name": other.name, "protocol": other.protocol, "port": other.number, "targetPort": other.number}
        for other in discovered_ports(canary, template)
    ]
    spec: Json = {"selector": {key: value}, "ports": [*own, *others]}
    if service.traffic_distribution:
        spec["trafficDistribution"] = service.traffic_distribution
    return spec


def _port(port: ServicePort) -> Json:
    made: Json = {
        "name": port.name,
        "protocol": "TCP",
        "port": port.port,
        "targetPort": port.effective_target_port,
    }
    return {**made, "appProtocol": port.app_protocol} if port.app_protocol else made


def _applied_selector(existing: Json) -> dict[str, str]:
    try:
        applied = json.loads(annotations_of(existing).get(_LAST_APPLIED, "{}"))
    except ValueError:
        return {}
    return mapping(mapping(mapping(applied).get("spec")).get("selector"))
