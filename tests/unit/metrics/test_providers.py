"""Each provider's mapping on answers as its own documentation shows them. Prometheus has a file of its own."""

import itertools
import json
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import pytest

from metrics.errors import MisconfiguredError, ProviderError, QueryError, UnauthorizedError, UnreadableError
from metrics.providers import PROVIDERS
from metrics.providers.base import Provider
from metrics.question import Empty, Number, Question
from metrics.threshold import Threshold
from metrics.verdict import Fail, Pass
from metrics.wire import Request, Response
from tests.tools.judged import judged
from tests.unit.metrics.known import KNOWN

SECRETS = {
    **{name: dict(known.secret) for name, known in KNOWN.items()},
    "datadog": {"datadog_api_key": "key", "datadog_application_key": "app"},
    "dynatrace": {"dynatrace_token": "tok"},
    "graphite": {"username": "me", "password": "pw"},
    "influxdb": {"org": "acme", "token": "tok"},
    "newrelic": {"newrelic_account_id": "42", "newrelic_query_key": "key"},
    "prometheus": {"token": "tok"},
    "cloudwatch": {"aws_access_key_id": "AKID", "aws_secret_access_key": "key"},
}


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


def asked(ask: Ask, provider: str, **changes: object) -> Question:
    usual = {"address": "http://metrics/base", "query": KNOWN[provider].query, "credentials": SECRETS[provider]}
    changes = usual | {"region": KNOWN[provider].region} | changes
    return ask(provider=provider, interval=timedelta(minutes=1), **changes)


def build(ask: Ask, now: datetime, provider: str, **changes: object) -> tuple[Request, dict[str, list[str]]]:
    question = asked(ask, provider, **changes)
    request = PROVIDERS[provider].seal(question, PROVIDERS[provider].build(question, now), now)
    return request, parse_qs(urlsplit(request.url).query)


def parse(provider: str, body: object, status: int = 200) -> Number | Empty:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return PROVIDERS[provider].parse(Response(status, data))


def test_datadog_is_asked_over_ten_intervals_with_both_keys(ask: Ask, now: datetime) -> None:
    request, parameters = build(ask, now, "datadog")
    end = int(now.timestamp())
    assert request.url.startswith("http://metrics/base/api/v1/query?")
    assert parameters == {"query": ["the query"], "from": [str(end - 600)], "to": [str(end)]}
    assert request.headers == (("DD-API-KEY", "key"), ("DD-APPLICATION-KEY", "app"))


@pytest.mark.parametrize("provider", ["datadog", "newrelic"])
def test_a_hosted_provider_has_an_address_of_its_own(provider: str, ask: Ask, now: datetime) -> None:
    request, _ = build(ask, now, provider, address="")
    assert request.url.startswith("https://")


@pytest.mark.parametrize(
    ("points", "value"),
    [
        ([[1000, 1.5], [2000, 2.5], [3000, 9.0]], 2.5),
        ([[1000, 1.5], [2000, None], [3000, 9.0]], 1.5),
        ([[1000, 1.5], [2000, 2.5], [3000, None]], 2.5),
        ([[1000, 7]], 7.0),
    ],
)
def test_datadog_s_number_is_the_newest_whose_bucket_is_full(points: list[object], value: float) -> None:
    series = {"metric": "m", "pointlist": points}
    assert parse("datadog", {"status": "ok", "series": [series]}) == Number(value, 1)


def test_datadog_refuses_a_query_with_status_200() -> None:
    with pytest.raises(QueryError, match="parse error"):
        parse("datadog", {"status": "error", "error": "parse error"})


def test_graphite_s_query_goes_on_as_written_and_asks_for_json(ask: Ask, now: datetime) -> None:
    query = "\n target=summarize(\n  stats.app,\n  '1min')&from=-5min&format=png"
    request, parameters = build(ask, now, "graphite", query=query)
    assert urlsplit(request.url).path == "/base/render"
    assert parameters == {"target": ["summarize( stats.app, '1min')"], "from": ["-5min"], "format": ["json"]}
    assert request.headers == (("Authorization", "Basic " + b64encode(b"me:pw").decode()),)


def test_graphite_s_query_must_name_a_target(ask: Ask, now: datetime) -> None:
    with pytest.raises(MisconfiguredError, match="target="):
        build(ask, now, "graphite", query="stats.errors")


def test_graphite_s_number_of_a_target_is_its_newest() -> None:
    nothing = {"target": "a", "datapoints": [[None, 1], [None, 2]]}
    values = {"target": "b", "datapoints": [[1.0, 1], ["2.5", "2"], [None, 3]]}
    assert parse("graphite", [nothing, values, {"target": "c", "datapoints": [[9, 1]]}]) == Number(2.5, 3, (9.0,))


def test_new_relic_s_query_ends_with_the_interval(ask: Ask, now: datetime) -> None:
    request, parameters = build(ask, now, "newrelic", query="SELECT average(x) FROM Metric\n")
    assert urlsplit(request.url).path == "/base/v1/accounts/42/query"
    assert parameters == {"nrql": ["SELECT average(x) FROM Metric SINCE 60 seconds ago"]}
    assert request.headers == (("X-Query-Key", "key"),)


