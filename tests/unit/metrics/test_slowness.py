"""From which bound on a request is slow: what is asked of both versions' histograms, and what an answer says."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.builtin import TRAFFIC, counted
from metrics.comparison import Subject, compare
from metrics.connections import QUESTIONS
from metrics.errors import MisconfiguredError, ProviderError
from metrics.judge import Counts
from metrics.question import Empty, Question
from metrics.reading import Cause, Compared, Said, Unread
from metrics.samples import Span
from metrics.samples import query_of as samples_query
from metrics.samples import read as samples_read
from metrics.slowness import Bound, moments, query_of, read
from metrics.templates import Model
from metrics.versions import Versions
from metrics.wire import Request, Response
from outbound.connections import Connections

COUNTED = [provider for provider in sorted(TRAFFIC) if counted(provider)]
SINCE = datetime(2026, 3, 4, 5, 0, 0, tzinfo=UTC)
START = SINCE.timestamp()
USUAL: dict[str, float] = {"0.1": 90, "0.3": 98, "1.2": 99, "5.0": 100, "+Inf": 100}
"""Of a hundred requests one takes longer than 1.2 s."""

Json = dict[str, object]


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


def versions(provider: str) -> Versions:
    name = "app"
    model = Model(name=name, namespace=name, target=name, service=name, ingress=name, route=name, interval="1m")
    return Versions(provider=provider, model=model)


def span(seconds: float = 60) -> Span:
    return Span.of(SINCE, SINCE + timedelta(seconds=seconds), timedelta(seconds=60))


def answer(kind: str, *result: Json) -> Response:
    return Response(200, json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode())


def classic(buckets: dict[str, float], number: int = 0) -> list[Json]:
    """The answer about a classic histogram, whose buckets have those below them among theirs."""
    named = {"came": f"{number}/classic"}
    return [{"metric": {**named, "le": le}, "value": [START, str(count)]} for le, count in buckets.items()]


def native(came: str, *buckets: tuple[float, float, float], number: int = 0) -> Json:
    told = {"count": "1", "sum": "1", "buckets": [[0, *map(str, each)] for each in buckets]}
    return {"metric": {"came": f"{number}/{came}"}, "histogram": [START, told]}


def bound(*result: Json, limit: float | None = None, provider: str = "traefik") -> Bound | None:
    return read(versions(provider), answer("vector", *result), limit)


@pytest.mark.parametrize("provider", COUNTED)
@pytest.mark.parametrize("moment", [None, SINCE])
def test_one_query_asks_for_the_histograms_of_all_sources(provider: str, model: Model, moment: datetime | None) -> None:
    query = query_of(Versions(provider=provider, model=model), span(), moment)
    assert "{{" not in query
    for number in range(len(counted(provider))):
        for came in ("classic", "native", "both"):
            assert query.count(f'"came", "{number}/{came}", "", ""') == 1
    assert ("[1800s] @ 1772600400.000" in query) == (moment is not None)


@pytest.mark.parametrize("provider", COUNTED)
@pytest.mark.parametrize("label", ["", "0.25"])
def test_look_by_look_one_bucket_is_asked_for_however_many_there_are(provider: str, model: Model, label: str) -> None:
    for number, source in enumerate(counted(provider)):
        counters = Bound(number, source, 0.25, label).counters(Versions(provider=provider, model=model))
        query = samples_query(counters, span())
        assert len(counters) == query.count("label_replace(") == 4
        assert ('le="0.25"' in query) == bool(label)
        assert ("histogram_fraction(-Inf, 0.25, " in query) == (not label)


@pytest.mark.parametrize(("limit", "end"), [(1, 0.1), (100, 0.1), (101, 0.3), (500, 1.2), (5000, 5.0), (None, 1.2)])
def test_a_limit_is_moved_up_to_the_next_bound_and_none_is_where_the_quantile_lies(
    limit: float | None, end: float
) -> None:
    found = bound(*classic(USUAL), limit=limit)
    assert found is not None
    assert (found.bound, found.milliseconds) == (end, 1000 * end)
    assert float(found.label) == end


def test_beyond_the_last_bound_nothing_can_be_counted_and_the_message_says_where_it_is() -> None:
    with pytest.raises(MisconfiguredError, match="ends at 5000 ms: write less into thresholdRange"):
        bound(*classic(USUAL), limit=5001)


@pytest.mark.parametrize(
    ("buckets", "end"),
    [
        ({"0.1": 1000, "0.3": 1000, "+Inf": 1000}, 0.1),
        ({"0.1": 0, "0.3": 1000, "1": 1000, "+Inf": 1000}, 0.3),
        ({"0.1": 900, "0.3": 1000, "+Inf": 1000}, 0.1),
    ],
)
def test_where_no_bound_is_near_the_quantile_the_one_that_tells_most_is_taken(
    buckets: dict[str, float], end: float
) -> None:
    found = bound(*classic(buckets))
    assert found is not None
    assert found.bound == end


@pytest.mark.parametrize("buckets", [{}, dict.fromkeys(USUAL, 0), {"0.1": 0, "5": 0, "+Inf": 100}])
def test_without_requests_below_any_bound_there_is_none(buckets: dict[str, float]) -> None:
    assert bound(*classic(buckets)) is None


def test_a_limit_needs_no_requests_before() -> None:
    found = bound(*classic(dict.fromkeys(USUAL, 0)), limit=300)
    assert found is not None
    assert found.label == "0.3"


def test_of_a_native_histogram_the_end_of_a_bucket_with_requests_is_taken() -> None:
    before = native("native", (0.25, 0.5, 990), (0.5, 0.59, 10))
    both = native("both", (0.25, 0.5, 1990), (0.5, 0.59, 10), (1.0, 1.19, 5))
    usual, inside, between, beyond = (bound(before, both, limit=limit) for limit in (None, 1100, 700, 6000))
    assert usual is not None
    assert inside is not None
    assert between is not None
    assert beyond is not None
    assert [each.bound for each in (usual, inside, between, beyond)] == [0.5, 1.19, 0.7, 6.0]
    assert not any(each.label for each in (usual, inside, between, beyond))


def test_a_native_histogram_of_custom_buckets_has_an_end_too() -> None:
    with pytest.raises(MisconfiguredError, match="ends at 5000 ms"):
        bound(
            native("native", (1.2, 5, 3), (5, math.inf, 1)), native("both", (1.2, 5, 3), (5, math.inf, 1)), limit=9000
        )


def test_the_first_source_that_has_timed_the_promoted_version_tells() -> None:
    found = bound(*classic({"100": 99, "500": 100, "+Inf": 100}, number=1), provider="gatewayapi")
    assert found is not None
    assert (found.number, found.milliseconds) == (1, 100)


@pytest.mark.parametrize(
    "result",
    [
        {"metric": {}, "value": [1, "2"]},
        {"metric": {"came": "0/classic", "le": "x"}, "value": [1, "2"]},
        {"metric": {"came": "0/native"}, "histogram": [1, {"buckets": [[0, "1", "x", "2"]]}]},
        {"metric": {"came": "0/native"}, "histogram": [1, {"buckets": ["x"]}]},
    ],
)
def test_what_is_no_such_answer_is_unreadable(result: Json) -> None:
    with pytest.raises(ProviderError):
        bound(result)
    with pytest.raises(ProviderError):
        read(versions("traefik"), answer("matrix"), None)


@given(st.floats(0, 10**7))
def test_the_moments_at_which_a_quantile_may_be_known_are_few(seconds: float) -> None:
    times = list(moments(span(seconds)))
    assert times[0] == SINCE
    assert times[-1] <= span(seconds).now
    assert len(times) <= 20


class Server:
    """A Prometheus with the promoted version's requests from some minute on."""

    def __init__(self, since: datetime, buckets: dict[str, float] = USUAL) -> None:
        self.queries: list[str] = []
        self._since, self._buckets = since, buckets

    async def __call__(self, request: Request) -> Response:
        fields = request.body.decode() if request.body else urlsplit(request.url).query
        query = parse_qs(fields)["query"][0]
        self.queries.append(query)
        if "sum by (le)" not in query:
            return self._samples()
        known = " @ " not in query or float(query.partition(" @ ")[2].partition(")")[0]) > self._since.timestamp()
        return answer("vector", *classic(self._buckets if known else {}))

    def _samples(self) -> Response:
        """Ten requests a look, of which eight are fast."""
        first = self._since.timestamp()
        counts = {f"0/{side}/{kind}": each for side in ("canary", "promoted") for kind, each in KINDS.items()}
        series: list[Json] = [
            {"metric": {"came": came}, "values": [[first + 5 * at, str(each * at)] for at in range(100)]}
            for came, each in counts.items()
        ]
        return answer("matrix", *series)


