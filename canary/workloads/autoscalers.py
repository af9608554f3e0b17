"""Autoscalers of a target, and the primary's copies of them: HorizontalPodAutoscaler and KEDA's ScaledObject.

The copy follows the original at once. While a rollout runs it has a floor: the primary keeps the pods that it had when
the rollout began, however little traffic the canary leaves it, so that it can take everything back at any time.
"""

import copy
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from canary.api.canary import Canary
from canary.kube.types import HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, Json, Resource
from canary.workloads.base import (
    annotations_of,
    is_owned,
    items,
    labels_of,
    mapping,
    name_of,
    owner_reference,
    portable,
    primary_name,
    without_nulls,
)

PAUSE = "autoscaling.keda.sh/paused-replicas"
"""KEDA's annotation: scale to this many pods and leave it at that."""

_KEDA = "autoscaling.keda.sh/"


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

    def paused(self, scaler: Json, *, wanted: bool) -> Json | None:
        """The merge patch that keeps the target at no pods, or lets it have some; None where nothing is to be done."""


class HorizontalPodAutoscaler:
    """Kubernetes' own: it rests by itself while its target has no pods."""

    resource: Resource = HORIZONTAL_POD_AUTOSCALER

    def minimum(self, scaler: Json) -> int:
        """The least of its spec."""
        return max(1, int(mapping(scaler.get("spec")).get("minReplicas") or 1))

    def primary(self, scaler: Json, canary: Canary, *, floor: int, existing: Json | None = None) -> Json:
        """The same metrics and behaviour, on the primary."""
        spec: Json = without_nulls(mapping(scaler.get("spec")))
        least, most = _limits(canary, spec.get("minReplicas"), spec.get("maxReplicas"), floor)
        spec["scaleTargetRef"] = {**mapping(spec.get("scaleTargetRef")), "name": canary.primary_name}
        spec["minReplicas"] = least
        if most is not None:
            spec["maxReplicas"] = most
        return _manifest(self.resource, scaler, canary, existing, spec, portable(annotations_of(scaler)))

    def paused(self, scaler: Json, *, wanted: bool) -> Json | None:
        """Nothing is to be done."""
        return None


class ScaledObject:
    """KEDA's: it scales from nothing too, so it must be told to rest while the target is asleep."""

    resource: Resource = SCALED_OBJECT

    def minimum(self, scaler: Json) -> int:
        """The least of its spec; one where it scales to nothing, as a canary without pods can't be judged."""
        return max(1, int(mapping(scaler.get("spec")).get("minReplicaCount") or 1))

    def primary(self, scaler: Json, canary: Canary, *, floor: int, existing: Json | None = None) -> Json:
        """The same triggers on the primary, with the primary's queries, and never paused."""
        spec: Json = copy.deepcopy(without_nulls(mapping(scaler.get("spec"))))
        least, most = _limits(canary, spec.get("minReplicaCount", 0), spec.get("maxReplicaCount"), floor)
        spec["scaleTargetRef"] = {**mapping(spec.get("scaleTargetRef")), "name": canary.primary_name}
        spec["minReplicaCount"] = least
        if most is not None:
            spec["maxReplicaCount"] = most
        if floor:
            # Fewer pods than the least when nothing happens: not while a rollout may need them.
            spec.pop("idleReplicaCount", None)
        for trigger in items(spec.get("triggers")):
            _ask_about_primary(canary, trigger)
        config = mapping(mapping(spec.get("advanced")).get("horizontalPodAutoscalerConfig"))
        if config.get("name"):
            config["name"] = primary_name(config["name"])
        annotations = {key: value for key, value in portable(annotations_of(scaler)).items() if key != PAUSE}
        annotations = {key: value for key, value in annotations.items() if not key.startswith(f"{_KEDA}paused")}
        return _manifest(self.resource, scaler, canary, existing, spec, annotations)

    def paused(self, scaler: Json, *, wanted: bool) -> Json | None:
        """The annotation that KEDA heeds, put on or taken off."""
        value = "0" if wanted else None
        if annotations_of(scaler).get(PAUSE) == value:
            return None
        return {"metadata": {"annotations": {PAUSE: value}}}


AUTOSCALERS: Mapping[str, Autoscaler] = MappingProxyType(
    {each.resource.kind: each for each in (HorizontalPodAutoscaler(), ScaledObject())}
)
"""By `autoscalerRef.kind`."""


def _limits(canary: Canary, least: object, most: object, floor: int) -> tuple[int, int | None]:
    """The primary's limits: its own where the spec names them, the original's else, and the floor above both."""
    ref = canary.spec.autoscaler_ref
    own = ref.primary_scaler_replicas if ref is not None else None
    low = (
        own.min_replicas
        if own is not None and own.min_replicas is not None
        else int(str(least if least is not None else 1))
    )
    high = own.max_replicas if own is not None and own.max_replicas is not None else most
    low = max(low, floor)
    return low, None if high is None else max(int(str(high)), low)


def _ask_about_primary(canary: Canary, trigger: Json) -> None:
    """Give a trigger the primary's query: the one that the spec names for it, else its own with the names changed."""
    ref, metadata = canary.spec.autoscaler_ref, mapping(trigger.get("metadata"))
    queries = ref.primary_scaler_queries if ref is not None else {}
    if queries:
        query = queries.get(str(trigger.get("name", "")))
        if query is not None:
            metadata["query"] = query
    elif "query" in metadata:
        name = re.escape(canary.target_name)
        # Both NAME and NAME-canary become NAME-primary; names that merely contain NAME stay.
        metadata["query"] = re.sub(
            rf"(?<![\w-]){name}(-canary|-primary)?(?![a-zA-Z0-9])", canary.primary_name, str(metadata["query"])
        )


def _manifest(
    resource: Resource, scaler: Json, canary: Canary, existing: Json | None, spec: Json, annotations: dict[str, str]
) -> Json:
    metadata: Json = {"name": primary_name(name_of(scaler)), "namespace": canary.namespace}
    if labels := portable(labels_of(scaler)):
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    if is_owned(canary, existing):
        metadata["ownerReferences"] = [owner_reference(canary)]
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}
