"""What is rehearsed: files and folders of specs, the scenarios for each, and the expectations beside them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from canary.api.analysis import GATES
from canary.api.canary import Canary
from canary.api.problems import Problem, together
from canary.cli.rehearse.bounds import Bounds, bounds_of, gates_of
from canary.cli.rehearse.builtin import BY_NAME, HEALTHY
from canary.cli.rehearse.conditions import playable
from canary.cli.rehearse.expectations import Expectation, failures, stories_in
from canary.cli.rehearse.fleets.programme import KIND, MEMBERS, PLACEMENTS, fleet_reports
from canary.cli.rehearse.fleets.report import FleetReport
from canary.cli.rehearse.fleets.stories import BY_NAME as FLEET_STORIES
from canary.cli.rehearse.gathering import Beside, Found, Trouble, gather
from canary.cli.rehearse.play import Rehearsal, Theatre
from canary.cli.rehearse.refusals import is_weighted, problems_of, settle_of
from canary.cli.rehearse.specs import SUFFIXES, Refusal, Spec, specs_in, stream_of
from canary.cli.rehearse.staging import REPLICAS, Stage
from canary.cli.rehearse.story import NEW, NOTHING, READY_AFTER, Story
from canary.controller.written import unaskable
from canary.rollout.plan import Plan, plan_of
from canary.rollout.simulation import NotSettlingError
from canary.routers.registry import provider_of

NO_PROVIDER = "no traffic provider is named: rehearsed on one with weights; name yours by --mesh-provider"

SERVICE = "Service"
"""A kind of target that is ready as soon as it is there."""


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
        members: how many members a fleet has.
    """

    wanted: tuple[str, ...] = ()
    told: Mapping[str, Story] = field(default_factory=dict)
    provider: str = ""
    ready_after: timedelta | None = None
    replicas: int | None = None
    members: int = MEMBERS


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


class Located(NamedTuple):
    """A problem, and where it is: FILE:LINE:COLUMN."""

    where: str
    problem: Problem


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
        problems: why it can't run, each with its place.
        notes: what was taken for given.
        warnings: what its author has hardly meant, and runs all the same.
        seen: what came of each scenario.
        failures: what is otherwise than expected beside what `seen` says.
        kind: what it is.
    """

    where: str
    name: str
    canary: Canary | None = None
    plan: Plan | None = None
    stage: Stage | None = None
    bounds: Bounds | None = None
    problems: tuple[Located, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seen: tuple[Seen, ...] = ()
    failures: tuple[str, ...] = ()
    kind: str = "Canary"

    @property
    def disappointments(self) -> tuple[str, ...]:
        """Everything that is otherwise than expected, with its scenario."""
        told = (f"{each.rehearsal.story.name}: {line}" for each in self.seen for line in each.failures)
        return (*self.failures, *told)


Told = Report | FleetReport | Trouble
"""What is said of one object, or of a file that can't be used."""


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


def rehearse(places: Sequence[str], settings: Settings) -> Iterator[Told]:
    """Rehearse everything in files, folders and, for `-`, the standard input; what can't be used is told and left."""
    played: set[str] = set()
    kinds: set[str] = set()
    for report in _each(places, settings):
        played |= _played(report)
        kinds.add(_kind(report))
        yield report
    for name in settings.wanted:
        if name not in played and name not in BY_NAME and name not in settings.told and name not in FLEET_STORIES:
            known = ", ".join(dict.fromkeys([*BY_NAME, *FLEET_STORIES]))
            yield Trouble("--scenario", (f"there is no scenario {name!r}; name a file, or one of {known}",))
        elif kinds == {KIND} and name not in FLEET_STORIES:
            known = ", ".join(FLEET_STORIES)
            yield Trouble("--scenario", (f"{name!r} is played by Canaries; of a CanaryFleet name one of {known}",))
        elif kinds == {"Canary"} and name not in {*BY_NAME, *settings.told, *played}:
            known = ", ".join(BY_NAME)
            yield Trouble("--scenario", (f"{name!r} is played by CanaryFleets; of a Canary name one of {known}",))


def _kind(report: Told) -> str:
    """Of what it is a report; empty where that can't be told."""
    match report:
        case Report():
            return report.kind
        case FleetReport():
            return KIND
        case _:
            return ""


def _played(report: Told) -> set[str]:
    """The names of the scenarios that were played."""
    match report:
        case Report():
            return {each.rehearsal.story.name for each in report.seen}
        case FleetReport():
            return {each.story.name for each in report.seen}
        case _:
            return set()


