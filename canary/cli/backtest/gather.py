"""Gather what is recorded for a spec: whose data there is, the value of every metric at every look, the requests."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import isnan
from typing import Protocol

from canary.api.analysis import Metric
from canary.cli.backtest.counting import COUNTED, Counted, compared_metric, count, grid_of
from canary.cli.backtest.grid import Grid
from canary.cli.backtest.inputs import InputError, Subject
from canary.cli.backtest.recording import FetchError, Recorded, Server, fetch
from canary.cli.backtest.when import span
from canary.cli.backtest.workload import ORDER, Workload, choose, rewrite_for
from canary.controller.ask.metric_questions import Asking, model_of, question_of
from metrics import builtin, templates
from metrics.errors import MisconfiguredError
from metrics.question import Question
from metrics.threshold import Threshold
from metrics.verdict import written
from metrics.versions import Rewrite

SAMPLES = 300
"""Looks at which it is found out beforehand whose data there is."""

REQUESTS = "requests a second"
RECORDED = "what is recorded"

_SHORTEST = timedelta(minutes=2)
"""The least that is looked back on to see whether anything is recorded: two scrapes, at the common 1m."""


class NothingRecordedError(Exception):
    """No metric of the spec has a value in the window."""


class Progress(Protocol):
    """Tells people how far it is."""

    def begin(self, what: str, total: int) -> Callable[[int], None]:
        """Something begins that takes `total` parts; call what comes back with the number of parts that are done."""


@dataclass(frozen=True, slots=True)
class Access:
    """The Prometheus that is asked in place of those that the spec names, and what lets us in.

    Args:
        address: its base URL.
        headers: request headers, beside those of the MetricTemplates.
        credentials: `token`, or `username` and `password`.
        insecure: whether its certificate goes unchecked.
    """

    address: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    insecure: bool = False

    def grant(self, question: Question) -> Question:
        """The question, put to this Prometheus."""
        return replace(
            question,
            address=self.address,
            headers=(*question.headers, *self.headers),
            credentials=self.credentials,
            # Not the template's: whoever writes a spec does not say whom the pipeline's token is shown to.
            insecure=self.insecure,
        )

    def ask(self, name: str, query: str, interval: timedelta) -> Question:
        """A question of our own."""
        return self.grant(Question(name=name, query=query, threshold=Threshold(), interval=interval))


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is recorded.

    Args:
        grid: the looks.
        workload: whose data it is.
        chosen: whether that was chosen by the data there is.
        questions: by metric of the spec, what was asked; None for what can't be asked here.
        metrics: by metric of the spec, its values.
        shared: the metrics whose query is the same for every workload, by their place in the spec.
        requests: requests a second; None where the spec has no built-in metric.
        recorded: by look, whether anything at all is recorded.
        certain: whether Prometheus's own record of its scrapes says so, and not the metrics alone.
        counted: what was counted for comparisons; None where nothing was, or the spec compares nothing.
    """

    grid: Grid
    workload: Workload
    chosen: bool
    questions: tuple[Question | None, ...]
    metrics: tuple[Recorded | None, ...]
    shared: frozenset[int]
    requests: array[float] | None
    recorded: tuple[bool, ...]
    certain: bool
    counted: Counted | None = None


async def gather(
    subject: Subject, access: Access, server: Server, grid: Grid, workload: Workload | None, progress: Progress
) -> Gathered:
    """Ask for everything.

    Args:
        subject: the Canary with its templates.
        access: the Prometheus.
        server: how it is asked.
        grid: the looks.
        workload: whose data; None for whoever has it.
        progress: is told how far it is.

    Raises:
        InputError: a query of the spec can't be filled in.
        FetchError: a question got no usable answer.
        NothingRecordedError: no metric has a value.
    """
    candidates = {each: _questions(subject, access, each) for each in (ORDER if workload is None else (workload,))}
    sampled = await _sample(server, candidates, grid.thinned(SAMPLES), progress)
    if workload is None and not any(each.found for each in sampled.values()):
        # A fresh Prometheus: what it has may lie between two samples.
        sampled = await _sample(server, candidates, grid, progress)
    whose = workload or _whose(candidates, sampled)
    questions = candidates[whose]
    metrics = [await _fetch(server, each, grid, sampled, progress) for each in questions]
    counted = await _counted(subject, access, server, grid, workload, progress)
    if not any(each is not None and each.found for each in metrics) and counted is None:
        raise NothingRecordedError
    requests = await _requests(subject, access, server, grid, whose, progress)
    scrapes = await _scrapes(subject, access, server, grid, progress)
    values = [each.values for each in metrics if each is not None]
    recorded = tuple(any(not isnan(value) for value in at) for at in zip(*values, scrapes, strict=True))
    plain = questions if whose is Workload.CANARY else _questions(subject, access, Workload.CANARY)
    return Gathered(
        grid=grid,
        workload=whose,
        chosen=workload is None,
        questions=questions,
        metrics=tuple(metrics),
        shared=frozenset(
            index
            for index, (asked, usual) in enumerate(zip(questions, plain, strict=True))
            if whose is not Workload.CANARY and asked is not None and usual is not None and asked.query == usual.query
        ),
        requests=requests,
        recorded=recorded,
        certain=any(not isnan(value) for value in scrapes),
        counted=counted,
    )


