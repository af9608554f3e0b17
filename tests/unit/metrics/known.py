"""Each provider's question and answers, in the shapes of its documentation, with the numbers that a test wants."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SECOND = NOW.timestamp()
FULL = SECOND - 7 - 60
"""When the newest minute began that is over."""

Value = float | None
"""A number; None for a series without one."""

Answer = Callable[[Sequence[Value]], object]
"""The answer with a series for each of these values."""


@dataclass(frozen=True)
class Known:
    """What is known of a provider.

    Args:
        answer: a good answer; text as it is, anything else as JSON.
        secret: what lets in.
        query: what is asked.
        region: the region, where it has any.
        error: an answer of its API that refuses, in these words.
        several: whether an answer can hold several series; None where that is an error of the query.
        nan: whether one can hold what is no number.
        kind: the content type.
    """

    answer: Answer
    secret: Mapping[str, str]
    query: str = "the query"
    region: str = ""
    error: Callable[[str], object] = field(default=lambda words: {"message": words})
    several: bool | None = True
    nan: bool = True
    kind: str = "application/json"

    def body(self, values: Sequence[Value]) -> bytes:
        """The answer in bytes."""
        return encoded(self.answer(values))


def encoded(body: object) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


TOKEN = {"token": "S3CRET-token"}
KEYS = {
    "aws_access_key_id": "AKIDS3CRET",
    "aws_secret_access_key": "S3CRET/key",
    "aws_session_token": "S3CRET/session/token==",
}


def written(value: Value) -> str:
    return "NaN" if value is None else str(value)


def iso(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", "Z")


def vector(values: Sequence[Value]) -> object:
    result = [{"metric": {"pod": f"{place}"}, "value": [SECOND, written(each)]} for place, each in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def stream(values: Sequence[Value]) -> str:
    """What SignalFlow's HTTP interface sends: server-sent events, the last of them the program's end."""
    start = {"event": "STREAM_START", "timestampMs": int(SECOND * 1000)}
    events: list[tuple[str, object]] = [("control-message", start)]
    if values:
        data = [{"tsId": f"AAAA{place}", "value": each} for place, each in enumerate(values)]
        events.append(("data", {"data": data, "logicalTimestampMs": int(FULL * 1000), "maxDelayMs": 0}))
    events.append(("control-message", {"event": "END_OF_CHANNEL", "timestampMs": int(SECOND * 1000)}))
    return "".join(f"event: {kind}\r\ndata: {json.dumps(data)}\r\n\r\n" for kind, data in events)


def series_of_google(value: Value) -> object:
    point = {
        "values": [{"doubleValue": "NaN" if value is None else value}],
        "timeInterval": {"startTime": iso(FULL), "endTime": iso(FULL + 60)},
    }
    return {"labelValues": [], "pointData": [point]}


def expression(values: Sequence[Value]) -> object:
    """What SkyWalking's execExpression gives."""
    results = [
        {
            "metric": {"labels": [{"key": "p", "value": f"{place}"}]},
            "values": [{"id": f"{int(FULL * 1000)}", "value": None if each is None else str(each)}],
        }
        for place, each in enumerate(values)
    ]
    return {"data": {"execExpression": {"type": "TIME_SERIES_VALUES", "error": None, "results": results}}}


def keptn_metric(values: Sequence[Value]) -> object:
    status = {"value": written(values[0]), "rawValue": "e30=", "lastUpdated": iso(SECOND - 5)} if values else {}
    spec = {"fetchIntervalSeconds": 10, "provider": {"name": "prometheus"}, "query": "q"}
    return {"apiVersion": "metrics.keptn.sh/v1beta1", "kind": "KeptnMetric", "spec": spec, "status": status}


