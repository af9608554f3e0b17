"""From which bound on a request is slow, and the counters of those that are not, in histograms classic and native.

A bound that the user names is moved up to the next one of the histogram: what is above that is counted exactly, with no
guess about where in a bucket a request lies. Without one it is where the promoted version's 99th percentile was before
the rollout (`metrics.judge.histogram`). However many buckets there are, one is asked for look by look: what a
comparison costs does not grow with them.

Of a native histogram the server reckons the part below a bound, which is exact at the end of one of its buckets. Which
there are, an answer tells of those with requests in them alone; but where there are none, anywhere will do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf, isfinite

from metrics.builtin import Requests
from metrics.errors import MisconfiguredError, UnreadableError
from metrics.judge.histogram import Histogram, bound_at
from metrics.providers.base import unexpected
from metrics.providers.prometheus import data_of
from metrics.samples import ALL, BEFORE, FAST, Counter, Span
from metrics.threshold import plain
from metrics.versions import CANARY, USUAL, Versions
from metrics.wire import Response

QUANTILE = 0.99
"""The one that `request-duration` means."""

_CLASSIC, _NATIVE, _BOTH = "classic", "native", "both"
_NAMED = re.compile(r"(\d+)/(classic|native|both)")
_FIRST_WAIT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Bound:
    """The bound of one source's histogram.

    Args:
        number: the place of the source among those that tell of both versions.
        source: the source.
        bound: in the unit of its histogram.
        label: the classic bucket's, as the server writes it; empty of a native histogram.
    """

    number: int
    source: Requests
    bound: float
    label: str = ""

    @property
    def milliseconds(self) -> float:
        """The bound in milliseconds."""
        return self.bound * self.source.scale

    def counters(self, versions: Versions) -> list[Counter]:
        """The counters of requests, and of those that took no longer.

        Raises:
            TemplateError: a query can't be filled in.
        """
        return [
            Counter(self.number, version, kind, versions.query(version, self.source, written))
            for version in versions.asked
            for kind, written in ((ALL, self._requests), (FAST, self._fast))
        ]

    def _requests(self, labels: str) -> str:
        series, labels = self.source.duration, _with(labels, self.source.timed)
        return f"{series}_count{{{labels}}}" if self.label else f"histogram_count({series}{{{labels}}})"

    def _fast(self, labels: str) -> str:
        series, timed = self.source.duration, _with(labels, self.source.timed)
        if self.label:
            return f'{series}_bucket{{{timed},le="{self.label}"}}'
        return f"(histogram_fraction(-Inf, {self.bound!r}, {series}{{{timed}}}) * {self._requests(labels)})"


def moments(span: Span) -> Iterator[datetime]:
    """Times up to which the promoted version's latency may tell the bound: the first at which there is any.

    Looks from then on are held against it, so that it is a fair one; and whoever asks again finds the same. Where what
    it did before the rollout is compared, what it did before that tells, if there is any.
    """
    if span.until is not None:
        yield from (span.until - span.lead, span.until)
        return
    moment, wait = span.since, _FIRST_WAIT
    while moment <= span.now:
        yield moment
        moment, wait = moment + wait, 2 * wait


def query_of(versions: Versions, span: Span, moment: datetime | None) -> str:
    """The query for the histograms that tell the bound, of all sources.

    Args:
        versions: how both are picked.
        span: the time that is compared.
        moment: up to when the promoted version tells a quantile; None where its buckets alone are asked for.

    Raises:
        TemplateError: it can't be filled in.
    """
    parts = []
    for number, source in enumerate(versions.sources):
        queries = _histograms(versions, source, span, moment)
        parts += [f'label_replace({query}, "came", "{number}/{name}", "", "")' for name, query in queries.items()]
    return "\nor\n".join(parts)


def _histograms(versions: Versions, source: Requests, span: Span, moment: datetime | None) -> Mapping[str, str]:
    whole = f"[{span.range // timedelta(seconds=1)}s]"
    before = whole if moment is None else f"[{BEFORE // timedelta(seconds=1)}s] @ {moment.timestamp():.3f}"

    def increase(version: str, window: str, ending: str = "") -> str:
        def written(labels: str) -> str:
            return f"increase({source.duration}{ending}{{{_with(labels, source.timed)}}}{window})"

        return versions.query(version, source, written)

    return {
        _CLASSIC: f"sum by (le) ({increase(USUAL, before, '_bucket')})",
        _NATIVE: f"sum({increase(USUAL, before)})",
        _BOTH: f"sum({increase(USUAL, whole)} or {increase(CANARY, whole)})",
    }


def read(versions: Versions, response: Response, limit: float | None) -> Bound | None:
    """The bound that an answer tells: of the first source that has timed requests of the promoted version.

    Args:
        versions: how both are picked.
        response: the answer.
        limit: the user's bound in milliseconds; None for the one of the quantile.

    Returns:
        None where there are none.

    Raises:
        MisconfiguredError: the histogram has nothing beyond the limit.
        ProviderError: it is no answer to such a question.
    """
    found = _found(response)
    for number, source in enumerate(versions.sources):
        classic, native, both = (found.get((number, name), _Buckets()) for name in (_CLASSIC, _NATIVE, _BOTH))
        known = classic.histogram if classic.ends else native.histogram
        bound = bound_at(known, QUANTILE) if limit is None else limit / source.scale
        if bound is None or not known.bounds:
            continue
        buckets = classic if classic.ends else both
        end, label = buckets.end_of(bound)
        if end == inf:
            last = max((each for each in buckets.ends if each < inf), default=0.0)
            reach = plain(round(last * source.scale, 3))
            raise MisconfiguredError(f"the histogram ends at {reach} ms: write less into thresholdRange.max")
        return Bound(number, source, end, label)
    return None


@dataclass(slots=True)
class _Buckets:
    """A histogram as a server tells it.

    Args:
        ends: of each bucket its upper end, where it begins, how many requests it has, and its label; the requests of a
            classic one have those of the buckets below among them, and it begins nowhere.
    """

    ends: dict[float, tuple[float, float, str]] = field(default_factory=dict)

    @property
    def histogram(self) -> Histogram:
        bounds, counts, below = sorted(self.ends), [], 0.0
        for bound in bounds:
            _, count, label = self.ends[bound]
            counts.append(max(0.0, count - below) if label else count)
            below = max(below, count)
        return Histogram(tuple(bounds), tuple(counts))

    def end_of(self, bound: float) -> tuple[float, str]:
        """The end of the bucket in which a bound lies, and its label; the bound itself where there is no such bucket.

        Classic buckets are all told, and their last one is without end.
        """
        for end, (begin, _, label) in sorted(self.ends.items()):
            if begin < bound <= end:
                return end, label
        return bound, ""


def _with(labels: str, further: str) -> str:
    return f"{labels},{further}" if further else labels


def _found(response: Response) -> Mapping[tuple[int, str], _Buckets]:
    data = data_of(response)
    found: dict[tuple[int, str], _Buckets] = defaultdict(_Buckets)
    match data.get("resultType"), data.get("result"):
        case "vector", list(result):
            for each in result:
                _take(each, found, response)
            return found
    raise unexpected(response)


def _take(series: object, found: Mapping[tuple[int, str], _Buckets], response: Response) -> None:
    match series:
        case {"metric": {"came": str(name), **labels}, **value} if named := _NAMED.fullmatch(name):
            place = found[int(named[1]), named[2]]
        case _:
            raise unexpected(response)
    match labels, value:
        case {"le": str(label)}, {"value": [_, str(count)]}:
            place.ends[_number(label)] = -inf, _count(count), label
        case _, {"histogram": [_, {"buckets": list(buckets)}]}:
            for bucket in buckets:
                match bucket:
                    case [_, str(begin), str(end), str(count)]:
                        place.ends[_number(end)] = _number(begin), _count(count), ""
                    case _:
                        raise unexpected(response)
        case _, {"histogram": _} | {"value": _}:
            pass  # without requests, or a counter of the same name
        case _:
            raise unexpected(response)


def _count(text: str) -> float:
    value = _number(text)
    return value if isfinite(value) and value > 0 else 0.0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UnreadableError("a bucket is not a number") from error
