"""The ConfigMaps and Secrets that a pod template reads: which, what they hold, and the primary's copies."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.kube.types import Json, items, mapping
from canary.workloads.base import (
    NAME_LIMIT,
    Rules,
    annotations_of,
    included,
    labels_of,
    name_of,
    owner_reference,
    owners_of,
    primary_name,
    without_nulls,
)

TRACKING_ANNOTATION = "flagger.app/config-tracking"
"""On a ConfigMap or Secret: a value that begins with "disable" lets primary and target share the object."""

_CHECKSUM_BYTES = 8
_OPAQUE = "Opaque"
# Others, such as those of registries and service accounts, are used by name and never copied.
_TRACKED_SECRET_TYPES = frozenset({_OPAQUE, "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls"})
# What the checksums in existing statuses have escaped in their JSON, beyond what JSON asks for.
_ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


class ConfigKind(StrEnum):
    """The kinds of configuration object, as `status.trackedConfigs` spells them."""

    CONFIG_MAP = "configmap"
    SECRET = "secret"  # noqa: S105 - a kind of object, not a password

    @property
    def kind(self) -> str:
        """The kind, as Kubernetes spells it."""
        return "ConfigMap" if self is ConfigKind.CONFIG_MAP else "Secret"


@dataclass(frozen=True, slots=True, order=True)
class ConfigRef:
    """A ConfigMap or Secret that a pod template names.

    Args:
        kind: which of the two.
        name: its name, in the namespace of the pods.
        optional: whether the pods start without it: every place that names it says so.
    """

    kind: ConfigKind
    name: str
    optional: bool = False

    @property
    def key(self) -> str:
        """The reference as `status.trackedConfigs` spells it, such as `configmap/app`."""
        return f"{self.kind}/{self.name}"

    @classmethod
    def of(cls, key: str) -> "ConfigRef":
        """The reference of a key."""
        kind, _, name = key.partition("/")
        return cls(ConfigKind(kind), name)


def references(template: Json) -> frozenset[ConfigRef]:
    """The ConfigMaps and Secrets that a pod template reads, one reference for each.

    Volumes (projected ones too), `env` and `envFrom` of containers and of init containers count; image pull
    secrets don't.
    """
    optional: dict[tuple[ConfigKind, str], bool] = {}
    for place in _places(mapping(template.get("spec"))):
        key = (place.kind, place.name)
        optional[key] = optional.get(key, True) and bool(place.holder.get("optional"))
    return frozenset(ConfigRef(kind, name, is_optional) for (kind, name), is_optional in optional.items())


def read_at_start(template: Json) -> frozenset[str]:
    """The `kind/name` keys of what pods of a template read once, so that a later change does not reach them.

    That is all that `env` and `envFrom` name, what a volume mounts by `subPath`, and what an init container mounts
    that has ended by then.
    """
    pod_spec = mapping(template.get("spec"))
    fixed = set(_fixed_volumes(pod_spec))
    return frozenset(
        f"{place.kind}/{place.name}" for place in _places(pod_spec) if place.volume is None or place.volume in fixed
    )


def _fixed_volumes(pod_spec: Json) -> Iterator[str]:
    for field in ("containers", "initContainers"):
        for container in items(pod_spec.get(field)):
            ends = field == "initContainers" and container.get("restartPolicy") != "Always"
            for mount in items(container.get("volumeMounts")):
                if ends or mount.get("subPath") or mount.get("subPathExpr"):
                    yield str(mount.get("name"))


def rename(pod_spec: Json, keys: Iterable[str]) -> None:
    """Make a pod spec read the primary's copies of these `kind/name` keys, in place."""
    renamed = frozenset(keys)
    for place in _places(pod_spec):
        if f"{place.kind}/{place.name}" in renamed:
            place.holder[place.field] = primary_name(place.name)


def is_tracked(obj: Json) -> bool:
    """Whether the primary gets its own copy: not opted out, and no secret of a type that is used by name."""
    if annotations_of(obj).get(TRACKING_ANNOTATION, "").startswith("disable"):
        return False
    return obj.get("kind") != "Secret" or obj.get("type", _OPAQUE) in _TRACKED_SECRET_TYPES


def tracked_configs(refs: Iterable[ConfigRef], objects: Mapping[str, Json]) -> dict[str, str]:
    """The checksum of each tracked object by key, as `status.trackedConfigs` holds it.

    Args:
        refs: what the pod template reads.
        objects: the ConfigMaps and Secrets that exist, with their contents, by `ConfigRef.key`.
    """
    return {
        ref.key: checksum(objects[ref.key])
        for ref in sorted(refs)
        if ref.key in objects and is_tracked(objects[ref.key])
    }


