"""What of an answer is told: the words of the API that was asked for, on one line, and nothing of anybody else."""

import json

import pytest

from metrics.errors import ProviderError
from metrics.providers import PROVIDERS
from metrics.question import Empty, Number
from metrics.wire import Response


def parse(provider: str, body: object, status: int) -> Number | Empty:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return PROVIDERS[provider].parse(Response(status, data))


ERRORS: dict[str, list[object]] = {
    "datadog": [{"errors": ["why"]}, {"status": "error", "error": "why"}],
    "dynatrace": [{"error": {"code": 400, "message": "why"}}],
    "influxdb": [{"code": "invalid", "message": "why"}],
    "newrelic": [{"error": "why"}],
    "prometheus": [{"status": "error", "errorType": "bad_data", "error": "why"}, {"status": "error", "error": "why"}],
}
"""How each says why it refuses, in an answer of its API; Graphite has no words of its own."""


@pytest.mark.parametrize(("provider", "body"), [(name, body) for name, bodies in ERRORS.items() for body in bodies])
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 504])
def test_why_a_server_refuses_is_told_in_the_words_of_its_api(provider: str, body: object, status: int) -> None:
    with pytest.raises(ProviderError, match="why"):
        parse(provider, body, status)


STRANGE = [
    "AccessKeyId: INTERNAL",
    "<html>INTERNAL</html>",
    '"INTERNAL"',
    '["INTERNAL"]',
    {"AccessKeyId": "INTERNAL", "Code": "Success"},
    {"data": {"password": "INTERNAL"}, "status": "success"},
    {"data": "INTERNAL", "status": "INTERNAL", "series": "INTERNAL", "results": "INTERNAL", "result": "INTERNAL"},
    {"error": {"INTERNAL": 1}, "errors": {"INTERNAL": 1}, "message": ["INTERNAL"]},
    [{"target": "INTERNAL", "datapoints": "INTERNAL"}],
    "name,_value\r\nINTERNAL,\r\n",
    "user,password\r\nme,INTERNAL\r\n",
]


@pytest.mark.parametrize("body", STRANGE)
@pytest.mark.parametrize("status", [200, 301, 400, 403, 404, 500])
@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_of_what_is_no_answer_of_its_api_nothing_is_told(provider: str, status: int, body: object) -> None:
    """It may be any server that the controller can reach, and whoever reads a Canary need not be its reader."""
    try:
        told = str(parse(provider, body, status))
    except ProviderError as error:
        told = str(error)
    assert "INTERNAL" not in told


@pytest.mark.parametrize("provider", sorted(ERRORS))
def test_words_without_end_are_cut(provider: str) -> None:
    body = json.loads(json.dumps(ERRORS[provider][0]).replace("why", "why \\n" * 10_000))
    with pytest.raises(ProviderError) as refused:
        parse(provider, body, 400)
    assert "why" in str(refused.value)
    assert len(str(refused.value)) < 600
    assert "\n" not in str(refused.value)
