"""What a reflector follows, where it goes, and how it is paced."""

from dataclasses import dataclass, field
from random import Random
from typing import Literal, Protocol

from canary.kube.backoff import Backoff, fresh_random
from canary.kube.transport import JSON
from canary.kube.types import Json, Resource

_METADATA = "application/json;as={};g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True, slots=True)
class WatchTiming:
    """How a watch cache paces itself; all in seconds.

    A watch may be silent for as long as it was asked for: a server whose etcd reports no progress sends no bookmarks.
    That the connection lives is the connection's own business (`Connection.stream`).

    Attributes:
        renew: Range from which each watch draws for how long it asks, so that they don't end all at once.
        margin: How long after that a watch is given up that the server has not ended.
        stall: Silence after which a list that is streamed is given up.
        absent: How often to look, at most, whether a missing resource has been installed.
        settled: A watch that lived for so long starts the count of failures over, and is taken up again at once.
        resume: Most that is waited before it is.
        backoff: Waits after failures.
        unreachable: Most that is waited before a server that gave no answer is tried again.
        patience: Most that is waited because the server asks for it.
        random: Where ``renew`` and ``resume`` are drawn from.
    """

    renew: tuple[float, float] = (300.0, 600.0)
    margin: float = 30.0
    stall: float = 25.0
    absent: float = 20.0
    settled: float = 5.0
    resume: float = 0.1
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.5, cap=15.0))
    unreachable: float = 5.0
    patience: float = 20.0
    random: Random = field(default_factory=fresh_random, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Which objects to follow, and in which representation.

    Attributes:
        resource: Their kind.
        namespace: Only there; None for everywhere.
        label_selector: Only those that it selects.
        metadata_only: Whether to ask for their metadata only.
    """

    resource: Resource
    namespace: str | None = None
    label_selector: str | None = None
    metadata_only: bool = False

    def accept(self, kind: Literal["PartialObjectMetadata", "PartialObjectMetadataList"]) -> str:
        """The representation to ask for, where metadata is all that's wanted."""
        return _METADATA.format(kind) if self.metadata_only else JSON

    def typed(self, obj: Json) -> Json:
        """Give an object the apiVersion and kind that items of lists lack and partial metadata hides."""
        obj["apiVersion"], obj["kind"] = self.resource.api_version, self.resource.kind
        return obj


class Sink(Protocol):
    """Where what is followed goes: a `Store`."""

    def begin_list(self) -> None: ...  # noqa: D102 - as in Store
    def end_list(self, version: str) -> None: ...  # noqa: D102
    def put(self, obj: Json) -> None: ...  # noqa: D102
    def remove(self, obj: Json) -> None: ...  # noqa: D102
    def reached(self, version: int) -> None: ...  # noqa: D102
    def clear(self) -> None: ...  # noqa: D102