KINDS = {"all": 10, "fast": 8}


async def ask_for(ask: Ask, model: Model, server: Server, seconds: float, limit: float | None = None) -> Said:
    subject = Subject(versions=Versions(provider="traefik", model=model), slow=True, limit=limit)
    async with Connections(QUESTIONS, server) as clients:
        return (await compare(ask(), subject, span(seconds), clients)).said


async def test_what_is_not_fast_is_bad(ask: Ask, model: Model) -> None:
    server = Server(SINCE - timedelta(minutes=5))
    said = await ask_for(ask, model, server, 60)
    assert isinstance(said, Compared)
    assert {look.canary for look in said.looks} == {Counts(10, 2)}
    assert (said.bound, said.since, len(server.queries)) == (1200, SINCE, 2)


async def test_a_version_without_requests_before_is_compared_from_when_its_latency_is_known(
    ask: Ask, model: Model
) -> None:
    said = await ask_for(ask, model, Server(SINCE + timedelta(seconds=90)), 600)
    assert isinstance(said, Compared)
    assert said.since == SINCE + timedelta(minutes=3)
    assert isinstance(await ask_for(ask, model, Server(SINCE + timedelta(seconds=90)), 120), Empty)


async def test_with_a_limit_nothing_is_waited_for(ask: Ask, model: Model) -> None:
    server = Server(SINCE, dict.fromkeys(USUAL, 0.0))
    said = await ask_for(ask, model, server, 60, 500)
    assert isinstance(said, Compared)
    assert (said.bound, said.since) == (1200, SINCE)