def problems(keys: Iterable[str]) -> tuple[Problem, ...]:
    """What keeps the primary from having copies of these `kind/name` keys: names have a limit."""
    found = (ConfigRef.of(key) for key in keys)
    return tuple(
        Problem(
            "spec.targetRef",
            f"{ref.kind.kind} {primary_name(ref.name)} would have a name of more than {NAME_LIMIT} characters",
            f"shorten the name of {ref.kind.kind} {ref.name}, or share it: name it in spec.configRefs with mode follow",
        )
        for ref in found
        if len(primary_name(ref.name)) > NAME_LIMIT
    )


def missing(refs: Iterable[ConfigRef], objects: Mapping[str, Json]) -> tuple[ConfigRef, ...]:
    """The references that no pod starts without and that don't exist."""
    return tuple(ref for ref in sorted(refs) if not ref.optional and ref.key not in objects)


def checksum(obj: Json) -> str:
    """A checksum over the contents of a ConfigMap or Secret.

    For objects without `binaryData` it equals what Flagger keeps in `status.trackedConfigs`, so that taking
    over its Canaries doesn't look like a change of configuration.
    """
    text = _canonical(obj.get("data"))
    if obj.get("binaryData"):
        text += _canonical(obj["binaryData"])
    return hashlib.sha256(text.encode()).digest()[:_CHECKSUM_BYTES].hex()


def primary_copy(obj: Json, canary: Canary, *, rules: Rules, existing: Json | None = None) -> Json:
    """The manifest to apply for the primary's copy of a ConfigMap or Secret.

    A copy is never `immutable`, as its contents change with every promotion. Where several Canaries track the
    same object, the copy is tied to all of them, and one of them is its controller.

    Args:
        obj: the tracked object, with its contents.
        canary: the Canary whose primary reads the copy.
        rules: which labels the copy gets.
        existing: the copy that is there already.
    """
    metadata: Json = {
        "name": primary_name(name_of(obj)),
        "namespace": canary.metadata.namespace,
        "ownerReferences": _shared_owners(canary, existing),
    }
    if labels := included(labels_of(obj), rules.include_label_prefixes):
        metadata["labels"] = labels
    copy: Json = {"apiVersion": "v1", "kind": obj.get("kind"), "metadata": metadata}
    for field in ("type", "data", "binaryData"):
        if obj.get(field):
            copy[field] = without_nulls(obj[field])
    return copy


def is_fixed(existing: Json, copy: Json) -> bool:
    """Whether an object can't become this copy: a Secret's type can't be changed, and nothing of an immutable one."""
    if existing.get("immutable"):
        return True
    return existing.get("kind") == "Secret" and existing.get("type", _OPAQUE) != copy.get("type", _OPAQUE)


def _shared_owners(canary: Canary, existing: Json | None) -> list[Json]:
    others = [
        owner
        for owner in owners_of(existing or {})
        if owner.get("kind") == "Canary" and owner.get("uid") != canary.metadata.uid
    ]
    controlled = any(owner.get("controller") for owner in owners_of(existing or {}) if owner in others)
    return [*others, owner_reference(canary, controller=not controlled)]


def _canonical(data: object) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.translate(_ESCAPES)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pod spec names an object: the JSON object that holds the name, the name's field in it, and the volume."""

    kind: ConfigKind
    holder: Json
    field: str
    volume: str | None = None

    @property
    def name(self) -> str:
        return str(self.holder[self.field])


def _places(pod_spec: Json) -> Iterator[_Place]:
    for volume in items(pod_spec.get("volumes")):
        for kind, holder, field in _in_volume(volume):
            if isinstance(holder, dict) and holder.get(field):
                yield _Place(kind, holder, field, str(volume.get("name")))
    for kind, holder, field in _in_environment(pod_spec):
        if isinstance(holder, dict) and holder.get(field):
            yield _Place(kind, holder, field)


def _in_volume(volume: Json) -> Iterator[tuple[ConfigKind, object, str]]:
    yield ConfigKind.CONFIG_MAP, volume.get("configMap"), "name"
    yield ConfigKind.SECRET, volume.get("secret"), "secretName"
    for source in items(mapping(volume.get("projected")).get("sources")):
        yield ConfigKind.CONFIG_MAP, source.get("configMap"), "name"
        yield ConfigKind.SECRET, source.get("secret"), "name"


def _in_environment(pod_spec: Json) -> Iterator[tuple[ConfigKind, object, str]]:
    for field in ("containers", "initContainers"):
        for container in items(pod_spec.get(field)):
            for env in items(container.get("env")):
                value_from = mapping(env.get("valueFrom"))
                yield ConfigKind.CONFIG_MAP, value_from.get("configMapKeyRef"), "name"
                yield ConfigKind.SECRET, value_from.get("secretKeyRef"), "name"
            for env_from in items(container.get("envFrom")):
                yield ConfigKind.CONFIG_MAP, env_from.get("configMapRef"), "name"
                yield ConfigKind.SECRET, env_from.get("secretRef"), "name"
