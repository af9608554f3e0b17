"""What a member is, and what every source of members is: a value of pure functions, as a traffic provider is one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from canary.api.problems import Problem
from canary.fleet.members.parts import Part, labels_of
from canary.kube.access import Access, Verification
from canary.kube.types import SECRET, Json, Resource


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a member can't be reached, or not yet.

    Args:
        of: the object that says so, such as `Secret shop/eu-kubeconfig`.
        problem: its field, what is wrong there, and what to do about it.
    """

    of: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.of}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Member:
    """One cluster that a fleet may have as a member.

    Two that are equal are the same cluster, reached the same way with the same credentials: what has changed in any of
    these is another value. None of its texts shows a credential.

    Args:
        name: what it is called, once among all members.
        labels: by which fleets and their waves choose it.
        source: the source that it comes from, as `SOURCES` has it.
        of: the object that it is made of, such as `Cluster shop/eu`.
        connection: the way to its API server, or why there is none.
    """

    name: str
    labels: Mapping[str, str]
    source: str
    of: str
    connection: Access | Unusable

    @property
    def warnings(self) -> tuple[str, ...]:
        """What people are to be told of a member that can be used."""
        if not isinstance(self.connection, Access) or self.connection.verification is Verification.WHOLE:
            return ()
        looked_at = self.connection.verification.value
        return (f"{self.of}: of its API server's certificate is looked at: {looked_at}; others may pose as it",)


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a Secret is."""

    namespace: str
    name: str


class Secrets:
    """The Secrets that are at hand.

    Args:
        objects: Secrets as the API server gives them; others are left out.
    """

    def __init__(self, objects: Iterable[Json]) -> None:
        parts = (Part.of_object(each) for each in objects if is_of(SECRET, each))
        self._there = {SecretRef(each.namespace, each.name): each for each in parts}

    def find(self, needed: SecretRef) -> object:
        """A Secret; None where it isn't there."""
        found = self._there.get(needed)
        return found.value if found is not None else None

    def data(self, needed: SecretRef, named_by: Part) -> Part:
        """The data of a Secret.

        Args:
            needed: where it is.
            named_by: the field that names it.

        Raises:
            Refused: it isn't there.
        """
        found = self._there.get(needed)
        if found is None:
            message = f"names the Secret {needed.namespace}/{needed.name}, which is not there, or may not be read"
            raise named_by.refused(message, "create it, or let the hub read it")
        return found.key("data")


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of object by which people run clusters.

    Args:
        system: whose objects they are, in words.
        resources: the kinds of object that stand for clusters.
        access: the way to the API server of the cluster that an object stands for; raises `Refused` without one.
        secrets: the Secrets that are read for that, by the object's spec and status, or by the metadata of one that is
            a Secret itself; raises `Refused`.
        selector: labels of the objects that stand for clusters; empty where all do.
        name: what a cluster is called; raises `Refused`.
    """

    system: str
    resources: tuple[Resource, ...]
    access: Callable[[Part, Secrets], Access]
    secrets: Callable[[Part], tuple[SecretRef, ...]]
    selector: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    name: Callable[[Part], str] = field(default=lambda part: part.name)

    def has(self, obj: Json) -> bool:
        """Whether an object stands for a cluster of this source."""
        return any(is_of(each, obj) for each in self.resources) and self.chooses(obj)

    def chooses(self, obj: Json) -> bool:
        """Whether an object of one of its kinds stands for a cluster."""
        return not self.selector or self.selector.items() <= labels_of(obj).items()


def itself(secret: Part) -> tuple[SecretRef, ...]:
    """Where a Secret is that stands for a cluster itself."""
    return (SecretRef(secret.namespace, secret.name),)


def is_of(resource: Resource, obj: Json) -> bool:
    """Whether an object is of a kind, in whichever version it is served."""
    return kind_of(obj) == (resource.group, resource.kind)


def kind_of(obj: Json) -> tuple[str, str]:
    """The group and the kind of an object, without the version that it is served in."""
    group, _, _ = str(obj.get("apiVersion", "")).rpartition("/")
    return group, str(obj.get("kind", ""))