def _questions(subject: Subject, access: Access, workload: Workload) -> tuple[Question | None, ...]:
    """What each metric asks about a workload; None for those that are not played."""
    rewrite = rewrite_for(workload, subject.canary)
    return tuple(
        None if subject.skipped(metric) else access.grant(_question(subject, index, metric, rewrite))
        for index, metric in enumerate(subject.canary.analysis.metrics)
    )


def _question(subject: Subject, index: int, metric: Metric, rewrite: Rewrite | None) -> Question:
    canary = subject.canary
    template = subject.template(metric)
    asking = Asking(provider=subject.provider, server="", template=template, rewrite=rewrite)
    try:
        return question_of(canary, metric, asking)
    except (MisconfiguredError, templates.TemplateError) as error:
        raise InputError(f"{canary.analysis_field}.metrics[{index}], {metric.name}: {error}") from error


async def _sample(
    server: Server, candidates: Mapping[Workload, Sequence[Question | None]], grid: Grid, progress: Progress
) -> dict[str, Recorded]:
    """The values of every query at some looks, each asked once; a server that can't be used shows here."""
    asked = {each.query: each for questions in candidates.values() for each in questions if each is not None}
    told = progress.begin("looking for data", len(asked))
    sampled = {}
    for query, question in asked.items():
        sampled[query] = await fetch(server, question, grid)
        told(1)
    return sampled


def _whose(candidates: Mapping[Workload, Sequence[Question | None]], sampled: Mapping[str, Recorded]) -> Workload:
    """The workload that has data, by the queries that tell workloads apart."""
    found = dict.fromkeys(candidates, 0)
    telling = 0
    for asked in zip(*candidates.values(), strict=True):
        queries = [each.query for each in asked if each is not None]
        if len(set(queries)) > 1:
            telling += 1
            for each, query in zip(candidates, queries, strict=True):
                found[each] += sampled[query].found
    if not telling:
        return Workload.CANARY
    return choose(found) if any(found.values()) else Workload.PRIMARY


async def _fetch(
    server: Server, question: Question | None, grid: Grid, sampled: Mapping[str, Recorded], progress: Progress
) -> Recorded | None:
    if question is None:
        return None
    told = progress.begin(question.name, grid.looks)
    return await fetch(server, question, grid, series=sampled[question.query].series, told=told)


async def _requests(
    subject: Subject, access: Access, server: Server, grid: Grid, workload: Workload, progress: Progress
) -> array[float] | None:
    """The requests that the built-in metrics rest on."""
    metric = next((each for each in subject.canary.analysis.metrics if each.is_built_in), None)
    if metric is None:
        return None
    text = builtin.requests_of(subject.provider)
    model = builtin.model_for(subject.provider, model_of(subject.canary, metric))
    rewrite = rewrite_for(workload, subject.canary)
    if rewrite is not None:
        text, model = rewrite(text, model)
    question = access.ask(REQUESTS, templates.render(text, model), metric.interval)
    return (await fetch(server, question, grid, told=progress.begin(REQUESTS, grid.looks))).values


async def _counted(
    subject: Subject, access: Access, server: Server, grid: Grid, workload: Workload | None, progress: Progress
) -> Counted | None:
    """What comparisons would rest on."""
    if compared_metric(subject.canary) is None:
        return None
    looks = grid_of(grid.start, grid.end, subject.canary.analysis_interval)
    told = progress.begin(COUNTED, looks.looks)

    def ask(name: str, query: str) -> Question:
        return access.ask(name, query, looks.step)

    return await count(subject, ask, server, looks, workload, told)


async def _scrapes(subject: Subject, access: Access, server: Server, grid: Grid, progress: Progress) -> array[float]:
    """How many targets were scraped shortly before each look; NaN where none was, or nobody can say."""
    longest = max((metric.interval for metric in subject.canary.analysis.metrics), default=_SHORTEST)
    window = written(max(_SHORTEST, longest))
    question = access.ask(RECORDED, f"count(last_over_time(up[{window}]))", span(window))
    try:
        return (await fetch(server, question, grid, told=progress.begin(RECORDED, grid.looks))).values
    except FetchError:
        # A server that gives metrics and not this: the metrics have to do.
        return array("d", [float("nan")]) * grid.looks
