"""The world outside the cluster: what metrics and webhooks answer, by the scenario."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

from canary.api.analysis import REQUEST_DURATION, REQUEST_SUCCESS_RATE, HookType, Method, Metric
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
HEALTHY_PART = 0.6
"""Of its limit, the latency of a healthy version: twice as long breaks it."""
OF_TIME = re.compile(r"latenc|duration|response.?time|seconds|millis|(^|[^a-z])(ms|p\d\d+)([^a-z]|$)", re.IGNORECASE)
"""Names of metrics that tell how long something takes."""
_USUAL_TIME = 100.0
"""Milliseconds that no request of the primary takes longer than."""


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
            metric, read = canary.analysis.metrics[index], Reading()
            if inside(scenario.metrics_down, now - scenario.start):
                said: reading.Said = reading.Unread(reading.Cause.UNREACHABLE, "the metrics server can't be reached")
            else:
                read = read if unheard else _reading(scenario, metric, side, revision, age, weight)
                said = _said(metric, read, now, age)
            return reading_of(metric, said, now, read.requests)
        case HookQuestion(index=index):
            hook = canary.analysis.webhooks[index]
            return reply(scenario, hook.name, hook.type, now - scenario.start)
        case PodsQuestion():
            return PodsAnswer(scenario.version(revision).why_not)
        case _:
            assert_never(question)


def ample(canary: Canary, now: datetime) -> Answer:
    """What is said of an error budget, of which there is some left."""
    metric = canary.spec.scheduling.budget_metric
    low, high = metric.limits.min, metric.limits.max
    return reading_of(metric, Number(low if low is not None else high or 0.0), now, None)


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
    if approved or not fitting:
        return HookAnswer(approved)
    return HookAnswer(approved, fitting[-1].message, fitting[-1].undecided)


def _reading(scenario: Scenario, metric: Metric, side: Side, revision: str, age: timedelta, weight: int) -> Reading:
    fitting = [
        each
        for each in scenario.version(revision).readings
        if each.metric in ("", metric.name)
        and each.side in (None, side)
        and each.after <= age
        and each.weight <= weight
    ]
    return fitting[-1] if fitting else Reading(healthy(metric))


def healthy(metric: Metric) -> float:
    """The number of a version that is good: the limit, which it just meets; of a comparison, that nothing fails."""
    if metric.compare_to is not None:
        return _healthy_compared(metric)
    limits = metric.limits
    if limits.max is not None:
        return limits.max
    return limits.min if limits.min is not None else 0.0


def _said(metric: Metric, read: Reading, now: datetime, age: timedelta) -> reading.Said:
    if read.verdict is not None:
        return said_for(metric, read.verdict, read.message)
    if metric.compare_to is not None and metric.method is Method.MANN_WHITNEY:
        return _sampled(metric, math.nan if read.value is None else read.value, age)
    if read.value is None or math.isnan(read.value):
        return Empty(read.message or "no values found")
    if metric.compare_to is not None:
        return _compared(metric, read.value, now, age)
    return Number(read.value, 1 + len(read.others), read.others) if read.others else Number(read.value)


def reading_of(metric: Metric, said: reading.Said, now: datetime, requests: int | None = None) -> reading.Reading:
    """What was said of a metric, taken over so many requests; None for as many as are needed."""
    needed = metric.least_requests
    taken = (needed if requests is None else requests) if needed else None
    return reading.Reading(said=said, interval=metric.interval, time=now, requests=taken)


def _compared(metric: Metric, value: float, now: datetime, age: timedelta) -> reading.Compared | reading.Sampled:
    """Of a rate, what it leaves of the requests fails; a time beyond the bound is that of all requests."""
    if metric.method is Method.MANN_WHITNEY:
        return _sampled(metric, value, age)
    if metric.name != REQUEST_DURATION:
        return _counts(1 - value / 100, now, age)
    return replace(_counts(float(value > slow_from(metric)), now, age), bound=slow_from(metric))


def slow_from(metric: Metric) -> float:
    """Beyond how many milliseconds a compared request is slow here."""
    limit = metric.threshold_range.max if metric.threshold_range is not None else None
    return _USUAL_TIME if limit is None else limit


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
            return Number(healthy(metric)) if metric.compare_to is None else _long_compared(metric, healthy(metric))
        case Verdict.FAIL:
            return (
                Number(_unhealthy(metric)) if metric.compare_to is None else _long_compared(metric, _unhealthy(metric))
            )


def _healthy_compared(metric: Metric) -> float:
    if OF_TIME.search(metric.name):
        return HEALTHY_PART * slow_from(metric)
    return 100.0 if metric.name == REQUEST_SUCCESS_RATE else 0.0


def _sampled(metric: Metric, value: float, age: timedelta) -> reading.Sampled:
    """A value each interval of the metric, beside those of a primary that does well."""
    count = max(0, min(_MOST_LOOKS, age // metric.interval)) if metric.interval else 0
    return reading.Sampled((value,) * count, (_healthy_compared(metric),) * count)


def _long_compared(metric: Metric, value: float) -> reading.Compared | reading.Sampled:
    return _compared(metric, value, _LONG_AGO, _MOST_LOOKS * _LOOK)


def _unhealthy(metric: Metric) -> float:
    if metric.compare_to is not None:
        return 0.0 if metric.name == REQUEST_SUCCESS_RATE else 1e6
    limits = metric.limits
    if limits.max is not None:
        return math.inf
    if limits.min is not None:
        return -math.inf
    msg = f"metric {metric.name} accepts every number"
    raise ValueError(msg)


_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
