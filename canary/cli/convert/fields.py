"""An object that is converted, field by field: what nobody has taken by the end has no counterpart, and is told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from canary.cli.rehearse.documents import Document, Place
from canary.kube.types import Json

UNKNOWN: Final = "it has no counterpart"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is otherwise than it was.

    Args:
        where: the file.
        place: where in it.
        kind: the kind of the object.
        name: NAMESPACE/NAME, as far as it can be told.
        field: the field's path.
        message: what is said of it.
        lost: whether it has no counterpart; else it has one that differs.
    """

    where: str
    place: Place
    kind: str
    name: str
    field: str
    message: str
    lost: bool

    def __str__(self) -> str:
        told = "lost" if self.lost else "differs"
        at = f"{self.where}:{self.place.line}:{self.place.column}"
        return f"{at}: {self.kind} {self.name}: {self.field}: {told}: {self.message}"


@dataclass(slots=True)
class Source:
    """An object of a file, with what has been said of it and taken from it.

    Args:
        where: the file.
        document: the object.
        notes: what has been said.
        taken: the paths of what has been taken, or told of.
        opened: the paths of what has been looked into.
    """

    where: str
    document: Document
    notes: list[Note] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.document.content.get("kind") or "?")

    @property
    def metadata(self) -> Json:
        """Its metadata."""
        found = self.document.content.get("metadata")
        return found if isinstance(found, dict) else {}

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.metadata.get("name") or "?")

    @property
    def namespace(self) -> str:
        """The namespace that it names; empty where it names none."""
        return str(self.metadata.get("namespace") or "")

    @property
    def spec(self) -> "Part":
        """Its spec."""
        return Part(self, "", self.document.content).part("spec")

    def note(self, path: str, message: str, *, lost: bool) -> None:
        """Say something of a field, once."""
        if path not in self.opened:
            self.taken.add(path)
        name = f"{self.namespace or 'default'}/{self.name}"
        made = Note(self.where, self.document.place(path), self.kind, name, path, message, lost)
        if made not in self.notes:
            self.notes.append(made)

    def tell_what_is_left(self) -> None:
        """Say of everything in the spec that nobody has taken that it has no counterpart."""
        content = self.document.content
        for path in self._left(content.get("spec"), "spec"):
            self.note(path, UNKNOWN, lost=True)

    def _left(self, value: object, path: str) -> Iterator[str]:
        if path in self.taken or value in (None, {}, [], ""):
            return
        if path not in self.opened or not isinstance(value, dict | list):
            yield path
        elif isinstance(value, dict):
            for name, inner in value.items():
                yield from self._left(inner, f"{path}.{name}")
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                yield from self._left(inner, f"{path}[{index}]")


@dataclass(frozen=True, slots=True)
class Part:
    """A map of an object; an empty one where there is none."""

    source: Source
    path: str
    value: Json

    def __bool__(self) -> bool:
        return bool(self.value)

    def __contains__(self, name: str) -> bool:
        return self.value.get(name) is not None

    def at(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def take(self, name: str) -> object:
        """A field, of which nothing more is to be said; None where it is absent."""
        self.source.taken.add(self.at(name))
        return self.value.get(name)

    def text(self, name: str) -> str:
        """The same of a text or a number; empty where it is neither."""
        found = self.take(name)
        return str(found) if isinstance(found, str | int | float) and not isinstance(found, bool) else ""

    def number(self, name: str) -> int | None:
        """The same of a whole number, which Argo Rollouts takes as a text, too."""
        found = self.text(name)
        return int(found) if found.isascii() and found.isdigit() and len(found) < 10 else None

    def mapping(self, name: str) -> Json:
        """The same of a map, as it is."""
        found = self.take(name)
        return found if isinstance(found, dict) else {}

    def part(self, name: str) -> "Part":
        """A map, to be looked into."""
        found = self.value.get(name)
        self.source.opened.add(self.at(name))
        return Part(self.source, self.at(name), found if isinstance(found, dict) else {})

    def parts(self, name: str) -> "list[Part]":
        """A list of maps, to be looked into."""
        found = self.value.get(name)
        here = self.at(name)
        self.source.opened.add(here)
        made = []
        for index, each in enumerate(found if isinstance(found, list) else []):
            if isinstance(each, dict):
                self.source.opened.add(f"{here}[{index}]")
                made.append(Part(self.source, f"{here}[{index}]", each))
        return made

    def differs(self, name: str, message: str) -> None:
        """Say that a field has a counterpart that is not the same; nothing where it is absent."""
        if name in self:
            self.source.note(self.at(name), message, lost=False)

    def lost(self, name: str, message: str) -> None:
        """Say why a field has no counterpart; nothing where it is absent."""
        if name in self:
            self.source.note(self.at(name), message, lost=True)

    def all_lost(self, messages: dict[str, str]) -> None:
        """The same of several fields."""
        for name, message in messages.items():
            self.lost(name, message)
