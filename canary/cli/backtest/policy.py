"""The controller's own decisions, asked once for everything that can come up in a backtest.

What a look does to a rollout hangs on where the rollout stands and on what its metrics say, and on nothing else: so
`decide` is asked once for each such pair, and a week of rollouts is a week of looking up.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from canary.api.analysis import NoDataPolicy, UnavailablePolicy
from canary.api.canary import Canary
from canary.api.meta import Metadata
from canary.api.status import CanaryStatus, Phase, Verdict
from canary.api.steps import AnalysisStep, Checks, Scale
from canary.api.traffic import ALL_PRIMARY, Readiness
from canary.rollout.decide import decide
from canary.rollout.decision import Decision
from canary.rollout.facts import Answer, Facts, MetricQuestion, Question, Workload
from canary.rollout.plan import Step, plan_of
from canary.rollout.simulation import reading_of, said_for
from canary.rollout.step_plan import Paused
from metrics.reading import Reading

VERDICTS = (Verdict.PASS, Verdict.FAIL, Verdict.NO_DATA, Verdict.UNAVAILABLE)
"""Verdicts by the number that stands for each in `Looks`."""

PASS, FAIL, NO_DATA, UNAVAILABLE = range(4)

Verdicts = tuple[int, ...]
"""What the metrics say at one look, in the order of the spec."""

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_OLD, _NEW = "old", "new"
_READY = Readiness(desired=1, updated=1, ready=1, available=1, total=1)
_MOST_PASSES = 30


class Looks:
    """The verdicts at every look of a window, few of which differ.

    Args:
        verdicts: by metric, its verdict at every look.
    """

    def __init__(self, verdicts: Sequence[Sequence[int]]) -> None:
        codes: dict[Verdicts, int] = {}
        self.codes = array("L", (codes.setdefault(each, len(codes)) for each in zip(*verdicts, strict=True)))
        self.table: tuple[Verdicts, ...] = tuple(codes)

    def __len__(self) -> int:
        return len(self.codes)


class End(IntEnum):
    """How a rollout ended."""

    PROMOTED = 0
    FAILED_CHECKS = 1
    """So many checks failed that it was rolled back."""
    DEADLINE = 2
    """It was held for as long as a rollout may be, and rolled back."""
    UNFINISHED = 3
    """The window was over first."""


@dataclass(frozen=True, slots=True)
class Played:
    """One rollout.

    Args:
        end: how it ended.
        last: its last look.
        blamed: the metrics that failed, or held it at its end: bit i stands for metric i of the spec. None where
            nothing but times without any record did.
    """

    end: End
    last: int
    blamed: int = 0


@dataclass(frozen=True, slots=True)
class _Step:
    """What a look does: the state that comes of it, or the end; and how many looks later the next one is."""

    state: int
    end: End | None
    later: int
    failed: int


class Policy:
    """The decisions on rollouts of one Canary whose pods are ready and whose webhooks approve.

    Args:
        canary: whose analysis it is; it must have steps, and not be skipped.
        weighted: whether its traffic provider divides requests by weight.
    """

    def __init__(self, canary: Canary, *, weighted: bool) -> None:
        # What comes after a failure, or after a promotion, is no part of it.
        analysis = canary.analysis.replace(
            webhooks=(),
            step_weight_rollback=0,
            bake=None,
            # Comparisons are taken as passing, by their numbers as by the clock; so are conditions.
            metrics=tuple(each.replace(compare_to=None) for each in canary.analysis.metrics),
            conditions=(),
            steps=tuple(map(_left_to_itself, canary.analysis.steps)),
        )
        changes = {"analysis": analysis, "canary_analysis": None, "suspend": False, "revert_on_deletion": False}
        metadata = Metadata(name=canary.name, namespace=canary.namespace, generation=1)
        self._canary = canary.replace(spec=canary.spec.replace(**changes), metadata=metadata)
        self._weighted = weighted
        self._delay = max((each.initial_delay for each in analysis.metrics), default=timedelta(0))
        self._plan = plan_of(self._canary, weighted=weighted)
        self._states: dict[CanaryStatus, int] = {}
        self._known: list[CanaryStatus] = []
        self._steps: dict[tuple[int, Verdicts], _Step] = {}
        begun = CanaryStatus(
            phase=Phase.PROGRESSING, observed_generation=1, last_applied_spec=_NEW, last_promoted_spec=_OLD
        )
        self._first = self._step(begun, ())

    @property
    def steps(self) -> int:
        """How many looks in a row are good enough for promotion, the first one of the rollout aside."""
        return sum(least_looks(each, self._canary.analysis_interval) for each in self._plan.steps)

    @property
    def longest(self) -> int:
        """How many judged looks a rollout takes at most, where none holds it."""
        return self.steps + self._canary.threshold - 1

    def play(self, looks: Looks, start: int) -> Played:
        """Play the rollout that begins at a look; that one asks no metric, for the canary has no traffic yet."""
        codes, table, count = looks.codes, looks.table, len(looks)
        state, at, blamed = self._first.state, start + self._first.later, 0
        while at < count:
            verdicts = table[codes[at]]
            step = self._steps.get((state, verdicts)) or self._learn(state, verdicts)
            if step.failed:
                blamed |= step.failed
            if step.end is not None:
                return Played(step.end, at, step.failed if step.end is End.DEADLINE else blamed)
            state, at = step.state, at + step.later
        return Played(End.UNFINISHED, count - 1, blamed)

    def _learn(self, state: int, verdicts: Verdicts) -> _Step:
        step = self._steps[state, verdicts] = self._step(self._known[state], verdicts)
        return step

    def _step(self, status: CanaryStatus, verdicts: Verdicts) -> _Step:
        """Ask `decide` what a look does, an interval after the last one."""
        now = _BEGINNING + self._canary.analysis_interval if status.last_check_time else _BEGINNING
        decision, asked = self._decide(status, now, verdicts)
        after = decision.status
        counted = after.failed_checks > status.failed_checks or _own(after) > _own(status)
        failed = self._failing(verdicts) & asked if counted else 0
        if after.phase is Phase.FAILED:
            # Of a metric that has its own limit, or is critical, fewer are enough.
            if failed or after.failed_checks >= self._canary.threshold:
                return _Step(0, End.FAILED_CHECKS, 0, failed)
            return _Step(0, End.DEADLINE, 0, self._holding(verdicts) & ~self._off(status))
        if after.phase is not Phase.PROGRESSING:
            return _Step(0, End.PROMOTED, 0, failed)
        wait = (decision.wake or now) - now
        # A deadline may end a hold between two looks; the data has none in between, so it ends at the next one.
        return _Step(self._state(after, now), None, max(1, -(-wait // self._canary.analysis_interval)), failed)

    def _decide(self, status: CanaryStatus, now: datetime, verdicts: Verdicts) -> tuple[Decision, int]:
        """What is decided, and which metrics were asked for it."""
        canary = self._canary.replace(status=status)
        split = self._plan.current(status).split if self._weighted else ALL_PRIMARY
        answers: dict[Question, Answer] = {}
        for _ in range(_MOST_PASSES):
            facts = Facts(
                now=now,
                target=Workload(_NEW, _READY),
                primary=Workload(_OLD, _READY),
                split=split,
                weighted=self._weighted,
                answers=answers,
            )
            decision = decide(canary, facts)
            if not decision.asks:
                asked = {each.index for each in answers if isinstance(each, MetricQuestion)}
                return decision, sum(1 << index for index in asked)
            answers = {each: self._answer(each, verdicts, now) for each in decision.asks}
        raise AssertionError(decision.reason)

    def _answer(self, question: Question, verdicts: Verdicts, now: datetime) -> Reading:
        if not isinstance(question, MetricQuestion):
            raise TypeError(question)
        metric = self._canary.analysis.metrics[question.index]
        return reading_of(metric, said_for(metric, VERDICTS[verdicts[question.index]]), now)

    def _state(self, status: CanaryStatus, now: datetime) -> int:
        """A number for where a rollout stands, the same whenever it stands there."""
        ago = now - (status.last_progress_time or now)
        held = _BEGINNING - (now - status.held_since) if status.held_since is not None else None
        begun = status.analysis_start_time
        # Beyond the longest delay nothing hangs on it.
        age = min(now - begun, self._delay) if begun is not None else None
        since, ends = status.step_since, self._plan.current(status).ends
        paused = min(now - since, ends.length) if since is not None and isinstance(ends, Paused) else timedelta(0)
        bare = status.replace(
            last_check_time=_BEGINNING,
            last_progress_time=_BEGINNING - ago,
            held_since=held,
            analysis_start_time=_BEGINNING - age if age is not None else None,
            step_since=_BEGINNING - paused if since is not None else None,
            last_transition_time=None,
            conditions=(),
            checks=(),
            message="",
            rollout=None,
            history=(),
            outbox=(),
        )
        number = self._states.setdefault(bare, len(self._states))
        if number == len(self._known):
            self._known.append(bare)
        return number

    def _off(self, status: CanaryStatus) -> int:
        """The metrics that nobody looks at where a rollout stands."""
        off = self._plan.current(status).off
        return _bits(each.name in off for each in self._canary.analysis.metrics)

    def _failing(self, verdicts: Verdicts) -> int:
        return _bits(
            each != UNAVAILABLE and counts_as_failed(self._canary, index, each) for index, each in enumerate(verdicts)
        )

    def _holding(self, verdicts: Verdicts) -> int:
        """What holds a rollout: no data, or failures that count for nothing."""
        return self._failing(verdicts) | _bits(
            each == NO_DATA and not counts_as_failed(self._canary, index, each) for index, each in enumerate(verdicts)
        )


def _left_to_itself(step: AnalysisStep) -> AnalysisStep:
    """A step with pods that are ready, people who have resumed it and gates that are open."""
    if step.scale is not None:
        return AnalysisStep(scale=Scale(replicas=1))
    waits = step.gate is not None or (step.pause is not None and step.pause.duration is None)
    return AnalysisStep(analysis=Checks()) if waits else step


def least_looks(step: Step, interval: timedelta) -> int:
    """How many looks a step takes at least, an interval apart."""
    return max(1, -(-step.least(interval) // interval))


def _own(status: CanaryStatus) -> int:
    """Failed checks that count for limits of their own."""
    return sum(each.failed for each in status.failure_counts)


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << index for index, flag in enumerate(flags) if flag)


def counts_as_failed(canary: Canary, index: int, verdict: int) -> bool:
    """Whether a verdict of a metric is a failed check, by the metric's own policy."""
    metric = canary.analysis.metrics[index]
    if metric.dry_run:
        return False
    if verdict == NO_DATA:
        return metric.no_data is NoDataPolicy.FAIL
    if verdict == UNAVAILABLE:
        return metric.unavailable is UnavailablePolicy.FAIL
    return verdict == FAIL
