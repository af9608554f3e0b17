"""Scores of groups of metrics, and what they say of a canary, as Kayenta reckons them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import floor

from metrics.judge.mannwhitney import Classified, Label, Series, classify

_ALL = 100.0
_TOO_MANY = 0.5
"""The part of the metrics without data at which nothing is said for the canary."""


class Grade(StrEnum):
    """What a score says."""

    PASSES = "Pass"
    MARGINAL = "Marginal"
    FAIL = "Fail"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which scores on a canary passes, or nearly does.

    Args:
        passing: the lowest score that passes.
        marginal: the lowest that doesn't fail.

    Raises:
        ValueError: they are not in order, or not between 0 and 100.
    """

    passing: float
    marginal: float

    def __post_init__(self) -> None:
        if not 0 <= self.marginal <= self.passing <= _ALL:
            msg = f"scores go from 0 to 100, marginal before pass: {self.marginal}, {self.passing}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Group:
    """The score of a group.

    Args:
        name: its name.
        score: the part of its metrics that pass, in percent; None where none has data.
    """

    name: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """What is to be said of a canary.

    Args:
        grade: what the score says.
        score: from 0 to 100.
        groups: the scores that it was made from.
        metrics: what was said of each metric, the muted ones too.
        reason: why the score is 0, where no group's is; empty otherwise.
    """

    grade: Grade
    score: float
    groups: tuple[Group, ...]
    metrics: tuple[Classified, ...]
    reason: str = ""


def score(metrics: Sequence[Series], weights: Mapping[str, float], thresholds: Thresholds) -> Score:
    """Judge a canary.

    Args:
        metrics: all of them.
        weights: of the groups, in percent; those without one share what is left of 100.
        thresholds: what a score means.
    """
    said = tuple(classify(each) for each in metrics)
    counted = [each for each in said if not each.series.muted]
    groups = _groups(counted)
    critical = next((each for each in counted if each.fails and each.label is not Label.PASSES), None)
    without = sum(each.label is Label.NO_DATA for each in counted)
    if critical is not None:
        return Score(Grade.FAIL, 0.0, groups, said, f"critical: {critical.reason}")
    if without >= _TOO_MANY * len(counted):
        reason = f"{without} of {len(counted)} metrics have no data" if counted else "there is no metric to judge by"
        return Score(Grade.FAIL, 0.0, groups, said, reason)
    value = _summary(groups, weights)
    if value >= thresholds.passing:
        grade = Grade.PASSES
    else:
        grade = Grade.MARGINAL if value >= thresholds.marginal else Grade.FAIL
    return Score(grade, value, groups, said)


def _groups(said: Sequence[Classified]) -> tuple[Group, ...]:
    labels: dict[str, list[Label]] = {}
    for each in said:
        for name in each.series.groups:
            labels.setdefault(name, []).append(each.label)
    return tuple(Group(name, _part(some)) for name, some in labels.items())


def _part(labels: Sequence[Label]) -> float | None:
    with_data = [label for label in labels if label is not Label.NO_DATA]
    return _ALL * with_data.count(Label.PASSES) / len(with_data) if with_data else None


def _summary(groups: Sequence[Group], weights: Mapping[str, float]) -> float:
    """The weighted sum; a group without data counts as one that passes."""
    rest = [group for group in groups if group.name not in weights]
    share = (_ALL - sum(weights.values())) / len(rest) if rest else 0.0
    parts = ((_ALL if group.score is None else group.score) * weights.get(group.name, share) for group in groups)
    return floor(sum(parts) + 0.5) / _ALL
