"""Sends alerts: the one place that talks to messengers."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from canary.alerts.alert import Alert, Destination, Misconfigured, Request
from canary.alerts.messenger import Messenger
from canary.alerts.registry import MESSENGERS, request
from canary.alerts.said import cut
from outbound import access, message
from outbound.connections import Connections, Manner, Transport
from outbound.destinations import Destinations
from outbound.errors import CannotAskError, OutboundError, TooLateError

WAITS = (timedelta(seconds=1), timedelta(seconds=4))
"""The waits before the second and the third try, the last one."""

LONGEST_PAUSE = timedelta(seconds=5)
"""The longest wait that a messenger may ask for between these tries; for a longer one it is tried later, anew."""

LONGEST_REST = timedelta(minutes=10)
"""For how long a messenger is left alone at most, whatever it asks for."""

BODY_LIMIT = 4096
"""Bytes of an answer that are read."""

MANNER = Manner(total=64, per_host=32, largest=BODY_LIMIT, cut=True, partial=True, redirects=0)
"""How messengers are spoken to: no redirect is followed, as a message must not turn into the look at a page.

An answer that breaks off is one: who has said 2xx has taken the message, and would get it twice.
"""

LONGEST_REASON = 300
"""Characters of an answer that are told."""

SHORTEST_SECRET = 8
"""Characters that a part of an address, or a header, has at least that may be a secret."""

_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_RESTS = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Sent:
    """The messenger has taken the alert."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """The messenger has not taken the alert, after all tries.

    Args:
        reason: why, in words, without the address.
        passing: whether a later try may do better.
        rest: for how long it asks to be left alone; nothing where it doesn't say.
    """

    reason: str
    passing: bool = False
    rest: timedelta = timedelta(0)


Outcome: TypeAlias = Sent | NotSent | Misconfigured


class Sender:
    """Connections to messengers; an async context manager.

    Args:
        transport: what requests go through in place of the network and its proxies.
        destinations: which addresses may be called; any where none is given.
    """

    def __init__(self, transport: Transport | None = None, destinations: Destinations | None = None) -> None:
        self._connections = Connections(MANNER, transport, destinations)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.__aexit__(kind, error, trace)

    async def send(self, alert: Alert, to: Destination) -> Outcome:
        """Hand an alert to a messenger, again where that may help; never raises for outside trouble."""
        asked = request(alert, to)
        if isinstance(asked, Misconfigured):
            return asked
        for wait in WAITS:
            outcome = await self._attempt(asked, MESSENGERS[to.type])
            if isinstance(outcome, Sent) or not outcome.passing or outcome.rest > LONGEST_PAUSE:
                return outcome
            await asyncio.sleep(max(wait, outcome.rest).total_seconds())
        return await self._attempt(asked, MESSENGERS[to.type])

    async def _attempt(self, asked: Request, messenger: Messenger) -> Sent | NotSent:
        seconds = messenger.timeout.total_seconds()
        try:
            answer = await self._connections.send(_post(asked), seconds)
        except TooLateError:
            if messenger.hands_on:
                return NotSent(
                    f"no answer within {seconds:g}s; it is not told again, as it may have told others by then"
                )
            return NotSent(f"no answer within {seconds:g}s", passing=True)
        except OutboundError as error:
            return NotSent(str(error), passing=not isinstance(error, CannotAskError))
        return judge(answer, asked, messenger)


def _post(asked: Request) -> message.Request:
    """The request as it goes out; headers of the messenger's own go before the usual ones."""
    own = {name.lower() for name, _ in asked.headers}
    usual = [("Content-Type", "application/json")]
    if asked.token:
        usual.append(access.bearer(asked.token))
    body = asked.body if isinstance(asked.body, str) else json.dumps(asked.body, separators=(",", ":"))
    return message.Request(
        "POST",
        asked.address,
        headers=(*(each for each in usual if each[0].lower() not in own), *asked.headers),
        body=body.encode(errors="replace"),
        proxy=asked.proxy,
        tls=asked.tls,
    )


def judge(answer: message.Response, asked: Request, messenger: Messenger) -> Sent | NotSent:
    """Return what an answer comes to."""
    status = answer.status
    # A messenger may repeat what it was sent.
    body = without_secrets(answer.text, asked)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        refusal = messenger.refusal(status, body)
        return Sent() if refusal is None else NotSent(f"refused: {cut(refusal, LONGEST_REASON)}")
    if answer.leads_to:
        return NotSent(f"answered {status}: a redirect to {answer.leads_to}, which is not followed")
    passing = status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    rest = _seconds(answer.headers.get("retry-after", "")) if status in _RESTS else timedelta(0)
    if messenger.failure is not None:
        return NotSent(messenger.failure(status), passing, rest)
    words = cut(body.strip(), LONGEST_REASON)
    return NotSent(f"answered {status}: {words}" if words else f"answered {status}", passing, rest)


def _seconds(header: str) -> timedelta:
    """A Retry-After header in seconds; the form with a date counts as not given."""
    if not (header.isascii() and header.isdigit()):
        return timedelta(0)
    return min(timedelta(seconds=int(header[:9])), LONGEST_REST)


def without_secrets(text: str, asked: Request) -> str:
    """A text without what lets one in: the address and its parts, the token, headers, and what the body was given."""
    hidden = sorted({each for each in _secrets(asked) if each}, key=len, reverse=True)
    text = text.replace(asked.address, "its address")
    for each in hidden:
        text = text.replace(each, "***")
    return text


def _secrets(asked: Request) -> Iterator[str]:
    for each in (asked.token, *asked.secrets):
        yield from (each, json.dumps(each)[1:-1], quote(each, safe=""))
    parts = urlsplit(asked.address)
    place = [parts.path, f"{parts.path}?{parts.query}", parts.password or "", *(value for _, value in asked.headers)]
    place += [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    for each in place:
        if len(each) >= SHORTEST_SECRET:
            yield from (each, unquote(each), quote(each, safe=""))
