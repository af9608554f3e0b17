"""Kayenta: an analysis is begun and asked for until it has ended; what it could not judge is no bad score."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from metrics import providers
from metrics.connections import QUESTIONS
from metrics.errors import MisconfiguredError, ServerError
from metrics.providers import PROVIDERS
from metrics.providers.kayenta import KAYENTA
from metrics.question import Empty, Number, Question
from metrics.read import read
from metrics.reading import Cause, Unread
from metrics.wire import Response
from outbound.connections import Connections
from tests.unit.metrics.known import ANALYSIS, KNOWN, NOW, encoded, judged
from tests.unit.outbound.servers import answer, saying, serving

BEGUN = {"canaryAnalysisExecutionId": "01A"}
RUNNING = {"pipelineId": "01A", "complete": False, "executionStatus": "RUNNING", "status": "running"}

Ask = Callable[..., Question]


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    async with Connections(QUESTIONS) as found:
        yield found


def question(ask: Ask, **changes: Any) -> Question:
    usual = {"provider": "kayenta", "query": json.dumps(ANALYSIS), "credentials": KNOWN["kayenta"].secret}
    return ask(**{**usual, **changes})


def test_an_analysis_is_of_the_interval_in_whole_minutes(ask: Ask, now: datetime) -> None:
    request = KAYENTA.build(question(ask, address="http://k/", interval=timedelta(seconds=150)), now)
    url = urlsplit(request.url)
    assert url.path == "/standalone_canary_analysis/errors%20and%20latency"
    assert parse_qs(url.query) == {
        "application": ["shop"],
        "metricsAccountName": ["prometheus"],
        "storageAccountName": ["s3"],
    }
    assert json.loads(request.body or b"") == {
        "scopes": [
            {
                "startTimeIso": "2026-03-04T05:04:07Z",
                "endTimeIso": "2026-03-04T05:06:07Z",
                "step": 2,
                "controlScope": "shop-primary",
                "experimentScope": "shop",
            }
        ],
        "thresholds": {"pass": 95, "marginal": 75},
    }


def test_less_than_a_minute_is_one_as_kayenta_divides_by_them(ask: Ask, now: datetime) -> None:
    request = KAYENTA.build(question(ask, interval=timedelta(seconds=5)), now)
    (scope,) = json.loads(request.body or b"")["scopes"]
    assert (scope["startTimeIso"], scope["step"]) == ("2026-03-04T05:05:07Z", 1)


def test_a_configuration_may_stand_in_the_query(ask: Ask, now: datetime) -> None:
    query = {"canaryConfig": {"name": "c"}, "executionRequest": {"scopes": [{"step": 10}], "thresholds": {}}}
    request = KAYENTA.build(question(ask, query=json.dumps(query)), now)
    assert urlsplit(request.url).path == "/standalone_canary_analysis"
    sent = json.loads(request.body or b"")
    assert sent["canaryConfig"] == {"name": "c"}
    assert sent["executionRequest"]["scopes"][0]["step"] == 10


@pytest.mark.parametrize(
    "query",
    [
        "sum(errors)",
        "[]",
        "{}",
        json.dumps({**ANALYSIS, "canaryConfigId": ""}),
        json.dumps({**ANALYSIS, "canaryConfig": {"name": "c"}}),
        json.dumps({**ANALYSIS, "executionRequest": {"scopes": []}}),
        json.dumps({**ANALYSIS, "executionRequest": {"scopes": ["x"]}}),
    ],
)
def test_what_is_no_analysis_is_refused(ask: Ask, now: datetime, query: str) -> None:
    with pytest.raises(MisconfiguredError, match="executionRequest with thresholds and one scope"):
        KAYENTA.build(question(ask, query=query), now)


async def test_it_is_asked_for_until_it_has_ended(
    ask: Ask, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "PROVIDERS", {"kayenta": replace(PROVIDERS["kayenta"], pause=0.01)})
    said = (*(answer(body=encoded(each)) for each in (BEGUN, RUNNING, RUNNING)), answer(body=encoded(judged([91.5]))))
    async with serving(saying(*said)) as server:
        reading = await read(question(ask, address=server.url), connections, NOW)
    assert reading.said == Number(91.5, 1)
    first = [head.split(" HTTP")[0] for head in server.heads]
    assert first[1:] == ["GET /standalone_canary_analysis/01A?storageAccountName=s3"] * 3
    assert all("Bearer S3CRET-token" in head for head in server.heads)


async def test_one_that_does_not_end_says_nothing_of_the_version(
    ask: Ask, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = replace(PROVIDERS["kayenta"], pause=0.01, patience=0.05)
    monkeypatch.setattr(providers, "PROVIDERS", {"kayenta": row})
    async with serving(saying(answer(body=encoded(BEGUN)), answer(body=encoded(RUNNING)))) as server:
        reading = await read(question(ask, address=server.url), connections, NOW)
    assert isinstance(reading.said, Unread)
    assert reading.said.cause is Cause.TIMEOUT
    assert "has not come to an end within 0.05 s" in reading.said.reason


def test_the_last_score_counts() -> None:
    assert KAYENTA.parse(Response(200, encoded(judged([10, 96.0])))) == Number(96.0, 1)


def failed(**result: Any) -> bytes:
    """What Kayenta says where the judgement itself has failed: the score is 0, as of the worst canary."""
    run = {"executionStatus": "TERMINAL", **result}
    said = {"canaryScores": [0.0], "canaryExecutionResults": [run], "didPassThresholds": False}
    return encoded({"complete": True, "executionStatus": "TERMINAL", "canaryAnalysisExecutionResult": said})


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (failed(), "could not judge: terminal"),
        (failed(exception={"details": {"errors": ["no such account"]}}), "could not judge: terminal: no such account"),
        (
            encoded({"complete": True, "executionStatus": "CANCELED", "exception": {"details": {"error": "stopped"}}}),
            "has not judged: canceled: stopped",
        ),
    ],
)
def test_what_could_not_be_judged_is_no_bad_score(said: bytes, told: str) -> None:
    with pytest.raises(ServerError, match=told):
        KAYENTA.parse(Response(200, said))


def test_no_judgement_is_no_data() -> None:
    assert isinstance(KAYENTA.parse(Response(200, encoded(judged([])))), Empty)


def test_its_accounts_show_that_it_is_there(ask: Ask, now: datetime) -> None:
    assert urlsplit(KAYENTA.probe(question(ask), now).url).path == "/credentials"
    KAYENTA.accept(Response(200, b'[{"name": "prometheus"}]'))
