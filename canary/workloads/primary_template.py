"""From the target's pod template to the primary's."""

import hashlib
import json
from collections.abc import Collection, Iterator
from typing import Any

from canary.kube.types import Json, items, mapping
from canary.workloads import configs
from canary.workloads.base import PRIMARY_SUFFIX, ROLL_ANNOTATION, SelectorLabel, portable, without_nulls

_REVISION_DIGITS = 16
# The rest of a template's metadata never reaches a pod.
_POD_METADATA = ("labels", "annotations", "finalizers")


def fingerprint(template: Json) -> str:
    """A hash over a pod template as the API server stores it, without null fields and empty metadata.

    An annotation counts, so that `kubectl rollout restart` makes a new revision.
    """
    return digest(_normal(template), _REVISION_DIGITS)


def digest(value: Any, digits: int) -> str:
    """A hash over JSON that doesn't depend on the order of fields."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def primary_template(
    template: Json, label: SelectorLabel, *, tracked: Collection[str], roll: str, value: str = ""
) -> Json:
    """The pod template of the primary.

    It differs from the target's in what would make the two share pods or configuration: the selector label, also
    where affinities and spread constraints ask for it, and the names of the tracked ConfigMaps and Secrets.

    Args:
        template: the target's pod template.
        label: tells the target's pods.
        tracked: `configmap/NAME` and `secret/NAME` of which the primary reads its own copies.
        roll: changes whenever the primary's pods must be made anew.
        value: the label's value on the primary's pods, where that is not made of the target's.
    """
    value = value or label.primary
    clone = _normal(template)
    metadata = clone.setdefault("metadata", {})
    metadata["labels"] = {**portable(mapping(metadata.get("labels"))), label.key: value}
    metadata["annotations"] = {**portable(mapping(metadata.get("annotations"))), ROLL_ANNOTATION: roll}
    spec = clone.setdefault("spec", {})
    configs.rename(spec, tracked)
    for selector in _pod_selectors(spec):
        _select_primary(selector, label, value)
    _merge_repeated(spec)
    return clone


def same_pods(primary: Json, target: Json, *, tracked: Collection[str], selected: Collection[str]) -> bool:
    """Whether two pod templates differ in nothing but what makes one a primary's, whoever has made it that.

    Not every controller gives a primary's affinities and spread constraints selectors of its own, or those of the same
    kinds, and each has ways of its own to have pods made anew.

    Args:
        primary: the primary's pod template.
        target: the target's pod template.
        tracked: `configmap/NAME` and `secret/NAME` of which the primary reads its own copies.
        selected: keys of the labels by which each selects its own pods.
    """
    return _neutral(primary, selected, tracked) == _neutral(target, selected, tracked)


def _neutral(template: Json, selected: Collection[str], tracked: Collection[str]) -> Json:
    """A pod template without what tells a primary's from a target's."""
    clone = _normal(template)
    spec, metadata = mapping(clone.get("spec")), mapping(clone.pop("metadata", None))
    labels = {key: value for key, value in portable(mapping(metadata.get("labels"))).items() if key not in selected}
    annotations = portable(mapping(metadata.get("annotations")))
    annotations.pop(ROLL_ANNOTATION, None)
    configs.rename(spec, tracked)
    for selector in _pod_selectors(spec):
        _select_either(selector)
    _merge_repeated(spec)
    return {**clone, "labels": labels, "annotations": annotations}


def repeated_ports(template: Json) -> list[tuple[str, int]]:
    """The ports that a container declares more than once, with the container's name.

    The API server stores such a template, but refuses to apply one.
    """
    found = []
    for container in _containers(mapping(template.get("spec"))):
        seen: set[tuple[object, object]] = set()
        for port in items(container.get("ports")):
            key = (port.get("containerPort"), port.get("protocol", "TCP"))
            if key in seen:
                found.append((str(container.get("name")), int(port.get("containerPort", 0))))
            seen.add(key)
    return found


def _normal(template: Json) -> Json:
    clone: Json = without_nulls(template)
    metadata = mapping(clone.get("metadata"))
    kept = {field: metadata[field] for field in _POD_METADATA if metadata.get(field)}
    return {**clone, "metadata": kept} if kept else {key: clone[key] for key in clone if key != "metadata"}


def _containers(spec: Json) -> list[Json]:
    return [*items(spec.get("initContainers")), *items(spec.get("containers"))]


def _pod_selectors(spec: Json) -> Iterator[Json]:
    """The label selectors in a pod spec that are about pods: of affinities and of spread constraints."""
    for kind in ("podAffinity", "podAntiAffinity"):
        affinity = mapping(mapping(spec.get("affinity")).get(kind))
        for term in items(affinity.get("requiredDuringSchedulingIgnoredDuringExecution")):
            yield mapping(term.get("labelSelector"))
        for weighted in items(affinity.get("preferredDuringSchedulingIgnoredDuringExecution")):
            yield mapping(mapping(weighted.get("podAffinityTerm")).get("labelSelector"))
    for constraint in items(spec.get("topologySpreadConstraints")):
        yield mapping(constraint.get("labelSelector"))


def _select_primary(selector: Json, label: SelectorLabel, primary: str) -> None:
    wanted = mapping(selector.get("matchLabels"))
    if wanted.get(label.key) == label.value:
        wanted[label.key] = primary
    for expression in items(selector.get("matchExpressions")):
        if expression.get("key") == label.key:
            values = expression.get("values") or []
            expression["values"] = [primary if value == label.value else value for value in values]


def _select_either(selector: Json) -> None:
    """Make a selector that asks for a primary's pods ask for the target's."""
    wanted = mapping(selector.get("matchLabels"))
    wanted.update({key: str(value).removesuffix(PRIMARY_SUFFIX) for key, value in wanted.items()})
    for expression in items(selector.get("matchExpressions")):
        values = [str(value).removesuffix(PRIMARY_SUFFIX) for value in expression.get("values") or []]
        if values:
            expression["values"] = values


def _merge_repeated(spec: Json) -> None:
    """Make every key of a keyed list unique, as applying demands and creating doesn't: the last counts."""
    for container in _containers(spec):
        _keep_last(container, "env", "name")
    _keep_last(spec, "imagePullSecrets", "name")
    by_ip: dict[object, Json] = {}
    for alias in items(spec.get("hostAliases")):
        known = by_ip.setdefault(alias.get("ip"), {**alias, "hostnames": []})
        known["hostnames"] += [name for name in alias.get("hostnames") or [] if name not in known["hostnames"]]
    if by_ip:
        spec["hostAliases"] = list(by_ip.values())


def _keep_last(holder: Json, field: str, key: str) -> None:
    entries = items(holder.get(field))
    last = {entry.get(key): entry for entry in entries}
    if len(last) < len(entries):
        holder[field] = [entry for entry in entries if last[entry.get(key)] is entry]
