"""From recorded values to a report: no I/O, the same values give the same report."""

import math
from array import array
from collections.abc import Iterator, Sequence
from datetime import timedelta

from canary.api.analysis import REQUEST_SUCCESS_RATE, Metric, Series
from canary.api.canary import Canary
from canary.cli.backtest.counting import compared_metric
from canary.cli.backtest.gather import Gathered, Progress
from canary.cli.backtest.inputs import Subject
from canary.cli.backtest.policy import PASS, End, Looks, Policy, least_looks
from canary.cli.backtest.pretend import NUMBER, Judged, judged
from canary.cli.backtest.recording import Recorded, span
from canary.cli.backtest.replay import Blame, Episode, Replay, blamed_metrics, replay, verdicts, worst
from canary.cli.backtest.report import Coverage, Failure, Gap, MetricReport, Report, Suggestion
from canary.cli.backtest.support import Support, together
from canary.cli.backtest.traffic import Traffic, traffic
from canary.cli.backtest.when import written
from canary.cli.backtest.workload import Workload
from canary.rollout.plan import plan_of
from metrics.threshold import Threshold
from metrics.wire import place

LITTLE = timedelta(days=1)
"""Data that shows no daily rhythm."""

_WHICH = {
    Series.EVERY: "The worst of an answer counts",
    Series.LAST: "The last of an answer counts",
    Series.FIRST: "The first of an answer counts",
    Series.MIN: "The least of an answer counts",
    Series.MAX: "The greatest of an answer counts",
    Series.SUM: "Their sum counts",
}

QUANTILES = (0.0, 0.01, 0.05, 0.5, 0.95, 0.99, 1.0)


def assess(subject: Subject, gathered: Gathered, address: str, *, seed: int, progress: Progress) -> Report:
    """Play rollouts over what is recorded, and say what came of it.

    Args:
        subject: the Canary.
        gathered: what is recorded of it; something is.
        address: base URL of the Prometheus.
        seed: where the chances of pretend rollouts come from.
        progress: is told how far it is.
    """
    canary, grid = subject.canary, gathered.grid
    within = span(gathered.recorded)
    recorded = gathered.recorded[within.start : within.stop]
    policy = Policy(canary, weighted=subject.weighted)
    thresholds = [Threshold(metric.limits.min, metric.limits.max) for metric in canary.analysis.metrics]
    values = [
        None if each is None else _enough(metric, each.values, gathered.requests)[within.start : within.stop]
        for metric, each in zip(canary.analysis.metrics, gathered.metrics, strict=True)
    ]

    def play(accepted: Sequence[Threshold | None]) -> Replay:
        said = [
            bytearray([PASS]) * len(within) if data is None else verdicts(data, other or own, recorded)
            for data, own, other in zip(values, thresholds, accepted, strict=True)
        ]
        return replay(policy, Looks(said), len(said), within.start)

    played = play(thresholds)
    supports = [
        None if data is None or not _shares(metric) else Support(metric, data, policy.steps, canary.threshold)
        for metric, data in zip(canary.analysis.metrics, values, strict=True)
    ]
    suggested = together(supports, lambda each: play(each).failed_share)
    found, why_not = _traffic(subject, gathered)
    said, not_said = _judged(subject, gathered, seed, progress)
    return Report(
        canary=canary.name,
        namespace=canary.namespace,
        prometheus=place(address),
        start=grid.start,
        end=grid.end,
        interval=grid.step,
        steps=policy.steps,
        threshold=canary.threshold,
        workload=gathered.workload,
        chosen=gathered.chosen,
        coverage=_coverage(gathered, within),
        starts=played.told,
        rolled_back=played.rolled_back,
        failed=played.failed,
        unrecorded=played.unrecorded,
        unfinished=played.ends[End.UNFINISHED],
        metrics=tuple(
            _metric(subject, gathered, index, within, played.blame[index], supports[index])
            for index in range(len(thresholds))
        ),
        failures=tuple(_failure(subject, gathered, each, thresholds) for each in played.episodes),
        suggestions=tuple(
            Suggestion(allowed, accepted, play(accepted).failed_share) for allowed, accepted in suggested.items()
        ),
        traffic=found,
        no_traffic=why_not,
        judged=said,
        not_judged=not_said,
        notes=tuple(_notes(subject, gathered)),
    )


