"""Who may call: by a token that both know, or by one that the API server vouches for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import RawTestServer, TestClient, TestServer

from loadtest.callers import (
    REVIEW_PATH,
    ApiServer,
    Callers,
    Denied,
    ReviewedTokens,
    SharedTokens,
    TokenFileError,
    token_of,
)
from loadtest.cli import settings
from loadtest.gates import Gates
from loadtest.jobs import Jobs
from loadtest.limits import Limits
from loadtest.processes import Output
from loadtest.server import OPEN, Service, Shutdown, application
from loadtest.tasks import Powers, Task
from loadtest.telemetry import Telemetry

CALLER = "system:serviceaccount:shop:caller"
PEER = "192.0.2.1"
OTHER = "system:serviceaccount:shop:other"


def bearer(token: str) -> str:
    return f"Bearer {token}"


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
        ("abc", None),
        ("Bearer \xe9", None),
    ],
)
def test_a_token_comes_as_a_bearers(header: str | None, token: str | None) -> None:
    assert token_of(header) == token


# --- A token that both know ------------------------------------------------------------------------------------


async def test_each_token_of_the_file_lets_in_and_a_change_counts_at_once(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("new\n\n old \n")
    callers = SharedTokens(tmp_path / "token")

    assert await callers.check(bearer("new"), PEER) is None
    assert await callers.check(bearer("old"), PEER) is None
    (tmp_path / "token").write_text("new")
    assert await callers.check(bearer("old"), PEER) == Denied(401, "Unauthorized: this token is not known here")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ne", "Bearer newer", "Basic new", "new"])
async def test_nothing_else_lets_in(tmp_path: Path, header: str | None) -> None:
    (tmp_path / "token").write_text("new")

    denied = await SharedTokens(tmp_path / "token").check(header, PEER)

    assert denied is not None
    assert denied.status == 401


async def test_a_file_that_is_gone_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("new")
    callers = SharedTokens(tmp_path / "token")
    (tmp_path / "token").unlink()

    denied = await callers.check(bearer("new"), PEER)

    assert denied is not None
    assert denied.status == 503


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_without_a_token_it_does_not_start(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "token").write_text(text)

    with pytest.raises(TokenFileError):
        SharedTokens(tmp_path / "token")


# --- One that the API server vouches for -----------------------------------------------------------------------


class Reviews:
    """Plays the API server: knows some tokens, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answer: Callable[[str], web.Response] = self._usual
        self.address = ""
        self.in_pieces = False

    def _usual(self, token: str) -> web.Response:
        users = {"good": CALLER, "others": OTHER}
        if token not in users:
            return web.json_response({"status": {"user": {}, "error": "invalid bearer token"}}, status=201)
        status = {"authenticated": True, "user": {"username": users[token]}, "audiences": ["loadtest"]}
        return web.json_response({"status": status}, status=201)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.json()
        self.asked.append((request.path, request.headers["Authorization"], body["spec"]))
        answer = self.answer(body["spec"]["token"])
        return await self._piece_by_piece(request, answer) if self.in_pieces else answer

    async def _piece_by_piece(self, request: web.BaseRequest, answer: web.Response) -> web.StreamResponse:
        streamed = web.StreamResponse(status=answer.status)
        await streamed.prepare(request)
        body = answer.body
        assert isinstance(body, bytes)
        for piece in (body[:20], body[20:]):
            await streamed.write(piece)
            await asyncio.sleep(0.1)
        return streamed


@pytest.fixture
async def reviews() -> AsyncIterator[Reviews]:
    found = Reviews()
    async with RawTestServer(found) as server:
        found.address = str(server.make_url("/")).rstrip("/")
        yield found


@asynccontextmanager
async def reviewing(reviews: Reviews, tmp_path: Path, audience: str = "") -> AsyncIterator[ReviewedTokens]:
    (tmp_path / "own").write_text("mine\n")
    callers = ReviewedTokens(ApiServer(reviews.address, tmp_path / "own", None), frozenset({CALLER}), audience)
    try:
        yield callers
    finally:
        await callers.close()


async def test_the_api_server_is_asked_whose_a_token_is(reviews: Reviews, tmp_path: Path) -> None:
    async with reviewing(reviews, tmp_path, "loadtest") as callers:
        assert await callers.check(bearer("good"), PEER) is None
        assert await callers.check(bearer("others"), PEER) == Denied(403, f"Forbidden: {OTHER} may not call here")
        assert await callers.check(bearer("bad"), PEER) == Denied(
            401, "Unauthorized: the API server does not know this token"
        )
        assert await callers.check(None, PEER) is not None

    assert reviews.asked[0] == (REVIEW_PATH, "Bearer mine", {"token": "good", "audiences": ["loadtest"]})
    assert len(reviews.asked) == 3


async def test_an_answer_that_comes_in_pieces_is_read_to_its_end(reviews: Reviews, tmp_path: Path) -> None:
    """As one of more than 4 KiB does: who is in many groups is described at length."""
    reviews.in_pieces = True
    async with reviewing(reviews, tmp_path) as callers:
        assert await callers.check(bearer("good"), PEER) is None


