"""The plan of traffic of each strategy: the steps that a rollout takes, in order, and where it stands."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from canary.api.analysis import MAX_ITERATIONS
from canary.api.canary import Canary
from canary.api.status import CanaryStatus
from canary.api.traffic import ALL_PRIMARY, TOTAL_WEIGHT, Split
from canary.rollout.replica_weights import Count, counts
from canary.rollout.step_plan import ONE_LOOK, End, Looks, Paused, places

DEFAULT_ITERATIONS = 10
"""How often a version is looked at before promotion, where the router has no weights and the spec no iterations."""


@dataclass(frozen=True, slots=True)
class Step:
    """One stretch of an analysis: how traffic is divided, and which iteration it is where they are counted.

    Args:
        split: how traffic is divided.
        iteration: which one it is, from 1; 0 where they are not counted.
        count: how many pods that takes; None where the numbers of pods make no difference.
        ends: how a rollout comes on from it.
        pods: how many pods the canary is given for it; 0 where the spec doesn't say.
        off: the checks that are not looked at.
    """

    split: Split
    iteration: int = 0
    count: Count | None = None
    ends: End = ONE_LOOK
    pods: int = 0
    off: frozenset[str] = frozenset()

    @property
    def replicas(self) -> int:
        """How many pods the canary has to have; 0 where that is as it is."""
        return self.count.pods if self.count is not None else self.pods

    def least(self, interval: timedelta) -> timedelta:
        """How long it lasts at least."""
        match self.ends:
            case Paused(length):
                return length
            case Looks(count):
                return count * interval
        return interval


EVERYBODY = Split(canary=TOTAL_WEIGHT)
NO_STEP = Step(ALL_PRIMARY)


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps between the start of an analysis and the promotion; each lasts one interval at least.

    Args:
        steps: in order.
        iterations: how many there are where they are counted; 0 where they are told apart by their weights.
        primary: pods of the primary, where requests are divided by the numbers of pods; 0 where they are not.
        written: how many steps the spec writes out; 0 where it doesn't. Those at which a rollout stands are `steps`,
            each with its number as its iteration.
    """

    steps: tuple[Step, ...]
    iterations: int = 0
    primary: int = 0
    written: int = 0

    @property
    def count(self) -> int:
        """How many steps there are, as people count them."""
        return self.written or len(self.steps)

    def begun(self, status: CanaryStatus) -> int:
        """How many steps were begun, as people count them."""
        return self.current(status).iteration if self.written else self.position(status)

    def least(self, interval: timedelta) -> timedelta:
        """How long all of it takes at least."""
        return sum((step.least(interval) for step in self.steps), timedelta(0))

    @property
    def looks(self) -> int:
        """How many good looks it takes at least."""
        return sum(step.ends.count if isinstance(step.ends, Looks) else 1 for step in self.steps)

    @property
    def _counts(self) -> bool:
        """Whether the count of iterations says where a rollout stands: of a mirroring step the weight doesn't."""
        return bool(self.steps) and self.steps[-1].iteration > 0

    def position(self, status: CanaryStatus) -> int:
        """How many steps were begun: 0 before the first, `len(steps)` at the last.

        Weights and iterations are what the status keeps, so a plan that is edited in mid-rollout goes on at the
        first step that is beyond what was reached; an edit of the strategy starts anew.
        """
        if self.written:
            return self._written_position(status)
        if not self._counts and status.iterations:
            return 0
        # Neither weights nor iterations go down from step to step, so what is reached comes first.
        return bisect_left(self.steps, True, key=lambda step: not self._reached(step, status))

    def _written_position(self, status: CanaryStatus) -> int:
        """By the numbers of the steps. Nobody gets more by an edit than was reached, so that it goes back for that."""
        position = bisect_right(self.steps, status.iterations, key=lambda step: step.iteration)
        while position and self._more(self.steps[position - 1], status):
            position -= 1
        return position

    def _more(self, step: Step, status: CanaryStatus) -> bool:
        return step.count is None and step.split.canary > status.canary_weight

    def _reached(self, step: Step, status: CanaryStatus) -> bool:
        return step.iteration <= status.iterations and step.split.canary <= status.canary_weight

    def next(self, status: CanaryStatus) -> Step | None:
        """The step that comes next; None after the last."""
        position = self.position(status)
        return self.steps[position] if position < len(self.steps) else None

    def current(self, status: CanaryStatus) -> Step:
        """The step that goes on; nothing on the canary before the first."""
        if self._counts or status.iterations:
            position = self.position(status)
            return self.steps[position - 1] if position else NO_STEP
        # A weight that an edit has taken out of the plan is kept until the next step, as far as it can be had.
        weight = status.canary_weight
        if self.primary and weight:
            return counted(*counts((weight,), self.primary))
        return Step(Split(canary=weight))


def counted(count: Count) -> Step:
    """The step that divides requests by the numbers of pods."""
    return Step(Split(canary=count.share), count=count)


def plan_of(canary: Canary, *, weighted: bool, replicas: int = 1) -> Plan:
    """The plan that a spec asks for.

    Args:
        canary: the Canary.
        weighted: whether the router divides traffic by weight.
        replicas: pods of the primary, which matter where it does so by the numbers of pods.
    """
    analysis = canary.analysis
    if analysis.steps:
        return _written_plan(canary, weighted=weighted, replicas=replicas)
    # The rules refuse more; where they are skipped with the analysis, so many steps would take all memory.
    iterations = min(analysis.iterations, MAX_ITERATIONS)
    if not iterations and not weighted:
        iterations = DEFAULT_ITERATIONS
    mirrored = (analysis.mirror_weight or TOTAL_WEIGHT) if analysis.mirror and weighted else 0
    return _plan(
        () if iterations else canary.steps,
        iterations,
        mirrored=mirrored,
        matched=bool(analysis.match),
        weighted=weighted,
        primary=replicas if analysis.replica_ratio and weighted else 0,
    )


def _written_plan(canary: Canary, *, weighted: bool, replicas: int) -> Plan:
    analysis = canary.analysis
    found = places(analysis, weighted=weighted, replicas=replicas)
    steps = (Step(each.split, each.number, each.count, each.ends, each.pods, each.off) for each in found)
    return Plan(tuple(steps), written=len(analysis.steps))


@lru_cache(maxsize=256)
def _plan(
    weights: tuple[int, ...], iterations: int, *, mirrored: int, matched: bool, weighted: bool, primary: int
) -> Plan:
    if not iterations and primary:
        return Plan(tuple(counted(each) for each in counts(weights, primary)), primary=primary)
    if not iterations and mirrored:
        # One step in which the canary gets copies only; what it answers is thrown away, and judged.
        steps = (Step(Split(canary=0, mirror=mirrored), 1), *(Step(Split(canary=weight), 1) for weight in weights))
        return Plan(steps)
    if not iterations:
        return Plan(tuple(Step(Split(canary=weight)) for weight in weights))
    if matched and weighted:
        chosen = Split(canary=TOTAL_WEIGHT, matched=True)
        return Plan(tuple(Step(chosen, n + 1) for n in range(iterations)), iterations)
    quiet = tuple(Step(Split(canary=0, mirror=mirrored), n + 1) for n in range(iterations))
    # Blue/green: the users see the new version whole for one interval before it replaces the old one.
    full = (Step(EVERYBODY, iterations + 1),) if weighted else ()
    return Plan(quiet + full, iterations)
