"""Counters of both versions since a rollout took its first step, look by look: one query for all, and what it says.

What is asked for are the counters' own samples, not what `rate()` or `increase()` make of them: these know nothing of
what a series had counted when it first appeared, and gateways begin one anew for each rollout, so that of a canary that
fails from its first request on the first failures would be missing.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from metrics.errors import MisconfiguredError, UnreadableError
from metrics.judge import Counts, Look
from metrics.judge.looks import time_between
from metrics.providers.base import unexpected
from metrics.providers.prometheus import data_of
from metrics.question import Empty
from metrics.reading import Compared
from metrics.threshold import plain
from metrics.versions import CANARY, PROMOTED, USUAL, Versions
from metrics.wire import Response

_SECOND = timedelta(seconds=1)
_MOST_LOOKS = 600
BEFORE = timedelta(minutes=30)
"""Time at least in which the promoted version alone is looked at: it tells what is usual, and whether failures come at
once, without which the judge's promise is missed by far."""

_LOOKS_BEFORE = 60
_COARSER = 4

ALL, BAD, FAST = "all", "bad", "fast"
"""What is counted: requests, the bad ones among them, or where those are not counted, the others."""

_NAMED = re.compile(r"(\d+)/(canary|promoted|usual)/(all|bad|fast)")
_OF_COUNTERS = ("__name__", "le")
_ROUNDED = 1e-9
"""The part by which a counter may be less than before for no reason but rounding, where a server reckons it."""

_Labels = frozenset[tuple[str, str]]


class _Series(NamedTuple):
    source: int
    version: str
    kind: str
    labels: _Labels
    samples: tuple[tuple[float, float], ...]

    @property
    def whose(self) -> tuple[int, str, _Labels]:
        """What a counter of requests has in common with that of the fast ones among them."""
        return self.source, self.version, self.labels


