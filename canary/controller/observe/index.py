"""Which Canaries an object concerns, so that its change wakes these and no others; and which want the same workload."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from canary.controller.observe.rollouts import Rollouts
from canary.kube.store import Change
from canary.kube.types import Json, Resource, mapping
from canary.workloads.base import primary_name


class Ref(NamedTuple):
    """An object by API group, kind, namespace and name; many are made in every pass."""

    group: str
    kind: str
    namespace: str
    name: str


def ref_to(resource: Resource, namespace: str, name: str) -> Ref:
    """The reference to an object of a resource, in whichever version of its group."""
    return Ref(resource.group, resource.kind, namespace, name)


class Index:
    """A relation between Canaries, by key, and the objects that they look at.

    Args:
        rollouts: where all Canaries stand.
    """

    def __init__(self, rollouts: Rollouts | None = None) -> None:
        self._objects: dict[str, frozenset[Ref]] = {}
        self._canaries: dict[Ref, set[str]] = defaultdict(set)
        self.claims = Claims()
        self.rollouts = rollouts or Rollouts()
        self.let_go: Callable[[Ref], None] = lambda _: None
        """Is told of each object that no Canary looks at any more."""

    def add(self, key: str, refs: frozenset[Ref]) -> None:
        """A Canary looks at these objects, and at those that it looked at before."""
        old = self._objects.get(key)
        if old is None or not refs <= old:
            self.put(key, refs if old is None else refs | old)

    def put(self, key: str, refs: Iterable[Ref]) -> None:
        """A Canary looks at these objects, and at none that it looked at before."""
        new = frozenset(refs)
        old = self._objects.get(key, frozenset())
        if new == old:
            return
        for ref in old - new:
            self._canaries[ref].discard(key)
            if not self._canaries[ref]:
                del self._canaries[ref]
                self.let_go(ref)
        for ref in new - old:
            self._canaries[ref].add(key)
        if new:
            self._objects[key] = new
        else:
            self._objects.pop(key, None)

    def drop(self, key: str) -> None:
        """A Canary is gone."""
        self.put(key, ())

    def names(self, ref: Ref) -> bool:
        """Whether any Canary looks at an object."""
        return ref in self._canaries

    def concerned(self, ref: Ref) -> frozenset[str]:
        """The Canaries that look at an object."""
        return frozenset(self._canaries.get(ref, ()))


@dataclass(frozen=True, slots=True)
class Claim:
    """What a Canary wants for itself: its target, and the primary that is made of it.

    Args:
        canary: the Canary's name.
        uid: the Canary's uid.
        created: when the Canary was created, as the API server writes it.
        target: the workload that it names.
    """

    canary: str
    uid: str
    created: str
    target: Ref

    @property
    def workloads(self) -> tuple[Ref, ...]:
        """The target, and the primary where there is to be one."""
        alone = self.target.kind == "StatefulSet" or self.target.group
        return (self.target,) if alone else (self.target, self.primary)

    @property
    def primary(self) -> Ref:
        """The workload that would be the primary."""
        return self.target._replace(name=primary_name(self.target.name))


class Claims:
    """Which Canary wants which workloads, by the Canaries as the API server has them, readable or not."""

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}
        self._claimants: dict[Ref, set[str]] = {}

    def take(self, change: Change[Json]) -> frozenset[str]:
        """Take in a change of a Canary: the keys of the others that it concerns."""
        key = f"{change.key.namespace}/{change.key.name}"
        old, new = self._claims.get(key), None if change.new is None else _claim(change.new)
        if new == old:
            return frozenset()
        for ref in old.workloads if old is not None else ():
            self._claimants[ref].discard(key)
            if not self._claimants[ref]:
                del self._claimants[ref]
        self._claims.pop(key, None)
        if new is not None:
            self._claims[key] = new
            for ref in new.workloads:
                self._claimants.setdefault(ref, set()).add(key)
        touched = {ref for claim in (old, new) if claim is not None for ref in claim.workloads}
        return frozenset(other for ref in touched for other in self._claimants.get(ref, ()) if other != key)

    def of(self, key: str) -> Claim | None:
        """What a Canary wants; None where there is no such Canary."""
        return self._claims.get(key)

    def rivals(self, key: str) -> tuple[Claim, ...]:
        """What others want that want something of the same."""
        claim = self._claims.get(key)
        if claim is None:
            return ()
        keys = {other for ref in claim.workloads for other in self._claimants[ref] if other != key}
        return tuple(self._claims[other] for other in sorted(keys))


def _claim(raw: Json) -> Claim:
    metadata, target = mapping(raw.get("metadata")), mapping(mapping(raw.get("spec")).get("targetRef"))
    namespace, kind = str(metadata.get("namespace") or ""), str(target.get("kind") or "")
    group, _, _ = str(target.get("apiVersion") or "").rpartition("/")
    return Claim(
        canary=str(metadata.get("name") or ""),
        uid=str(metadata.get("uid") or ""),
        created=str(metadata.get("creationTimestamp") or ""),
        # There are Services in two groups; of the other kinds each is one, whatever group the spec names.
        target=Ref(group if kind == "Service" else "", kind, namespace, str(target.get("name") or "")),
    )