def external(values: Sequence[Value]) -> object:
    items = [
        {"metricName": "errors", "metricLabels": {}, "timestamp": iso(SECOND - 1), "value": f"{(each or 0) * 1000:g}m"}
        for each in values
    ]
    return {"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "items": items}


def counted(values: Sequence[Value]) -> object:
    shards = {"total": len(values), "successful": len(values), "skipped": 0, "failed": 0}
    return {"count": int(values[0] or 0) if values else 0, "_shards": shards}


def explained(words: str) -> object:
    return {"error": {"root_cause": [{"type": "x", "reason": words}], "type": "x", "reason": words}, "status": 400}


QUERIES = json.dumps(
    [
        {"Id": "e1", "Expression": "m1 / m2", "Label": "ErrorRate"},
        {"Id": "m1", "MetricStat": {"Metric": {"MetricName": "Errors"}, "Period": 60, "Stat": "Sum"}},
    ]
)
EXPRESSION = (
    'query($duration: Duration!) { execExpression(expression: "service_sla", entity: {serviceName: "shop"}, '
    "duration: $duration) { type error results { values { id value } } } }"
)

ANALYSIS = {
    "application": "shop",
    "metricsAccountName": "prometheus",
    "storageAccountName": "s3",
    "canaryConfigId": "errors and latency",
    "executionRequest": {
        "scopes": [{"controlScope": "shop-primary", "experimentScope": "shop"}],
        "thresholds": {"pass": 95, "marginal": 75},
    },
}


def judged(values: Sequence[Value]) -> object:
    """What Kayenta says of an analysis that has ended."""
    result = {
        "didPassThresholds": True,
        "canaryScores": [written(each) if each is None else each for each in values],
        "canaryExecutionResults": [{"executionId": "01B", "executionStatus": "SUCCEEDED"} for _ in values],
    }
    return {
        "pipelineId": "01A",
        "complete": True,
        "executionStatus": "SUCCEEDED",
        "status": "succeeded",
        "canaryAnalysisExecutionResult": result,
    }


ELASTIC = Known(counted, TOKEN, "level:ERROR", error=explained, several=False, nan=False)

KNOWN: Mapping[str, Known] = {
    "prometheus": Known(vector, TOKEN, error=lambda words: {"status": "error", "errorType": "unknown", "error": words}),
    "loki": Known(vector, TOKEN, error=lambda words: {"status": "error", "code": 400, "message": words}),
    "datadog": Known(
        lambda values: {"status": "ok", "series": [{"pointlist": [[FULL * 1000, each]]} for each in values]},
        {"datadog_api_key": "S3CRET-api", "datadog_application_key": "S3CRET-app"},
        error=lambda words: {"errors": [words]},
    ),
    "dynatrace": Known(
        lambda values: {
            "totalCount": 1,
            "result": [{"metricId": "m", "data": [{"values": [each]} for each in values]}],
        },
        {"dynatrace_token": "S3CRET-token"},
        error=lambda words: {"error": {"code": 400, "message": words}},
    ),
    "graphite": Known(
        lambda values: [{"target": "t", "datapoints": [[each, FULL]]} for each in values],
        {"username": "S3CRET-me", "password": "S3CRET-pw"},
        "target=stats.errors&from=-5min",
    ),
    "influxdb": Known(
        lambda values: (
            ",result,table,_value\r\n" + "".join(f",,{place},{written(each)}\r\n" for place, each in enumerate(values))
        ),
        {"org": "S3CRET-org", "token": "S3CRET-token"},
        kind="text/csv",
    ),
    "newrelic": Known(
        lambda values: {"results": [{"average": each} for each in values]},
        {"newrelic_account_id": "S3CRET-42", "newrelic_query_key": "S3CRET-key"},
        error=lambda words: {"error": words},
        several=None,
    ),
    "cloudwatch": Known(
        lambda values: {
            "Messages": [],
            "MetricDataResults": [
                {"Id": f"e{place}", "Label": "x", "StatusCode": "Complete"}
                | ({"Timestamps": [], "Values": []} if each is None else {"Timestamps": [FULL], "Values": [each]})
                for place, each in enumerate(values)
            ],
        },
        KEYS,
        QUERIES,
        region="eu-west-1",
        error=lambda words: {"__type": "com.amazonaws#X", "message": words},
        kind="application/x-amz-json-1.0",
    ),
    "stackdriver": Known(
        lambda values: {"timeSeriesData": [series_of_google(each) for each in values]} if values else {},
        {"project": "shop", **TOKEN},
        error=lambda words: {"error": {"code": 400, "message": words, "status": "INVALID_ARGUMENT"}},
    ),
    "splunk": Known(stream, {"sf_token_key": "S3CRET-token"}, kind="text/event-stream"),
    "externalmetrics": Known(
        external, TOKEN, "shop/errors", error=lambda words: {"kind": "Status", "message": words}, nan=False
    ),
    "keptn": Known(
        keptn_metric,
        TOKEN,
        "keptnmetric/shop/errors",
        error=lambda words: {"kind": "Status", "message": words},
        several=False,
    ),
    "opensearch": ELASTIC,
    "elasticsearch": ELASTIC,
    "skywalking": Known(expression, TOKEN, EXPRESSION, error=lambda words: {"errors": [{"message": words}]}),
    "wavefront": Known(
        lambda values: {
            "query": "the query",
            "granularity": 60,
            "timeseries": [{"label": "t", "host": "a", "data": [[FULL, each]]} for each in values],
        },
        TOKEN,
        error=lambda words: {"status": {"result": "ERROR", "message": words, "code": 400}},
    ),
    "kayenta": Known(judged, TOKEN, json.dumps(ANALYSIS), several=False),
    "web": Known(lambda values: {"data": [{"rate": each} for each in values]}, TOKEN, "$.data[*].rate"),
}
