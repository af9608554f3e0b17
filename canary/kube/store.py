"""The objects that a watch cache holds: what comes from the server, merged with one's own writes. No I/O."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import structlog

from canary.kube.types import Json

log = structlog.get_logger(__name__)

T = TypeVar("T")

_SHORT = 64
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Key(NamedTuple):
    """Where an object lives; the namespace is empty for a cluster-scoped one."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One object's change in a cache.

    Attributes:
        key: Which object.
        old: What the cache held before; None where it is new.
        new: What it holds now; None where it is gone.
    """

    key: Key
    old: T | None
    new: T | None


class _Entry(NamedTuple, Generic[T]):
    version: int
    value: T


class Store(Generic[T]):
    """Objects by namespace and name, projected to what is needed of them.

    The server's stream is in order, so what it says is taken as it comes. Only a write of one's own that the
    stream hasn't reached yet (`note`) stands against it, until the stream has reached it.
    """

    def __init__(self, project: Callable[[Json], T]) -> None:
        self._project = project
        self._handlers: list[Callable[[Change[T]], None]] = []
        self._objects: dict[str, dict[str, _Entry[T]]] = {}
        self._noted: dict[Key, int] = {}
        self._progress = 0
        self._listed: set[Key] | None = None

    def subscribe(self, handler: Callable[[Change[T]], None]) -> None:
        """Call a handler, synchronously, with each change from now on."""
        self._handlers.append(handler)

    def get(self, namespace: str | None, name: str) -> T | None:
        """What is held of one object."""
        entry = self._objects.get(namespace or "", {}).get(name)
        return None if entry is None else entry.value

    def values(self, namespace: str | None = None) -> Iterator[T]:
        """What is held of all objects, or of those in one namespace."""
        if namespace is not None:
            for entry in self._objects.get(namespace, {}).values():
                yield entry.value
            return
        for entries in self._objects.values():
            for entry in entries.values():
                yield entry.value

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._objects.values())

    def begin_list(self) -> None:
        """Start taking a full list; one begun before and not ended is forgotten."""
        self._listed = set()

    def end_list(self, version: str) -> None:
        """End a full list as of ``version``: what it didn't hold is gone, but for own writes after it."""
        seen, self._listed = self._listed or set(), None
        self._progress = version_of(version)
        self._forget_reached()
        for key in [key for key in self._keys() if key not in seen and key not in self._noted]:
            self._drop(key)

    @property
    def listing(self) -> bool:
        """Whether a full list has begun and not ended."""
        return self._listed is not None

    def put(self, obj: Json) -> None:
        """Take an object as the server has it: from a list, or added or modified in its stream."""
        key, version = key_of(obj), _object_version(obj)
        if self._listed is None:
            self.reached(version)
        else:
            self._listed.add(key)
        if self._noted.get(key, -1) <= version:
            self._set(key, version, obj)

    def remove(self, obj: Json) -> None:
        """Take an object's deletion from the server's stream."""
        key, version = key_of(obj), _object_version(obj)
        if self._listed is None:
            self.reached(version)
        else:
            self._listed.discard(key)
        if self._noted.get(key, -1) <= version:
            self._drop(key)

    def note(self, obj: Json) -> None:
        """Take an object that one's own write returned, so that reading never goes back behind the write.

        Ignored where the stream is past it: then the stream has told of it already, and of what came after.
        """
        key, version = key_of(obj), _object_version(obj)
        current = self._objects.get(key.namespace, {}).get(key.name)
        if version <= self._progress or (current is not None and current.version >= version):
            return
        self._noted[key] = version
        self._set(key, version, obj)

    def reached(self, version: int) -> None:
        """Know that the stream has told everything up to ``version``."""
        if version > self._progress:
            self._progress = version
            self._forget_reached()

    def clear(self) -> None:
        """Drop everything: the resource itself is gone."""
        self._noted.clear()
        for key in list(self._keys()):
            self._drop(key)

    def _keys(self) -> Iterator[Key]:
        for namespace, entries in self._objects.items():
            for name in entries:
                yield Key(namespace, name)

    def _forget_reached(self) -> None:
        if self._noted:
            self._noted = {key: version for key, version in self._noted.items() if version > self._progress}

    def _set(self, key: Key, version: int, obj: Json) -> None:
        entries = self._objects.setdefault(key.namespace, {})
        current = entries.get(key.name)
        if current is not None and current.version == version:
            return
        try:
            value = self._project(obj)
        except Exception:
            log.exception("object could not be projected", namespace=key.namespace, name=key.name)
            return
        old = None if current is None else current.value
        if old == value and old is not None:
            entries[key.name] = _Entry(version, old)
            return
        entries[key.name] = _Entry(version, value)
        self._tell(Change(key, old, value))

    def _drop(self, key: Key) -> None:
        entries = self._objects.get(key.namespace, {})
        entry = entries.pop(key.name, None)
        if not entries:
            self._objects.pop(key.namespace, None)
        if entry is not None:
            self._tell(Change(key, entry.value, None))

    def _tell(self, change: Change[T]) -> None:
        for handler in self._handlers:
            try:
                handler(change)
            except Exception:
                log.exception("a cache's subscriber failed", key=change.key)


def key_of(obj: Json) -> Key:
    """Namespace and name of an object."""
    metadata = obj["metadata"]
    return Key(metadata.get("namespace") or "", metadata["name"])


def version_of(text: str) -> int:
    """A resourceVersion as the number that it is in every API server that keeps its objects in etcd."""
    return int(text) if text.isdecimal() else 0


def _object_version(obj: Json) -> int:
    return version_of(str(obj["metadata"].get("resourceVersion", "")))


def trim(obj: Json) -> Json:
    """Drop what nobody here reads (who manages which field, and kubectl's copy of the object), and share strings.

    Field names and most values are the same from object to object: shared, an object takes half the memory.
    """
    metadata: Json = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    annotations = metadata.get("annotations")
    if annotations and LAST_APPLIED in annotations:
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    trimmed: Json = _shared({**obj, "metadata": metadata})
    return trimmed


def _shared(value: Any) -> Any:
    """Copy a JSON value with one copy of each field name and each short string in the whole process."""
    if isinstance(value, dict):
        return {sys.intern(key): _shared(field) for key, field in value.items()}
    if isinstance(value, list):
        return [_shared(item) for item in value]
    if isinstance(value, str) and len(value) <= _SHORT:
        return sys.intern(value)
    return value