def _enough(metric: Metric, values: Sequence[float], requests: Sequence[float] | None) -> Sequence[float]:
    """The values that are taken over enough requests."""
    if not metric.least_requests or requests is None:
        return values
    least = metric.least_requests / metric.interval.total_seconds()
    return array("d", (value if rate >= least else math.nan for value, rate in zip(values, requests, strict=True)))


def _shares(metric: Metric) -> bool:
    """Whether its failed checks count for the threshold, each by itself, as the limits that are suggested assume."""
    return not (metric.is_counted or metric.critical or metric.dry_run)


def _metric(
    subject: Subject, gathered: Gathered, index: int, within: range, blame: Blame, support: Support | None
) -> MetricReport:
    metric = subject.canary.analysis.metrics[index]
    threshold = Threshold(metric.limits.min, metric.limits.max)
    question, recorded = gathered.questions[index], gathered.metrics[index]
    if question is None or recorded is None:
        return MetricReport(metric.name, threshold, "", "", subject.skipped(metric), 0, 0, 0, None, {}, blame, ())
    there = sorted(value for value in recorded.values if not math.isnan(value))
    return MetricReport(
        name=metric.name,
        threshold=threshold,
        unit=question.unit,
        query=question.query,
        skipped="",
        series=recorded.series,
        looks=len(there),
        failing=sum(not threshold.accepts(value) for value in there),
        longest_gap=_longest(gathered, recorded, within),
        quantiles={part: there[min(int(part * len(there)), len(there) - 1)] for part in QUANTILES} if there else {},
        blame=blame,
        limits=() if support is None else support.alone(),
    )


def _longest(gathered: Gathered, recorded: Recorded, within: range) -> Gap | None:
    there = [not gathered.recorded[look] or not math.isnan(recorded.values[look]) for look in within]
    gaps = list(_gaps(gathered, there, within))
    return max(gaps, key=lambda gap: gap.end - gap.start, default=None)


def _gaps(gathered: Gathered, there: Sequence[bool], within: range) -> Iterator[Gap]:
    """The stretches of looks without data."""
    begun: int | None = None
    for look, found in zip(within, there, strict=True):
        if found and begun is not None:
            yield Gap(gathered.grid.at(begun), gathered.grid.at(look - 1))
            begun = None
        elif not found and begun is None:
            begun = look
    if begun is not None:
        yield Gap(gathered.grid.at(begun), gathered.grid.at(within[-1]))


def _coverage(gathered: Gathered, within: range) -> Coverage:
    there = gathered.recorded[within.start : within.stop]
    return Coverage(
        looks=gathered.grid.looks,
        recorded=sum(there),
        first=gathered.grid.at(within[0]) if within else None,
        last=gathered.grid.at(within[-1]) if within else None,
        gaps=tuple(_gaps(gathered, there, within)),
    )


def _failure(subject: Subject, gathered: Gathered, episode: Episode, thresholds: Sequence[Threshold]) -> Failure:
    grid, looks = gathered.grid, range(episode.first + 1, episode.until + 1)
    blamed: dict[str, float | None] = {}
    for index, name in blamed_metrics(subject.canary, episode.blamed):
        recorded = gathered.metrics[index]
        blamed[name] = None if recorded is None else worst(recorded.values, thresholds[index], looks)
    return Failure(
        grid.at(episode.first), grid.at(episode.last), grid.at(episode.until), episode.starts, metrics=blamed
    )


