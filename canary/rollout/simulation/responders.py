"""The world outside the cluster: what metrics and webhooks answer, by the scenario."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

from canary.api.analysis import HookType, Metric
from canary.api.canary import Canary
from canary.api.status import Verdict
from canary.rollout.facts import Answer, HookAnswer, HookQuestion, MetricQuestion, PodsAnswer, PodsQuestion
from canary.rollout.simulation.cluster import Cluster
from canary.rollout.simulation.scenario import Reading, Scenario, Side, Window
from metrics import reading
from metrics.judge import Counts, Look
from metrics.question import Empty, Number

_LOOK = timedelta(seconds=5)
_MOST_LOOKS = 200
_LOOK_REQUESTS = 250.0
"""Requests of each version in one look: 50 a second."""


@dataclass(frozen=True, slots=True)
class Since:
    """Since when a revision has been ready in a workload, and has had requests; empty while none is ready."""

    revision: str = ""
    ready: datetime | None = None
    loaded: datetime | None = None


def loaded(before: Mapping[Side, Since], cluster: Cluster, now: datetime) -> dict[Side, Since]:
    """Since when what each workload runs has been ready, and has had requests."""
    since = dict(before)
    for side in Side:
        workload = cluster.side(side)
        running = workload.revision if workload is not None and workload.runs(now) else ""
        if running != since[side].revision:
            since[side] = Since(running, now)
        if running and since[side].loaded is None and cluster.shares(now)[side]:
            since[side] = replace(since[side], loaded=now)
    return since


def answer(
    scenario: Scenario,
    canary: Canary,
    question: HookQuestion | MetricQuestion | PodsQuestion,
    *,
    now: datetime,
    side: Side,
    revision: str,
    age: timedelta,
    weight: int,
    unheard: bool = False,
) -> Answer:
    """What the outside world says.

    Args:
        scenario: what it goes by.
        canary: whose metric or webhook it is.
        question: what is asked.
        now: the time of the answer.
        side: the workload that is asked about.
        revision: what it runs.
        age: how long that has had requests, or ready pods.
        weight: percent of requests that it gets.
        unheard: whether no request has come to it that a metric could tell of.
    """
    match question:
        case MetricQuestion(index=index):
            metric = canary.analysis.metrics[index]
            if inside(scenario.metrics_down, now - scenario.start):
                said: reading.Said = reading.Unread(reading.Cause.UNREACHABLE, "the metrics server can't be reached")
            else:
                read = Reading() if unheard else _reading(scenario, metric, side, revision, age, weight)
                said = _said(metric, read, now, age)
            return reading.Reading(said=said, interval=metric.interval, time=now)
        case HookQuestion(index=index):
            hook = canary.analysis.webhooks[index]
            return reply(scenario, hook.name, hook.type, now - scenario.start)
        case PodsQuestion():
            return PodsAnswer(scenario.version(revision).why_not)
        case _:
            assert_never(question)


def inside(windows: tuple[Window, ...], at: timedelta) -> bool:
    """Whether a moment lies in one of these windows."""
    return any(window.start <= at < window.end for window in windows)


def reply(scenario: Scenario, name: str, type_: HookType, at: timedelta) -> HookAnswer:
    """What a webhook says at a moment."""
    fitting = [
        each
        for each in scenario.replies
        if each.name in ("", name)
        and each.type in (None, type_)
        and each.start <= at
        and (each.end is None or at < each.end)
    ]
    approved = fitting[-1].approved if fitting else type_ is not HookType.ROLLBACK
    return HookAnswer(approved, "" if approved or not fitting else fitting[-1].message)


def _reading(scenario: Scenario, metric: Metric, side: Side, revision: str, age: timedelta, weight: int) -> Reading:
    fitting = [
        each
        for each in scenario.version(revision).readings
        if each.metric in ("", metric.name)
        and each.side in (None, side)
        and each.after <= age
        and each.weight <= weight
    ]
    return fitting[-1] if fitting else Reading(_healthy(metric))


def _healthy(metric: Metric) -> float:
    if metric.compare_to is not None:
        return 100.0
    limits = metric.limits
    if limits.max is not None:
        return limits.max
    return limits.min if limits.min is not None else 0.0


def _said(metric: Metric, read: Reading, now: datetime, age: timedelta) -> reading.Said:
    if read.verdict is not None:
        return said_for(metric, read.verdict, read.message)
    if read.value is None or math.isnan(read.value):
        return Empty(read.message or "no values found")
    if metric.compare_to is not None:
        return _counts(1 - read.value / 100, now, age)
    return Number(read.value)


def _counts(bad: float, now: datetime, age: timedelta) -> reading.Compared:
    """What is counted of a canary of which this share of requests fails, beside a primary of which none does."""
    looks = max(1, min(_MOST_LOOKS, int(age / _LOOK)))
    each, seconds = _LOOK_REQUESTS, age.total_seconds() / looks
    look = Look(Counts(each, min(max(bad, 0.0), 1.0) * each), Counts(each, 0.0), seconds)
    return reading.Compared((look,) * looks, (), now - age)


def said_for(metric: Metric, verdict: Verdict, why: str = "") -> reading.Said:
    """What a metrics server says where the metric comes to this verdict.

    Args:
        metric: the metric.
        verdict: what it is to come to.
        why: the reason, where there is no number.

    Raises:
        ValueError: the metric accepts every number, and is to fail.
    """
    match verdict:
        case Verdict.NO_DATA:
            return Empty(why or "no values found")
        case Verdict.UNAVAILABLE:
            return reading.Unread(reading.Cause.MISCONFIGURED, why)
        case Verdict.PASS:
            return Number(_healthy(metric)) if metric.compare_to is None else _COMPARES_WELL
        case Verdict.FAIL:
            return Number(_unhealthy(metric)) if metric.compare_to is None else _COMPARES_BADLY


def _unhealthy(metric: Metric) -> float:
    limits = metric.limits
    if limits.max is not None:
        return math.inf
    if limits.min is not None:
        return -math.inf
    msg = f"metric {metric.name} accepts every number"
    raise ValueError(msg)


_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_COMPARES_WELL, _COMPARES_BADLY = (_counts(bad, _LONG_AGO, _MOST_LOOKS * _LOOK) for bad in (0.0, 1.0))
