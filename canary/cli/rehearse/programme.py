"""What is rehearsed: files and folders of specs, the scenarios for each, and the expectations beside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from canary.api.canary import Canary
from canary.cli.rehearse.bounds import Bounds, bounds_of, gates_of
from canary.cli.rehearse.builtin import BY_NAME, GATES, HEALTHY
from canary.cli.rehearse.expectations import (
    Expectation,
    Expectations,
    expectations_in,
    failures,
    file_beside,
    stories_in,
)
from canary.cli.rehearse.play import Rehearsal, Theatre
from canary.cli.rehearse.reading import UnreadableError, text_of, text_of_input
from canary.cli.rehearse.refusals import is_weighted, problems_of, settle_of, unaskable
from canary.cli.rehearse.specs import (
    BESIDE,
    STDIN,
    SUFFIXES,
    Refusal,
    Spec,
    files_in,
    is_beside,
    may_hold_canaries,
    specs_in,
)
from canary.cli.rehearse.staging import REPLICAS, Stage
from canary.cli.rehearse.story import NEW, NOTHING, READY_AFTER, Story
from canary.rollout.plan import Plan, plan_of
from canary.rollout.simulation import NotSettlingError
from canary.routers.registry import provider_of

SERVICE = "Service"
"""A kind of target that is ready as soon as it is there."""

Beside = tuple[tuple[Expectations, dict[str, Story]], ...]
"""What a file expects, each with the scenarios that it speaks of."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says.

    Args:
        wanted: names of the scenarios that were asked for; none asks for those that come with the program and those
            that expectations speak of.
        told: the scenarios of files that were named, by name.
        provider: the traffic provider of specs that name none; empty where it is not known.
        ready_after: how long pods take to become ready; None where the command line doesn't say.
        replicas: how many pods a target has; None where the command line doesn't say.
    """

    wanted: tuple[str, ...] = ()
    told: Mapping[str, Story] = field(default_factory=dict)
    provider: str = ""
    ready_after: timedelta | None = None
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one scenario, and of what was expected of it.

    Args:
        rehearsal: what came of it.
        expected: what was expected; None where nothing was.
        failures: what is otherwise, in words.
    """

    rehearsal: Rehearsal
    expected: Expectation | None = None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be said of one Canary.

    Args:
        where: the file that it is in.
        name: NAMESPACE/NAME.
        canary: the Canary; None where it can't be read.
        plan: the steps of its rollouts; None where it can't run.
        stage: what was taken for given; None where it can't run.
        bounds: how long they can take; None where it can't run.
        problems: why it can't run.
        notes: what else should be known.
        seen: what came of each scenario.
        failures: what is otherwise than expected beside what `seen` says.
    """

    where: str
    name: str
    canary: Canary | None = None
    plan: Plan | None = None
    stage: Stage | None = None
    bounds: Bounds | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seen: tuple[Seen, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def disappointments(self) -> tuple[str, ...]:
        """Everything that is otherwise than expected, with its scenario."""
        told = (f"{each.rehearsal.story.name}: {line}" for each in self.seen for line in each.failures)
        return (*self.failures, *told)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A file that could not be used at all."""

    where: str
    problems: tuple[str, ...] = field(default=())


def scenarios_named(names: Sequence[str]) -> tuple[tuple[str, ...], Mapping[str, Story]]:
    """What the command line asks for by name or file: the names of the scenarios, and those that files tell.

    Raises:
        UnreadableError: there is no such file, or it holds something else.
    """
    wanted: list[str] = []
    told: dict[str, Story] = {}
    for name in names:
        if name not in BY_NAME and (Path(name).suffix in SUFFIXES or Path(name).is_file()):
            stories = stories_in(Path(name))
            told |= {story.name: story for story in stories}
            wanted += [story.name for story in stories]
        else:
            wanted.append(name)
    return tuple(wanted), told


def rehearse(places: Sequence[str], settings: Settings) -> Iterator[Report | Trouble]:
    """Rehearse everything in files, folders and, for `-`, the standard input; what can't be used is told and left."""
    played: set[str] = set()
    for report in _each(places, settings):
        played |= {each.rehearsal.story.name for each in report.seen} if isinstance(report, Report) else set()
        yield report
    for name in settings.wanted:
        if name not in played and name not in BY_NAME and name not in settings.told:
            known = ", ".join(BY_NAME)
            yield Trouble("--scenario", (f"there is no scenario {name!r}; name a file, or one of {known}",))


def _each(places: Sequence[str], settings: Settings) -> Iterator[Report | Trouble]:
    for place in places:
        if place == STDIN:
            try:
                text = text_of_input()
            except UnreadableError as error:
                yield Trouble(error.where, error.problems)
                continue
            yield from _safely("standard input", text, (), settings, alone=True)
        elif Path(place).is_dir():
            yield from _folder(Path(place), settings)
        else:
            yield from _file(Path(place), settings, alone=True)


def _folder(folder: Path, settings: Settings) -> Iterator[Report | Trouble]:
    count = 0
    for path in files_in(folder):
        for report in _file(path, settings, alone=False):
            count += 1
            yield report
    for path in sorted(each for each in folder.rglob(f"*{BESIDE}.*") if is_beside(each)):
        name = path.stem.removesuffix(BESIDE)
        if not any(path.with_name(f"{name}{suffix}").is_file() for suffix in SUFFIXES):
            yield Trouble(str(path), (f"there is no {name}.yaml beside it; name it as the file of its spec",))
    if not count:
        yield Trouble(str(folder), ("it holds no Canary of flagger.app; name another file or folder",))


