"""The plan of a spec that writes its steps out: the places at which a rollout stands.

What is set by steps that follow on one another is set together, at the first place after them. That is a wait (a pause,
checks, a gate), or where the same thing is about to be set anew, or the end: a weight without a wait behind it lasts
one look, as anywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeAlias

from canary.api.analysis import Analysis
from canary.api.steps import SETTINGS, AnalysisStep, Scale, named_checks
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.rollout.replica_weights import Count, counts


@dataclass(frozen=True, slots=True)
class Looks:
    """It ends by so many good looks."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Paused:
    """It ends by the first good look after so long a time."""

    length: timedelta


@dataclass(frozen=True, slots=True)
class Resumed:
    """It ends by a good look once a person has resumed it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """It ends by a good look once a gate is open."""

    gate: str


End: TypeAlias = Looks | Paused | Resumed | Opened
"""How a rollout comes on from where it stands."""

ONE_LOOK = Looks()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rollout stands.

    Args:
        number: the step of the spec that it has come to, from 1.
        split: how requests are divided.
        ends: how it goes on.
        count: how many pods that takes, where requests are divided by the numbers of pods.
        pods: how many pods the canary is given; 0 where no step says.
        off: the checks that are not looked at.
    """

    number: int
    split: Split
    ends: End = ONE_LOOK
    count: Count | None = None
    pods: int = 0
    off: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Settings:
    """What is set so far."""

    weight: int = 0
    mirror: int = 0
    header: int = 0
    scale: Scale | None = None
    onwards: frozenset[str] = frozenset()
    begun: set[str] = field(default_factory=set)

    def take(self, number: int, step: AnalysisStep) -> None:
        if step.weight is not None:
            self.weight = min(max(step.weight, 0), TOTAL_WEIGHT)
        if step.scale is not None:
            self.scale = step.scale
        if step.header is not None:
            self.header = number if step.header.match else 0
        if step.mirror is not None:
            self.mirror = min(max(step.mirror.weight, 0), TOTAL_WEIGHT)
        self.begun.add(step.kind)

    @property
    def split(self) -> Split:
        if self.weight:
            return Split(self.weight, header=self.header)
        if self.header:
            return Split(TOTAL_WEIGHT, matched=True, header=self.header)
        return Split(0, mirror=self.mirror)


def places(analysis: Analysis, *, weighted: bool, replicas: int) -> tuple[Place, ...]:
    """Where a rollout stands, in order.

    Args:
        analysis: the analysis, with steps.
        weighted: whether the router divides requests by weight; where it doesn't, nobody is led to the canary.
        replicas: pods of the primary.
    """
    found = (_place(analysis, *each, replicas) for each in _stands(analysis.steps))
    return tuple(each if weighted else replace(each, split=Split(0), count=None) for each in found)


_Stand: TypeAlias = tuple[int, _Settings, AnalysisStep | None]


def _stands(steps: tuple[AnalysisStep, ...]) -> Iterator[_Stand]:
    so_far = _Settings()
    for number, step in enumerate(steps, 1):
        if step.kind in SETTINGS:
            if step.kind in so_far.begun:
                yield number - 1, so_far, None
                so_far.begun.clear()
            so_far.take(number, step)
            continue
        if step.analysis is not None and step.analysis.onwards:
            so_far.onwards |= frozenset(step.analysis.checks)
        yield number, so_far, step
        so_far.begun.clear()
    if so_far.begun:
        yield len(steps), so_far, None


def _place(analysis: Analysis, number: int, so_far: _Settings, step: AnalysisStep | None, replicas: int) -> Place:
    split, count = so_far.split, None
    if analysis.replica_ratio and so_far.weight:
        count = counts((so_far.weight,), replicas)[0]
        split = Split(count.share)
    here = frozenset(step.checks) if step is not None else frozenset[str]()
    return Place(
        number,
        split,
        _end(step),
        count,
        _pods(so_far, replicas),
        _off(analysis, split, here | so_far.onwards),
    )


def _end(step: AnalysisStep | None) -> End:
    if step is None:
        return ONE_LOOK
    if step.pause is not None:
        return Paused(step.pause.duration) if step.pause.duration is not None else Resumed()
    if step.experiment is not None:
        return Paused(step.experiment.duration)
    if step.gate is not None:
        return Opened(step.gate.name)
    return Looks(max(step.analysis.looks, 1)) if step.analysis is not None else ONE_LOOK


def _pods(so_far: _Settings, replicas: int) -> int:
    """How many pods the canary is given; never fewer than its share of the requests takes."""
    scale = so_far.scale
    if scale is None:
        return 0
    least = max(1, _part(so_far.weight, replicas))
    if scale.match_traffic:
        return least
    return max(least, scale.replicas if scale.replicas is not None else _part(scale.weight or 0, replicas))


def _part(percent: int, replicas: int) -> int:
    return -(-percent * replicas // TOTAL_WEIGHT)


def _off(analysis: Analysis, split: Split, named: frozenset[str]) -> frozenset[str]:
    """The checks that are not looked at: those that other steps name, and of a canary without requests all."""
    off = named_checks(analysis.steps)
    if split == Split(0):
        off |= {each.name for each in analysis.metrics} | {each.name for each in analysis.conditions}
    return off - named