class Counter(NamedTuple):
    """A counter of one version.

    Args:
        source: the place of its source among those that tell of both versions.
        version: `CANARY`, `PROMOTED` or `USUAL`.
        kind: `ALL`, `BAD` or `FAST`.
        query: what selects its series.
    """

    source: int
    version: str
    kind: str
    query: str


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is compared.

    Args:
        since: when it begins; what was counted before is of the promoted version alone.
        now: when it ends.
        step: how long one look lasts.
        lead: how long before it the counters are asked for, to tell new ones from others.
        until: where the promoted version is compared by what it did before the rollout began, when that was.
    """

    since: datetime
    now: datetime
    step: timedelta
    lead: timedelta
    until: datetime | None = None

    @classmethod
    def of(cls, since: datetime, now: datetime, interval: timedelta, until: datetime | None = None) -> Span:
        """The span of an analysis with this interval, a dozen looks to each; twice as long ones when they get many."""
        step = time_between(interval) // _SECOND * _SECOND
        while now - since > _MOST_LOOKS * step:
            step *= 2
        return cls(since, now, step, step * max(_LOOKS_BEFORE, math.ceil(BEFORE / step)), until)

    @property
    def range(self) -> timedelta:
        """How far back the counters are asked for, in whole seconds."""
        back = self.now - self.since + self.lead
        if self.until is not None:
            back = self.now - self.until + self.lead + max(self.lead, self.now - self.since)
        return timedelta(seconds=math.ceil(back.total_seconds()))

    @property
    def coarser(self) -> Span:
        """The same time with longer looks, for an answer that is shorter."""
        return replace(self, step=_COARSER * self.step)

    def place(self, moment: datetime) -> int:
        """Which look, counted from 1970, is the last that had ended at a moment."""
        return math.floor(moment.timestamp() / self.step.total_seconds())

    def pairs(self) -> list[tuple[int, int]]:
        """The places of the canary's looks, each with that of the promoted version's that it is held against.

        Beside each other they are the same. Before the rollout the nearest come first, each is taken once, and what is
        taken for usual is left out; so that what an earlier look was held against never changes.
        """
        places = range(self.place(self.since) + 1, self.place(self.now) + 1)
        if self.until is None:
            return [(place, place) for place in places]
        last, most = self.place(self.until), self.lead // self.step
        return [(place, last - back - (most if back >= most else 0)) for back, place in enumerate(places)]

    def is_usual(self, place: int) -> bool:
        """Whether what the promoted version did then tells what is usual."""
        if self.until is None:
            return place <= self.place(self.since)
        last, most = self.place(self.until), self.lead // self.step
        return last - 2 * most < place <= last - most


def failures(versions: Versions) -> list[Counter]:
    """The counters of requests and of failures, of every source that tells of both versions.

    Raises:
        TemplateError: a query can't be filled in.
    """
    return [
        Counter(number, version, kind, versions.query(version, source, partial(_selector, source.count, matcher)))
        for number, source in enumerate(versions.sources)
        for version in versions.asked
        for kind, matcher in ((ALL, ""), (BAD, f",{source.failed}"))
    ]


def _selector(series: str, further: str, labels: str) -> str:
    return f"{series}{{{labels}{further}}}"


def query_of(counters: Iterable[Counter], span: Span) -> str:
    """The query for the samples of counters; empty without any."""
    parts = [
        f'label_replace({each.query}, "came", "{each.source}/{each.version}/{each.kind}", "", "")' for each in counters
    ]
    return f"({' or '.join(parts)})[{span.range // _SECOND}s:{span.step // _SECOND}s]" if parts else ""


def read(response: Response, span: Span, bound: float | None = None) -> Compared | Empty:
    """What an answer says: by the first source that has counted requests of the promoted version.

    Args:
        response: the answer.
        span: the time that is compared.
        bound: of latencies, the milliseconds up to which a request is fast.

    Raises:
        MisconfiguredError: a version has requests of which it is not known how many are as fast.
        ProviderError: it is no answer to such a question.
    """
    sources: dict[int, dict[tuple[str, str], dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    lost: set[tuple[str, int]] = set()
    series = tuple(_series(response))
    fast = {each.whose for each in series if each.kind == FAST}
    for each in series:
        increases = list(_increases(each.samples, span))
        if bound is not None and each.whose not in fast:
            lost.update((each.version, place) for place, _ in increases)
            continue
        counts = sources[each.source][each.version, each.kind]
        for place, count in increases:
            counts[place] = counts.get(place, 0.0) + count
    _know(lost, span, bound)
    for number in sorted(sources):
        if any(_serves(span, place) for place in sources[number][PROMOTED, ALL]):
            return _compared(sources[number], span, bound)
    return Empty("no requests of the promoted version are counted")


def _know(lost: Collection[tuple[str, int]], span: Span, bound: float | None) -> None:
    """See to it that none of the requests that are compared lack a bucket: all of them would be slow."""
    compared = {each for mine, theirs in span.pairs() for each in ((CANARY, mine), (PROMOTED, theirs))}
    lacking = sorted({version for version, _ in compared.intersection(lost)})
    if lacking and bound is not None:
        whose = " and ".join(lacking)
        text = f"pods of the {whose} version have no bucket up to {plain(round(bound, 3))} ms in their histogram"
        raise MisconfiguredError(f"{text}: write a bound that both versions have into thresholdRange.max")


def _compared(counts: Mapping[tuple[str, str], Mapping[int, float]], span: Span, bound: float | None) -> Compared:
    seconds = span.step.total_seconds()

    def of(version: str, place: int) -> Counts:
        requests, bad, fast = (counts.get((version, kind), {}).get(place, 0.0) for kind in (ALL, BAD, FAST))
        return Counts(requests, min(bad if bound is None else max(0.0, requests - fast), requests))

    known = USUAL if any(version == USUAL for version, _ in counts) else PROMOTED
    before = sorted({place for (version, _), each in counts.items() if version == known for place in each})
    return Compared(
        looks=tuple(Look(of(CANARY, mine), of(PROMOTED, theirs), seconds) for mine, theirs in span.pairs()),
        usual=tuple(of(known, place) for place in before if span.is_usual(place)),
        since=span.since,
        bound=bound,
    )


def _serves(span: Span, place: int) -> bool:
    """Whether what was counted of the promoted version then may be compared."""
    return span.until is None or place <= span.place(span.until)


def _increases(samples: tuple[tuple[float, float], ...], span: Span) -> Iterator[tuple[int, float]]:
    """How much a counter has counted up to each place of the grid that has a sample.

    One that was not there before the time that is compared is new, and began with 0; one that is less than before began
    anew.
    """
    seconds, before = span.step.total_seconds(), None
    for time, value in samples:
        if before is None:
            before = 0.0 if time > span.since.timestamp() else value
        increase = value - before if value >= before * (1 - _ROUNDED) else value
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
        case {"metric": {"came": str(name), **labels}, "values": list(values)} if named := _NAMED.fullmatch(name):
            samples = tuple(_sample(each, response) for each in values)
            known = frozenset((str(key), str(value)) for key, value in labels.items() if key not in _OF_COUNTERS)
            finite = tuple(each for each in samples if math.isfinite(each[1]))
            return _Series(int(named[1]), named[2], named[3], known, finite)
    raise unexpected(response)


def _sample(value: object, response: Response) -> tuple[float, float]:
    match value:
        case [int() | float() as time, str(text)]:
            try:
                return float(time), float(text)
            except ValueError as error:
                raise UnreadableError("a count is not a number") from error
    raise unexpected(response)
