"""The HTTP side of votes: programs call with a token, people open a link."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from canary.api.canary import Canary
from canary.api.problems import InvalidResource
from canary.controller.listening import Listener
from canary.controller.options import VoteSettings
from canary.controller.votes import pages
from canary.controller.votes.ballot import Ballot, NoLinks
from canary.controller.votes.callers import Caller, Callers, Denied
from canary.kube.client import KubeClient
from canary.kube.decode import decode
from canary.kube.errors import KubeError, NotFound
from canary.kube.types import Json
from canary.rollout.links import BadLink, LateLink, LinkRefused, UsedLink
from canary.rollout.votes import NO, YES, Vote
from canary.rollout.voting import VoteRefused, asked_of, by_link, vote
from inbound.connections import Connections
from inbound.given import GivenCertificate
from inbound.reviews import TooManyStrangers
from inbound.tls import Handshakes, context_of

log = structlog.get_logger(__name__)

MOST: Final = 512
"""Connections at most: for each one more, the one that has been quiet for longest is closed."""

LARGEST_BODY: Final = 16 * 1024
"""Bytes of a call's body at most."""

SLOWEST_BODY: Final = 10.0
"""Seconds that a caller may take to send a body."""

FIELDS: Final = ("answer", "message", "moment")
"""What a vote may say."""

GATES: Final = "/v1/canaries/{namespace}/{name}/gates"
LINK: Final = "/link/{link}"

_NAMESPACE: Final = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME: Final = re.compile("[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")


class VoteServer:
    """The server of votes.

    Args:
        settings: how it was told to work.
        ballot: where votes are written.
        callers: who may call.
    """

    def __init__(self, settings: VoteSettings, ballot: Ballot, callers: Callers) -> None:
        self.connections = Connections(MOST)
        self._callers = callers
        self._tls = _Tls(settings.certificate, self.connections) if settings.certificate is not None else None
        over = self._tls.handshakes.over if self._tls is not None else self.connections.over
        runner = web.AppRunner(application(ballot, callers, self.connections), access_log=None)
        host = f"[{settings.address}]" if ":" in settings.address else settings.address
        flags = f"--vote-address {host}:{settings.port}"
        self._listener = Listener(runner, over, settings.address, settings.port, flags)

    @classmethod
    def of(cls, settings: VoteSettings, client: KubeClient, namespace: str | None) -> "VoteServer":
        """That of a controller that works in a namespace, or in all."""
        return cls(settings, Ballot(client, namespace, settings.key_file), Callers(client, settings.audience))

    @property
    def port(self) -> int:
        """The port that it listens on, once it does."""
        return self._listener.port

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ListenError: the port is taken, or the address is none of this machine's.
        """
        if self._tls is not None:
            await self._tls.start()
        await self._listener.start()

    async def close(self) -> None:
        """Stop listening."""
        self._listener.stop()
        if self._tls is not None:
            await self._tls.close()
        await self._listener.close()
        await self._callers.close()


class _Tls:
    """Makes connections secure by the certificate of a folder; while that has none, there are no connections."""

    def __init__(self, folder: Path, connections: Connections) -> None:
        self.handshakes = Handshakes(connections, self._in_force)
        self._given = GivenCertificate(folder, self._serve, "votes")
        self._context: ssl.SSLContext | None = None
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._given.look()
        self._looking = asyncio.create_task(self._given.run(), name="certificate of votes")

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self.handshakes.close()

    async def _serve(self, certificate: bytes, key: bytes) -> None:
        self._context = await asyncio.to_thread(context_of, certificate, key)

    def _in_force(self) -> ssl.SSLContext:
        if self._context is None:
            raise ConnectionAbortedError("there is no certificate yet")
        return self._context


def application(ballot: Ballot, callers: Callers, connections: Connections) -> web.Application:
    """The web application."""

    @web.middleware
    async def touch(request: web.Request, handler: Handler) -> web.StreamResponse:
        connections.touch(request.transport)
        try:
            return await handler(request)
        finally:
            connections.touch(request.transport)

    calls, links = _Calls(ballot, callers), _Links(ballot)
    app = web.Application(client_max_size=LARGEST_BODY, middlewares=[touch])
    app.router.add_get("/healthz", _healthz)
    app.router.add_get(GATES, _answered(calls.gates, _in_json))
    app.router.add_post(f"{GATES}/{{gate}}", _answered(calls.vote, _in_json))
    app.router.add_get(LINK, _answered(links.look, _in_html))
    app.router.add_post(LINK, _answered(links.use, _in_html))
    return app


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="OK\n")


class _Calls:
    """What programs call."""

    def __init__(self, ballot: Ballot, callers: Callers) -> None:
        self._ballot = ballot
        self._callers = callers

    async def gates(self, request: web.Request) -> web.Response:
        _, namespace, name = await self._let_in(request, "get")
        canary = await self._ballot.canary(namespace, name)
        gates = [each.to_json() for each in canary.status.approvals]
        return web.json_response({"gates": gates}, headers=_PRIVATE)

    async def vote(self, request: web.Request) -> web.Response:
        caller, namespace, name = await self._let_in(request, "patch")
        gate, words = request.match_info["gate"], _ballot_paper(await _body(request, "application/json"))
        approves, at = words["answer"] == YES, self._ballot.time

        def decided(canary: Canary) -> Vote:
            entry = asked_of(canary, gate, moment=words.get("moment", ""))
            return vote(canary, entry, caller.name, approves=approves, at=at, why=words.get("message", ""))

        given = await self._ballot.cast(namespace, name, decided)
        _tell(namespace, name, given, way="token")
        answer = {"canary": f"{namespace}/{name}", "gate": given.gate, "moment": given.moment, "by": given.by}
        return web.json_response({**answer, "answer": words["answer"]}, headers=_PRIVATE)

    async def _let_in(self, request: web.Request, verb: str) -> tuple[Caller, str, str]:
        """Who calls, and about which Canary, once it is seen that they may; before anything of the body is read."""
        caller = await self._callers.who(request.headers.get("Authorization", ""), request.remote or "")
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        if not _NAMESPACE.fullmatch(namespace) or not _NAME.fullmatch(name):
            raise Denied(404, "there is no such Canary")
        await self._callers.check(caller, verb, namespace, name)
        return caller, namespace, name


class _Links:
    """What people open."""

    def __init__(self, ballot: Ballot) -> None:
        self._ballot = ballot

    async def look(self, request: web.Request) -> web.Response:
        """Show what a link would say. Nothing is changed: programs that look through mail open links."""
        link = self._ballot.link(request.match_info["link"])
        canary = await self._ballot.canary(link.namespace, link.name)
        by_link(canary, link, at="")
        return _html(200, pages.asking(link, canary))

    async def use(self, request: web.Request) -> web.Response:
        """Say what a link says."""
        link = self._ballot.link(request.match_info["link"])
        given = await self._ballot.cast_by(link, _message(await _body(request, "application/x-www-form-urlencoded")))
        _tell(link.namespace, link.name, given, way="link")
        return _html(200, pages.said(link))


_PRIVATE: Final = {"Cache-Control": "no-store"}

_Refusal = Callable[[int, str], web.Response]


def _answered(handler: Callable[[web.Request], Awaitable[web.Response]], refusal: _Refusal) -> Handler:
    """Whatever is in the way becomes an answer in one place."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except web.HTTPException as error:
            status, why = error.status, error.text or error.reason
        except (Denied, TooManyStrangers, LinkRefused, NoLinks, VoteRefused, InvalidResource) as error:
            status, why = _status_of(error), str(error)
        except NotFound as error:
            status, why = 404, error.message
        except (KubeError, TimeoutError) as error:
            log.warning("a vote can't be taken", reason=str(error) or type(error).__name__)
            status, why = 503, "the API server can't be asked now; try again"
        # Of those whom nobody knows there may be many.
        told = log.debug if status in (401, 429) else log.info
        told("a vote is refused", status=status, reason=why[:200], peer=request.remote)
        return refusal(status, why)

    return answer


