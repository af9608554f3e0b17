"""The error budget: while it is spent no rollout begins or goes on, and no version has failed for that."""

from datetime import datetime
from typing import Final

from canary.rollout import overrides
from canary.rollout.facts import BudgetQuestion
from canary.rollout.runs import last_asked
from canary.rollout.situation import Situation
from metrics import verdict
from metrics.reading import Reading
from metrics.threshold import Series, Threshold

BUDGET_SPENT: Final = "ErrorBudgetSpent"
"""Reason of a rollout that waits until there is an error budget again."""


def question(s: Situation) -> BudgetQuestion | None:
    """What is asked before a rollout begins, and before each of its steps; None where nothing is."""
    asked = s.canary.spec.scheduling.error_budget is not None and not overrides.in_force(s)
    return BudgetQuestion(s.look) if asked else None


def next_asked(s: Situation) -> datetime:
    """When it is asked again once it was found spent."""
    return s.due(last_asked(s), s.canary.analysis_interval)


def spent(s: Situation, asked: BudgetQuestion) -> str:
    """What the answer says against going on, in words; empty where it says nothing.

    Of a budget that nobody can tell it is not known that there is any left.

    Raises:
        KeyError: there is no answer.
        TypeError: the answer is not a metric's.
    """
    reading, metric = s.answer(asked), s.canary.spec.scheduling.budget_metric
    if not isinstance(reading, Reading):
        msg = f"{asked} was answered by {reading}"
        raise TypeError(msg)
    limits = Threshold(metric.limits.min, metric.limits.max)
    match verdict.judge(metric.name, limits, reading, series=Series(metric.series.value)):
        case verdict.Pass():
            return ""
        case verdict.Fail(message=words):
            return f"the error budget is spent: {words}"
        case verdict.NoData(message=words) | verdict.Unavailable(message=words):
            return f"nobody can tell the error budget: {words}"
