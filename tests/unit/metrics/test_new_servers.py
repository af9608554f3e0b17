"""The mappings of further providers, on answers as their own documentation shows them."""

import json
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import pytest

from metrics.errors import MisconfiguredError, ProviderError, QueryError, ServerError, UnauthorizedError
from metrics.providers import PROVIDERS
from metrics.providers.kubernetes import quantity
from metrics.providers.web import path
from metrics.question import Empty, Number, Question, Sample, Span
from metrics.wire import Request, Response
from tests.unit.metrics.known import FULL, KNOWN, SECOND, encoded, iso


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


def build(ask: Ask, now: datetime, name: str, **changes: object) -> Request:
    known = KNOWN[name]
    usual = {"query": known.query, "credentials": known.secret, "region": known.region, "provider": name}
    return PROVIDERS[name].build(ask(**usual | changes), now)


def parse(name: str, body: object, *, status: int = 200, query: str = "", since: float = 0) -> Sample:
    asked = Question(**{**FIELDS, "provider": name, "query": query or KNOWN[name].query})  # type: ignore[arg-type]
    span = Span(since=since, now=SECOND, interval=60)
    return PROVIDERS[name].reader(asked)(Response(status, encoded(body)), span)


FIELDS = {"name": "errors", "threshold": None, "interval": timedelta(minutes=1)}


def sent(request: Request) -> dict[str, object]:
    found: dict[str, object] = json.loads(request.body or b"")
    return found


def test_cloudwatch_is_asked_as_by_flagger(ask: Ask, now: datetime) -> None:
    """Ten intervals, twenty points a query, and the queries as the template writes them."""
    request = build(ask, now, "cloudwatch", address="")
    assert request.url == "https://monitoring.eu-west-1.amazonaws.com/"
    assert ("X-Amz-Target", "GraniteServiceVersion20100801.GetMetricData") in request.headers
    end = int(now.timestamp())
    assert sent(request) == {
        "StartTime": end - 600,
        "EndTime": end,
        "MaxDatapoints": 40,
        "MetricDataQueries": json.loads(KNOWN["cloudwatch"].query),
    }
    china = build(ask, now, "cloudwatch", address="", region="cn-north-1")
    assert china.url == "https://monitoring.cn-north-1.amazonaws.com.cn/"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"region": ""}, "needs a region"),
        ({"region": "x.example.org/"}, "none of AWS'"),
        ({"query": "m1"}, "JSON list"),
        ({"query": "[]"}, "JSON list"),
    ],
)
def test_what_cloudwatch_can_t_be_asked_is_told(ask: Ask, now: datetime, changes: dict[str, str], told: str) -> None:
    with pytest.raises(MisconfiguredError, match=told):
        build(ask, now, "cloudwatch", **changes)


@pytest.mark.parametrize(
    ("times", "values", "expected"),
    [
        ([FULL + 60, FULL, FULL - 60], [9.0, 4.0, 1.0], 4.0),
        ([FULL - 120, FULL - 180], [4.0, 1.0], 4.0),
        ([FULL - 600], [4.0], None),
    ],
    ids=["the newest is being filled", "what comes late counts", "too old"],
)
def test_cloudwatch_s_number_is_that_of_the_newest_whole_period(
    times: list[float], values: list[float], expected: float | None
) -> None:
    result = {"Id": "e1", "StatusCode": "Complete", "Timestamps": times, "Values": values}
    found = parse("cloudwatch", {"MetricDataResults": [result]})
    assert (found.value if isinstance(found, Number) else None) == expected


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("com.amazon.coral.service#UnrecognizedClientException", UnauthorizedError),
        ("ExpiredTokenException", UnauthorizedError),
        ("com.amazon.coral.availability#ThrottlingException", ServerError),
        ("com.amazonaws.cloudwatch#InvalidParameterValueException", QueryError),
    ],
)
def test_what_aws_refuses_with_400_is_told_apart(kind: str, error: type[ProviderError]) -> None:
    with pytest.raises(error, match="why"):
        parse("cloudwatch", {"__type": kind, "message": "why"}, status=400)


def google(*values: object, ends: float = FULL + 60) -> object:
    points = [
        {"values": [each], "timeInterval": {"startTime": iso(ends - 60), "endTime": iso(ends)}} for each in values
    ]
    return {"timeSeriesData": [{"labelValues": [], "pointData": points}]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"doubleValue": 1.5}, 1.5),
        ({"int64Value": "42"}, 42.0),
        ({"boolValue": True}, 1.0),
        ({"stringValue": "x"}, None),
    ],
)
def test_google_s_number_is_of_any_kind(value: object, expected: float | None) -> None:
    found = parse("stackdriver", google(value))
    assert (found.value if isinstance(found, Number) else None) == expected