def _each(places: Sequence[str], settings: Settings) -> Iterator[Told]:
    # All are read before the first is rehearsed: what belongs together may be in files of its own.
    gathered = list(gather(places, settings.told))
    sources = [each.source for each in gathered if isinstance(each, Found)]
    stream = stream_of(sources)
    every = [doc.content for source in sources for doc in source.documents]
    placements = [each for each in every if each.get("kind") == PLACEMENTS]
    for each in gathered:
        if isinstance(each, Trouble):
            yield each
            continue
        specs = tuple(specs_in(each.source, stream))
        for expected, _ in each.expected:
            if not any(isinstance(spec, Refusal) or expected.speaks_of(spec.canary) for spec in specs):
                message = f"it holds no Canary {expected.canary}, of which something is expected"
                yield Trouble(each.source.where, (message,))
        for spec in specs:
            yield report_on(spec, each.expected, settings)
        refused = {id(spec.document) for spec in specs if isinstance(spec, Refusal)}
        yield from fleet_reports(
            each.source.where,
            [doc for doc in each.source.documents if doc.content.get("kind") == KIND and id(doc) not in refused],
            placements,
            wanted=settings.wanted,
            members=settings.members,
            provider=settings.provider,
            ready_after=settings.ready_after,
            replicas=settings.replicas,
        )


def report_on(spec: Spec | Refusal, beside: Beside, settings: Settings) -> Report:
    """Rehearse one Canary.

    Args:
        spec: the Canary.
        beside: what is expected of it, or of others in its file.
        settings: what the command line says.
    """
    if isinstance(spec, Refusal):
        return Report(spec.where, spec.name, kind=spec.kind, problems=located(spec.problems, spec))
    canary = spec.canary
    own = tuple((expected, stories) for expected, stories in beside if expected.speaks_of(canary))
    given = next((expected.provider for expected, _ in own if expected.provider), "")
    provider = canary.spec.provider or settings.provider or given
    problems = together(spec.refused, spec.in_its_words(problems_of(canary, spec.beside, provider)))
    if problems:
        return Report(spec.where, canary.key, canary, problems=located(problems, spec))
    stage = Stage(
        weighted=is_weighted(canary, provider),
        settle=settle_of(canary, provider),
        ready_after=_ready_after(canary, own, settings),
        replicas=settings.replicas or spec.replicas or REPLICAS,
        unaskable=unaskable(spec.canary, spec.beside, provider),
    )
    played, left_out = playable(canary)
    theatre = Theatre(played, stage)
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
        notes=(*(() if provider_of(canary, provider) else (NO_PROVIDER,)), *left_out),
        warnings=tuple(_warnings(canary, stage)),
        seen=tuple(seen),
        failures=tuple(untold),
    )


def located(problems: Iterable[Problem], spec: Spec | Refusal) -> tuple[Located, ...]:
    """The problems of an object with their places, in the order of its file."""
    found = []
    for problem in problems:
        place = spec.document.place(problem.field)
        found.append((place, Located(f"{spec.where}:{place.line}:{place.column}", problem)))
    return tuple(each for _, each in sorted(found, key=lambda pair: pair[0]))


def _bounds(canary: Canary, stage: Stage, theatre: Theatre) -> Bounds:
    """By the spec; where pods are replaced in place, what is played tells the shortest, and nothing the longest."""
    if not canary.in_place:
        return bounds_of(canary, stage)
    return Bounds(theatre.play(BY_NAME[HEALTHY]).took or NOTHING, None, gates_of(canary))


def _ready_after(canary: Canary, own: Beside, settings: Settings) -> timedelta:
    if _is_service(canary):
        return NOTHING
    if settings.ready_after is not None:
        return settings.ready_after
    return next((expected.ready_after for expected, _ in own if expected.ready_after is not None), READY_AFTER)


def _is_service(canary: Canary) -> bool:
    return canary.spec.target_ref.kind == SERVICE and not canary.targets_knative


def _pointless(canary: Canary, story: Story) -> str:
    """Why a story tells nothing of this Canary; empty where it does."""
    if story.needs_gate and not any(canary.hooks(gate) for gate in GATES):
        return "the spec has no gate"
    never = NEW in story.versions and story.versions[NEW].ready_after is None
    return "a Service has no pods of its own" if never and _is_service(canary) else ""


def _stories(own: Beside, settings: Settings) -> dict[str, tuple[Story, Expectation | None]]:
    """What to play, by name, with what is expected of it."""
    expected = {name: (told[name], each) for known, told in own for name, each in known.scenarios.items()}
    known = {**BY_NAME, **settings.told, **{name: story for name, (story, _) in expected.items()}}
    names = settings.wanted or (*BY_NAME, *expected)
    return {name: expected.get(name, (known[name], None)) for name in names if name in known}


def _warnings(canary: Canary, stage: Stage) -> Iterator[str]:
    analysis = canary.analysis
    weights = {
        "stepWeight": analysis.step_weight,
        "stepWeights": analysis.step_weights,
        "maxWeight": analysis.max_weight,
    }
    idle = [name for name, value in weights.items() if value]
    if analysis.iterations > 0 and idle and not canary.skip_analysis:
        yield f"iterations count here, and {' and '.join(idle)} {'have' if len(idle) > 1 else 'has'} no effect"
    for name, why in stage.unaskable.items():
        yield f"metric {name} can't be asked for, so that every rollout is held: {why}"