async def test_a_limit_that_can_t_be_held_is_told(ask: Ask, model: Model) -> None:
    said = await ask_for(ask, model, Server(SINCE), 60, 9000)
    assert isinstance(said, Unread)
    assert said.cause is Cause.MISCONFIGURED
    assert "thresholdRange.max" in said.reason


async def test_trouble_outside_is_no_error(ask: Ask, model: Model) -> None:
    async def down(request: Request) -> Response:
        return replace(answer("vector"), status=503)

    async with Connections(QUESTIONS, down) as clients:
        found = await compare(
            ask(), Subject(versions=Versions(provider="traefik", model=model), slow=True), span(), clients
        )
    assert isinstance(found.said, Unread)


def timed(came: str, rate: float, **labels: str) -> Json:
    """A counter of so many requests a look, from before the first step on."""
    values = [[START + at, str(rate * at)] for at in range(-1800, 61, 5)]
    return {"metric": {"came": f"0/{came}", **labels}, "values": values}


def promoted(pod: str = "a") -> list[Json]:
    return [timed("promoted/all", 2, pod=pod), timed("promoted/fast", 2, pod=pod, le="0.3")]


@pytest.mark.parametrize("others", [[], ["old"]])
def test_a_version_whose_histogram_has_no_such_bucket_is_not_taken_for_slow(others: list[str]) -> None:
    """A release that changes its buckets, as by `buckets=` of a client of Prometheus; pods of both kinds among them."""
    known = [timed(f"canary/{kind}", 1, pod=pod, **le) for pod in others for kind, le in BUCKETS.items()]
    told = answer("matrix", *promoted(), timed("canary/all", 1, pod="new"), *known)
    with pytest.raises(MisconfiguredError, match=r"canary.* no bucket up to 300 ms.*thresholdRange\.max"):
        samples_read(told, span(), 300.0)


BUCKETS: dict[str, dict[str, str]] = {"all": {}, "fast": {"le": "0.3"}}


def test_pods_of_other_buckets_tell_nothing_of_what_was_usual() -> None:
    """Those of the version before, which the promoted one replaced a while ago."""
    old = timed("promoted/all", 9, pod="old")
    old["values"] = [[START + at, str(9 * at)] for at in range(-1800, -900, 5)]
    version = [timed(f"canary/{kind}", 1, pod="new", **le) for kind, le in BUCKETS.items()]
    found = samples_read(answer("matrix", *promoted(), old, *version), span(), 300.0)
    assert isinstance(found, Compared)
    assert set(found.usual) == {Counts(10, 0)}
    assert {look.canary for look in found.looks} == {Counts(5, 0)}
