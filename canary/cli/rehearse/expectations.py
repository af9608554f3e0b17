"""What a team expects of rollouts, written beside a spec, and held against what came of the rehearsal."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from canary.api.canary import Canary
from canary.api.durations import GoDuration, duration_text, format_duration
from canary.api.problems import InvalidResource
from canary.api.status import Phase
from canary.cli.rehearse.builtin import BY_NAME
from canary.cli.rehearse.play import REQUESTS, Outcome, Rehearsal
from canary.cli.rehearse.reading import UnreadableError, Written, documents, model_of, text_of
from canary.cli.rehearse.specs import BESIDE, SUFFIXES
from canary.cli.rehearse.story import Share, Story


class Expectation(Written):
    """What is expected of one scenario; what is not said is not looked at."""

    scenario: Story | None = None
    """The scenario itself, where it is told nowhere else."""
    ending: Outcome | None = None
    """How the rollout ends."""
    phases: tuple[Phase, ...] | None = None
    """Its phases in order, from Progressing, or Waiting, on."""
    weights: tuple[Share, ...] | None = None
    """The canary's percent of requests in order, none twice in a row; the first is 0."""
    events: tuple[str, ...] = ()
    """Parts of events that are told in this order; others may come in between."""
    max_duration: GoDuration | None = None
    """The longest that it may take from the change of the target to the end."""
    max_bad_requests: int | None = Field(default=None, ge=0, le=REQUESTS)
    """The most of 1,000 requests that may reach a bad version."""


class Expectations(Written):
    """What is expected of the rollouts of one Canary."""

    canary: str = ""
    """NAME or NAMESPACE/NAME of the Canary, where the spec's file holds several; all of them where absent."""
    provider: str = ""
    """The traffic provider of a spec that names none."""
    ready_after: GoDuration | None = None
    """How long pods take to become ready, where a scenario does not say."""
    scenario_files: tuple[str, ...] = ()
    """Files with scenarios of one's own, from here."""
    scenarios: dict[str, Expectation]
    """By the scenario's name."""

    @model_validator(mode="before")
    @classmethod
    def _name_scenarios(cls, raw: Any) -> Any:
        """A scenario that is told in place has the name that it is told under."""
        scenarios = raw.get("scenarios") if isinstance(raw, dict) else None
        if not isinstance(scenarios, dict):
            return raw
        return {**raw, "scenarios": {name: _named(name, expected) for name, expected in scenarios.items()}}

    def speaks_of(self, canary: Canary) -> bool:
        """Whether these are expectations of that Canary."""
        return self.canary in ("", canary.name, canary.key)


def _named(name: object, expected: Any) -> Any:
    if not isinstance(expected, dict) or not isinstance(expected.get("scenario"), dict):
        return {} if expected is None else expected
    return {**expected, "scenario": {"name": name, **expected["scenario"]}}


def stories_in(path: Path) -> tuple[Story, ...]:
    """The scenarios of a file.

    Raises:
        UnreadableError: it holds something else, or nothing.
    """
    found = []
    for place, raw in documents(text_of(path), str(path)):
        try:
            found.append(model_of(Story, raw))
        except InvalidResource as error:
            lines = (f"scenario {raw.get('name', place)}: {problem}" for problem in error.problems)
            raise UnreadableError(str(path), *lines) from error
    if not found:
        raise UnreadableError(str(path), "it holds no scenario; write one, with a name")
    return tuple(found)


def file_beside(path: Path) -> Path | None:
    """The file with the expectations of a spec's file, where there is one."""
    candidates = (path.with_name(f"{path.stem}{BESIDE}{suffix}") for suffix in sorted(SUFFIXES))
    return next((each for each in candidates if each.is_file()), None)


def expectations_in(path: Path, known: Mapping[str, Story]) -> tuple[tuple[Expectations, dict[str, Story]], ...]:
    """What a file expects, each with the scenarios that it speaks of.

    Args:
        path: the file.
        known: scenarios that were named on the command line.

    Raises:
        UnreadableError: it can't be read, or speaks of a scenario that is told nowhere.
    """
    found = []
    for _, raw in documents(text_of(path), str(path)):
        try:
            expected = model_of(Expectations, raw)
        except InvalidResource as error:
            raise UnreadableError(str(path), *map(str, error.problems)) from error
        found.append((expected, _stories(path, expected, known)))
    return tuple(found)


def _stories(path: Path, expected: Expectations, known: Mapping[str, Story]) -> dict[str, Story]:
    stories = {**BY_NAME, **known}
    for name in expected.scenario_files:
        stories |= {story.name: story for story in stories_in(path.parent / name)}
    stories |= {name: each.scenario for name, each in expected.scenarios.items() if each.scenario is not None}
    unknown = [name for name in expected.scenarios if name not in stories]
    if unknown:
        names = ", ".join(BY_NAME)
        lines = (
            f"scenarios.{name}: there is no such scenario; tell it under scenario, name its file under "
            f"scenarioFiles, or write one of {names}"
            for name in unknown
        )
        raise UnreadableError(str(path), *lines)
    return {name: stories[name] for name in expected.scenarios}


def failures(expected: Expectation, seen: Rehearsal) -> Iterator[str]:
    """What is otherwise than expected, each with the field and what was seen instead."""
    if expected.ending is not None and seen.outcome is not expected.ending:
        yield f"ending: it ends {seen.outcome} ({seen.why}), not {expected.ending}"
    if expected.phases is not None and seen.phases != expected.phases:
        yield f"phases: {_list(seen.phases)}, not {_list(expected.phases)}"
    if expected.weights is not None and seen.weights != expected.weights:
        yield f"weights: {_list(seen.weights)}, not {_list(expected.weights)}"
    missing = _first_missing(expected.events, seen.events)
    if missing is not None:
        yield f"events: {missing!r} is not told, or not in this order"
    if expected.max_duration is not None:
        longest = duration_text(expected.max_duration)
        if seen.took is None:
            yield f"maxDuration: it has no end, {longest} at most are expected"
        elif seen.took > expected.max_duration:
            yield f"maxDuration: it takes {format_duration(seen.took)}, {longest} at most are expected"
    most = expected.max_bad_requests
    if most is not None and seen.bad_requests > most:
        yield f"maxBadRequests: {seen.bad_requests} of {REQUESTS:,} reach a bad version, {most} at most are expected"


def _list(values: tuple[object, ...]) -> str:
    return f"[{', '.join(map(str, values))}]"


def _first_missing(parts: tuple[str, ...], events: tuple[str, ...]) -> str | None:
    rest = iter(events)
    return next((part for part in parts if not any(part in event for event in rest)), None)
