"""A report for people: what would have been rolled back, why, and what follows from it."""

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta

from canary.cli.backtest.chance import ALPHA, BETA, PERCENTILE_REQUESTS
from canary.cli.backtest.columns import columns, percent
from canary.cli.backtest.judge_table import judge_lines
from canary.cli.backtest.report import Failure, Gap, MetricReport, Report
from canary.cli.backtest.traffic import Traffic
from canary.cli.backtest.when import stamp, written
from canary.cli.backtest.workload import Workload
from metrics.threshold import plain

MOST_FAILURES = 20
"""Stretches that are written out; the rest are counted."""

MOST_GAPS = 5

WORTH_TELLING = 2
"""Looks in a row without a value that are no gap worth telling: a series that begins, a scrape that is late."""

WHOSE = {
    Workload.CANARY: "the canary's requests, as the spec asks for them",
    Workload.PRIMARY: "the primary's requests",
    Workload.PLAIN: "the requests of the workload as it is without a Canary",
}


def table(report: Report) -> str:
    """The report as text."""
    parts = (
        *(_head(report), _metrics(report), _failures(report), judge_lines(report)),
        *(_limits(report), _traffic(report), _notes(report)),
    )
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def verdict(report: Report) -> str:
    """The answer in one sentence."""
    if report.share is None:
        return "No rollout fits into what is recorded."
    if not report.rolled_back:
        return f"None of {report.starts:,} rollouts, one begun at every look, would have been rolled back."
    return (
        f"Of {report.starts:,} rollouts, one begun at every look, {report.rolled_back:,} would have been rolled back "
        f"({percent(report.share)})."
    )


def _head(report: Report) -> Iterator[str]:
    until = f"{stamp(report.start)} to {stamp(report.end)} UTC"
    yield f"{report.canary}.{report.namespace}, {until}, a look every {written(report.interval)}"
    chosen = "" if not report.chosen else " (they have the data; --workload chooses others)"
    yield f"Looked at {WHOSE[report.workload]}{chosen}, at {report.prometheus}."
    yield from _coverage(report)
    yield ""
    yield verdict(report)
    held = report.rolled_back - report.failed - report.unrecorded
    for count, why in (
        (report.failed, "because checks failed"),
        (held, "because a metric had no data for as long as a rollout is held"),
        (report.unrecorded, "because Prometheus recorded nothing at that time"),
    ):
        if count:
            yield f"  {count:,} {why}"
    looks = "looks" if report.steps > 1 else "look"
    checks = "failed checks roll" if report.threshold > 1 else "failed check rolls"
    yield (
        f"A rollout here is {report.steps} good {looks} until promotion; {report.threshold} {checks} it back. "
        f"{report.unfinished:,} more were still under way at the end of the data."
    )


def _coverage(report: Report) -> Iterator[str]:
    coverage = report.coverage
    if coverage.recorded == coverage.looks:
        yield "The whole window is recorded."
        return
    missing = 1 - coverage.recorded / coverage.looks
    yield f"Of the window, {percent(missing)} is not recorded at all:"
    outside = []
    if coverage.first is not None and coverage.first > report.start:
        outside.append(Gap(report.start, coverage.first - report.interval))
    if coverage.last is not None and coverage.last < report.end:
        outside.append(Gap(coverage.last + report.interval, report.end))
    gaps = sorted((*outside, *coverage.gaps), key=lambda gap: gap.start - gap.end)
    for gap in sorted(gaps[:MOST_GAPS], key=lambda gap: gap.start):
        yield f"  {_gap(gap, report.interval)}"
    if len(gaps) > MOST_GAPS:
        yield f"  and {len(gaps) - MOST_GAPS} shorter gaps"


def _gap(gap: Gap, interval: timedelta) -> str:
    return f"{stamp(gap.start)} for {written(gap.end - gap.start + interval)}"


def _metrics(report: Report) -> Iterator[str]:
    yield "WHICH METRIC"
    head = ("METRIC", "ACCEPTED", "MISSING", "LEAST", "MEDIAN", "GREATEST", "LOOKS FAILED", "ROLLED BACK", "ALONE")
    yield from columns([head, *(_metric(report, each) for each in report.metrics)], right=frozenset(range(2, 9)))
    for metric in report.metrics:
        gap = metric.longest_gap
        if gap is not None and gap.end - gap.start >= WORTH_TELLING * report.interval:
            yield f"The longest time without a value of {metric.name}: {_gap(gap, report.interval)}."


def _metric(report: Report, metric: MetricReport) -> Sequence[str]:
    accepted = f"{metric.threshold}{metric.unit}"
    if metric.skipped:
        return (metric.name, accepted, metric.skipped)
    missing = percent(1 - metric.looks / report.coverage.looks)
    values = [number(metric.quantiles[part], metric.unit) if metric.looks else "-" for part in (0.0, 0.5, 1.0)]
    failed = percent(metric.failing / metric.looks) if metric.looks else "-"
    return (metric.name, accepted, missing, *values, failed, f"{metric.blame.part:,}", f"{metric.blame.alone:,}")


