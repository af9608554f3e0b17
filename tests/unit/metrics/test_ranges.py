import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

from metrics.errors import (
    EmptyRangeError,
    MisconfiguredError,
    QueryError,
    TimedOutError,
    UnauthorizedError,
    UnreachableError,
    UnreadableError,
)
from metrics.question import Question
from metrics.ranges import Point, Series, query_range

START = datetime(2026, 3, 4, 5, 0, 0, 250_000, tzinfo=UTC)
END = START + timedelta(minutes=5)
STEP = timedelta(seconds=15)


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


class Serve(Protocol):
    def __call__(self, status: int, body: bytes | Exception | float) -> list[requests.PreparedRequest]: ...


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Answer every request so; the requests gather in the list that comes back."""

    def start(status: int, body: bytes | Exception | float) -> list[requests.PreparedRequest]:
        asked: list[requests.PreparedRequest] = []

        def send(_: HTTPAdapter, request: requests.PreparedRequest, **__: Any) -> requests.Response:
            asked.append(request)
            if isinstance(body, Exception):
                raise body
            if isinstance(body, float):
                time.sleep(body)
            response = requests.Response()
            response.status_code, response.request, response.url = status, request, request.url or ""
            response._content = body if isinstance(body, bytes) else b""
            return response

        monkeypatch.setattr(HTTPAdapter, "send", send)
        return asked

    return start


async def test_the_series_have_labels_and_points(serve: Serve, ask: Ask, recorded: Callable[[str], bytes]) -> None:
    serve(200, recorded("prometheus/range.json"))
    series = await query_range(ask(), start=START, end=END, step=STEP)
    assert series == [
        Series(
            {"__name__": "up", "instance": "127.0.0.1:19090", "job": "self"},
            (Point(datetime.fromtimestamp(1795508792, UTC), 1.0),),
        )
    ]


async def test_times_are_asked_as_given_and_credentials_go_along(
    serve: Serve, ask: Ask, recorded: Callable[[str], bytes]
) -> None:
    asked = serve(200, recorded("prometheus/range.json"))
    question = ask(address="http://p:9090/prom/", credentials={"token": "t"}, headers=(("X-A", "1"), ("X-A", "2")))
    await query_range(question, start=START, end=END, step=STEP)
    url = urlsplit(str(asked[0].url))
    assert url.path == "/prom/api/v1/query_range"
    assert parse_qs(url.query) == {
        "query": ["sum(errors)"],
        "start": [f"{START.timestamp():.3f}"],
        "end": [f"{END.timestamp():.3f}"],
        "step": ["15"],
    }
    assert asked[0].headers["Authorization"] == "Bearer t"
    assert asked[0].headers["X-A"] == "1, 2"


@pytest.mark.parametrize(
    "result", ["[]", '[{"metric":{},"values":[[1,"NaN"]]}]', '[{"metric":{},"histograms":[[1,{}]]}]']
)
async def test_nothing_in_the_range_is_an_error_of_its_own(result: str, serve: Serve, ask: Ask) -> None:
    serve(200, f'{{"status":"success","data":{{"resultType":"matrix","result":{result}}}}}'.encode())
    with pytest.raises(EmptyRangeError):
        await query_range(ask(), start=START, end=END, step=STEP)


@pytest.mark.parametrize(
    ("status", "name", "error", "text"),
    [
        (400, "bad_data.json", QueryError, "unclosed left parenthesis"),
        (422, "execution.json", QueryError, "found duplicate series"),
        (503, "timeout.json", TimedOutError, "query timed out"),
        (401, "unauthorized.txt", UnauthorizedError, "Unauthorized"),
        (404, "wrong_path.txt", UnreadableError, "404 page not found"),
    ],
)
async def test_error_answers_mean_the_same_as_for_instant_queries(
    status: int, name: str, error: type[Exception], text: str, serve: Serve, ask: Ask, recorded: Callable[[str], bytes]
) -> None:
    serve(status, recorded(f"prometheus/{name}"))
    with pytest.raises(error, match=text):
        await query_range(ask(), start=START, end=END, step=STEP)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>", UnreadableError),
        (b"{}", UnreadableError),
        (b'{"data":{"result":{}}}', UnreadableError),
        (b'{"data":{"result":[1]}}', UnreadableError),
        (b'{"data":{"result":[{"metric":{},"values":[[1,"x"]]}]}}', UnreadableError),
        (b'{"data":{"result":[{"metric":{},"values":[1]}]}}', UnreadableError),
        (requests.ConnectionError("refused"), UnreachableError),
        (requests.ReadTimeout("slow"), TimedOutError),
        (requests.exceptions.InvalidHeader("bad"), MisconfiguredError),
    ],
)
async def test_whatever_else_happens_is_told_apart(
    body: bytes | Exception, error: type[Exception], serve: Serve, ask: Ask
) -> None:
    serve(200, body)
    with pytest.raises(error):
        await query_range(ask(), start=START, end=END, step=STEP)


async def test_the_deadline_holds_even_while_the_thread_is_busy(serve: Serve, ask: Ask) -> None:
    serve(200, 0.05)
    with pytest.raises(TimedOutError, match=r"no answer within 0\.01 s"):
        await query_range(ask(), start=START, end=END, step=STEP, deadline=0.01)


@pytest.mark.parametrize(("end", "step"), [(START - timedelta(seconds=1), STEP), (END, timedelta(0))])
async def test_a_range_that_is_none_is_refused(end: datetime, step: timedelta, ask: Ask) -> None:
    with pytest.raises(MisconfiguredError):
        await query_range(ask(), start=START, end=end, step=step)


def test_the_blocking_library_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, metrics.ranges, metrics.evaluate; print('requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
