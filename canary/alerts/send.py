"""Sends alerts: the one place that talks to messengers."""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeAlias

from canary.alerts.alert import Alert, Destination, Misconfigured, Request, cut
from canary.alerts.registry import MESSENGERS, Messenger, request
from outbound import message
from outbound.connections import Connections, Manner, Transport
from outbound.errors import CannotAskError, OutboundError, TooLateError

TIMEOUT = timedelta(seconds=5)
"""How long one try may take."""

WAITS = (timedelta(seconds=1), timedelta(seconds=4))
"""The waits before the second and the third try, the last one."""

BODY_LIMIT = 4096
"""Bytes of an answer that are read."""

MANNER = Manner(total=64, per_host=32, largest=BODY_LIMIT, cut=True, redirects=0)
"""How messengers are spoken to: no redirect is followed, as a message must not turn into the look at a page."""

LONGEST_REASON = 300
"""Characters of an answer that are told."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The messenger has taken the alert."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """The messenger has not taken the alert, after all tries.

    Args:
        reason: why, in words, without the address.
        passing: whether a later try may do better.
    """

    reason: str
    passing: bool = False


Outcome: TypeAlias = Sent | NotSent | Misconfigured


class Sender:
    """Connections to messengers; an async context manager.

    Args:
        transport: what requests go through in place of the network and its proxies.
    """

    def __init__(self, transport: Transport | None = None) -> None:
        self._connections = Connections(MANNER, transport)

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
            if isinstance(outcome, Sent) or not outcome.passing:
                return outcome
            await asyncio.sleep(wait.total_seconds())
        return await self._attempt(asked, MESSENGERS[to.type])

    async def _attempt(self, asked: Request, messenger: Messenger) -> Sent | NotSent:
        entry = (("Authorization", f"Bearer {asked.token}"),) if asked.token else ()
        post = message.Request(
            "POST",
            asked.address,
            headers=(("Content-Type", "application/json"), *entry),
            body=json.dumps(asked.body, separators=(",", ":")).encode(),
            proxy=asked.proxy,
        )
        try:
            answer = await self._connections.send(post, TIMEOUT.total_seconds())
        except TooLateError:
            return NotSent(f"no answer within {TIMEOUT.total_seconds():g}s", passing=True)
        except OutboundError as error:
            return NotSent(str(error), passing=not isinstance(error, CannotAskError))
        # A messenger may repeat what it was sent.
        text = answer.text.replace(asked.address, "its address")
        return judge(answer.status, text.replace(asked.token, "***") if asked.token else text, messenger)


def judge(status: int, body: str, messenger: Messenger) -> Sent | NotSent:
    """Return what an answer comes to."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        refusal = messenger.refusal(body)
        return Sent() if refusal is None else NotSent(f"refused: {cut(refusal, LONGEST_REASON)}")
    passing = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    words = cut(body.strip(), LONGEST_REASON)
    return NotSent(f"answered {status}: {words}" if words else f"answered {status}", passing)
