"""Checks that are not looked at yet: what a version does while it warms up is not held against it."""

from collections.abc import Iterator

from canary.api.analysis import Policies
from canary.api.canary import Canary
from canary.api.durations import duration_text, format_duration
from canary.api.problems import Problem
from canary.rollout.plan import plan_of
from canary.rollout.situation import Situation


def is_delayed(s: Situation, check: Policies, *, primary: bool = False) -> bool:
    """Whether it is too early for a check.

    Args:
        s: the Canary and its facts.
        check: the metric or condition.
        primary: whether the promoted version is looked at, whose time begins with its promotion.
    """
    status, bake = s.status, s.status.bake
    begun = (bake.start_time if bake is not None else None) if primary else status.analysis_start_time
    return bool(check.initial_delay) and begun is not None and s.now < s.due(begun, check.initial_delay)


def has_delayed(s: Situation) -> bool:
    """Whether it is too early for a check that may speak against the canary."""
    analysis = s.canary.analysis
    return any(is_delayed(s, each) for each in (*analysis.metrics, *analysis.conditions) if not each.dry_run)


def problems(canary: Canary, *, weighted: bool) -> Iterator[Problem]:
    """Checks that a rollout would come to its end without.

    Args:
        canary: the Canary.
        weighted: whether its traffic provider divides requests by weight.
    """
    analysis, field = canary.analysis, canary.analysis_field
    # Pods that are replaced in place begin anew at each step. Where the pods of the primary count, so do the steps.
    interval = canary.analysis_interval
    last = interval if canary.in_place else plan_of(canary, weighted=weighted, replicas=_MANY).least(interval)
    for name, checks in (("metrics", analysis.metrics), ("conditions", analysis.conditions)):
        for index, check in enumerate(checks):
            if check.initial_delay > last:
                message = (
                    f"{duration_text(check.initial_delay)} are not over at the last look, after {format_duration(last)}"
                )
                remedy = "write a shorter one, or more steps or a longer interval"
                yield Problem(f"{field}.{name}[{index}].initialDelay", message, remedy)


_MANY = 1000
"""Pods of the primary with which every weight can be had."""
