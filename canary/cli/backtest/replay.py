"""Rollouts begun at every look of a window: how many would have been rolled back, when, and by which metric."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from canary.api.canary import Canary
from canary.cli.backtest.policy import FAIL, NO_DATA, PASS, UNAVAILABLE, End, Looks, Policy
from metrics.threshold import Threshold


@dataclass(frozen=True, slots=True)
class Episode:
    """Rollouts begun one look after the other, all rolled back by metrics, or all for want of any record.

    Args:
        first: the look at which the first of them begins.
        last: the look at which the last of them begins.
        until: the look at which the last of them is rolled back.
        blamed: the metrics that failed or held one of them: bit i stands for metric i of the spec; none where nothing
            was recorded.
    """

    first: int
    last: int
    until: int
    blamed: int

    @property
    def starts(self) -> int:
        """How many rollouts there are."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Blame:
    """What one metric did to the rollouts that were rolled back.

    Args:
        part: rollouts in which its checks failed, or in which it held until the deadline.
        alone: those of them in which no other metric's did.
    """

    part: int = 0
    alone: int = 0


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of the rollouts.

    Args:
        ends: how many ended in which way.
        failed: how many were rolled back because checks of metrics failed.
        blame: by metric of the spec.
        unrecorded: how many were rolled back because nothing was recorded for too long, and for nothing else.
        episodes: those that were rolled back, in order of time.
    """

    ends: Counter[End]
    failed: int
    blame: tuple[Blame, ...]
    unrecorded: int
    episodes: tuple[Episode, ...]

    @property
    def told(self) -> int:
        """Rollouts that ended within the window."""
        return sum(count for end, count in self.ends.items() if end is not End.UNFINISHED)

    @property
    def rolled_back(self) -> int:
        """Rollouts that were rolled back."""
        return self.ends[End.FAILED_CHECKS] + self.ends[End.DEADLINE]

    @property
    def failed_share(self) -> float | None:
        """The part of the rollouts that metrics rolled back by failed checks, 0 to 1; None where none ended."""
        return self.failed / self.told if self.told else None


def verdicts(values: Sequence[float], threshold: Threshold, recorded: Sequence[bool]) -> bytearray:
    """What a metric says at every look: no data where it has none, unavailable where nothing at all is recorded."""
    accepts = threshold.accepts
    return bytearray(
        (PASS if accepts(value) else FAIL) if not math.isnan(value) else NO_DATA if there else UNAVAILABLE
        for value, there in zip(values, recorded, strict=True)
    )


def replay(policy: Policy, looks: Looks, metrics: int, offset: int = 0) -> Replay:
    """Play a rollout from every look on.

    At the end of the window a version that fails is done earlier than one that passes: rollouts that the window leaves
    too little room for count as unfinished, whatever they show.

    Args:
        policy: the decisions.
        looks: what the metrics say.
        metrics: how many there are.
        offset: what is added to the looks that come back.
    """
    ends: Counter[End] = Counter()
    blames: Counter[int] = Counter()
    episodes: list[Episode] = []
    failed = 0
    room = max(0, len(looks) - policy.longest)
    ends[End.UNFINISHED] = len(looks) - room
    for start in range(room):
        played = policy.play(looks, start)
        ends[played.end] += 1
        if played.end not in (End.FAILED_CHECKS, End.DEADLINE):
            continue
        blames[played.blamed] += 1
        failed += played.end is End.FAILED_CHECKS and played.blamed != 0
        at, until = start + offset, played.last + offset
        if episodes and episodes[-1].last == at - 1 and (episodes[-1].blamed == 0) == (played.blamed == 0):
            before = episodes[-1]
            episodes[-1] = replace(
                before, last=at, until=max(before.until, until), blamed=before.blamed | played.blamed
            )
        else:
            episodes.append(Episode(at, at, until, played.blamed))
    return Replay(ends, failed, tuple(_blame(blames, metrics)), blames[0], tuple(episodes))


def _blame(blames: Counter[int], metrics: int) -> Iterator[Blame]:
    for index in range(metrics):
        bit = 1 << index
        part = sum(count for blamed, count in blames.items() if blamed & bit)
        yield Blame(part, blames[bit])


def worst(values: Sequence[float], threshold: Threshold, looks: range) -> float | None:
    """The value farthest outside of the accepted range; None where none is outside."""
    outside = [values[look] for look in looks if not math.isnan(values[look]) and not threshold.accepts(values[look])]
    return max(outside, key=lambda value: _excess(value, threshold), default=None)


def _excess(value: float, threshold: Threshold) -> float:
    if threshold.min is not None and value < threshold.min:
        return threshold.min - value
    return value - (threshold.max if threshold.max is not None else math.inf)


def blamed_metrics(canary: Canary, blamed: int) -> Iterator[tuple[int, str]]:
    """The places and names of the metrics behind the bits."""
    return ((index, metric.name) for index, metric in enumerate(canary.analysis.metrics) if blamed >> index & 1)
