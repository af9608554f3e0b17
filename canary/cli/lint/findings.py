"""What is wrong with the objects of files, by the one list of rules, each with its place."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from canary.api import strict
from canary.api.problems import Problem, together
from canary.cli.lint.files import Unusable, read
from canary.cli.rehearse.documents import Document, Place
from canary.cli.rehearse.fleets.read import KIND as FLEET
from canary.cli.rehearse.fleets.read import unheeded_in
from canary.cli.rehearse.refusals import problems_of
from canary.cli.rehearse.specs import Refusal, Source, Spec, specs_in, stream_of
from canary.cli.rehearse.stream import Stream, name_in, namespace_in
from canary.controller.written import HELD_BY_IT, of_metric_template, unaskable

WRITTEN_TWICE: Final = "is written twice"
"""What is said of a field that is, by `specs_in`: it is told where it stands for the second time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with an object.

    Args:
        place: where in its file.
        problem: what it is, and its remedy.
    """

    place: Place
    problem: Problem


@dataclass(frozen=True, slots=True)
class Checked:
    """An object that was checked.

    Args:
        where: the file that it is in.
        kind: what it says it is.
        namespace: its namespace; `default` where it names none.
        name: its name, as far as it can be told.
        findings: what is wrong with it, in the order of the file.
    """

    where: str
    kind: str
    namespace: str
    name: str
    findings: tuple[Finding, ...] = ()


def check(places: Sequence[str], provider: str) -> Iterator[Checked | Unusable]:
    """Check everything of this group in files, folders and, for `-`, the standard input.

    Args:
        places: what was named.
        provider: the traffic provider of specs that name none; empty where it is not known.
    """
    # All are read before the first is checked: what belongs together may be in files of its own.
    return check_files(list(read(places)), provider)


def check_files(found: Sequence[Source | Unusable], provider: str) -> Iterator[Checked | Unusable]:
    """The same of files that were read."""
    stream = stream_of(each for each in found if isinstance(each, Source))
    for each in found:
        if isinstance(each, Unusable):
            yield each
        else:
            yield from _in_file(each, stream, provider)


def _in_file(source: Source, stream: Stream, provider: str) -> Iterator[Checked]:
    ours = [each for each in source.documents if strict.is_ours(each.content)]
    seen: Counter[tuple[str, str, str]] = Counter()
    for document in ours:
        raw = document.content
        key = str(raw.get("kind") or "?"), namespace_in(raw), name_in(raw)
        seen[key] += 1
        problems = _problems(source, document, stream, provider)
        if seen[key] == 2:
            again = Problem("metadata.name", f"{key[0]} {key[2]} is in this file already", "keep one of the two")
            problems = (*problems, again)
        yield Checked(source.where, *key, tuple(_placed(document, problems)))


def _placed(document: Document, problems: Iterable[Problem]) -> Iterator[Finding]:
    """Each problem once, in the order of the file."""
    written_twice = {each.field: each.place for each in document.repeated}
    found = []
    for each in dict.fromkeys(problems):
        twice = each.message == WRITTEN_TWICE and each.field in written_twice
        found.append(Finding(written_twice[each.field] if twice else document.place(each.field), each))
    return iter(sorted(found, key=lambda finding: finding.place))


def _problems(source: Source, document: Document, stream: Stream, provider: str) -> tuple[Problem, ...]:
    alone = Source(source.where, (document,), source.alone)
    spec = next(specs_in(alone, stream), None)
    match spec:
        case Refusal():
            return together(spec.problems, _of_others(document))
        case Spec():
            return _of_canary(spec, provider)
        case _:
            return tuple(_of_others(document))


def _of_canary(spec: Spec, default: str) -> tuple[Problem, ...]:
    """What the API server and the controller refuse, and what it can't ask for, which holds every rollout."""
    provider = spec.canary.spec.provider or default
    found = together(spec.refused, spec.in_its_words(problems_of(spec.canary, spec.beside, provider)))
    if found:
        return found
    indices = {metric.name: index for index, metric in enumerate(spec.canary.analysis.metrics)}
    unasked = (
        Problem(f"{spec.canary.analysis_field}.metrics[{indices[name]}]", f"it can't be asked for: {why}", HELD_BY_IT)
        for name, why in unaskable(spec.canary, spec.beside, provider).items()
    )
    return tuple(spec.in_its_words(unasked))


def _of_others(document: Document) -> Iterator[Problem]:
    """What can be said of a MetricTemplate, whoever names it, and what of a CanaryFleet counts for nothing.

    All else of them, and an AlertProvider, is read by `specs_in`.
    """
    kind = document.content.get("kind")
    if kind == "MetricTemplate":
        yield from of_metric_template(document.content)
    elif kind == FLEET:
        yield from unheeded_in(document.content)
