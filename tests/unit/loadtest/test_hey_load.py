import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from loadtest.hey.flags import parse
from loadtest.hey.report import Tally
from loadtest.hey.run import Pace, main, make_load


async def load(url: str, *flags: str) -> Tally:
    return await asyncio.wait_for(make_load(parse([*flags, url])), timeout=20)


async def test_so_many_requests_are_made(target: Any) -> None:
    tally = await load(target.url, "-n", "17", "-c", "3")

    assert tally.statuses == {200: 17}
    assert (len(target.requests), len(tally.times), tally.size) == (17, 17, 34)


async def test_a_duration_and_a_rate_bound_the_load(target: Any) -> None:
    """Two workers at 20 a second for half a second make 20 requests, or fewer where the machine is slow."""
    begin = asyncio.get_running_loop().time()

    tally = await load(target.url, "-z", "500ms", "-q", "20", "-c", "2")

    assert 2 <= tally.statuses[200] <= 20
    assert asyncio.get_running_loop().time() - begin >= 0.4


async def test_method_headers_and_body_are_sent(target: Any) -> None:
    flags = ["-m", "PUT", "-d", "data", "-T", "a/b", "-H", "X-A: 1", "-host", "app.test", "-U", "me", "-a", "u:p"]

    await load(target.url, "-n", "1", "-c", "1", *flags)

    (request,), (body,) = target.requests, target.bodies
    assert (request.method, body, request.host) == ("PUT", b"data", "app.test")
    assert request.headers["Content-Type"] == "a/b"
    assert request.headers["X-A"] == "1"
    assert request.headers["User-Agent"] == "me"
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"u:p").decode()


async def test_connections_are_used_again_unless_told_not_to(target: Any) -> None:
    await load(target.url, "-n", "5", "-c", "1")
    assert len(target.connections) == 1

    target.connections.clear()
    await load(target.url, "-n", "5", "-c", "1", "-disable-keepalive")
    assert len(target.connections) == 5


async def test_redirects_are_followed_unless_told_not_to(target: Any) -> None:
    followed = await load(target.url + "elsewhere", "-n", "1", "-c", "1")
    left = await load(target.url + "elsewhere", "-n", "1", "-c", "1", "-disable-redirects")

    assert (followed.statuses, left.statuses) == ({200: 1}, {302: 1})


async def test_failures_are_counted_and_end_nothing(target: Any) -> None:
    broken = await load(target.url + "broken", "-n", "3", "-c", "1")
    cut = await load(target.url + "cut", "-n", "3", "-c", "1")
    slow = await load(target.url + "hang", "-n", "1", "-c", "1", "-t", "1")
    refused = await load("http://127.0.0.1:1/", "-n", "3", "-c", "3")

    assert broken.statuses == {500: 3}
    assert cut.errors.total() == 3
    assert slow.errors == {f"GET {target.url}hang: timeout": 1}
    assert refused.errors.total() == 3


def test_a_worker_asks_evenly_and_does_not_catch_up() -> None:
    pace = Pace(start=10.0, rate=2)

    assert pace.wait(now=9.0) == 1.0
    assert pace.wait(now=10.1) == pytest.approx(0.4)
    assert pace.wait(now=13.0) == 0
    assert pace.wait(now=13.0) == pytest.approx(0.5)


def test_without_a_rate_there_is_no_wait() -> None:
    pace = Pace(start=0, rate=0)

    assert [pace.wait(now=5.0) for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["-nosuch"], "not defined"), (["-D", "/none", "http://a/"], "/none"), (["-h2", "http://a/"], "package h2")],
)
def test_a_wrong_command_line_is_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def test_a_body_is_read_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "body").write_text("x")

    assert main(["-n", "1", "-c", "1", "-D", str(tmp_path / "body"), "http://127.0.0.1:1/"]) == 0
    assert "Error distribution" in capsys.readouterr().out


def test_help_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-h"]) == 0
    assert "-disable-keepalive" in capsys.readouterr().out
