"""The requests and failures of whoever served, look by look: what comparisons are tried on."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from canary.api.analysis import REQUEST_SUCCESS_RATE, CompareTo, Method, Metric
from canary.api.canary import Canary
from canary.cli.backtest.grid import Grid
from canary.cli.backtest.inputs import Subject
from canary.cli.backtest.recording import CHUNK, MOST_VALUES, Server, parts_of
from canary.cli.backtest.workload import Workload, rewrite_for
from canary.controller.ask.metric_questions import model_of
from metrics import templates
from metrics.builtin import Requests, counted, model_for
from metrics.judge.looks import time_between
from metrics.question import Question
from metrics.ranges import Series

MOST_LOOKS = 30_000
"""Looks at which requests are counted, at most: twice as long ones are taken where there would be more."""

SAMPLES = 300
"""Looks at which it is found out beforehand who counts."""

COUNTED = "counts of requests"

_SECOND = timedelta(seconds=1)
_STALE = timedelta(minutes=5)
"""For so long Prometheus gives a sample that is the newest; what was counted in a longer gap says nothing of when."""

Ask = Callable[[str, str], Question]
"""A question from its name and its query."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted.

    Args:
        grid: the looks.
        workload: whose requests they are.
        requests: by look, how many were counted up to it since the one before.
        bad: how many of them failed.
        there: by look, 1 where anything was recorded.
    """

    grid: Grid
    workload: Workload
    requests: array[float]
    bad: array[float]
    there: bytearray


def compared_metric(canary: Canary) -> Metric | None:
    """The success rate that is compared with the primary's by its counts; None where none is."""
    return next((each for each in canary.analysis.metrics if _is_judged(each)), None)


def _is_judged(metric: Metric) -> bool:
    counted = metric.is_built_in and metric.name == REQUEST_SUCCESS_RATE and metric.method is Method.SEQUENTIAL
    return counted and metric.compare_to is CompareTo.PRIMARY


def grid_of(start: datetime, end: datetime, interval: timedelta) -> Grid:
    """The looks of comparisons in an analysis with this interval, over a window."""
    step = max(_SECOND, time_between(interval) // _SECOND * _SECOND)
    while (end - start) // step > MOST_LOOKS:
        step *= 2
    return Grid.between(start, end, step)


async def count(
    subject: Subject, ask: Ask, server: Server, grid: Grid, workload: Workload | None, told: Callable[[int], None]
) -> Counted | None:
    """Ask for what was counted.

    Args:
        subject: the Canary.
        ask: makes questions.
        server: how they are asked.
        grid: the looks.
        workload: whose requests; None for the primary's, or the plain workload's where it has none.
        told: is told of each stretch how many looks it has.

    Returns:
        None where nobody has counted any.

    Raises:
        FetchError: a question got no usable answer.
    """
    metric = compared_metric(subject.canary)
    if metric is None:
        return None
    for whose in (Workload.PRIMARY, Workload.PLAIN) if workload is None else (workload,):
        for source in counted(subject.provider):
            every, failing = _queries(subject, metric, source, whose)
            parts = await parts_of(
                server, ask(COUNTED, every), grid.thinned(SAMPLES), range(grid.thinned(SAMPLES).looks)
            )
            series = max((len(each) for each in parts), default=0)
            if not series:
                continue
            all_of, bad = _Counters(grid), _Counters(grid)
            size = max(1, min(CHUNK, MOST_VALUES // series))
            for looks in grid.chunks(size):
                for query, counters in ((every, all_of), (failing, bad)):
                    for part in await parts_of(server, ask(COUNTED, query), grid, looks):
                        counters.take(part)
                told(len(looks))
            if any(all_of.counts):
                return Counted(grid, whose, all_of.counts, bad.counts, all_of.there)
    return None


def _queries(subject: Subject, metric: Metric, source: Requests, workload: Workload) -> tuple[str, str]:
    """The counters of all requests and of those that failed."""
    labels = source.promoted if workload is Workload.PRIMARY else source.labels
    model = model_for(subject.provider, model_of(subject.canary, metric))
    rewrite = rewrite_for(workload, subject.canary) if workload is Workload.PLAIN else None
    if rewrite is not None:
        labels, model = rewrite(labels, model)
    return (
        templates.render(f"{source.count}{{{labels}}}", model),
        templates.render(f"{source.count}{{{labels},{source.failed}}}", model),
    )


class _Counters:
    """Counters in stretches, which follow one another: by how much they grow, as the controller reckons it."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._last: dict[frozenset[tuple[str, str]], tuple[datetime, float]] = {}
        self.counts = array("d", [0.0]) * grid.looks
        self.there = bytearray(grid.looks)

    def take(self, part: Sequence[Series]) -> None:
        """Take in the series of the next stretch."""
        for series in part:
            key = frozenset(series.labels.items())
            for moment, value in series.points:
                look = self._grid.index(moment)
                if not 0 <= look < len(self.counts):
                    continue
                self.there[look] = 1
                self.counts[look] += self._grown(key, look, moment, value)
                self._last[key] = (moment, value)

    def _grown(self, key: frozenset[tuple[str, str]], look: int, moment: datetime, value: float) -> float:
        """A counter that begins within the window began with 0; one that is less than before began anew."""
        before = self._last.get(key)
        if before is None:
            return value if look and self.there[look - 1] else 0.0
        if moment - before[0] > _STALE + self._grid.step:
            return 0.0
        return value - before[1] if value >= before[1] else value
