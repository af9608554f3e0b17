"""The requests of both versions, look by look: what is asked for them, and what an answer says."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.builtin import TRAFFIC, counted
from metrics.comparison import Subject, compare
from metrics.connections import QUESTIONS
from metrics.errors import ProviderError
from metrics.judge import Counts
from metrics.question import Empty, Question
from metrics.reading import Cause, Compared, Unread
from metrics.samples import Span, failures, query_of, read
from metrics.templates import Model
from metrics.versions import Versions
from metrics.wire import Request, Response
from outbound.connections import Connections
from outbound.errors import TooLargeError

COUNTED = [provider for provider in sorted(TRAFFIC) if counted(provider)]
SINCE = datetime(2026, 3, 4, 5, 0, 0, tzinfo=UTC)
START = SINCE.timestamp()
FOUR = [f"{version}/{kind}" for version, kind in product(("canary", "promoted"), ("all", "bad"))]

Samples = dict[int, float]


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


def span(seconds: float = 60, interval: float = 60) -> Span:
    return Span.of(SINCE, SINCE + timedelta(seconds=seconds), timedelta(seconds=interval))


def answer(*series: tuple[str, Samples]) -> Response:
    """An answer of Prometheus, from what a series is and its samples by their seconds since the first step."""
    result = [
        {"metric": {"came": came}, "values": [[START + at, str(value)] for at, value in samples.items()]}
        for came, samples in series
    ]
    return Response(200, json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode())


def counts(*series: tuple[str, Samples], **spans: float) -> Compared:
    found = read(answer(*series), span(**spans))
    assert isinstance(found, Compared)
    return found


def steady(start: float, rate: float, begin: int = -1800, end: int = 60) -> Samples:
    return {at: start + rate * (at - begin) for at in range(begin, end + 1, 5)}


def whole(found: Compared, version: str) -> Counts:
    each = [getattr(look, version) for look in found.looks]
    return Counts(sum(one.requests for one in each), sum(one.bad for one in each))


PROMOTED = ("0/promoted/all", steady(1e6, 9))


@pytest.mark.parametrize("provider", COUNTED)
def test_one_query_asks_for_both_versions_and_their_failures(provider: str, model: Model) -> None:
    query = query_of(failures(Versions(provider=provider, model=model)), span())
    assert "{{" not in query
    assert query.endswith("[1860s:5s]")
    for source, named in product(range(len(counted(provider))), FOUR):
        assert query.count(f'"came", "{source}/{named}", "", ""') == 1


def test_without_counts_of_both_there_is_nothing_to_ask(model: Model) -> None:
    assert query_of(failures(Versions(provider="kubernetes", model=model)), span()) == ""


def test_each_look_has_what_came_in_its_time() -> None:
    found = counts(PROMOTED, ("0/canary/all", {0: 0.0, 5: 3.0, 10: 4.0}), ("0/canary/bad", {0: 0.0, 5: 0.0, 10: 1.0}))
    assert [look.canary for look in found.looks][:3] == [Counts(3, 0), Counts(1, 1), Counts(0, 0)]
    assert {look.promoted for look in found.looks} == {Counts(45, 0)}
    assert [look.seconds for look in found.looks] == [5.0] * 12
    assert found.since == SINCE


def test_what_came_before_is_usual_of_the_promoted_version_and_nothing_of_the_canary() -> None:
    found = counts(PROMOTED, ("0/canary/all", steady(500, 1)))
    assert found.usual == (Counts(45, 0),) * 360
    assert whole(found, "canary") == Counts(60, 0)


def test_a_series_that_is_new_has_counted_from_nothing() -> None:
    """Gateways begin one with the first request of a rollout, and one for failures with the first failure."""
    found = counts(PROMOTED, ("0/canary/all", {10: 40.0, 15: 90.0}), ("0/canary/bad", {10: 40.0, 15: 90.0}))
    assert whole(found, "canary") == Counts(90, 90)


def test_a_series_that_was_there_when_it_was_first_asked_for_has_counted_for_others() -> None:
    """An outage of scraping before the first step makes no failures of a version of last week."""
    found = counts(PROMOTED, ("0/canary/all", {-20: 7e5, 0: 7e5, 5: 7e5 + 10}), ("0/canary/bad", {-20: 6e5, 5: 6e5}))
    assert whole(found, "canary") == Counts(10, 0)


def test_a_counter_that_begins_anew_loses_nothing() -> None:
    found = counts(PROMOTED, ("0/canary/all", {-5: 100.0, 5: 110.0, 10: 4.0, 15: 6.0}))
    assert whole(found, "canary") == Counts(16, 0)


def test_a_gap_has_its_requests_at_its_end() -> None:
    found = counts(PROMOTED, ("0/canary/all", {0: 10.0, 5: 20.0, 45: 100.0}))
    assert [look.canary.requests for look in found.looks] == [10.0, *[0.0] * 7, 80.0, *[0.0] * 3]


def test_several_series_are_one_version() -> None:
    found = counts(PROMOTED, PROMOTED, *[("0/canary/all", {5: 2.0})] * 3)
    assert whole(found, "canary").requests == 6
    assert found.looks[0].promoted.requests == 90


def test_the_first_source_that_has_seen_the_promoted_version_tells() -> None:
    found = counts(("0/canary/all", {5: 1.0}), ("1/promoted/all", {5: 8.0}), ("1/canary/all", {5: 2.0}))
    assert found.looks[0].canary == Counts(2, 0)


def test_without_requests_of_the_promoted_version_there_is_nothing_to_compare_with() -> None:
    assert isinstance(read(answer(("0/canary/all", {5: 1.0})), span()), Empty)
    assert isinstance(read(answer(), span()), Empty)


@pytest.mark.parametrize(
    "body",
    [
        {"resultType": "vector", "result": []},
        {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "2"]]}]},
        {"resultType": "matrix", "result": [{"metric": {"came": "0/canary/all"}, "values": [[1, "x"]]}]},
        {"resultType": "matrix", "result": [{"metric": {"came": "0/canary/all"}, "values": [1]}]},
    ],
)
def test_what_is_no_such_answer_is_unreadable(body: dict[str, object]) -> None:
    with pytest.raises(ProviderError):
        read(Response(200, json.dumps({"status": "success", "data": body}).encode()), span())


@given(
    increments=st.lists(st.integers(0, 1000), min_size=1, max_size=12),
    resets=st.sets(st.integers(1, 11)),
    start=st.integers(0, 10**9),
)
def test_no_request_is_counted_twice_or_lost(increments: list[int], resets: set[int], start: int) -> None:
    """But what a counter had counted between its last sample and its new beginning."""
    value, samples = float(start), {0: float(start)}
    for number, increment in enumerate(increments, start=1):
        value = increment if number in resets and increment < value else value + increment
        samples[5 * number] = value
    assert whole(counts(PROMOTED, ("0/canary/all", samples)), "canary").requests == sum(increments)


@given(st.floats(1, 10**7), st.floats(1, 2_592_000))
def test_there_are_never_more_looks_than_can_be_judged_at_once(seconds: float, interval: float) -> None:
    made = span(seconds, interval)
    assert timedelta(seconds=seconds) <= 600 * made.step
    assert made.step >= timedelta(seconds=5)
    assert made.lead >= max(60 * made.step, timedelta(minutes=30))


@pytest.mark.parametrize("status", [200, 503])
async def test_trouble_outside_is_no_error(ask: Ask, model: Model, status: int) -> None:
    async def outside(request: Request) -> Response:
        return replace(answer(PROMOTED), status=status)

    async with Connections(QUESTIONS, outside) as clients:
        found = await compare(ask(), Subject(versions=Versions(provider="traefik", model=model)), span(), clients)
    assert isinstance(found.said, Compared if status == 200 else Unread)
    assert found.query.endswith("[1860s:5s]")
    assert found.time == span().now


@pytest.mark.parametrize(("room", "asked"), [(2, ["5s]", "20s]"]), (9, ["5s]", "20s]", "80s]"])])
async def test_an_answer_that_is_too_large_is_asked_for_in_longer_looks(
    ask: Ask, model: Model, room: int, asked: list[str]
) -> None:
    queries: list[str] = []

    async def outside(request: Request) -> Response:
        queries.append(asked_for(request))
        if len(queries) < room:
            raise TooLargeError("it is larger than 4 MiB")
        return answer(PROMOTED)

    async with Connections(QUESTIONS, outside) as clients:
        found = await compare(ask(), Subject(versions=Versions(provider="traefik", model=model)), span(), clients)
    assert [query.rpartition(":")[2] for query in queries] == asked
    if room > len(asked):
        assert isinstance(found.said, Unread)
        assert found.said.cause is Cause.UNREADABLE
    else:
        assert isinstance(found.said, Compared)
        assert {look.seconds for look in found.said.looks} == {20.0}


def asked_for(request: Request) -> str:
    fields = request.body.decode() if request.body else urlsplit(request.url).query
    return parse_qs(fields)["query"][0]
