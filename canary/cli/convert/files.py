"""Files of Argo Rollouts' objects, converted, and checked by the rules that every spec has to meet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from canary.cli.convert.fields import Note, Source
from canary.cli.convert.measures import TEMPLATES
from canary.cli.convert.rollouts import convert
from canary.cli.failures import CommandError
from canary.cli.lint.findings import Checked, check_files
from canary.cli.rehearse.documents import Document
from canary.cli.rehearse.reading import UnreadableError, documents_of, text_of, text_of_input
from canary.cli.rehearse.specs import STDIN, files_in
from canary.cli.rehearse.specs import Source as File
from canary.kube.types import Json

GROUP: Final = "argoproj.io"
ROLLOUT: Final = "Rollout"
OTHERS: Final = ("AnalysisRun", "Experiment")


@dataclass(frozen=True, slots=True)
class Converted:
    """What files came to.

    Args:
        objects: the objects, those first that others name.
        notes: what has no counterpart, or one that differs.
        refused: what would be refused of the objects.
    """

    objects: tuple[Json, ...]
    notes: tuple[Note, ...]
    refused: tuple[str, ...]


def read(places: Sequence[str]) -> Iterator[tuple[str, Document]]:
    """The objects of files, folders and, for `-`, the standard input.

    Raises:
        UnreadableError: a file can't be read; of a folder, those that hold nothing of Argo Rollouts are passed over.
    """
    for place in places:
        folder = place != STDIN and Path(place).is_dir()
        for path in files_in(Path(place)) if folder else [Path(place)]:
            where = "standard input" if place == STDIN else str(path)
            text = text_of_input() if place == STDIN else text_of(path)
            try:
                found = documents_of(text, where)
            except UnreadableError:
                if folder and GROUP not in text:
                    continue
                raise
            yield from ((where, each) for each in found)


def converted(places: Sequence[str]) -> Converted:
    """Convert every Rollout of files.

    Raises:
        CommandError: there is none, or a file can't be read.
    """
    found = list(read(places))
    sources = [Source(where, each) for where, each in found if _is_of(each.content)]
    rollouts = [each for each in sources if each.kind == ROLLOUT]
    if not rollouts:
        raise CommandError(f"there is no Rollout of {GROUP} in {', '.join(places)}; name the file that it is in")
    templates = [each for each in sources if each.kind in TEMPLATES]
    beside = [each.content for _, each in found]
    objects = [made for each in rollouts for made in convert(each, templates, beside)]
    used = [each for each in templates if each.taken]
    for each in used:
        each.tell_what_is_left()
    for each in sources:
        if each.kind in OTHERS:
            each.note("kind", f"a {each.kind} has no counterpart", lost=True)
        elif each.kind in TEMPLATES and not each.taken:
            each.note("metadata.name", "no Rollout of these files names it", lost=False)
    notes = sorted((note for each in sources for note in each.notes), key=lambda each: (each.where, each.place))
    unique = list({(each["kind"], str(each["metadata"])): each for each in objects}.values())
    return Converted(tuple(unique), tuple(notes), tuple(_refused(unique)))


def _is_of(raw: Json) -> bool:
    return str(raw.get("apiVersion", "")).partition("/")[0] == GROUP and raw.get("kind") in (
        ROLLOUT,
        *TEMPLATES,
        *OTHERS,
    )


def _refused(objects: Sequence[Json]) -> Iterator[str]:
    where = "what was converted"
    documents = documents_of(yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True), where)
    for each in check_files([File(where, documents)], ""):
        if isinstance(each, Checked):
            yield from (f"{each.kind} {each.namespace}/{each.name}: {found.problem}" for found in each.findings)
