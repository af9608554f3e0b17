"""Pretend rollouts: one version's own requests are divided into those of a pretend canary and of a pretend primary.

Both halves are the same version, so that whoever is called worse is called so by error. Divided in two ways, the
truth lies between them:

- by requests: each goes to either by chance, as a gateway divides them. What comes in clusters comes to both.
- by time: of two looks that follow each other, one is the canary's and one the primary's. What comes in clusters comes
  to one of them, and so does what both would have met together, as an outage of a database.

Then the canary is made worse: a share of its good requests fails.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from random import Random
from statistics import median

from canary.api.analysis import Advance, Metric, NoDataPolicy
from canary.api.canary import Canary
from canary.cli.backtest.chance import binomial, wilson
from canary.cli.backtest.counting import Counted
from canary.rollout.plan import plan_of
from metrics.judge import Counts, Look
from metrics.judge.evidence import no_worse, worse
from metrics.samples import Span

HEALTHY, WORSE = 400, 100
"""Pretend rollouts of the same version, and of each that is worse."""

MORE = (0.005, 0.01, 0.03, 0.1, 1.0)
"""Shares of the canary's good requests that fail in versions that are worse, beyond the tolerance."""

FALSE_ADVANCE = 0.05
"""As the judge's own."""


class By(StrEnum):
    """How the requests are divided."""

    REQUESTS = "requests"
    TIME = "time"


