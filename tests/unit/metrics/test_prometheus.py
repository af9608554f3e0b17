"""The answers in `recorded/prometheus` are those of Prometheus 3.15."""

import json
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.errors import (
    MisconfiguredError,
    ProviderError,
    QueryError,
    ServerError,
    TimedOutError,
    UnauthorizedError,
    UnreadableError,
)
from metrics.providers import PROVIDERS, provider_of
from metrics.providers.prometheus import PROMETHEUS
from metrics.question import Empty, Number, Question
from metrics.wire import Response


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("scalar", Number(42.5, 1)),
        ("vector_one", Number(1, 1)),
        ("vector_many", Number(1, 2, (1.0,))),
        ("infinity", Number(float("inf"), 1)),
        ("constant", Number(1, 1)),
    ],
)
def test_the_numbers_are_the_scalar_or_those_of_all_series(
    name: str, sample: Number, recorded: Callable[[str], bytes]
) -> None:
    assert PROMETHEUS.parse(Response(200, recorded(f"prometheus/{name}.json"))) == sample


@pytest.mark.parametrize(
    ("values", "sample"),
    [
        (("NaN", "20"), Number(20, 2)),
        (("20", "NaN", "100"), Number(20, 3, (100.0,))),
        (("NaN", "NaN"), Empty("the answer is not a number (NaN), as when the canary gets no requests")),
    ],
)
def test_a_series_that_is_not_a_number_says_nothing_wherever_it_stands(
    values: tuple[str, ...], sample: Number | Empty
) -> None:
    result = [{"metric": {"pod": str(n)}, "value": [1, value]} for n, value in enumerate(values)]
    body = {"status": "success", "data": {"resultType": "vector", "result": result}}
    assert PROMETHEUS.parse(Response(200, json.dumps(body).encode())) == sample


@pytest.mark.parametrize("name", ["empty", "nan"])
def test_no_series_and_nan_are_empty_answers(name: str, recorded: Callable[[str], bytes]) -> None:
    sample = PROMETHEUS.parse(Response(200, recorded(f"prometheus/{name}.json")))
    assert isinstance(sample, Empty)
    assert "no requests" in sample.reason


@pytest.mark.parametrize(
    ("status", "name", "error", "text"),
    [
        (400, "bad_data.json", QueryError, 'invalid parameter "query": 1:16: parse error: unclosed left parenthesis'),
        (400, "no_query.json", QueryError, "no expression found in input"),
        (422, "execution.json", QueryError, "found duplicate series for the match group"),
        (200, "matrix.json", QueryError, "the query gives a matrix, not a number"),
        (200, "string.json", QueryError, "the query gives a string, not a number"),
        (200, "histogram.json", QueryError, "the query gives a histogram, not a number"),
        (503, "timeout.json", TimedOutError, "query timed out in expression evaluation"),
        (401, "unauthorized.txt", UnauthorizedError, "HTTP 401: Unauthorized"),
        (404, "wrong_path.txt", UnreadableError, "HTTP 404: Not Found"),
    ],
)
def test_an_error_answer_becomes_the_error_it_means(
    status: int, name: str, error: type[ProviderError], text: str, recorded: Callable[[str], bytes]
) -> None:
    with pytest.raises(error) as caught:
        PROMETHEUS.parse(Response(status, recorded(f"prometheus/{name}")))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (403, b"RBAC: access denied", UnauthorizedError),
        (429, b"slow down", ServerError),
        (500, b'{"status":"error","errorType":"internal","error":"disk"}', ServerError),
        (502, b"<html>bad gateway</html>", ServerError),
        (503, b"no healthy upstream", ServerError),
        (504, b"gateway timeout", TimedOutError),
        (302, b"", UnreadableError),
        (200, b"<html>login</html>", UnreadableError),
        (200, b"[]", UnreadableError),
        (200, b'{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"x"]}]}}', UnreadableError),
        (200, b'{"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}}', UnreadableError),
        (200, b'{"status":"success"}', UnreadableError),
        (200, b"[" * 100_000, UnreadableError),
    ],
)
def test_whatever_else_answers_is_told_apart(status: int, body: bytes, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        PROMETHEUS.parse(Response(status, body))


@given(status=st.integers(100, 599), body=st.binary() | st.text().map(str.encode))
def test_no_answer_is_more_than_a_sample_or_a_provider_error(status: int, body: bytes) -> None:
    for provider in PROVIDERS.values():
        outcome: Number | Empty | ProviderError
        try:
            outcome = provider.parse(Response(status, body))
        except ProviderError as error:
            outcome = error
        assert len(str(outcome)) < 1000


def test_a_query_is_asked_as_an_instant_query(ask: Ask, now: datetime) -> None:
    request = PROMETHEUS.build(ask(query='\n sum(rate(x{a="b"}[1m]))\n'), now)
    assert (request.method, request.body) == ("GET", None)
    assert urlsplit(request.url).path == "/api/v1/query"
    assert parse_qs(urlsplit(request.url).query) == {
        "query": ['sum(rate(x{a="b"}[1m]))'],
        "lookback_delta": ["120"],
    }


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://prometheus:9090", "http://prometheus:9090/api/v1/query?query=1&lookback_delta=120"),
        ("http://prometheus:9090/", "http://prometheus:9090/api/v1/query?query=1&lookback_delta=120"),
        ("https://thanos/prom/", "https://thanos/prom/api/v1/query?query=1&lookback_delta=120"),
        ("https://thanos/prom?dedup=true", "https://thanos/prom/api/v1/query?dedup=true&query=1&lookback_delta=120"),
        ("http://[fd00::1]:9090", "http://[fd00::1]:9090/api/v1/query?query=1&lookback_delta=120"),
    ],
)
def test_path_and_parameters_of_the_address_are_kept(address: str, url: str, ask: Ask, now: datetime) -> None:
    assert PROMETHEUS.build(ask(address=address, query="1"), now).url == url


