"""The objects that a watch cache holds: what comes from the server, merged with one's own writes. No I/O.

Most objects of a cluster concern nobody here. Of those that nobody names only the version is kept, a stub: so an event
of one costs no more than reading it, and one held a fraction of its size. Whoever wants an object whole has to name it
first and then see whether it is a stub; if so, read it from the server and `fill` it in. In this order nothing can be
missed: from the moment that it is named, each event brings it whole, and what was read is taken only where the stub is
still there and not newer than what was read.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import structlog

from canary.kube.memo import Texts
from canary.kube.types import Json

log = structlog.get_logger(__name__)

T = TypeVar("T")

# More than any number in etcd has.
_DIGITS = 25
_TEXTS = Texts(20_000)
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


def nobody(_: Key, __: Json) -> bool:
    """Nobody names any object."""
    return False


def everybody(_: Key, __: Json) -> bool:
    """Every object is named."""
    return True


class Store(Generic[T]):
    """Objects by namespace and name, projected to what is needed of them; those that nobody names as stubs.

    The server's stream is in order, so what it says is taken as it comes. Only a write of one's own that the
    stream hasn't reached yet (`note`) stands against it, until the stream has reached it.

    Args:
        project: What is kept of an object that is named, given what is held of its last version, None for nothing.
        named: Whether somebody names an object, by its place or by what is in it. What was filled in or noted is named.
    """

    def __init__(self, project: Callable[[Json, T | None], T], named: Callable[[Key, Json], bool] = nobody) -> None:
        self._project = project
        self._named = named
        self._handlers: list[Callable[[Change[T]], None]] = []
        # A stub is its version.
        self._objects: dict[str, dict[str, _Entry[T] | int]] = {}
        self._wanted: set[Key] = set()
        self._noted: dict[Key, int] = {}
        self._progress = 0
        self._listed: set[Key] | None = None
        # What the list at hand has of objects of which an own write is known that is newer.
        self._overruled: list[Json] = []

    def subscribe(self, handler: Callable[[Change[T]], None]) -> None:
        """Call a handler, synchronously, with each change from now on."""
        self._handlers.append(handler)

    def get(self, namespace: str | None, name: str) -> T | None:
        """What is held of one object; None for a stub, too."""
        entry = self._objects.get(namespace or "", {}).get(name)
        return None if entry is None or isinstance(entry, int) else entry.value

    def is_stub(self, namespace: str | None, name: str) -> bool:
        """Whether an object is there, and not known whole."""
        return isinstance(self._objects.get(namespace or "", {}).get(name), int)

    def values(self, namespace: str | None = None) -> Iterator[T]:
        """What is held of all objects, or of those in one namespace; stubs left out."""
        held = self._objects.values() if namespace is None else (self._objects.get(namespace, {}),)
        for entries in held:
            for entry in entries.values():
                if not isinstance(entry, int):
                    yield entry.value

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._objects.values())

    def begin_list(self) -> None:
        """Start taking a full list; one begun before and not ended is forgotten."""
        self._listed = set()
        self._overruled = []

    def end_list(self, version: str) -> None:
        """End a full list as of ``version``: what it didn't hold is gone, but for own writes after it."""
        seen, self._listed = self._listed or set(), None
        if version_of(version) < self._progress:
            # The server's history went back, as after a restore from a backup: own writes are gone with it.
            self._noted.clear()
            for obj in self._overruled:
                self._set(key_of(obj), _object_version(obj), obj)
        self._progress = version_of(version)
        self._forget_reached()
        for key in [key for key in self._keys() if key not in seen and key not in self._noted]:
            self._drop(key)

    def put(self, obj: Json) -> None:
        """Take an object as the server has it: from a list, or added or modified in its stream."""
        key, version = key_of(obj), _object_version(obj)
        if self._listed is None:
            self.reached(version)
        else:
            self._listed.add(key)
        if self._noted.get(key, -1) <= version:
            self._set(key, version, obj)
        elif self._listed is not None:
            self._overruled.append(obj)

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
        if isinstance(current, int):
            is_news = version >= current
        else:
            is_news = version > self._progress and (current is None or version > current.version)
        if is_news:
            self._want(key, version)
            self._set(key, version, obj)

    def fill(self, obj: Json) -> None:
        """Take a stub's object as it was read, if the stream hasn't told of a newer one; nobody is told."""
        key, version = key_of(obj), _object_version(obj)
        stub = self._objects.get(key.namespace, {}).get(key.name)
        if not isinstance(stub, int) or stub > version:
            return
        entry = self._entry(key, version, obj, None)
        if entry is not None:
            self._want(key, version)
            self._objects[key.namespace][key.name] = entry

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

    def _want(self, key: Key, version: int) -> None:
        """Keep an object whole from now on, and the stream from going behind this version of it."""
        self._wanted.add(key)
        if version > self._progress:
            self._noted[key] = version

    def _keys(self) -> Iterator[Key]:
        for namespace, entries in self._objects.items():
            for name in entries:
                yield Key(namespace, name)

    def _forget_reached(self) -> None:
        if self._noted:
            self._noted = {key: version for key, version in self._noted.items() if version > self._progress}

    def _set(self, key: Key, version: int, obj: Json) -> None:
        if key not in self._wanted and not self._named(key, obj):
            self._objects.setdefault(key.namespace, {})[key.name] = version
            return
        current = self._objects.get(key.namespace, {}).get(key.name)
        held = None if isinstance(current, int) else current
        if held is not None and held.version == version:
            return
        entry = self._entry(key, version, obj, None if held is None else held.value)
        if entry is None:
            return
        old, value = None if held is None else held.value, entry.value
        entries = self._objects.setdefault(key.namespace, {})
        if old == value and old is not None:
            entries[key.name] = _Entry(version, old)
            return
        entries[key.name] = entry
        self._tell(Change(key, old, value))

    def _drop(self, key: Key) -> None:
        entries = self._objects.get(key.namespace, {})
        entry = entries.pop(key.name, None)
        if not entries:
            self._objects.pop(key.namespace, None)
        self._wanted.discard(key)
        if entry is not None and not isinstance(entry, int):
            self._tell(Change(key, entry.value, None))

    def _entry(self, key: Key, version: int, obj: Json, held: T | None) -> _Entry[T] | None:
        """What is kept of an object; None for one that can't be read, of which what was kept before stays."""
        try:
            return _Entry(version, self._project(obj, held))
        except Exception:
            log.exception("object could not be projected", namespace=key.namespace, name=key.name)
            return None

    def _tell(self, change: Change[T]) -> None:
        for handler in self._handlers:
            try:
                handler(change)
            except Exception:
                log.exception("a cache's subscriber failed", key=change.key)