class Pretended(StrEnum):
    """How a pretend rollout ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolledBack"
    STARVED = "starved"
    """It was held for want of requests for as long as a rollout may be."""


@dataclass(frozen=True, slots=True)
class Ended:
    """One pretend rollout.

    Args:
        how: how it ended.
        seconds: how long it took.
        bad: requests of the canary that failed.
    """

    how: Pretended
    seconds: float
    bad: float


@dataclass(frozen=True, slots=True)
class Healthy:
    """Pretend rollouts of the same version.

    Args:
        by: how the requests were divided.
        rollouts: how many there were.
        rolled_back: how many of them were, in error.
        share: the part that was, 0 to 1.
        least: the lower end of its 95 % interval.
        most: the upper end.
        starved: how many were held for want of requests for as long as a rollout may be.
        seconds: how long those that were promoted took; None where none was.
    """

    by: By
    rollouts: int
    rolled_back: int
    share: float
    least: float
    most: float
    starved: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Worse:
    """Pretend rollouts of a version that is worse.

    Args:
        more: the share of its requests that fails beside those that fail anyway, 0 to 1.
        rollouts: how many there were.
        found: how many were rolled back.
        seconds: after how long, in the median; None where none was.
        bad: failed requests of the canary until then, in the median; None where none was.
    """

    more: float
    rollouts: int
    found: int
    seconds: float | None
    bad: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What the judge would have done.

    Args:
        metric: name of the metric that is compared.
        promise: the share of healthy rollouts that it may roll back, 0 to 1, over all comparisons.
        tolerance: by how much more often the canary may fail, as a difference of shares.
        look: how long one look lasts.
        rate: the share of requests that failed.
        per_second: requests a second.
        healthy: pretend rollouts of the same version.
        worse: pretend rollouts of versions that are worse.
        seed: where the chances came from.
    """

    metric: str
    promise: float
    tolerance: float
    look: timedelta
    rate: float
    per_second: float
    healthy: tuple[Healthy, ...]
    worse: tuple[Worse, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Course:
    """How a rollout goes.

    Args:
        weights: the share of requests that the canary gets, by step.
        lengths: seconds that each of them lasts.
        patience: seconds for which a step is held for want of requests.
        min_samples: requests that the canary must have had in a step before it may end.
        waits: whether a step waits for them.
        tolerance: the difference of rates that is accepted.
        level: what is asked of the evidence: the promise, divided among all comparisons.
        on_evidence: whether a step may end before its interval.
    """

    weights: tuple[float, ...]
    lengths: tuple[float, ...]
    patience: float
    min_samples: int
    waits: bool
    tolerance: float
    level: float
    on_evidence: bool

    @classmethod
    def of(cls, canary: Canary, metric: Metric, *, weighted: bool) -> Course:
        """The course of a Canary's rollouts, by one metric that it compares."""
        analysis = canary.analysis
        steps = [
            each
            for each in plan_of(canary, weighted=weighted).steps
            if 0 < each.split.canary < 100 and not each.split.matched and metric.name not in each.off
        ]
        return cls(
            weights=tuple(each.split.canary / 100 for each in steps),
            lengths=tuple(each.least(canary.analysis_interval).total_seconds() for each in steps),
            patience=canary.patience.total_seconds(),
            min_samples=metric.min_samples,
            waits=metric.no_data is not NoDataPolicy.PASS,
            tolerance=metric.tolerance / 100,
            level=analysis.false_rollback / 100 / max(1, len(analysis.comparisons)),
            on_evidence=analysis.advance is Advance.EVIDENCE,
        )


def judged(
    canary: Canary, metric: Metric, counted: Counted, *, weighted: bool, seed: int, told: Callable[[int], None]
) -> Judged | str:
    """Play pretend rollouts over what was counted; the same seed gives the same.

    Args:
        canary: the Canary.
        metric: the metric that it compares.
        counted: what was counted.
        weighted: whether its traffic provider divides requests by weight.
        seed: where the chances come from.
        told: is told of each how many there were.

    Returns:
        Why that can't be done, in words, where it can't.
    """
    course = Course.of(canary, metric, weighted=weighted)
    if not course.weights:
        return f"at no step with a share of the requests the spec looks at {metric.name}"
    stretch = Stretch.of(counted)
    chance = Random(seed)  # noqa: S311 - chances of a simulation
    starts = list(stretch.starts(course))
    if not starts:
        return "what is recorded without a gap is shorter than a rollout"

    def played(number: int, by: By, more: float) -> list[Ended]:
        found = []
        for start in chance.choices(starts, k=number):
            found.append(rollout(course, stretch, start, by, more, chance))
            told(1)
        return found

    promise = canary.analysis.false_rollback / 100
    return Judged(
        metric=metric.name,
        promise=promise,
        tolerance=course.tolerance,
        look=counted.grid.step,
        rate=sum(counted.bad) / max(1.0, sum(counted.requests)),
        per_second=sum(counted.requests) / max(1.0, sum(counted.there) * stretch.seconds),
        healthy=tuple(_healthy(by, played(HEALTHY, by, 0.0)) for by in By),
        worse=tuple(_worse(more, played(WORSE, By.REQUESTS, min(1.0, course.tolerance + more))) for more in MORE),
        seed=seed,
    )


NUMBER = HEALTHY * len(By) + WORSE * len(MORE)
"""How many pretend rollouts are played."""


def _healthy(by: By, ended: Sequence[Ended]) -> Healthy:
    back = sum(each.how is Pretended.ROLLED_BACK for each in ended)
    least, most = wilson(back, len(ended))
    promoted = [each.seconds for each in ended if each.how is Pretended.PROMOTED]
    starved = sum(each.how is Pretended.STARVED for each in ended)
    return Healthy(
        by, len(ended), back, back / len(ended), least, most, starved, median(promoted) if promoted else None
    )


def _worse(more: float, ended: Sequence[Ended]) -> Worse:
    found = [each for each in ended if each.how is Pretended.ROLLED_BACK]
    return Worse(
        more,
        len(ended),
        len(found),
        median(each.seconds for each in found) if found else None,
        median(each.bad for each in found) if found else None,
    )


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was counted, as whole requests.

    Args:
        requests: by look.
        bad: by look, at most as many.
        there: by look, 1 where anything was recorded.
        seconds: how long a look lasts.
        before: how many looks the promoted version is looked at before a rollout.
    """

    requests: array[int]
    bad: array[int]
    there: bytearray
    seconds: float
    before: int

    @classmethod
    def of(cls, counted: Counted) -> Stretch:
        """What was counted of a workload."""
        requests = array("q", map(round, counted.requests))
        bad = array("q", (min(round(each), every) for each, every in zip(counted.bad, requests, strict=True)))
        span = Span.of(counted.grid.start, counted.grid.start, counted.grid.step)
        return cls(requests, bad, counted.there, counted.grid.step.total_seconds(), span.lead // span.step)

    def starts(self, course: Course) -> Iterator[int]:
        """The looks from which on there is room for a rollout that nothing holds, all of it recorded."""
        needed = -(-sum(course.lengths) // self.seconds)
        gaps = [-1, *(look for look, there in enumerate(self.there) if not there), len(self.there)]
        for before, after in pairwise(gaps):
            yield from range(before + 2, int(after - needed))

    def usual(self, start: int) -> list[Counts]:
        """What was counted before a rollout, look by look."""
        return [
            Counts(self.requests[look], self.bad[look])
            for look in range(max(0, start - self.before), start)
            if self.there[look] and self.requests[look]
        ]


def rollout(course: Course, stretch: Stretch, start: int, by: By, more: float, chance: Random) -> Ended:
    """Play one.

    Args:
        course: how it goes.
        stretch: what was counted.
        start: the look at which it begins.
        by: how the requests are divided.
        more: the share of the canary's good requests that fails.
        chance: what goes where.
    """
    usual, looks = stretch.usual(start), list[Look]()
    step, spent, had, end = 0, 0.0, 0.0, None
    for places, seconds in _places(stretch, start, by, chance):
        canary, rest = _divided(stretch, places, course.weights[step], chance)
        failing = binomial(round(canary.requests - canary.bad), more, chance)
        looks.append(Look(Counts(canary.requests, canary.bad + failing), rest, seconds))
        spent, had = spent + seconds, had + canary.requests
        enough = had >= course.min_samples or not course.waits
        length = course.lengths[step]
        if spent >= length + course.patience and not enough:
            end = Pretended.STARVED
            break
        if enough and (spent >= length or _proven(course, looks, usual)):
            # What a look is too long by is the next step's.
            step, spent, had = step + 1, max(0.0, spent - length), 0.0
        if step == len(course.weights):
            end = Pretended.PROMOTED
            break
    found = worse(looks, course.tolerance, usual).since(course.level)
    if found is not None:
        looks, end = looks[: found + 1], Pretended.ROLLED_BACK
    seconds = sum(each.seconds for each in looks)
    # The end of what is recorded, in a rollout that is held for want of requests.
    return Ended(end or Pretended.STARVED, seconds, sum(each.canary.bad for each in looks))


def _proven(course: Course, looks: Sequence[Look], usual: Sequence[Counts]) -> bool:
    return course.on_evidence and no_worse(looks, course.tolerance, usual).since(FALSE_ADVANCE) is not None


def _places(stretch: Stretch, start: int, by: By, chance: Random) -> Iterator[tuple[tuple[int, ...], float]]:
    """What is divided at each look of a rollout, and its length in seconds, until what is recorded ends.

    By time that is two looks with requests: the first is the canary's.
    """
    waiting: list[int] = []
    seconds = 0.0
    for place in range(start, len(stretch.there)):
        if not stretch.there[place]:
            return
        seconds += stretch.seconds
        if by is By.TIME:
            waiting += [place] if stretch.requests[place] else []
            if len(waiting) == 1 or not stretch.requests[place]:
                continue
            chance.shuffle(waiting)
        yield tuple(waiting) or (place,), seconds
        waiting, seconds = [], 0.0


def _divided(stretch: Stretch, places: Sequence[int], share: float, chance: Random) -> tuple[Counts, Counts]:
    """What comes to the canary, which gets this share of the requests, and what to the primary."""
    match places:
        case [mine, others]:
            return _part(stretch, mine, min(1.0, 2 * share), chance), _part(
                stretch, others, min(1.0, 2 * (1 - share)), chance
            )
    (place,) = places
    canary = _part(stretch, place, share, chance)
    return canary, Counts(stretch.requests[place] - canary.requests, stretch.bad[place] - canary.bad)


def _part(stretch: Stretch, look: int, share: float, chance: Random) -> Counts:
    """The requests of a look that go to one of the two, each by chance."""
    requests, bad = stretch.requests[look], stretch.bad[look]
    failed = binomial(bad, share, chance)
    return Counts(failed + binomial(requests - bad, share, chance), failed)