def _file(path: Path, settings: Settings, *, alone: bool) -> Iterator[Report | Trouble]:
    try:
        text = text_of(path)
        if not alone and not may_hold_canaries(text):
            return
        beside = file_beside(path)
        expected = expectations_in(beside, settings.told) if beside is not None else ()
    except UnreadableError as error:
        yield Trouble(error.where, error.problems)
        return
    yield from _safely(str(path), text, expected, settings, alone=alone)


def _safely(where: str, text: str, beside: Beside, settings: Settings, *, alone: bool) -> Iterator[Report | Trouble]:
    try:
        specs = specs_in(text, where)
    except UnreadableError as error:
        yield Trouble(error.where, error.problems)
        return
    if not specs and (alone or beside):
        yield Trouble(where, ("it holds no Canary of flagger.app; name another file",))
    for expected, _ in beside:
        if not any(isinstance(each, Refusal) or expected.speaks_of(each.canary) for each in specs):
            yield Trouble(where, (f"it holds no Canary {expected.canary}, of which something is expected",))
    for spec in specs:
        yield report_on(spec, beside, settings)


def report_on(spec: Spec | Refusal, beside: Beside, settings: Settings) -> Report:
    """Rehearse one Canary.

    Args:
        spec: the Canary.
        beside: what is expected of it, or of others in its file.
        settings: what the command line says.
    """
    if isinstance(spec, Refusal):
        return Report(spec.where, spec.name, problems=tuple(map(str, spec.problems)))
    canary = spec.canary
    own = tuple((expected, stories) for expected, stories in beside if expected.speaks_of(canary))
    given = next((expected.provider for expected, _ in own if expected.provider), "")
    provider = canary.spec.provider or settings.provider or given
    problems = tuple(str(problem) for problem in problems_of(canary, provider))
    if problems:
        return Report(spec.where, canary.key, canary, problems=problems)
    stage = Stage(
        weighted=is_weighted(canary, provider),
        settle=settle_of(canary, provider),
        ready_after=_ready_after(canary, own, settings),
        replicas=settings.replicas or spec.replicas or REPLICAS,
        unaskable=unaskable(spec, provider),
    )
    theatre = Theatre(canary, stage)
    seen, untold = [], []
    for story, expectation in _stories(own, settings).values():
        pointless = _pointless(canary, story)
        if pointless and expectation is not None:
            untold.append(f"{story.name}: {pointless}; take the expectation out")
        if pointless:
            continue
        try:
            rehearsal = theatre.play(story)
        except NotSettlingError as error:
            untold.append(f"{story.name}: the controller does not come to rest, which is a bug of it: {error}")
            continue
        wrong = tuple(failures(expectation, rehearsal)) if expectation is not None else ()
        seen.append(Seen(rehearsal, expectation, wrong))
    return Report(
        where=spec.where,
        name=canary.key,
        canary=canary,
        plan=plan_of(canary, weighted=stage.weighted, replicas=stage.replicas),
        stage=stage,
        bounds=_bounds(canary, stage, theatre),
        notes=tuple(_notes(provider_of(canary, provider), stage)),
        seen=tuple(seen),
        failures=tuple(untold),
    )


def _bounds(canary: Canary, stage: Stage, theatre: Theatre) -> Bounds:
    """By the spec; where pods are replaced in place, what is played tells the shortest, and nothing the longest."""
    if not canary.in_place:
        return bounds_of(canary, stage)
    return Bounds(theatre.play(BY_NAME[HEALTHY]).took or NOTHING, None, gates_of(canary))


def _ready_after(canary: Canary, own: Beside, settings: Settings) -> timedelta:
    if canary.spec.target_ref.kind == SERVICE:
        return NOTHING
    if settings.ready_after is not None:
        return settings.ready_after
    return next((expected.ready_after for expected, _ in own if expected.ready_after is not None), READY_AFTER)


def _pointless(canary: Canary, story: Story) -> str:
    """Why a story tells nothing of this Canary; empty where it does."""
    if story.needs_gate and not any(canary.hooks(gate) for gate in GATES):
        return "the spec has no gate"
    never = NEW in story.versions and story.versions[NEW].ready_after is None
    return "a Service has no pods of its own" if never and canary.spec.target_ref.kind == SERVICE else ""


def _stories(own: Beside, settings: Settings) -> dict[str, tuple[Story, Expectation | None]]:
    """What to play, by name, with what is expected of it."""
    expected = {name: (told[name], each) for known, told in own for name, each in known.scenarios.items()}
    known = {**BY_NAME, **settings.told, **{name: story for name, (story, _) in expected.items()}}
    names = settings.wanted or (*BY_NAME, *expected)
    return {name: expected.get(name, (known[name], None)) for name in names if name in known}


def _notes(provider: str, stage: Stage) -> Iterator[str]:
    if not provider:
        yield "no traffic provider is named: rehearsed on one with weights; name yours by --mesh-provider"
    for name, why in stage.unaskable.items():
        yield f"metric {name} can't be asked for, so that every rollout is held: {why}"
