"""Play a story with the real decisions, and write down what a team wants to know of it."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase
from canary.cli.rehearse.staging import BEGINNING, Stage, change_of, ready_after, scenario_of
from canary.cli.rehearse.story import CURRENT, NEW, Behaviour, Story
from canary.rollout.decide import SUSPENDED
from canary.rollout.decision import Ending, EventType
from canary.rollout.facts import Answer, Question
from canary.rollout.gates import WAITING_FOR_APPROVAL
from canary.rollout.look import WAITING_FOR_PODS
from canary.rollout.orders import PAUSED
from canary.rollout.simulation import Deploy, Entry, Scenario, World
from canary.rollout.situation import HELD, PRIMARY_NOT_READY

REQUESTS = 1_000
MOST_PASSES = 50_000
"""Decisions after which a story is cut off: it would take minutes of real time."""

LOOKS = 2
"""How many looks in vain it takes to say that a rollout waits for people."""


class Outcome(StrEnum):
    """How a rollout ends."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    REVERTED = "reverted"
    """The target was set back to what serves."""
    WAITING = "waiting"
    """A gate is closed, and stays closed."""
    SUSPENDED = "suspended"
    HELD = "held"
    """It waits for people: the version has failed and is kept, or the primary can't take it over."""
    UNDER_WAY = "under-way"
    """The story was cut off by its limit."""


PROMOTED = frozenset({Ending.PROMOTED, Ending.PROMOTED_UNCHECKED})
REVERTED = "Reverted"
"""The reason of a status whose target was set back."""

ANALYSING = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION})
OVER = frozenset({Outcome.PROMOTED, Outcome.ROLLED_BACK, Outcome.REVERTED})
WAITS = {
    WAITING_FOR_APPROVAL: Outcome.WAITING,
    SUSPENDED: Outcome.SUSPENDED,
    PAUSED: Outcome.SUSPENDED,
    PRIMARY_NOT_READY: Outcome.HELD,
    HELD: Outcome.HELD,
}
"""How a rollout stands that goes on by itself no more, by the reason of its status."""