def test_a_query_too_long_for_a_url_is_posted(ask: Ask, now: datetime) -> None:
    query = " or ".join(f'x{{a="{number}"}}' for number in range(500))
    request = PROMETHEUS.build(ask(query=query), now)
    assert (request.method, request.url) == ("POST", "http://prometheus:9090/api/v1/query")
    assert ("Content-Type", "application/x-www-form-urlencoded") in request.headers
    assert request.body is not None
    assert parse_qs(request.body.decode()) == {"query": [query], "lookback_delta": ["120"]}


@pytest.mark.parametrize(
    "address",
    ["", "prometheus:9090", "ftp://x", "http://", "http://host:port", "http://host:99999", "//host", "http://[::1"],
)
def test_an_address_that_is_none_is_refused(address: str, ask: Ask, now: datetime) -> None:
    with pytest.raises(MisconfiguredError, match="address"):
        PROMETHEUS.build(ask(address=address), now)


def test_a_password_in_an_address_is_not_repeated(ask: Ask, now: datetime) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        PROMETHEUS.build(ask(address="http://me:hunter2@host:port/?key=hunter2"), now)
    assert "hunter2" not in str(caught.value)


def test_a_token_becomes_a_bearer_header_behind_the_own_headers(ask: Ask, now: datetime) -> None:
    question = ask(credentials={"token": "abc\n", "username": "u"}, headers=(("X-Scope-OrgID", "1"),))
    assert PROMETHEUS.build(question, now).headers == (("X-Scope-OrgID", "1"), ("Authorization", "Bearer abc"))


def test_a_question_that_is_asked_again_has_one_token_and_the_one_of_now(ask: Ask, now: datetime) -> None:
    """Flagger 1.44.0 adds each to the headers of its template, and sends the oldest first."""
    headers = (("X-Scope-OrgID", "1"),)
    for token in ("old", "old", "new"):
        request = PROMETHEUS.build(ask(credentials={"token": token}, headers=headers), now)
        assert request.headers == (*headers, ("Authorization", f"Bearer {token}"))


def test_user_name_and_password_become_a_basic_header(ask: Ask, now: datetime) -> None:
    ((name, value),) = PROMETHEUS.build(ask(credentials={"username": "me", "password": "p:w"}), now).headers
    assert name == "Authorization"
    assert b64decode(value.removeprefix("Basic ")) == b"me:p:w"


@pytest.mark.parametrize("credentials", [{"username": "hunter2"}, {"password": "hunter2"}, {"api-key": "hunter2"}])
def test_a_secret_without_what_is_needed_is_refused_by_key_and_without_values(
    credentials: dict[str, str], ask: Ask, now: datetime
) -> None:
    with pytest.raises(MisconfiguredError, match=r"needs (token|username|password)") as caught:
        PROMETHEUS.build(ask(credentials=credentials), now)
    assert "hunter2" not in str(caught.value)


def test_the_probe_asks_for_a_constant_with_the_same_credentials(
    ask: Ask, now: datetime, recorded: Callable[[str], bytes]
) -> None:
    request = PROMETHEUS.probe(ask(query="anything", credentials={"token": "t"}), now)
    assert request.url.endswith("?query=vector%281%29")
    assert request.headers == (("Authorization", "Bearer t"),)
    PROMETHEUS.accept(Response(200, recorded("prometheus/constant.json")))
    with pytest.raises(UnauthorizedError):
        PROMETHEUS.accept(Response(401, recorded("prometheus/unauthorized.txt")))


def test_an_unknown_provider_is_refused_by_name() -> None:
    with pytest.raises(MisconfiguredError, match=r"'pager' is not supported; supported are .*prometheus"):
        provider_of("pager")