async def test_an_answer_without_end_lets_nobody_in(reviews: Reviews, tmp_path: Path) -> None:
    status = {"authenticated": True, "user": {"username": CALLER, "groups": ["g" * 100_000]}}
    reviews.answer = lambda token: web.json_response({"status": status}, status=201)
    async with reviewing(reviews, tmp_path) as callers:
        denied = await callers.check(bearer("good"), PEER)
    assert denied is not None
    assert denied.status == 503


async def test_a_token_made_for_somebody_else_lets_nobody_in(reviews: Reviews, tmp_path: Path) -> None:
    """An API server that knows nothing of audiences names none in its answer."""
    async with reviewing(reviews, tmp_path, "another") as callers:
        denied = await callers.check(bearer("good"), PEER)

    assert denied == Denied(401, "Unauthorized: this token is not for another")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, "{}"),
        (500, "x"),
        (201, "no JSON"),
        (302, ""),
        (201, "[]"),
        (201, "{}"),
        (201, '{"status": {"authenticated": "true", "user": {"username": "' + CALLER + '"}}}'),
        (201, '{"status": {"authenticated": true}}'),
        (201, '{"status": {"authenticated": true, "user": []}}'),
    ],
)
async def test_whatever_else_the_api_server_says_lets_nobody_in(
    reviews: Reviews, tmp_path: Path, status: int, body: str
) -> None:
    reviews.answer = lambda token: web.Response(status=status, text=body, headers={"Location": "/elsewhere"})

    async with reviewing(reviews, tmp_path) as callers:
        denied = await callers.check(bearer("good"), PEER)

    assert denied is not None
    assert len(reviews.asked) == 1


async def test_an_api_server_that_is_away_is_told_as_such_and_asked_again(reviews: Reviews, tmp_path: Path) -> None:
    reviews.answer = lambda token: web.Response(status=503)
    async with reviewing(reviews, tmp_path) as callers:
        denied = await callers.check(bearer("good"), PEER)
        assert denied is not None
        assert denied.status == 503

        reviews.answer = reviews._usual

        assert await callers.check(bearer("good"), PEER) is None


async def test_one_who_brings_many_bad_tokens_is_turned_away_and_others_are_not(
    reviews: Reviews, tmp_path: Path
) -> None:
    async with reviewing(reviews, tmp_path) as callers:
        answers = await asyncio.gather(*(callers.check(bearer(f"bad{n}"), "192.0.2.9") for n in range(200)))
        assert {each.status for each in answers if each is not None} == {401, 429}
        assert await callers.check(bearer("good"), PEER) is None
    assert len(reviews.asked) < 50


# --- What takes a token ----------------------------------------------------------------------------------------


@asynccontextmanager
async def served(callers: Callers) -> AsyncIterator[TestClient[Any, Any]]:
    async def execute(task: Task, output: Output) -> int:
        return 0

    telemetry = Telemetry(structlog.get_logger())
    jobs = Jobs(execute, telemetry, limits=Limits(), most=1)
    service = Service(jobs, Gates(), Powers(), telemetry, callers=callers)
    async with TestClient(TestServer(application(service, Shutdown()))) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/", "/gate/approve", "/gate/halt", "/gate/check", "/gate/open", "/gate/close", "/rollback/open", "/none"]
)
async def test_whatever_a_hook_may_ask_takes_a_token(tmp_path: Path, path: str) -> None:
    (tmp_path / "token").write_text("known")
    with structlog.testing.capture_logs() as lines:
        async with served(SharedTokens(tmp_path / "token")) as client:
            async with client.post(path, data=b"not even JSON") as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"] == "Bearer"
            body = {"name": "a", "namespace": "b", "metadata": {"cmd": "true"}}
            async with client.post(path, json=body, headers={"Authorization": "Bearer known"}) as response:
                assert response.status != 401

    assert "caller refused" in [line["event"] for line in lines]
    assert "known" not in str(lines)


@pytest.mark.parametrize("path", sorted(OPEN))
async def test_probes_and_prometheus_need_none(tmp_path: Path, path: str) -> None:
    (tmp_path / "token").write_text("known")
    async with served(SharedTokens(tmp_path / "token")) as client, client.get(path) as response:
        assert response.status == 200


def test_everybody_may_call_unless_a_flag_says_otherwise_and_one_flag_does() -> None:
    assert (settings([]).token_file, settings([]).token_review) == (None, frozenset())
    assert settings(["--token-file=/x"]).token_file == Path("/x")
    assert settings([f"--token-review={CALLER},{OTHER}"]).token_review == {CALLER, OTHER}
    with pytest.raises(SystemExit):
        settings(["--token-file=/x", f"--token-review={CALLER}"])
    with pytest.raises(SystemExit):
        settings(["--token-review="])
    with pytest.raises(SystemExit):
        settings(["--token-audience=loadtest"])  # it would look as if tokens were asked for


@pytest.mark.parametrize(
    ("environment", "url"),
    [({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}, "https://[fd00::1]:6443"), ({}, None)],
)
def test_the_api_server_is_where_the_pods_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str | None
) -> None:
    (tmp_path / "token").touch()
    monkeypatch.setattr("loadtest.callers.OWN_IDENTITY", tmp_path)

    server = ApiServer.of_pod(environment)

    assert (server.url if server is not None else None) == url
