"""Autoscalers of a target, and the primary's copies of them: HorizontalPodAutoscaler and KEDA's ScaledObject.

The copy follows the original at once. While a rollout runs it has a floor: the primary keeps the pods that it has,
however little traffic the canary leaves it, so that it can take everything back at any time.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

from canary.api.canary import AutoscalerReference, Canary
from canary.api.problems import Problem
from canary.kube.types import HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, Json, Resource, items, mapping
from canary.workloads.base import (
    NAME_LIMIT,
    annotations_of,
    is_owned,
    labels_of,
    name_of,
    owner_reference,
    portable,
    primary_name,
    without_nulls,
)

PAUSE = "autoscaling.keda.sh/paused-replicas"
"""KEDA's annotation: scale to this many pods and leave it at that."""

STAY = "autoscaling.keda.sh/paused-scale-in"
"""KEDA's annotation: take no pod away for now, and above all not the last one."""

STAY_IS_OURS = "flagger.app/paused-scale-in"
"""On a ScaledObject: the annotation `STAY` beside it was put there for a rollout."""

_ASLEEP = "0"
# KEDA writes the object's own name into it: a copied one would be put right by KEDA, and by us, for ever.
_KEDA_LABELS = "scaledobject.keda.sh/"
_QUOTE = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`"
_QUOTED = re.compile(_QUOTE)
_LABEL_OF = r"(?:(?P<label>[A-Za-z_][\w.]*)\s*(?:=~|!~|!=|=|:)\s*)?"
_LABELLED = re.compile(rf"{_LABEL_OF}(?P<value>{_QUOTE})")
_TAGGED = re.compile(rf"{_LABEL_OF}(?P<value>[^\s,{{}}()]+)")
_SHARED_LABEL = re.compile(
    r"namespace|^(ns|container|container_name|image|cluster|ingress|path|uri|url|route|handler)$"
)
"""Labels that say the same of both versions: the containers of both have one name, and users come by one way."""

_KEDA_MOST = 100  # What KEDA takes for `maxReplicaCount` where it is absent.


class Autoscaler(Protocol):
    """A kind of autoscaler: pure functions over its objects."""

    @property
    def resource(self) -> Resource:
        """The kind, as in `autoscalerRef.kind`, and where the API serves it."""

    def minimum(self, scaler: Json) -> int:
        """How many pods the target starts with when it is scaled up, 1 at least."""

    def primary(self, scaler: Json, canary: Canary, *, floor: int, existing: Json | None = None) -> Json:
        """The manifest to apply for the primary's copy.

        Args:
            scaler: the autoscaler that the spec names.
            canary: the Canary that names it.
            floor: pods that the primary must not go below for now; 0 for what the autoscaler says.
            existing: the copy that is there already; one that the Canary doesn't own stays without owner.
        """

    def rested(self, scaler: Json) -> Json:
        """The merge patch after which it keeps its target without pods; empty where it does already."""

    def woken(self, scaler: Json, *, held: bool) -> Json:
        """The merge patch after which it scales its target; empty where it does already.

        Args:
            scaler: the autoscaler that the spec names.
            held: whether it must not take the last pod: without one a canary can't be judged.
        """

    def problems(self, scaler: Json, ref: AutoscalerReference) -> tuple[Problem, ...]:
        """What the reference asks for that this autoscaler can't do."""


class HorizontalPodAutoscaler:
    """Kubernetes' own: it rests by itself while somebody else keeps its target without pods."""

    resource: Resource = HORIZONTAL_POD_AUTOSCALER

    def minimum(self, scaler: Json) -> int:
        """The least of its spec."""
        return max(1, _number(mapping(scaler.get("spec")).get("minReplicas"), 1))

    def primary(self, scaler: Json, canary: Canary, *, floor: int, existing: Json | None = None) -> Json:
        """The same metrics and behaviour, on the primary."""
        spec: Json = without_nulls(mapping(scaler.get("spec")))
        least, most = _number(spec.get("minReplicas"), 1), _number(spec.get("maxReplicas"), 1)
        spec["minReplicas"], spec["maxReplicas"] = _limits(canary, least, most, floor)
        spec["scaleTargetRef"] = {**mapping(spec.get("scaleTargetRef")), "name": canary.primary_name}
        labels, annotations = portable(labels_of(scaler)), portable(annotations_of(scaler))
        return _manifest(self.resource, scaler, canary, existing, spec, labels, annotations)

    def rested(self, scaler: Json) -> Json:
        """Empty: of a target without pods it takes no care."""
        return {}

    def woken(self, scaler: Json, *, held: bool) -> Json:
        """Empty: it wakes with its target."""
        return {}

    def problems(self, scaler: Json, ref: AutoscalerReference) -> tuple[Problem, ...]:
        """It asks its metrics by name, not by query."""
        if not ref.primary_scaler_queries:
            return ()
        message = "a HorizontalPodAutoscaler has no queries"
        return (Problem("spec.autoscalerRef.primaryScalerQueries", message, "take it out"),)


class ScaledObject:
    """KEDA's: it scales from nothing too, so it must be told to rest while the target is asleep."""

    resource: Resource = SCALED_OBJECT

    def minimum(self, scaler: Json) -> int:
        """The least of its spec; one where it scales to nothing, as a canary without pods can't be judged."""
        return max(1, _least(scaler))

    def primary(self, scaler: Json, canary: Canary, *, floor: int, existing: Json | None = None) -> Json:
        """The same triggers on the primary, with the primary's queries, and not asleep."""
        spec: Json = without_nulls(mapping(scaler.get("spec")))
        least, most = _limits(canary, _least(scaler), _number(spec.get("maxReplicaCount"), _KEDA_MOST), floor)
        spec["scaleTargetRef"] = {**mapping(spec.get("scaleTargetRef")), "name": canary.primary_name}
        spec["minReplicaCount"], spec["maxReplicaCount"] = least, most
        if floor:
            # Fewer pods than the least when nothing happens: not while a rollout may need them.
            spec.pop("idleReplicaCount", None)
        for trigger in items(spec.get("triggers")):
            _ask_about_primary(canary, trigger)
        config = mapping(mapping(spec.get("advanced")).get("horizontalPodAutoscalerConfig"))
        if config.get("name"):
            config["name"] = primary_name(config["name"])
        labels = {key: value for key, value in labels_of(scaler).items() if not key.startswith(_KEDA_LABELS)}
        annotations = _without_ours(annotations_of(scaler))
        return _manifest(self.resource, scaler, canary, existing, spec, portable(labels), portable(annotations))

    def rested(self, scaler: Json) -> Json:
        """The annotation that has KEDA take all pods away, put on."""
        annotations = annotations_of(scaler)
        changes: dict[str, str | None] = {} if annotations.get(PAUSE) == _ASLEEP else {PAUSE: _ASLEEP}
        return _annotated({**changes, **_unheld(annotations)})

    def woken(self, scaler: Json, *, held: bool) -> Json:
        """That annotation taken off; and where KEDA scales to nothing, one that keeps the pods that there are."""
        annotations = annotations_of(scaler)
        changes: dict[str, str | None] = {PAUSE: None} if annotations.get(PAUSE) == _ASLEEP else {}
        if not held:
            return _annotated({**changes, **_unheld(annotations)})
        to_nothing = 0 in (_least(scaler), mapping(scaler.get("spec")).get("idleReplicaCount"))
        if to_nothing and STAY not in annotations:
            changes |= {STAY: "true", STAY_IS_OURS: "true"}
        return _annotated(changes)

    def problems(self, scaler: Json, ref: AutoscalerReference) -> tuple[Problem, ...]:
        """A query for a trigger that there is none of would never be asked."""
        names = {name for trigger in items(mapping(scaler.get("spec")).get("triggers")) for name in _names(trigger)}
        return tuple(
            Problem(
                "spec.autoscalerRef.primaryScalerQueries",
                f"ScaledObject {name_of(scaler)} has no trigger named {name}",
                f"write one of {', '.join(sorted(names))}" if names else "name its triggers",
            )
            for name in ref.primary_scaler_queries
            if name not in names
        )


AUTOSCALERS: Mapping[str, Autoscaler] = MappingProxyType(
    {each.resource.kind: each for each in (HorizontalPodAutoscaler(), ScaledObject())}
)
"""By `autoscalerRef.kind`."""


def autoscaler_of(canary: Canary) -> Autoscaler | None:
    """What a Canary's autoscaler is; None where its spec names none, or one of a kind that is not supported."""
    ref = canary.spec.autoscaler_ref
    return AUTOSCALERS.get(ref.kind) if ref is not None else None


def problems(canary: Canary, scaler: Json | None, *, needed: bool) -> tuple[Problem, ...]:
    """What keeps the autoscaler that a spec names from scaling both versions.

    Args:
        canary: the Canary.
        scaler: the autoscaler; None when there is none.
        needed: whether it must be there by now.
    """
    ref = canary.spec.autoscaler_ref
    if ref is None:
        return ()
    kind = AUTOSCALERS.get(ref.kind)
    if kind is None:
        message = f"autoscalers of kind {ref.kind} are not supported"
        remedy = f"write one of {', '.join(sorted(AUTOSCALERS))}, or take it out"
        return (Problem("spec.autoscalerRef.kind", message, remedy),)
    if len(primary_name(ref.name)) > NAME_LIMIT:
        message = f"{ref.kind} {primary_name(ref.name)} would have a name of more than {NAME_LIMIT} characters"
        return (Problem("spec.autoscalerRef.name", message, f"give {ref.kind} {ref.name} a shorter name"),)
    if scaler is not None:
        return (*(_scales_another(canary, scaler, ref) if needed else ()), *kind.problems(scaler, ref))
    if not needed:
        return ()
    message = f"{ref.kind} {ref.name} does not exist in {canary.namespace}"
    return (Problem("spec.autoscalerRef", message, "create it, or correct its name"),)


def _scales_another(canary: Canary, scaler: Json, ref: AutoscalerReference) -> Iterator[Problem]:
    """Its copy would scale the primary by what it has measured of a workload that has nothing to do with it."""
    scaled, target = mapping(mapping(scaler.get("spec")).get("scaleTargetRef")), canary.spec.target_ref
    kind, name = scaled.get("kind") or "Deployment", scaled.get("name")
    if name and (kind, name) != (target.kind, target.name):
        message = f"{ref.kind} {ref.name} scales {kind} {name}, not {target.kind} {target.name}"
        remedy = f"write the name of the autoscaler of {target.name}, or correct its scaleTargetRef"
        yield Problem("spec.autoscalerRef.name", message, remedy)


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) else default


def _least(scaler: Json) -> int:
    return _number(mapping(scaler.get("spec")).get("minReplicaCount"), 0)


def _limits(canary: Canary, least: int, most: int, floor: int) -> tuple[int, int]:
    """The primary's limits: its own where the spec names them, the original's else, and the floor above both."""
    ref = canary.spec.autoscaler_ref
    own = ref.primary_scaler_replicas if ref is not None else None
    if own is not None:
        least = least if own.min_replicas is None else own.min_replicas
        most = most if own.max_replicas is None else own.max_replicas
    least = max(least, floor)
    return least, max(most, least)


def _names(trigger: Json) -> set[str]:
    """What a trigger may be called by: its own name, or the one that Flagger's tutorial writes in its metadata."""
    return {str(name) for name in (trigger.get("name"), mapping(trigger.get("metadata")).get("name")) if name}


def _ask_about_primary(canary: Canary, trigger: Json) -> None:
    """Give a trigger the primary's query: the one that the spec names for it, else its own with the names changed."""
    ref, metadata = canary.spec.autoscaler_ref, mapping(trigger.get("metadata"))
    queries = ref.primary_scaler_queries if ref is not None else {}
    own = next((queries[name] for name in sorted(_names(trigger)) if name in queries), None)
    if own is not None:
        metadata["query"] = own
    elif "query" in metadata:
        metadata["query"] = _about_primary(canary, str(metadata["query"]))


def _about_primary(canary: Canary, query: str) -> str:
    """The query with NAME and NAME-canary changed to NAME-primary, where they stand for the workload or its pods.

    They do so in its quoted parts, and anywhere where it has none. A longer name that merely contains it stays, such
    as that of another workload; so does what a label says that is the same for both, and the namespace.
    """
    name = re.escape(canary.target_name)
    pattern = re.compile(rf"(?<![\w-]){name}(-canary|-primary)?(?!\w|-\w)")
    values = _TAGGED if _QUOTED.search(query) is None else _LABELLED

    def changed(part: re.Match[str]) -> str:
        label, value = part.group("label") or "", part.group("value")
        if _SHARED_LABEL.search(label):
            return part.group()
        begin = part.start("value") - part.start()
        return part.group()[:begin] + pattern.sub(lambda found: _renamed(canary, found), value)

    return values.sub(changed, query)


def _renamed(canary: Canary, found: re.Match[str]) -> str:
    """The primary's name in place of the target's, save where that is the namespace's: before the name, or after it."""
    before, after = found.string[: found.start()], found.string[found.end() :]
    name, is_namespace = re.escape(canary.target_name), canary.namespace == canary.target_name and not found.group(1)
    as_path = re.match(rf"[/.]{name}(?!\w)(?!\.svc\b)", after) is not None
    as_host = before.endswith(f"{canary.target_name}.") and re.match(r"\.svc\b", after) is not None
    return found.group() if is_namespace and (as_path or as_host) else canary.primary_name


def _without_ours(annotations: Mapping[str, str]) -> dict[str, str]:
    """The annotations of a ScaledObject without what the state of its own target has put there."""
    gone = {PAUSE, STAY_IS_OURS, *({STAY} if STAY_IS_OURS in annotations else set())}
    return {key: value for key, value in annotations.items() if key not in gone}


def _unheld(annotations: Mapping[str, str]) -> dict[str, str | None]:
    return {STAY: None, STAY_IS_OURS: None} if STAY_IS_OURS in annotations else {}


def _annotated(changes: Mapping[str, str | None]) -> Json:
    return {"metadata": {"annotations": dict(changes)}} if changes else {}


def _manifest(
    resource: Resource,
    scaler: Json,
    canary: Canary,
    existing: Json | None,
    spec: Json,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
) -> Json:
    metadata: Json = {"name": primary_name(name_of(scaler)), "namespace": canary.namespace}
    if labels:
        metadata["labels"] = dict(labels)
    if annotations:
        metadata["annotations"] = dict(annotations)
    if is_owned(canary, existing):
        metadata["ownerReferences"] = [owner_reference(canary)]
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}