def _traffic(subject: Subject, gathered: Gathered) -> tuple[Traffic | None, str]:
    """How far the traffic reaches, or why that can't be said."""
    canary = subject.canary
    for metric, recorded in zip(canary.analysis.metrics, gathered.metrics, strict=True):
        if not (metric.is_built_in and metric.name == REQUEST_SUCCESS_RATE and recorded and gathered.requests):
            continue
        least = metric.limits.min
        if least is None:
            return None, "the success rate has no least value in the spec"
        plan = plan_of(canary, weighted=subject.weighted)
        shared = [
            step
            for step in plan.steps
            if step.split.canary and not step.split.matched and not plan.iterations and metric.name not in step.off
        ]
        found = traffic(
            recorded.values,
            gathered.requests,
            least=least,
            window=metric.interval,
            weights=[each.split.canary for each in shared],
            looks=[least_looks(each, canary.analysis_interval) for each in shared],
            threshold=canary.threshold,
        )
        return found, "" if found else "no request is recorded"
    return None, "that is known for the built-in request-success-rate only, whose requests can be counted"


def _judged(subject: Subject, gathered: Gathered, seed: int, progress: Progress) -> tuple[Judged | None, str]:
    """What the judge would have done, or why that can't be said."""
    metric = compared_metric(subject.canary)
    if metric is None:
        compared = any(each.compare_to is not None for each in subject.canary.analysis.metrics)
        return None, f"of comparisons only {REQUEST_SUCCESS_RATE} with the primary's is judged here" if compared else ""
    if gathered.counted is None:
        return None, f"no requests are counted that {metric.name} could be compared by"
    told = progress.begin("pretend rollouts", NUMBER)
    found = judged(subject.canary, metric, gathered.counted, weighted=subject.weighted, seed=seed, told=told)
    return (None, found) if isinstance(found, str) else (found, "")


def _notes(subject: Subject, gathered: Gathered) -> Iterator[str]:
    canary = subject.canary
    if gathered.workload is not Workload.CANARY:
        yield (
            "A canary gets a share of these requests: its numbers scatter more than those here, "
            "the less traffic the more."
        )
    for index, recorded in enumerate(gathered.metrics):
        if recorded is not None:
            yield from _metric_notes(subject, gathered, index, recorded)
    if sum(gathered.recorded) * gathered.grid.step < LITTLE:
        yield "Less than a day is recorded: what holds for other hours and days may be different."
    if canary.analysis.conditions:
        yield "The spec's conditions are taken as true."
    if canary.analysis.webhooks:
        yield "The spec's webhooks are taken as approving."
    yield from _step_notes(canary)
    if canary.spec.suspend:
        yield "The Canary is suspended; it is looked at as if it were not."
    if not gathered.certain:
        yield (
            "Prometheus has no series `up`, so that a time without any value counts as a time in which it did not "
            "record."
        )


def _step_notes(canary: Canary) -> Iterator[str]:
    steps = canary.analysis.steps
    if any(each.gate is not None or (each.pause is not None and each.pause.duration is None) for each in steps):
        yield "Gates of steps are taken as open, and people as resuming what waits for them, at the first look."
    if any(each.kind in ("pause", "analysis", "experiment") for each in steps):
        yield (
            "Limits are those with which a rollout passes that looks at each metric at every step; pauses and checks "
            "of single steps may do with tighter ones."
        )


def _metric_notes(subject: Subject, gathered: Gathered, index: int, recorded: Recorded) -> Iterator[str]:
    canary, metric = subject.canary, subject.canary.analysis.metrics[index]
    if recorded.series > 1:
        yield (
            f"The query of {metric.name} gives {recorded.series} series. {_WHICH[metric.series]}; "
            "aggregate them, such as with sum, where one of them may be bad."
        )
    if metric.interval > canary.analysis_interval:
        yield (
            f"Looks at {metric.name} overlap: each goes back {written(metric.interval)}, a new one comes every "
            f"{written(canary.analysis_interval)}. One incident fails several in a row."
        )
    if metric.least_requests and gathered.workload is not Workload.CANARY:
        yield f"The minSamples of {metric.name} are held against these requests; a canary has its share of them."
    if not _shares(metric):
        yield f"No limit is suggested for {metric.name}: its failed checks do not count for the threshold alone."
    if index in gathered.shared:
        yield f"The query of {metric.name} names no workload: it says the same of canary and primary."