def _failures(report: Report) -> Iterator[str]:
    if not report.failures:
        return
    yield "ROLLED BACK"
    greatest = sorted(report.failures, key=lambda each: -each.starts)[:MOST_FAILURES]
    rows = [_failure(report, each) for each in sorted(greatest, key=lambda each: each.first)]
    yield from columns([("BEGUN FROM", "FOR", "ROLLOUTS", "BY"), *rows], right=frozenset({2}))
    if len(report.failures) > MOST_FAILURES:
        yield f"and {len(report.failures) - MOST_FAILURES} stretches with fewer rollouts"


def _failure(report: Report, failure: Failure) -> Sequence[str]:
    return (
        stamp(failure.first),
        written(failure.last - failure.first + report.interval),
        f"{failure.starts:,}",
        cause(report, failure),
    )


def cause(report: Report, failure: Failure) -> str:
    """Which metrics failed, and with what values."""
    units = {metric.name: metric.unit for metric in report.metrics}
    if not failure.metrics:
        return "nothing is recorded"
    return ", ".join(
        f"{name} without data" if value is None else f"{name} {number(value, units[name])}"
        for name, value in failure.metrics.items()
    )


def _limits(report: Report) -> Iterator[str]:
    rows = [_limit(report, index, metric) for index, metric in enumerate(report.metrics) if metric.limits]
    if not rows:
        return
    yield "THRESHOLDS THAT THE DATA SUPPORTS, all set at once: the tightest found with which no more rollouts fail"
    head = ("METRIC", "NOW", *("NONE" if not each.allowed else percent(each.allowed) for each in report.suggestions))
    shares = (_share(report.failed_share), *(_share(each.share) for each in report.suggestions))
    yield from columns([head, *rows, ("rollouts that fail", *shares)], right=frozenset(range(1, len(head))))


def _limit(report: Report, index: int, metric: MetricReport) -> Sequence[str]:
    supported = (each.thresholds[index] for each in report.suggestions)
    shown = ("-" if each is None else f"{each}{metric.unit}" for each in supported)
    return (metric.name, f"{metric.threshold}{metric.unit}", *shown)


def _share(share: float | None) -> str:
    return "-" if share is None else percent(share)


def _traffic(report: Report) -> Iterator[str]:
    yield "HOW MUCH TRAFFIC TELLS"
    traffic = report.traffic
    if traffic is None:
        yield f"Not known: {report.no_traffic}."
        return
    rate, sign = traffic.health.rate, "up to " if traffic.health.bound else ""
    yield (
        f"Healthy: {sign}{percent(rate)} of requests fail; the spec accepts {percent(traffic.allowed)}. "
        f"Traffic: {traffic.per_second:.3g} requests a second, {traffic.quiet:.3g} at quiet times."
    )
    yield from _needed(traffic)
    if traffic.shares:
        yield from _steps(traffic)
    else:
        yield "The spec gives the canary no share of the traffic: its load has to bring these requests."
    yield (
        f"Method: exact binomial tails; a look at a healthy version fails with at most {percent(ALPHA)}, one at a bad "
        f"version passes with at most {percent(BETA)} (NIST/SEMATECH e-Handbook 7.2.4.2 has the approximation). "
        "Requests count as independent: where failures come in bursts, more are needed."
    )
    if any("histogram_quantile(0.99" in metric.query for metric in report.metrics):
        yield (
            f"A 99th percentile needs {PERCENTILE_REQUESTS} requests a look: fewer hold none of the slowest percent "
            "with more than 5 % (Wilks 1941)."
        )


def _needed(traffic: Traffic) -> Iterator[str]:
    if traffic.health.rate >= traffic.allowed:
        yield "No amount of traffic tells a healthy version from a bad one: it fails as often as the spec accepts."
        return
    for bad in traffic.bad:
        times = f"{bad.times} times the accepted failures ({percent(bad.rate)})"
        if bad.requests is None:
            yield f"A version with {times} can't be told in one look."
        else:
            yield f"A version with {times} takes {_count(bad.requests)} requests a look of {written(traffic.window)}."


def _steps(traffic: Traffic) -> Iterator[str]:
    named = [f"NEEDS FOR {bad.times}x" for bad in traffic.bad]
    head = ("WEIGHT", "REQUESTS A LOOK", "QUIET", "HEALTHY FAILS", "2x PASSES", *named)
    rows = [
        (
            f"{each.weight} %",
            _count(each.requests),
            _count(each.quiet),
            percent(each.healthy_fails),
            percent(each.bad_passes),
            *("-" if rate is None else f"{rate:.3g}/s" for rate in each.rates_needed),
        )
        for each in traffic.shares
    ]
    yield from columns([head, *rows], right=frozenset(range(len(head))))
    if traffic.rolled_back is not None:
        yield f"By chance alone, the success rate rolls {percent(traffic.rolled_back)} of healthy rollouts back."


def _notes(report: Report) -> Iterator[str]:
    if report.notes:
        yield "NOTES"
        yield from (f"- {note}" for note in report.notes)


def _count(number: float) -> str:
    """A number of requests: to two figures, for no more is known of it."""
    if number < 10:
        return f"{number:.1f}".removesuffix(".0")
    digits = math.floor(math.log10(number)) - 1
    return f"{round(number, -digits):,.0f}"


def number(value: float, unit: str) -> str:
    """A value with its unit, to four figures."""
    if not math.isfinite(value) or value == 0:
        return f"{plain(value)}{unit}"
    return f"{plain(float(f'{value:.4g}'))}{unit}"
