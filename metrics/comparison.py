"""The requests of both versions since a rollout took its first step, look by look: one query for all of them.

What is asked for are the counters' own samples, not what `rate()` or `increase()` make of them: these know nothing of
what a series had counted when it first appeared, and gateways begin one anew for each rollout, so that of a canary that
fails from its first request on the first failures would be missing.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from metrics.access.grants import Grants
from metrics.builtin import counted, model_for
from metrics.conversation import Conversation
from metrics.errors import ProviderError, UnreadableError
from metrics.judge import Counts, Look
from metrics.judge.looks import time_between
from metrics.providers.base import unexpected
from metrics.providers.prometheus import PROMETHEUS, data_of
from metrics.question import Empty, Question
from metrics.read import unread
from metrics.reading import Compared, Reading, Said
from metrics.templates import Model, render
from metrics.wire import Response
from outbound.connections import Connections

_SECOND = timedelta(seconds=1)
_MOST_LOOKS = 600
_BEFORE = timedelta(minutes=30)
"""Time at least in which the promoted version alone is looked at: it tells what is usual, and whether failures come at
once, without which the judge's promise is missed by far."""

_LOOKS_BEFORE = 60

_CANARY, _PROMOTED = "canary", "promoted"
_ALL, _BAD = "all", "bad"
_NAMED = re.compile(r"(\d+)/(canary|promoted)/(all|bad)")

_Series = tuple[tuple[int, str, str], tuple[tuple[float, float], ...]]


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is compared.

    Args:
        since: when it begins; what was counted before is of the promoted version alone.
        now: when it ends.
        step: how long one look lasts.
        lead: how long before it the counters are asked for, to tell new ones from others.
    """

    since: datetime
    now: datetime
    step: timedelta
    lead: timedelta

    @classmethod
    def of(cls, since: datetime, now: datetime, interval: timedelta) -> Span:
        """The span of an analysis with this interval, a dozen looks to each; twice as long ones when they get many."""
        step = time_between(interval) // _SECOND * _SECOND
        while now - since > _MOST_LOOKS * step:
            step *= 2
        return cls(since, now, step, step * max(_LOOKS_BEFORE, math.ceil(_BEFORE / step)))

    @property
    def range(self) -> timedelta:
        """How far back the counters are asked for, in whole seconds."""
        return timedelta(seconds=math.ceil((self.now - self.since + self.lead).total_seconds()))


def query_of(provider: str, model: Model, step: timedelta) -> str:
    """The query for the counters of both versions over the model's interval; empty where nothing counts them apart.

    Raises:
        TemplateError: it can't be filled in.
    """
    parts = [
        f'label_replace({source.count}{{{labels}{matcher}}}, "came", "{number}/{version}/{kind}", "", "")'
        for number, source in enumerate(counted(provider))
        for version, labels in ((_CANARY, source.labels), (_PROMOTED, source.promoted))
        for kind, matcher in ((_ALL, ""), (_BAD, f",{source.failed}"))
    ]
    if not parts:
        return ""
    every = f"{step // timedelta(seconds=1)}s"
    return render(f"({' or '.join(parts)})[{{{{ interval }}}}:{every}]", model_for(provider, model))


async def compare(question: Question, span: Span, connections: Connections) -> Reading:
    """Ask for the requests of both versions; outside trouble becomes `Unread`, never an error.

    Args:
        question: the query, as `query_of` gives it, and whom to ask.
        span: the time that is compared.
        connections: where the question goes.
    """
    talk = Conversation(question, connections, Grants(), span.now)
    try:
        request = PROMETHEUS.build(await talk.admitted(PROMETHEUS), span.now)
        said: Said = read(await talk.send(request, PROMETHEUS.deadline), span)
    except ProviderError as error:
        said = unread(question, error, talk)
    return Reading.of(question, said, span.now)


def read(response: Response, span: Span) -> Compared | Empty:
    """What an answer says: by the first source that has counted requests of the promoted version.

    Raises:
        ProviderError: it is no answer to such a question.
    """
    sources: dict[int, dict[tuple[str, str], dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for (number, version, kind), samples in _series(response):
        counts = sources[number][version, kind]
        for place, count in _increases(samples, span):
            counts[place] = counts.get(place, 0.0) + count
    for number in sorted(sources):
        if any(sources[number][_PROMOTED, _ALL].values()):
            return _compared(sources[number], span)
    return Empty("no requests of the promoted version are counted")


def _compared(counts: Mapping[tuple[str, str], Mapping[int, float]], span: Span) -> Compared:
    seconds = span.step.total_seconds()
    first, last = (math.floor(each.timestamp() / seconds) for each in (span.since, span.now))

    def of(version: str, place: int) -> Counts:
        requests, bad = (counts.get((version, kind), {}).get(place, 0.0) for kind in (_ALL, _BAD))
        return Counts(requests, min(bad, requests))

    before = sorted({place for (version, _), each in counts.items() if version == _PROMOTED for place in each})
    return Compared(
        looks=tuple(Look(of(_CANARY, place), of(_PROMOTED, place), seconds) for place in range(first + 1, last + 1)),
        usual=tuple(of(_PROMOTED, place) for place in before if place <= first),
        since=span.since,
    )


def _increases(samples: tuple[tuple[float, float], ...], span: Span) -> Iterator[tuple[int, float]]:
    """How much a counter has counted up to each place of the grid that has a sample.

    One that was not there before the time that is compared is new, and began with 0; one that is less than before began
    anew.
    """
    seconds, before = span.step.total_seconds(), None
    for time, value in samples:
        if before is None:
            before = 0.0 if time > span.since.timestamp() else value
        increase = value - before if value >= before else value
        before = value
        if increase > 0:
            yield round(time / seconds), increase


def _series(response: Response) -> Iterator[_Series]:
    data = data_of(response)
    match data.get("resultType"), data.get("result"):
        case "matrix", list(result):
            yield from (_samples(each, response) for each in result)
        case _:
            raise unexpected(response)


def _samples(series: object, response: Response) -> _Series:
    match series:
        case {"metric": {"came": str(name)}, "values": list(values)} if named := _NAMED.fullmatch(name):
            samples = tuple(_sample(each, response) for each in values)
            return (int(named[1]), named[2], named[3]), tuple(each for each in samples if math.isfinite(each[1]))
    raise unexpected(response)


def _sample(value: object, response: Response) -> tuple[float, float]:
    match value:
        case [int() | float() as time, str(text)]:
            try:
                return float(time), float(text)
            except ValueError as error:
                raise UnreadableError("a count is not a number") from error
    raise unexpected(response)