@pytest.mark.parametrize(
    "result", [{"result": 1.5}, {"average": 1.5}, {"count": 1.5, "name": "x"}, {"percentiles": {"99": 1.5}}]
)
def test_new_relic_s_number_is_the_only_one_of_the_only_result(result: dict[str, object]) -> None:
    assert parse("newrelic", {"results": [result]}) == Number(1.5, 1)


def test_dynatrace_is_asked_for_one_value(ask: Ask, now: datetime) -> None:
    request, parameters = build(ask, now, "dynatrace")
    end = int(now.timestamp()) * 1000
    assert urlsplit(request.url).path == "/base/api/v2/metrics/query"
    assert parameters == {
        "metricSelector": ["the query"],
        "resolution": ["Inf"],
        "from": [str(end - 180_000)],
        "to": [str(end)],
    }
    assert request.headers == (("Authorization", "Api-Token tok"),)


def test_dynatrace_s_numbers_are_those_of_every_series_of_every_metric() -> None:
    data = [{"timestamps": [1], "values": [None]}, {"timestamps": [1], "values": [3.5]}]
    more = {"metricId": "n", "data": [{"timestamps": [1], "values": [7]}]}
    answer = parse("dynatrace", {"totalCount": 2, "result": [{"metricId": "m", "data": data}, more]})
    assert answer == Number(3.5, 3, (7.0,))


SEVERAL: dict[str, Callable[[list[float]], object]] = {
    "prometheus": lambda values: {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, str(each)]} for each in values]},
    },
    "datadog": lambda values: {"status": "ok", "series": [{"pointlist": [[1, each], [2, 0]]} for each in values]},
    "graphite": lambda values: [{"target": "t", "datapoints": [[each, 1]]} for each in values],
    "dynatrace": lambda values: {"result": [{"data": [{"values": [each]} for each in values]}]},
    "influxdb": lambda values: ",result,table,_value\r\n" + "".join(f",,{n},{v}\r\n" for n, v in enumerate(values)),
}


@pytest.mark.parametrize("provider", sorted(SEVERAL))
def test_several_series_pass_only_if_all_do_in_whatever_order_they_come(provider: str, ask: Ask, now: datetime) -> None:
    """One pod at 20 % is not made up for by another at 100 %, nor by its place in the answer."""
    question = asked(ask, provider, threshold=Threshold(min=99))
    for values in itertools.permutations([100.0, 20.0, 99.5]):
        verdict = judged(question, parse(provider, SEVERAL[provider](list(values))), now)
        assert isinstance(verdict, Fail)
        assert (verdict.value, verdict.samples) == (20.0, 3)
        assert verdict.message.endswith("in the worst of 3 series")
    assert isinstance(judged(question, parse(provider, SEVERAL[provider]([100.0, 99.5])), now), Pass)


@pytest.mark.parametrize(
    "body",
    [
        {"facets": [{"results": [{"count": 5}]}]},
        {"results": [{"count": 5}, {"count": 6}]},
        {"results": [{"a": 1, "b": 2}]},
        {"results": [{"percentiles": {"50": 0.1, "99": 0.8}}]},
    ],
)
def test_new_relic_s_answer_of_several_numbers_is_an_error_of_the_query(body: object) -> None:
    with pytest.raises(QueryError):
        parse("newrelic", body)


def test_influxdb_is_asked_in_flux_for_plain_csv(ask: Ask, now: datetime) -> None:
    request, parameters = build(ask, now, "influxdb", query='from(bucket: "b")')
    assert (request.method, urlsplit(request.url).path) == ("POST", "/base/api/v2/query")
    assert parameters == {"org": ["acme"]}
    body = json.loads(request.body or b"")
    assert (body["query"], body["type"], body["dialect"]["annotations"]) == ('from(bucket: "b")', "flux", [])
    assert ("Authorization", "Token tok") in request.headers


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        (",result,table,_time,_value,_field\r\n,,0,2026-01-01T00:00:00Z,15.43,mem\r\n,,1,,52.62,mem\r\n", 15.43),
        (",result,table,_value\r\n,,0,12\r\n\r\n", 12.0),
        (",result,table,_value\r\n,,0,12\r\n,,0,13\r\n", 12.0),
        (",result,table,_value\r\n,,0,\r\n", None),
        (",result,table,_value\r\n", None),
        ("\r\n", None),
        ("", None),
    ],
)
def test_influxdb_s_number_of_a_table_is_that_of_its_first_row(text: str, sample: float | None) -> None:
    answer = parse("influxdb", text)
    assert (answer.value if isinstance(answer, Number) else None) == sample


def test_influxdb_s_tables_are_several_series() -> None:
    text = ",result,table,_value\r\n,,0,12\r\n,,0,13\r\n,,1,\r\n,,2,7\r\n"
    assert parse("influxdb", text) == Number(12.0, 3, (7.0,))


@pytest.mark.parametrize(
    "text", [",result,table,_value\r\n,,0,up\r\n", "error,reference\r\nfailed to read,897\r\n", "error,reference\r\n"]
)
def test_influxdb_gives_words_instead_of_a_number_when_the_query_is_wrong(text: str) -> None:
    with pytest.raises(QueryError):
        parse("influxdb", text)


