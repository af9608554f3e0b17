"""From files, folders and the standard input to the objects in them, and to what can't be used."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import NamedTuple

from canary.api import strict
from canary.cli.rehearse.expectations import Expectations, expectations_in, file_beside
from canary.cli.rehearse.reading import UnreadableError, documents_of, text_of, text_of_input
from canary.cli.rehearse.specs import BESIDE, STDIN, SUFFIXES, Source, files_in, is_beside
from canary.cli.rehearse.story import Story
from canary.cli.rehearse.stream import FILL_IN, is_of_helm, makes_canaries, may_hold_objects

Beside = tuple[tuple[Expectations, dict[str, Story]], ...]
"""What a file expects, each with the scenarios that it speaks of."""

NO_CANARY = "it holds no Canary of flagger.app, and no CanaryFleet; name another file"


class Found(NamedTuple):
    """A file that was read, and what is expected of its Canaries."""

    source: Source
    expected: Beside = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A file that could not be used at all.

    Args:
        where: its name.
        problems: why.
        is_harmless: whether it was only passed by in a folder that holds others.
    """

    where: str
    problems: tuple[str, ...] = ()
    is_harmless: bool = False


def gather(places: Sequence[str], told: Mapping[str, Story]) -> Iterator[Found | Trouble]:
    """Read everything in files, folders and, for `-`, the standard input; each file once.

    Args:
        places: what was named.
        told: the scenarios of the command line, of which expectations may speak.
    """
    gathered = list(_all(places, told))
    there = any(isinstance(each, Found) and _holds_canary(each.source) for each in gathered)
    for each in gathered:
        pointless = isinstance(each, Found) and not _holds_canary(each.source) and each.source.alone
        if isinstance(each, Found) and pointless and (each.expected or not there or not each.source.documents):
            yield Trouble(each.source.where, (NO_CANARY,))
        else:
            yield each
    for place in places:
        within = [each for each in gathered if not isinstance(each, Trouble) or not each.is_harmless]
        if place != STDIN and Path(place).is_dir() and not any(_is_within(each, place) for each in within):
            yield Trouble(place, (f"{NO_CANARY} or folder",))


def _holds_canary(source: Source) -> bool:
    """Whether it speaks of this group at all, other than by what Canaries use."""
    ours = (each.content.get("kind") for each in source.documents if strict.is_ours(each.content))
    return any(kind not in ("MetricTemplate", "AlertProvider") for kind in ours)


def _is_within(each: Found | Trouble, folder: str) -> bool:
    where = each.where if isinstance(each, Trouble) else each.source.where
    return Path(where).is_relative_to(folder) and (isinstance(each, Trouble) or _holds_canary(each.source))


def _all(places: Sequence[str], told: Mapping[str, Story]) -> Iterator[Found | Trouble]:
    read: set[str] = set()
    for place in places:
        if place == STDIN:
            yield _standard_input()
        elif Path(place).is_dir():
            yield from _folder(Path(place), told, read)
        elif realpath(place) not in read:
            read.add(realpath(place))
            yield from _file(Path(place), told, alone=True)


def _standard_input() -> Found | Trouble:
    try:
        text = text_of_input()
        return _parsed("standard input", text, alone=True) or Trouble("standard input", (NO_CANARY,))
    except UnreadableError as error:
        return Trouble(error.where, error.problems)


def _folder(folder: Path, told: Mapping[str, Story], read: set[str]) -> Iterator[Found | Trouble]:
    for path in files_in(folder):
        if realpath(path) not in read:
            read.add(realpath(path))
            yield from _file(path, told, alone=False)
    for path in sorted(each for each in folder.rglob(f"*{BESIDE}.*") if is_beside(each)):
        name = path.stem.removesuffix(BESIDE)
        if not any(path.with_name(f"{name}{suffix}").is_file() for suffix in SUFFIXES):
            yield Trouble(str(path), (f"there is no {name}.yaml beside it; name it as the file of its spec",))


def _file(path: Path, told: Mapping[str, Story], *, alone: bool) -> Iterator[Found | Trouble]:
    try:
        text = text_of(path)
        if not alone and not strict.speaks_of_ours(text) and not may_hold_objects(text):
            return
        found = _parsed(str(path), text, alone=alone)
        beside = file_beside(path)
        if isinstance(found, Found) and beside is not None and (alone or _holds_canary(found.source)):
            found = found._replace(expected=expectations_in(beside, told))
    except UnreadableError as error:
        found = Trouble(error.where, error.problems)
    if found is not None:
        yield found


def _parsed(where: str, text: str, *, alone: bool) -> Found | Trouble | None:
    """What a text holds; None where it holds nothing that belongs to a Canary, and can't be read.

    Raises:
        UnreadableError: it can't be read.
    """
    ours = strict.speaks_of_ours(text)
    try:
        found = Found(Source(where, documents_of(text, where), alone))
    except UnreadableError:
        if is_of_helm(text, readable=False) and (ours or alone):
            return Trouble(where, (FILL_IN,), is_harmless=not alone) if alone or makes_canaries(text) else None
        if ours or alone:
            raise
        return None
    written = (str(each.content) for each in found.source.documents if strict.is_ours(each.content))
    if any(is_of_helm(each, readable=True) for each in written):
        return Trouble(where, (FILL_IN,), is_harmless=not alone)
    return found
