"""A report as a picture: every metric over time against its threshold, with what would have been rolled back."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime

from canary.charts import Band, Chart, Limit, Line, Mark, Panel, Point, Tone, svg
from canary.cli.backtest.gather import Gathered
from canary.cli.backtest.report import Gap, MetricReport, Report
from canary.cli.backtest.table import cause, verdict
from canary.cli.backtest.when import stamp
from metrics.threshold import plain

MOST_POINTS = 800
"""Stretches that a line is drawn in, a pixel and a bit each: of every one its least and greatest value."""


def picture(report: Report, gathered: Gathered) -> str:
    """Draw a report as an SVG document."""
    return svg(chart(report, gathered))


def chart(report: Report, gathered: Gathered) -> Chart:
    """The picture of a report, as a value."""
    return Chart(
        title=f"Backtest of {report.canary}.{report.namespace}, {stamp(report.start)} to {stamp(report.end)} UTC",
        subtitle=f"{verdict(report)} Requests of: {report.workload}.",
        panels=tuple(_panels(report, gathered)),
        begin=report.start,
        end=(report.end - report.start).total_seconds(),
        bands=tuple(_bands(report)),
        marks=tuple(_marks(report)),
    )


def _panels(report: Report, gathered: Gathered) -> Iterator[Panel]:
    for metric, recorded in zip(report.metrics, gathered.metrics, strict=True):
        if recorded is None:
            continue
        line = Line(metric.name, tuple(_points(recorded.values, gathered.grid.step.total_seconds())))
        yield Panel(metric.name, (line,), unit=metric.unit, limits=tuple(_limits(metric)))
    if gathered.requests is not None:
        line = Line("requests", tuple(_points(gathered.requests, gathered.grid.step.total_seconds())))
        yield Panel("requests a second", (line,), low=0, height=80)


def _limits(metric: MetricReport) -> Iterator[Limit]:
    for bound, sign in ((metric.threshold.min, ">="), (metric.threshold.max, "<=")):
        if bound is not None:
            yield Limit(bound, f"{sign} {plain(bound)}{metric.unit}")


def _points(values: Sequence[float], step: float) -> Iterator[Point]:
    """The values, or of every stretch the least and the greatest: no excursion is lost to the eye."""
    size = max(1, -(-len(values) // MOST_POINTS))
    for first in range(0, len(values), size):
        there = [look for look in range(first, min(first + size, len(values))) if not math.isnan(values[look])]
        if not there:
            yield first * step, None
            continue
        ends = {min(there, key=values.__getitem__), max(there, key=values.__getitem__)}
        yield from ((look * step, values[look]) for look in sorted(ends))


def _bands(report: Report) -> Iterator[Band]:
    for failure in report.failures:
        yield Band(_seconds(report, failure.first), _seconds(report, failure.until), "rolled back", Tone.BAD)
    for gap in _unrecorded(report):
        yield Band(_seconds(report, gap.start), _seconds(report, gap.end), "not recorded", Tone.NOTE)


def _unrecorded(report: Report) -> Iterator[Gap]:
    coverage = report.coverage
    if coverage.first is not None and coverage.first > report.start:
        yield Gap(report.start, coverage.first)
    yield from coverage.gaps
    if coverage.last is not None and coverage.last < report.end:
        yield Gap(coverage.last, report.end)


def _marks(report: Report) -> Iterator[Mark]:
    for failure in report.failures:
        words = f"{failure.starts:,} rollouts rolled back: {cause(report, failure)}"
        yield Mark(_seconds(report, failure.first), words, Tone.BAD)


def _seconds(report: Report, moment: datetime) -> float:
    return (moment - report.start).total_seconds()
