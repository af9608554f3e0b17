"""Sends alerts: the one place that talks to messengers."""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeAlias

import httpx

from canary.alerts.alert import Alert, Destination, Misconfigured, Request, cut
from canary.alerts.registry import MESSENGERS, Messenger, request

TIMEOUT = timedelta(seconds=5)
"""How long one try may take."""

WAITS = (timedelta(seconds=1), timedelta(seconds=4))
"""The waits before the second and the third try, the last one."""

BODY_LIMIT = 4096
"""Bytes of an answer that are read."""

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
    """Connections to messengers, one client for each proxy on the way; an async context manager.

    Args:
        transport: what requests go through in place of the network and its proxies.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def send(self, alert: Alert, to: Destination) -> Outcome:
        """Hand an alert to a messenger, again where that may help; never raises for outside trouble."""
        asked = request(alert, to)
        if isinstance(asked, Misconfigured):
            return asked
        try:
            client = self._client(asked.proxy)
        except (ValueError, httpx.InvalidURL):
            # Their words hold the proxy's password.
            return Misconfigured("its proxy can't be used; write it as http://HOST:PORT")
        for wait in WAITS:
            outcome = await _attempt(client, asked, MESSENGERS[to.type])
            if isinstance(outcome, Sent) or not outcome.passing:
                return outcome
            await asyncio.sleep(wait.total_seconds())
        return await _attempt(client, asked, MESSENGERS[to.type])

    def _client(self, proxy: str) -> httpx.AsyncClient:
        if proxy not in self._clients:
            self._clients[proxy] = httpx.AsyncClient(
                proxy=proxy or None if self._transport is None else None,
                transport=self._transport,
                timeout=TIMEOUT.total_seconds(),
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        return self._clients[proxy]


async def _attempt(client: httpx.AsyncClient, asked: Request, messenger: Messenger) -> Sent | NotSent:
    headers = {"content-type": "application/json"}
    if asked.token:
        headers["authorization"] = f"Bearer {asked.token}"
    content = json.dumps(asked.body, separators=(",", ":")).encode()
    try:
        async with (
            asyncio.timeout(TIMEOUT.total_seconds()),
            client.stream("POST", asked.address, content=content, headers=headers) as response,
        ):
            return judge(response.status_code, await _beginning(response), messenger)
    except (TimeoutError, httpx.TimeoutException):
        return NotSent(f"no answer within {TIMEOUT.total_seconds():g}s", passing=True)
    except (httpx.LocalProtocolError, httpx.InvalidURL, ValueError) as error:
        # Their words hold what can't be sent, such as a token or the address.
        return NotSent(f"the request can't be made ({type(error).__name__})")
    except (httpx.HTTPError, OSError) as error:
        # The words of some of these errors hold the address, which is a secret.
        return NotSent(str(error).replace(asked.address, "its address") or type(error).__name__, passing=True)


def judge(status: int, body: str, messenger: Messenger) -> Sent | NotSent:
    """Return what an answer comes to."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        refusal = messenger.refusal(body)
        return Sent() if refusal is None else NotSent(f"refused: {cut(refusal, LONGEST_REASON)}")
    passing = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    words = cut(body.strip(), LONGEST_REASON)
    return NotSent(f"answered {status}: {words}" if words else f"answered {status}", passing)


async def _beginning(response: httpx.Response) -> str:
    kept = bytearray()
    async for chunk in response.aiter_bytes(BODY_LIMIT):
        kept += chunk
        if len(kept) >= BODY_LIMIT:
            break
    return kept[:BODY_LIMIT].decode(errors="replace")