def _status_of(error: Exception) -> int:
    match error:
        case Denied(status=status):
            return status
        case TooManyStrangers():
            return 429
        case LateLink() | UsedLink():
            return 410
        case BadLink() | VoteRefused(stranger=True):
            return 403
        case NoLinks():
            return 404
    return 409


_AND: Final = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}, 503: {"Retry-After": "5"}}
"""Headers that go with a refusal."""


def _in_json(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status, headers={**_PRIVATE, **_AND.get(status, {})})


def _in_html(status: int, why: str) -> web.Response:
    return _html(status, pages.refused(why), _AND.get(status, {}))


def _html(status: int, text: str, more: dict[str, str] | None = None) -> web.Response:
    body = text.encode(errors="replace")
    headers = {**pages.HEADERS, **(more or {}), "Content-Type": "text/html; charset=utf-8"}
    return web.Response(status=status, body=body, headers=headers)


async def _body(request: web.Request, kind: str) -> bytes:
    """The body of a call; empty where there is none.

    Raises:
        HTTPException: it is of another type (415), too large (413), too slow (408), or can't be read (400).
    """
    if not request.can_read_body:
        return b""
    if request.content_type != kind:
        raise web.HTTPUnsupportedMediaType(text=f"send the header Content-Type: {kind}")
    try:
        async with asyncio.timeout(SLOWEST_BODY):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the body did not come in time") from None
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest(text=f"the body can't be read: {' '.join(str(error).split())}") from None


def _ballot_paper(body: bytes) -> dict[str, str]:
    """What a call says.

    Raises:
        HTTPBadRequest: it is none.
    """
    try:
        said = decode(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise web.HTTPBadRequest(text='send a JSON object such as {"answer": "yes", "message": "tested"}')
    words: Json = said
    if unknown := sorted(set(words) - set(FIELDS)):
        raise web.HTTPBadRequest(text=f"{_printable(unknown[0])}: unknown field; there are {', '.join(FIELDS)}")
    if words.get("answer") not in (YES, NO):
        raise web.HTTPBadRequest(text="answer: is neither yes nor no; write one of them")
    if wrong := [key for key in FIELDS if not isinstance(words.get(key, ""), str)]:
        raise web.HTTPBadRequest(text=f"{wrong[0]}: is no text; write one, or take it out")
    return {key: _printable(str(value)) for key, value in words.items()}


def _message(body: bytes) -> str:
    try:
        found = parse_qs(body.decode(errors="replace"), max_num_fields=8)
    except ValueError:
        raise web.HTTPBadRequest(text="the form has too many fields") from None
    return _printable(" ".join(found.get("message", ())))


def _printable(text: str) -> str:
    """The text on one line, with nothing that could not stand in an annotation or a log."""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())


def _tell(namespace: str, name: str, given: Vote, *, way: str) -> None:
    said = YES if given.approves else NO
    log.info("a vote is taken", canary=f"{namespace}/{name}", gate=given.gate, by=given.by, answer=said, way=way)
