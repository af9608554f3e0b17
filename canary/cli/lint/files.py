"""The files to be checked: those that are named, and those of folders that hold something of this group."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import Final

from canary.api import strict
from canary.api.meta import GROUP
from canary.cli.rehearse.documents import NotYamlError, Place
from canary.cli.rehearse.reading import UnreadableError, documents_of, text_of, text_of_input
from canary.cli.rehearse.specs import STDIN, Source, files_in
from canary.cli.rehearse.stream import is_of_helm, makes_canaries

FILL_IN: Final = "it is a template of Helm, to be filled in first: helm template . | canary lint -"
NOTHING: Final = f"it holds nothing of {GROUP}; name another folder"
_START: Final = Place(1, 1)
_PLACE = re.compile(r"line (\d+), column (\d+): ")


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file that could not be checked.

    Args:
        where: its name.
        message: why.
        place: where in it.
        is_harmless: whether it was only passed over in a folder that holds others.
    """

    where: str
    message: str
    place: Place = _START
    is_harmless: bool = False


def read(places: Iterable[str]) -> Iterator[Source | Unusable]:
    """Read files, folders and, for `-`, the standard input; each file once."""
    read: set[str] = set()
    for place in places:
        if place == STDIN:
            yield from _read("standard input", None, alone=True)
        elif Path(place).is_dir():
            found = [each for path in files_in(Path(place)) if _is_new(path, read) for each in _of_folder(path)]
            yield from found
            if not any(_counts(each) for each in found):
                yield Unusable(place, NOTHING)
        elif _is_new(Path(place), read):
            yield from _read(place, Path(place), alone=True)


def _is_new(path: Path, read: set[str]) -> bool:
    real = realpath(path)
    known = real in read
    read.add(real)
    return not known


def _counts(found: Source | Unusable) -> bool:
    return isinstance(found, Source) or not found.is_harmless


def _of_folder(path: Path) -> Iterator[Source | Unusable]:
    """A file of a folder, which may hold anything: what says nothing of this group is left out."""
    for found in _read(str(path), path, alone=False):
        if isinstance(found, Unusable) or any(strict.is_ours(each.content) for each in found.documents):
            yield found


def _read(where: str, path: Path | None, *, alone: bool) -> Iterator[Source | Unusable]:
    try:
        text = text_of_input() if path is None else text_of(path)
    except UnreadableError as error:
        yield Unusable(error.where, "; ".join(error.problems))
        return
    if not alone and not strict.speaks_of_ours(text):
        return
    try:
        documents = documents_of(text, where)
    except UnreadableError as error:
        if not strict.speaks_of_ours(text) and not isinstance(error.__cause__, NotYamlError):
            yield Source(where, (), alone)  # such as a patch of kustomize, which is a list
        elif not is_of_helm(text, readable=False):
            yield _no_yaml(where, error)
        elif alone or makes_canaries(text):
            yield Unusable(where, FILL_IN, is_harmless=not alone)
        return
    if any(strict.is_ours(each.content) and is_of_helm(str(each.content), readable=True) for each in documents):
        yield Unusable(where, FILL_IN, is_harmless=not alone)
        return
    yield Source(where, documents, alone)


def _no_yaml(where: str, error: UnreadableError) -> Unusable:
    message = "; ".join(error.problems)
    found = _PLACE.match(message) if isinstance(error.__cause__, NotYamlError) else None
    if found is None:
        return Unusable(where, message)
    return Unusable(where, message[found.end() :], Place(int(found[1]), int(found[2])))