def key_of(obj: Json) -> Key:
    """Namespace and name of an object.

    Raises:
        ValueError: It carries none, or such as no object has.
    """
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        raise ValueError("an object without a name")
    namespace = metadata.get("namespace") or ""
    if not isinstance(namespace, str):
        raise ValueError("an object in a namespace without a name")
    return Key(namespace, name)


def version_of(text: str) -> int:
    """A resourceVersion as the number that it is in every API server that keeps its objects in etcd."""
    return int(text) if text.isdecimal() and len(text) < _DIGITS else 0


def _object_version(obj: Json) -> int:
    return version_of(str(obj["metadata"].get("resourceVersion", "")))


def trim(obj: Json, held: Json | None = None) -> Json:
    """Drop what nobody here reads: who manages which field, and kubectl's copy of the object.

    What is as it was in the version that is held is taken from there: mostly a status changes alone. Field names and
    most short values are the same from object to object: shared, an object takes less memory.
    """
    metadata: Json = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    annotations = metadata.get("annotations")
    if annotations and LAST_APPLIED in annotations:
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    kept = held or {}
    return {
        sys.intern(key): kept[key] if key in kept and kept[key] == value else _shared(value)
        for key, value in {**obj, "metadata": metadata}.items()
    }


def _shared(value: Any) -> Any:
    """Copy a JSON value with one copy of each field name, and mostly one of each short text, in the whole process."""
    if isinstance(value, str):
        return _TEXTS.one(value)
    if isinstance(value, dict):
        return {sys.intern(key): _shared(field) for key, field in value.items()}
    if isinstance(value, list):
        return [_shared(item) for item in value]
    return value