def test_influxdb_says_what_is_wrong_in_its_message() -> None:
    with pytest.raises(QueryError, match="HTTP 400: error @1:2: undefined identifier"):
        parse("influxdb", {"code": "invalid", "message": "error @1:2: undefined identifier"}, status=400)


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("datadog", {"status": "ok", "series": []}),
        ("datadog", {"status": "ok", "series": [{"pointlist": []}]}),
        ("datadog", {"status": "ok", "series": [{"pointlist": [[1, None], [2, 3.0]]}]}),
        ("graphite", []),
        ("graphite", [{"target": "a", "datapoints": [[None, 1]]}]),
        ("newrelic", {"results": []}),
        ("newrelic", {"results": [{"result": None}]}),
        ("newrelic", {"results": [{"average": None}]}),
        ("dynatrace", {"result": []}),
        ("dynatrace", {"result": [{"data": []}]}),
        ("dynatrace", {"result": [{"data": [{"values": [None]}]}]}),
    ],
)
def test_no_values_are_an_empty_answer(provider: str, body: object) -> None:
    assert isinstance(parse(provider, body), Empty)


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("datadog", {"status": "ok"}),
        ("graphite", {"error": 1}),
        ("graphite", [{"target": "a"}]),
        ("newrelic", {"results": 1}),
        ("dynatrace", {"result": [{"data": [1]}]}),
        ("dynatrace", {}),
        ("influxdb", "a,b\r\n1,2\r\n"),
    ],
)
def test_an_answer_of_another_shape_is_unreadable(provider: str, body: object) -> None:
    with pytest.raises(UnreadableError):
        parse(provider, body)


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("datadog", '{"series": [{"pointlist": [[1, 1%s]]}]}'),
        ("graphite", '[{"datapoints": [[1%s, 1]]}]'),
        ("newrelic", '{"results": [{"result": 1%s}]}'),
        ("dynatrace", '{"result": [{"data": [{"values": [1%s]}]}]}'),
        ("influxdb", ",result,table,_value\r\n,,0,1%s\r\n"),
    ],
)
def test_a_number_too_large_to_hold_is_infinite(provider: str, body: str) -> None:
    answer = parse(provider, body % ("0" * 400))
    assert isinstance(answer, Number)
    assert answer.value == float("inf")


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_a_refused_key_is_unauthorized_for_question_and_probe(provider: str) -> None:
    for read in (PROVIDERS[provider].parse, PROVIDERS[provider].accept):
        with pytest.raises(UnauthorizedError):
            read(Response(403, b'{"errors": ["Forbidden"]}'))


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_key_of_the_secret_that_a_provider_names_is_needed(provider: str, ask: Ask, now: datetime) -> None:
    for missing in SECRETS[provider]:
        rest = {key: value for key, value in SECRETS[provider].items() if key != missing} or {"other": "x"}
        assert missing in PROVIDERS[provider].credentials
        with pytest.raises(MisconfiguredError, match=missing):
            build(ask, now, provider, credentials=rest)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_the_probe_takes_the_same_way_as_the_question(provider: str, ask: Ask, now: datetime) -> None:
    question = asked(ask, provider, headers=(("X-Own", "1"),))
    for request in (PROVIDERS[provider].probe(question, now), PROVIDERS[provider].build(question, now)):
        assert request.url.startswith("http://metrics/base")
        assert ("X-Own", "1") in request.headers


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("datadog", {"valid": True}),
        ("graphite", []),
        ("newrelic", {"results": [{"count": 0}]}),
        ("dynatrace", {"totalCount": 1, "metrics": []}),
        ("influxdb", ",result,table,name\r\n,,0,default\r\n"),
    ],
)
def test_the_probe_s_answer_is_accepted(provider: str, body: object) -> None:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    PROVIDERS[provider].accept(Response(200, data))


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"influxdb"}))
def test_a_login_page_is_no_working_server(provider: str) -> None:
    with pytest.raises(ProviderError):
        PROVIDERS[provider].accept(Response(200, b"<html>"))


ENCODED = {"username", "password", "org", "newrelic_account_id", "project"}


@pytest.mark.parametrize(("provider", "key"), [(each, key) for each in PROVIDERS.values() for key in each.credentials])
def test_no_key_of_a_secret_breaks_a_request_or_is_told(provider: Provider, key: str, ask: Ask, now: datetime) -> None:
    """What no header can carry is told by its key; what is encoded may hold anything."""
    credentials = {
        each: "fine" for each in provider.credentials if each != "token" or key not in {"username", "password"}
    }
    question = asked(ask, provider.name, credentials=credentials | {key: "SECRET\n\u00e9"})
    if key in ENCODED:
        request = provider.seal(question, provider.build(question, now), now)
        assert all(value.isascii() and value.isprintable() for _, value in request.headers)
        return
    with pytest.raises(MisconfiguredError, match=key) as refused:
        provider.seal(question, provider.build(question, now), now)
    assert "SECRET" not in str(refused.value)
