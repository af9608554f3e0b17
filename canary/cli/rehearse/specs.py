"""The Canaries that files hold, each with what stands beside it; or why one can't be rehearsed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from canary.api import strict
from canary.api.canary import Canary, parse_canary
from canary.api.meta import Metadata
from canary.api.problems import InvalidResource, Problem, together
from canary.api.v1beta2.convert import as_stored
from canary.api.v1beta2.words import in_words_of
from canary.cli.rehearse.documents import Document
from canary.cli.rehearse.fleets.read import problems_of_fleet
from canary.cli.rehearse.stream import DEFAULT_NAMESPACE, Neighbours, Stream, name_in, namespace_in
from canary.controller.written import of_alert_provider
from canary.workloads.registry import target_for

STDIN: Final = "-"
SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
BESIDE: Final = ".rehearsal"
"""What the name of a file with expectations has before its suffix."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read.

    Args:
        where: its name.
        documents: the objects in it.
        alone: whether it was named itself, and not found in a folder.
    """

    where: str
    documents: tuple[Document, ...]
    alone: bool = True


@dataclass(frozen=True, slots=True)
class Spec:
    """A Canary to rehearse.

    Args:
        where: the file that it is in.
        canary: the Canary, in a namespace.
        document: what its author wrote.
        beside: what there is around it.
        refused: what the API server refuses of it.
    """

    where: str
    canary: Canary
    document: Document
    beside: Neighbours
    refused: tuple[Problem, ...] = ()

    def in_its_words(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """What is wrong with it, by the names of fields that its author used."""
        return in_words_of(self.document.content, problems)

    @property
    def replicas(self) -> int | None:
        """How many pods the target asks for, where that is known."""
        kind = target_for(self.canary)
        target = self.beside.find(kind.resource, self.canary.namespace, self.canary.target_name) if kind else None
        if not isinstance(target, dict):
            return None
        spec = target.get("spec")
        replicas = spec.get("replicas", 1) if isinstance(spec, dict) else 1
        return replicas if isinstance(replicas, int) and replicas > 0 else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An object that no API server takes, or a Canary that can't be read, and why.

    Args:
        where: the file that it is in.
        name: NAMESPACE/NAME, as far as it can be told.
        problems: at least one.
        document: what its author wrote.
        kind: what it is.
    """

    where: str
    name: str
    problems: tuple[Problem, ...]
    document: Document = field(repr=False)
    kind: str = "Canary"


def stream_of(sources: Iterable[Source]) -> Stream:
    """The objects of these files, taken together."""
    return Stream(
        (
            source.where,
            as_stored(document.content) if isinstance(document.content, dict) else document.content,
            source.alone,
        )
        for source in sources
        for document in source.documents
    )


def specs_in(source: Source, stream: Stream) -> Iterator[Spec | Refusal]:
    """The Canaries of a file in its order, and what else in it no API server takes."""
    for document in source.documents:
        if strict.is_ours(document.content):
            yield from _spec(document, source.where, stream)


def files_in(folder: Path) -> Iterator[Path]:
    """The files of a folder and those below it that may hold Canaries, in order; hidden folders are left out."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in SUFFIXES and not hidden and not is_beside(path) and path.is_file():
            yield path


def is_beside(path: Path) -> bool:
    """Whether a file holds expectations."""
    return path.suffix in SUFFIXES and path.stem.endswith(BESIDE)


def _spec(document: Document, where: str, stream: Stream) -> Iterator[Spec | Refusal]:
    raw: dict[str, Any] = document.content
    stored = as_stored(raw)
    name, kind = f"{namespace_in(raw)}/{name_in(raw)}", str(raw.get("kind") or "?")
    refused = [Problem(each.field, "is written twice", "keep one of the two") for each in document.repeated]
    refused += strict.problems(raw)
    if kind == "AlertProvider":
        refused = list(together(refused, of_alert_provider(raw)))
    if kind == "CanaryFleet":
        refused = list(together(refused, problems_of_fleet(raw)))
    if kind != "Canary":
        if refused:
            yield Refusal(where, name, tuple(refused), document, kind)
        return
    try:
        canary = parse_canary(stored)
    except InvalidResource as error:
        yield Refusal(where, name, together(refused, in_words_of(raw, error.problems)), document)
        return
    # As a new object has it: what a cluster has written into a file that was fetched from one is of no interest.
    namespace = canary.metadata.namespace or DEFAULT_NAMESPACE
    fresh = Metadata(name=canary.metadata.name, namespace=namespace, generation=1)
    made = Canary(metadata=fresh, spec=canary.spec)
    yield Spec(where, made, document, Neighbours(stream, where, made), tuple(refused))
