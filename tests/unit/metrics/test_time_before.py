"""A version that is compared with the time before: which looks are held against each other, and what is asked."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.builtin import TRAFFIC
from metrics.comparison import Subject, compare
from metrics.connections import QUESTIONS
from metrics.judge import Counts
from metrics.question import Empty, Question
from metrics.reading import Compared
from metrics.samples import Span, failures, query_of, read
from metrics.slowness import moments
from metrics.templates import Model
from metrics.versions import Versions
from metrics.wire import Request, Response
from outbound.connections import Connections

SINCE = datetime(2026, 3, 4, 5, 0, 0, tzinfo=UTC)
UNTIL = SINCE - timedelta(seconds=20)
START = SINCE.timestamp()

Samples = dict[int, float]


def span(seconds: float = 60, interval: float = 60) -> Span:
    return Span.of(SINCE, SINCE + timedelta(seconds=seconds), timedelta(seconds=interval), UNTIL)


def answer(*series: tuple[str, Samples]) -> Response:
    result = [
        {"metric": {"came": came}, "values": [[START + at, str(value)] for at, value in samples.items()]}
        for came, samples in series
    ]
    return Response(200, json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode())


def steady(rate: float, begin: int, end: int) -> Samples:
    return {at: 1e6 + rate * (at - begin) for at in range(begin, end + 1, 5)}


def to_primary(text: str, model: Model) -> tuple[str, Model]:
    return text, replace(model, target=f"{model.target}-primary")


@given(st.floats(1, 10**6), st.floats(1, 10**5), st.floats(1, 10**5))
def test_a_look_is_held_against_what_none_before_it_was(seconds: float, more: float, interval: float) -> None:
    """And what it is held against stays the same, however long the rollout takes: the evidence is kept."""
    early = span(seconds, interval)
    late = replace(early, now=early.now + timedelta(seconds=more))
    pairs, last = early.pairs(), early.place(UNTIL)
    theirs = [place for _, place in pairs]
    assert late.pairs()[: len(pairs)] == pairs
    assert len(set(theirs)) == len(theirs)
    assert all(place <= last and not early.is_usual(place) for place in theirs)
    oldest = min(theirs, default=last) * early.step.total_seconds()
    assert oldest >= (early.now - early.range).timestamp() - 2 * early.step.total_seconds()


def test_the_nearest_look_before_comes_first() -> None:
    found = read(
        answer(
            ("0/canary/all", steady(1, -3600, 60)),
            ("0/promoted/all", steady(9, -3700, 60)),
            ("0/promoted/bad", {-3700: 5.0, -25: 5.0, -20: 8.0, 5: 50.0}),
        ),
        span(),
    )
    assert isinstance(found, Compared)
    assert {look.canary for look in found.looks} == {Counts(5, 0)}
    assert [look.promoted for look in found.looks] == [Counts(45, 3), *[Counts(45, 0)] * 11]
    assert found.usual == (Counts(45, 0),) * 360


def test_of_a_primary_that_serves_since_the_rollout_only_there_is_nothing_to_compare_with() -> None:
    series = ("0/canary/all", steady(1, 0, 60)), ("0/promoted/all", steady(9, 0, 60))
    assert isinstance(read(answer(*series), span()), Empty)


@pytest.mark.parametrize("provider", sorted(TRAFFIC))
def test_whatever_counts_a_workload_tells_of_the_time_before(provider: str, model: Model) -> None:
    """Also where the data plane itself has no name for the promoted version."""
    versions = Versions(provider=provider, model=model, rewrite=to_primary)
    counters = failures(versions)
    assert len(counters) == 4 * len(TRAFFIC[provider])
    query = query_of(counters, span())
    assert "{{" not in query
    assert query.endswith("[3680s:5s]")


def test_once_it_is_promoted_the_new_version_is_found_where_the_old_one_was(model: Model) -> None:
    counters = failures(Versions(provider="kubernetes", model=model, rewrite=to_primary, promoted=True))
    queries = {each.version: each.query for each in counters if each.kind == "all"}
    assert queries["canary"] == queries["promoted"]
    assert "app-primary-" in queries["canary"]


def test_the_bound_of_latency_is_known_before_the_time_that_is_compared() -> None:
    assert list(moments(span())) == [UNTIL - timedelta(minutes=30), UNTIL]


@pytest.mark.parametrize("known", [0, 1])
async def test_the_whole_rollout_is_compared_whichever_time_tells_the_bound(
    ask: Callable[..., Question], model: Model, known: int
) -> None:
    moment = f" @ {list(moments(span()))[known].timestamp():.3f}"

    async def outside(request: Request) -> Response:
        fields = request.body.decode() if request.body else urlsplit(request.url).query
        query = parse_qs(fields)["query"][0]
        if "sum by (le)" not in query:
            counted = {"canary": steady(1, -3600, 60), "promoted": steady(9, -3700, 60)}
            return answer(*((f"0/{who}/{kind}", each) for who, each in counted.items() for kind in ("all", "fast")))
        buckets = {"0.1": 50, "0.3": 100, "+Inf": 100} if moment in query else {}
        result = [
            {"metric": {"came": "0/classic", "le": le}, "value": [0, str(count)]} for le, count in buckets.items()
        ]
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return Response(200, json.dumps(body).encode())

    subject = Subject(versions=Versions(provider="traefik", model=model, rewrite=to_primary), slow=True)
    async with Connections(QUESTIONS, outside) as clients:
        said = (await compare(ask(), subject, span(), clients)).said
    assert isinstance(said, Compared)
    assert (said.since, len(said.looks), said.bound) == (SINCE, 12, 300)