def test_google_s_number_is_the_newest_of_this_version() -> None:
    body = google({"doubleValue": 7}, {"doubleValue": 1})
    assert parse("stackdriver", body) == Number(7.0, 1)
    assert isinstance(parse("stackdriver", body, since=FULL + 30), Empty)
    assert isinstance(parse("stackdriver", google({"doubleValue": 7}, ends=FULL - 600)), Empty)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (google({"distributionValue": {"count": "1"}}), QueryError),
        ({"partialErrors": [{"code": 4, "message": "too slow"}], "timeSeriesData": []}, ServerError),
    ],
)
def test_what_google_gives_that_is_no_number_is_told(body: object, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        parse("stackdriver", body)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("https://api.eu0.signalfx.com", "https://stream.eu0.signalfx.com"),
        ("https://stream.eu0.signalfx.com", "https://stream.eu0.signalfx.com"),
        ("https://api.us1.observability.splunkcloud.com", "https://stream.us1.observability.splunkcloud.com"),
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.eu0.signalfx.com.example.org", "https://api.eu0.signalfx.com.example.org"),
    ],
)
def test_splunk_s_programs_go_to_the_host_of_the_realm_for_them(
    ask: Ask, now: datetime, address: str, place: str
) -> None:
    request = build(ask, now, "splunk", address=address, query="data('x').publish()")
    end = int(now.timestamp()) * 1000
    assert request.url.startswith(f"{place}/v2/signalflow/execute?")
    parameters = parse_qs(urlsplit(request.url).query)
    assert parameters == {"start": [str(end - 600_000)], "stop": [str(end)], "immediate": ["true"]}
    assert (request.body, ("X-SF-Token", "S3CRET-token") in request.headers) == (b"data('x').publish()", True)


def events(*messages: tuple[str, object]) -> str:
    return "".join(f"event: {kind}\ndata: {json.dumps(data)}\n\n" for kind, data in messages)


END = ("control-message", {"event": "END_OF_CHANNEL"})


def test_splunk_s_number_is_the_newest_of_each_series() -> None:
    data = [
        ("data", {"data": [{"tsId": "A", "value": value}], "logicalTimestampMs": (FULL - back) * 1000})
        for value, back in ((1.0, 60), (4.0, 0))
    ]
    assert parse("splunk", events(*data, ("metadata", {"tsId": "A", "properties": {}}), END)) == Number(4.0, 1)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (("error", {"errors": [{"code": "SYNTAX_ERROR", "message": "why"}]}), QueryError),
        (("control-message", {"event": "CHANNEL_ABORT", "abortInfo": {}}), ServerError),
    ],
)
def test_why_a_program_ended_is_told(message: tuple[str, object], error: type[ProviderError]) -> None:
    with pytest.raises(error):
        parse("splunk", events(message))


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("shop/errors", "/namespaces/shop/errors"),
        ("errors", "/namespaces/default/errors"),
        ("/errors", "/namespaces/default/errors"),
        ("shop/m?labelSelector=a%3Db%2Cc%21%3Dd", "/namespaces/shop/m?labelSelector=a%3Db%2Cc%21%3Dd"),
        ("shop/datadogmetric@istio-system:rate", "/namespaces/shop/datadogmetric@istio-system:rate"),
    ],
)
def test_an_external_metric_is_asked_for_as_by_flagger(ask: Ask, now: datetime, query: str, asked: str) -> None:
    request = build(ask, now, "externalmetrics", query=query, address="https://metrics:8443")
    assert request.url == f"https://metrics:8443/apis/external.metrics.k8s.io/v1beta1{asked}"


@pytest.mark.parametrize("query", ["", "a/", "a/b/c", "../errors", "shop/.."])
def test_what_names_no_external_metric_is_refused(ask: Ask, now: datetime, query: str) -> None:
    with pytest.raises(MisconfiguredError, match="NAMESPACE/METRIC"):
        build(ask, now, "externalmetrics", query=query)


@pytest.mark.parametrize("name", ["externalmetrics", "keptn"])
def test_no_secret_takes_the_place_of_the_controllers_own_rights(ask: Ask, now: datetime, name: str) -> None:
    with pytest.raises(MisconfiguredError, match="take the Secret out"):
        build(ask, now, name, address="")
    assert build(ask, now, name, address="", credentials={}).url.startswith("https://kubernetes.default.svc/apis/")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1500m", 1.5), ("2", 2.0), ("2Ki", 2048.0), ("1.5k", 1500.0), ("1e3", 1000.0), ("-3u", -3e-6), ("1E", 1e18)],
)
def test_a_quantity_is_read_as_kubernetes_writes_it(text: str, value: float) -> None:
    assert quantity(text) == pytest.approx(value)
    assert [quantity(each) for each in ("", "x", "1 k", "NaN", "1Kib", "9" * 100)] == [None] * 6


def test_a_keptn_analysis_is_refused_with_what_to_name(ask: Ask, now: datetime) -> None:
    with pytest.raises(MisconfiguredError, match="keptnmetric/NAMESPACE/NAME"):
        build(ask, now, "keptn", query="analysis/shop/quality/1m")
    request = build(ask, now, "keptn", query="keptnmetric/shop/errors/2m/a=b")
    assert request.url.endswith("/apis/metrics.keptn.sh/v1beta1/namespaces/shop/keptnmetrics/errors")


