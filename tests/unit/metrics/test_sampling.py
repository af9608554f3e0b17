"""Values of a metric of two versions: at which times they are taken, and what becomes of those that are missing."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.connections import QUESTIONS
from metrics.question import Question
from metrics.reading import Cause, Reading, Sampled, Unread
from metrics.sampling import Times, sample
from metrics.wire import Request, Response
from outbound.connections import Connections

SINCE = datetime(2026, 3, 4, 5, 0, 0, tzinfo=UTC)
STEP = timedelta(seconds=10)
NOW = SINCE + timedelta(seconds=35)


class Server:
    """A Prometheus whose series have these values from the start that is asked for on; None where there is none."""

    def __init__(self, *series: list[float | None], status: int = 200) -> None:
        self._series, self._status = series, status
        self.asked: list[tuple[float, float]] = []

    async def __call__(self, request: Request) -> Response:
        fields = parse_qs(request.body.decode() if request.body else urlsplit(request.url).query)
        start = float(fields["start"][0])
        self.asked.append((start - SINCE.timestamp(), float(fields["end"][0]) - SINCE.timestamp()))
        result = [
            {"metric": {}, "values": [[start + 10 * at, str(each)] for at, each in enumerate(one) if each is not None]}
            for one in self._series
        ]
        body = {"status": "success", "data": {"resultType": "matrix", "result": result}}
        return Response(self._status, json.dumps(body).encode())


async def sampled(ask: Callable[..., Question], server: Server, times: Times) -> Reading:
    async with Connections(QUESTIONS, server) as clients:
        return await sample(clients, ask(), ask(), times, NOW)


async def test_each_value_is_about_a_whole_step_since_the_first(ask: Callable[..., Question]) -> None:
    server = Server([1.0, 2.0, 3.0])
    said = (await sampled(ask, server, Times.of(SINCE, NOW, STEP))).said
    assert said == Sampled((1.0, 2.0, 3.0), (1.0, 2.0, 3.0))
    assert server.asked == [(10, 30), (10, 30)]


async def test_of_the_time_before_as_many_are_taken(ask: Callable[..., Question]) -> None:
    server = Server([1.0, 2.0, 3.0])
    await sampled(ask, server, Times.of(SINCE, NOW, STEP, SINCE - timedelta(seconds=5)))
    assert server.asked == [(10, 30), (-25, -5)]


async def test_a_time_without_a_value_is_not_a_number(ask: Callable[..., Question]) -> None:
    said = (await sampled(ask, Server([None, 2.0, None]), Times.of(SINCE, NOW, STEP))).said
    assert isinstance(said, Sampled)
    assert [math.isnan(value) for value in said.canary] == [True, False, True]
    nothing = (await sampled(ask, Server(), Times.of(SINCE, NOW, STEP))).said
    assert isinstance(nothing, Sampled)
    assert all(map(math.isnan, nothing.canary + nothing.promoted))


async def test_before_the_first_step_is_over_nobody_is_asked(ask: Callable[..., Question]) -> None:
    server = Server([1.0])
    assert (await sampled(ask, server, Times.of(SINCE, SINCE + STEP / 2, STEP))).said == Sampled((), ())
    assert not server.asked


@pytest.mark.parametrize(
    ("server", "cause"),
    [(Server([1.0], [2.0]), Cause.BAD_QUERY), (Server([1.0], status=503), Cause.SERVER_ERROR)],
)
async def test_several_series_and_trouble_outside_are_told(
    ask: Callable[..., Question], server: Server, cause: Cause
) -> None:
    said = (await sampled(ask, server, Times.of(SINCE, NOW, STEP))).said
    assert isinstance(said, Unread)
    assert said.cause is cause


async def test_a_server_that_can_t_be_asked_is_told(ask: Callable[..., Question]) -> None:
    async with Connections(QUESTIONS, Server([1.0])) as clients:
        wrong = replace(ask(), address="nowhere")
        said = (await sample(clients, wrong, wrong, Times.of(SINCE, NOW, STEP), NOW)).said
    assert isinstance(said, Unread)
    assert said.cause is Cause.MISCONFIGURED


@given(st.floats(0, 10**7), st.floats(1, 10**5))
def test_there_are_never_more_than_can_be_judged_at_once(seconds: float, step: float) -> None:
    times = Times.of(SINCE, SINCE + timedelta(seconds=seconds), timedelta(seconds=step))
    first, last = times.ending(times.now)
    assert 0 <= times.count <= 1000
    assert last <= SINCE + timedelta(seconds=seconds)
    assert not times.count or first >= SINCE + times.step