@dataclass(frozen=True, slots=True)
class Step:
    """One moment of a rollout.

    Args:
        at: time since the new version was deployed.
        phase: the phase that is stored.
        weight: percent of requests that the route gives to the canary.
        events: what was told.
        reason: why, in words; or what happened around it.
        outside: whether somebody else did it.
        warns: whether one of the events is a warning.
        matched: whether the weight is of the requests that match alone.
    """

    at: timedelta
    phase: Phase
    weight: int
    events: tuple[str, ...]
    reason: str
    outside: bool = False
    warns: bool = False
    matched: bool = False


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of a story.

    Args:
        story: the story.
        outcome: how the rollout ended.
        why: the last words of its status.
        took: from the deployment of the new version to the end of the rollout; None where it has none.
        bad_requests: how many of 1,000 requests in that time a bad version answered; all that it will get, of 1,000,
            where it is never out.
        out: whether no bad version serves at the end.
        steps: what happened, in order.
        phases: the phases of the rollout in order, none twice in a row.
        weights: the canary's share in order, none twice in a row.
        events: what was told, in order.
        passes: how many decisions were made.
    """

    story: Story
    outcome: Outcome
    why: str
    took: timedelta | None
    bad_requests: int
    out: bool
    steps: tuple[Step, ...]
    phases: tuple[Phase, ...]
    weights: tuple[int, ...]
    events: tuple[str, ...]
    passes: int


class Theatre:
    """Where stories of one Canary are played, from the moment at which it is at rest with its first version.

    Args:
        canary: whose rollouts they are about.
        stage: what is taken for given of the cluster.
    """

    def __init__(self, canary: Canary, stage: Stage) -> None:
        self._canary = canary
        self._stage = stage
        self._opening = _World(scenario_of(canary, _OPENING, stage))
        self._opening.play_until(lambda world: world.due(self._opening.scenario.start + BEGINNING))
        self._first_step = self._opening.twin(self._opening.scenario)
        self._first_step.play_until(_World.has_begun)

    def play(self, story: Story) -> Rehearsal:
        """Play a story.

        Raises:
            NotSettlingError: the controller does not come to rest: a bug.
        """
        scenario = scenario_of(self._canary, story, self._stage)
        alike = self._begins_as_any(story, scenario)
        world = (self._first_step if alike else self._opening).twin(scenario)
        return _Player(self._canary, story, world).play()

    def _begins_as_any(self, story: Story, scenario: Scenario) -> bool:
        """Whether nothing in a story can make a difference before the first step: until then no metric is asked for."""
        begun = self._first_step.now - scenario.start
        moments = [change.at for change in scenario.changes[1:]]
        moments += [reply.start for reply in scenario.replies] + [window.start for window in scenario.api_down]
        return ready_after(story, self._stage) == self._stage.ready_after and all(each > begun for each in moments)


_OPENING = Story(name="opening")


class _World(World):
    """A world that is as quick as it can be: what it leaves out changes nothing, which is for tests to say.

    A status is kept as it is, without its way through JSON. Questions are answered before they are asked. A look that
    says when the next one is has no second pass after it at the same moment: that one would do nothing.
    """

    def keep(self, status: CanaryStatus) -> CanaryStatus:
        return status

    def goes_on(self, *, wrote: bool, wake: datetime | None) -> bool:
        status = self.canary.status
        analysing = status.phase in ANALYSING and status.reason not in (WAITING_FOR_PODS, HELD)
        looked = analysing and status.last_check_time == self.now
        return super().goes_on(wrote=wrote and not (looked and wake is not None), wake=wake)

    def answers(self) -> Mapping[Question, Answer]:
        # Where passes fail it matters which do, for one that only asks needs no API server; and at rest a pass that
        # asks puts the route right too.
        slowly = self.scenario.api_down or self.canary.status.phase not in ANALYSING
        return super().answers() if slowly else _Answers(self)

    def play_until(self, over: Callable[["_World"], bool]) -> None:
        """Let time pass until it is over, or nothing more would happen."""
        self.settle()
        while not over(self) and (moment := self.next_moment()) is not None:
            self.advance(moment)
            self.settle()

    def due(self, moment: datetime) -> bool:
        """Whether nothing happens any more before a moment."""
        upcoming = self.next_moment()
        return upcoming is None or upcoming >= moment

    def has_begun(self) -> bool:
        """Whether the new version is beyond waiting for its pods."""
        return self.canary.status.phase is not Phase.INITIALIZED and self.canary.status.reason != WAITING_FOR_PODS


class _Answers(Mapping[Question, Answer]):
    """What the outside world says now, to any question."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getitem__(self, question: Question) -> Answer:
        return self._world.answer(question)

    def __contains__(self, question: object) -> bool:
        return True

    def __iter__(self) -> Iterator[Question]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _Player:
    """One story on its way.

    Args:
        canary: whose rollout it is.
        story: what happens.
        world: where it happens.
    """

    def __init__(self, canary: Canary, story: Story, world: World) -> None:
        self._canary = canary
        self._story = story
        self._world = world
        self._scenario = world.scenario
        self._begin = self._scenario.start + BEGINNING
        self._bad = frozenset(name for name in self._scenario.versions if _is_bad(story, name))
        self._last_news = _last_news(self._scenario)
        self._phase = world.canary.status.phase
        self._waits_since: datetime | None = None
        self._ended: datetime | None = None
        self._words = {str(change_of(canary, each)): each.words for each in story.changes}
        self._words[str(Deploy(NEW))] = f"version {NEW} is deployed"

    def play(self) -> Rehearsal:
        """Let time pass until the rollout is over and nothing more would happen."""
        world, end = self._world, self._scenario.start + self._scenario.limit
        cut_off = False
        while True:
            world.settle()
            self._mark_end()
            moment = world.next_moment()
            if moment is None or self._waits_for_good():
                break
            if moment > end or world.passes > MOST_PASSES:
                cut_off = True
                break
            world.advance(moment)
        return self._result(cut_off=cut_off)

    def _mark_end(self) -> None:
        """Remember when the rollout ended last."""
        world = self._world
        phase = world.canary.status.phase
        if phase is not self._phase and phase in (Phase.SUCCEEDED, Phase.FAILED):
            self._ended = world.now
        self._phase = phase

    def _answered_by_bad(self) -> timedelta:
        served = self._world.served
        return sum((served.get(name, timedelta(0)) for name in self._bad), timedelta(0))

    def _waits_for_good(self) -> bool:
        """Whether waiting for people is all that is left: no change, answer or window of the story is still to come."""
        world = self._world
        status = world.canary.status
        if status.reason not in (WAITING_FOR_APPROVAL, HELD):
            self._waits_since = None
            return False
        if self._waits_since is None:
            self._waits_since = world.now
        some_looks = LOOKS * self._canary.analysis_interval
        lasting = world.now - self._waits_since >= max(some_looks, _last_age(self._scenario))
        return lasting and world.now >= self._last_news + some_looks

    def _result(self, *, cut_off: bool) -> Rehearsal:
        world = self._world
        outcome = self._outcome(cut_off=cut_off)
        took = (self._ended or self._begin) - self._begin if outcome in OVER else None
        share = _share_of(world, self._bad)
        out = share == 0 and took is not None
        if took is not None and out:
            # Pods that are replaced one by one answer on for a while after the end.
            share = self._answered_by_bad() / took if took else 0.0
        entries = [each for each in world.entries if each.at >= BEGINNING]
        steps = tuple(self._step(each) for each in entries)
        own = [each for each in steps if not each.outside]
        status = world.canary.status
        return Rehearsal(
            story=self._story,
            outcome=outcome,
            why=status.message or status.reason,
            took=took,
            bad_requests=min(math.ceil(REQUESTS * share - 1e-6), REQUESTS),
            out=out or not self._bad,
            steps=steps,
            phases=_without_repeats(each.phase for each in own),
            weights=_without_repeats(each.weight for each in own),
            events=tuple(event for each in steps for event in each.events),
            passes=world.passes,
        )

    def _outcome(self, *, cut_off: bool) -> Outcome:
        status = self._world.canary.status
        at_rest = status.phase in (Phase.SUCCEEDED, Phase.FAILED, Phase.INITIALIZED)
        if cut_off and (self._ended is None or not at_rest):
            return Outcome.UNDER_WAY
        if not at_rest:
            return WAITS.get(status.reason, Outcome.UNDER_WAY)
        if status.phase is Phase.FAILED:
            return Outcome.ROLLED_BACK
        promoted = any(each.ending in PROMOTED for each in self._world.entries)
        return Outcome.PROMOTED if promoted and status.reason != REVERTED else Outcome.REVERTED

    def _step(self, entry: Entry) -> Step:
        return Step(
            at=entry.at - BEGINNING,
            phase=entry.phase,
            weight=entry.weight,
            events=tuple(event.message for event in entry.events),
            reason=self._words.get(entry.note, entry.note) or entry.reason,
            outside=bool(entry.note),
            warns=any(event.type is EventType.WARNING for event in entry.events),
            matched=entry.split is not None and entry.split.matched,
        )


def _is_bad(story: Story, version: str) -> bool:
    return version != CURRENT and story.versions.get(version, Behaviour()).is_bad


def _last_news(scenario: Scenario) -> datetime:
    """When the last change, answer or window of a scenario begins or ends."""
    moments = [change.at for change in scenario.changes]
    for reply in scenario.replies:
        moments += [reply.start, *([reply.end] if reply.end is not None else ())]
    for window in (*scenario.metrics_down, *scenario.api_down):
        moments += [window.start, window.end]
    return scenario.start + max((each for each in moments if each <= scenario.limit), default=timedelta(0))


def _last_age(scenario: Scenario) -> timedelta:
    """The age at which a version of a scenario last changes its behaviour."""
    ages = (reading.after for version in scenario.versions.values() for reading in version.readings)
    return max(ages, default=timedelta(0))


def _share_of(world: World, versions: Iterable[str]) -> float:
    served = world.cluster.served(world.now)
    return sum(served.get(name, 0.0) for name in versions)


T = TypeVar("T")


def _without_repeats(values: Iterable[T]) -> tuple[T, ...]:
    kept: list[T] = []
    for value in values:
        if not kept or kept[-1] != value:
            kept.append(value)
    return tuple(kept)