def test_documents_are_counted_over_the_interval_or_what_of_it_is_this_version_s(ask: Ask, now: datetime) -> None:
    end = int(now.timestamp() * 1000)
    for since, begin in ((None, end - 60_000), (now - timedelta(seconds=20), end - 20_000)):
        request = build(ask, now, "opensearch", address="http://search/logs-*", since=since)
        assert request.url == "http://search/logs-*/_count"
        window = {"range": {"@timestamp": {"gte": begin, "lt": end, "format": "epoch_millis"}}}
        text = {"query_string": {"query": "level:ERROR"}}
        assert sent(request) == {"query": {"bool": {"filter": [text, window]}}}
    own = build(ask, now, "elasticsearch", query='{"term": {"level": "ERROR"}}', credentials={"api_key": "k"})
    assert '{"term": {"level": "ERROR"}}' in (own.body or b"").decode()
    assert ("Authorization", "ApiKey k") in own.headers


def test_a_count_of_some_parts_is_none() -> None:
    with pytest.raises(ServerError, match="1 of 5 parts"):
        parse("opensearch", {"count": 0, "_shards": {"total": 5, "successful": 4, "failed": 1}})


def test_lines_of_a_log_are_no_number() -> None:
    with pytest.raises(QueryError, match="count them"):
        parse("loki", {"status": "success", "data": {"resultType": "streams", "result": [{"values": []}]}})


def test_skywalking_is_asked_over_minutes_of_this_version(ask: Ask, now: datetime) -> None:
    for since, start in ((None, "2026-03-04 0503"), (now - timedelta(seconds=30), "2026-03-04 0506")):
        request = build(ask, now, "skywalking", since=since)
        duration = {"start": start, "end": "2026-03-04 0506", "step": "MINUTE"}
        assert sent(request) == {"query": KNOWN["skywalking"].query, "variables": {"duration": duration}}
    with pytest.raises(MisconfiguredError, match=r"\$duration"):
        build(ask, now, "skywalking", query="query { version }")


def test_skywalking_says_what_is_wrong_with_an_expression() -> None:
    with pytest.raises(QueryError, match="why"):
        parse("skywalking", {"data": {"r": {"type": "UNKNOWN", "error": "why", "results": []}}})
    single = {"data": {"r": {"error": None, "results": [{"values": [{"id": None, "value": "7"}]}]}}}
    assert parse("skywalking", single) == Number(7.0, 1)


@pytest.mark.parametrize(("kind", "error"), [("QuerySyntaxError", QueryError), ("QueryExecutionFailed", ServerError)])
def test_wavefront_refuses_with_status_200(kind: str, error: type[ProviderError]) -> None:
    with pytest.raises(error, match="why"):
        parse("wavefront", {"query": "q", "errorType": kind, "errorMessage": "why"})


def test_a_web_query_may_put_a_path_behind_the_address(ask: Ask, now: datetime) -> None:
    query = "/stats?app=shop&q=a b\n$.rate"
    assert (
        build(ask, now, "web", address="http://web/base", query=query).url == "http://web/base/stats?app=shop&q=a%20b"
    )
    assert build(ask, now, "web", address="http://web/base?a=1", query="$.rate").url == "http://web/base?a=1"


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ("$.a", {"a": 1}, Number(1.0, 1)),
        ("$.a", {"a": "1.5"}, Number(1.5, 1)),
        ("$.a", {"a": True}, Number(1.0, 1)),
        (
            "$.a[?@.name == 'errors'].value",
            {"a": [{"name": "x", "value": 1}, {"name": "errors", "value": 2}]},
            Number(2.0, 1),
        ),
        ("$..a", {"b": [{"a": 1}, {"a": None}, {"a": 3}]}, Number(1.0, 3, (3.0,))),
        ("$", 4, Number(4.0, 1)),
    ],
)
def test_a_path_leads_to_numbers(query: str, body: object, expected: Number) -> None:
    assert parse("web", body, query=query) == expected


@pytest.mark.parametrize(
    "query",
    [
        *("", "a.b", "$.a[", "$.a b", "$" + ".a" * 300, "$" + "[?(" * 100),
        *("$.a[0,0][0,0]", "$..a..b", "$.a[?@..b]", "$.a[?@.*]", "$.a[?$.b]", "$.a[?@[?@.b]]", "$.a[?match(@.b, 'x')]"),
        "$.a[?@[0:1]]",
    ],
)
def test_a_path_that_is_none_or_might_take_long_is_refused(query: str) -> None:
    with pytest.raises(MisconfiguredError):
        path(query)


@pytest.mark.parametrize("body", [{"a": "x"}, {"a": {}}, {"a": []}])
def test_what_a_path_leads_to_that_is_no_number_is_told(body: object) -> None:
    with pytest.raises(QueryError):
        parse("web", body, query="$.a")
