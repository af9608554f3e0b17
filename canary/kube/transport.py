"""One exchange with the API server: deadline, few retries, and its outcome as an object or a typed error."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp
import structlog

from canary.kube.connection import Connection, watch_over
from canary.kube.decode import decode
from canary.kube.errors import (
    KubeError,
    NotLeading,
    Throttled,
    Unauthorized,
    Unreachable,
    error_of_answer,
    error_of_network,
)
from canary.kube.library import ConfigError
from canary.kube.types import Json

log = structlog.get_logger(__name__)

JSON = "application/json"
NETWORK_ERRORS = (aiohttp.ClientError, OSError, ConfigError)
"""What reading from a connection raises when it fails."""

Query = Mapping[str, str | int | None]
"""Query parameters; those that are None are left out."""

_LEAST_WAIT = 0.1
_WARNINGS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask of the API server.

    Attributes:
        method: HTTP method.
        path: URL path.
        query: Query parameters.
        body: Object to send, if any.
        content_type: What the body is.
        accept: Representation asked for.
        deadline: Seconds it may take; None for the transport's own.
    """

    method: str
    path: str
    query: Query | None = None
    body: Json | None = None
    content_type: str = JSON
    accept: str = JSON
    deadline: float | None = None

    @property
    def target(self) -> str:
        """Path and query as they go over the wire."""
        query = {key: value for key, value in (self.query or {}).items() if value is not None}
        return f"{self.path}?{urlencode(query)}" if query else self.path

    def encoded(self) -> bytes | None:
        """The body as bytes."""
        return None if self.body is None else json.dumps(self.body, separators=(",", ":")).encode()

    def headers(self) -> dict[str, str]:
        """Headers that say what is sent and what is asked for."""
        headers = {"Accept": self.accept}
        if self.body is not None:
            headers["Content-Type"] = self.content_type
        return headers


class Transport:
    """Sends requests over a connection; raises a `KubeError` for every outcome but success."""

    def __init__(
        self,
        connection: Connection,
        *,
        deadline: float,
        user_agent: str,
        may_write: Callable[[], float] | None = None,
    ) -> None:
        """Use an open connection.

        Args:
            connection: The way to the server.
            deadline: Seconds for one request, waits after a 429 included.
            user_agent: Name that the server's audit log shows.
            may_write: Seconds for which writing is still allowed, 0 or less for not at all; None for always.
        """
        self.connection = connection
        self.deadline = deadline
        self.user_agent = user_agent
        self._may_write = may_write
        self._warned: set[str] = set()

    async def send(self, request: Request) -> Json:
        """Send a request and return the object that answers it."""
        async with self._limited(request) as ends, await self._patiently(request, ends) as response:
            self._log_warnings(request, response)
            return _object(request, await response.read())

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[aiohttp.StreamReader]:
        """Open a stream; the deadline covers the answer's head, the reader sets its own for the rest.

        Reading raises one of `NETWORK_ERRORS` when the connection breaks.
        """
        async with self._limited(request) as ends:
            response = await self._patiently(request, ends)
        watch_over(response)
        try:
            yield response.content
        finally:
            # Closed, not released: the rest of a stream is never worth reading to its end.
            response.close()

    @asynccontextmanager
    async def _limited(self, request: Request) -> AsyncIterator[float]:
        """Bound what is inside by the deadline and the right to write; give the end in loop time."""
        method, path = request.method, request.path
        seconds = self.deadline if request.deadline is None else request.deadline
        if method != "GET" and self._may_write is not None:
            allowed = self._may_write()
            if allowed <= 0:
                raise NotLeading(method, path, "the lease isn't held")
            seconds = min(seconds, allowed)
        ends = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(ends) as limit:
                yield ends
        except NETWORK_ERRORS as error:  # a TimeoutError is an OSError
            if limit.expired():
                raise Unreachable(method, path, f"no answer within {seconds:g} s") from error
            raise error_of_network(method, path, error) from error
        except KubeError:
            raise
        except Exception as error:
            # Of what the other end sent, in the end: it is no answer, whatever our libraries make of it.
            log.exception("an exchange failed by what nobody thought of", method=method, path=path)
            raise Unreachable(method, path, f"the answer makes no sense: {type(error).__name__}") from error

    async def _patiently(self, request: Request, ends: float) -> aiohttp.ClientResponse:
        """Send again after a 429 whose wait fits the deadline, and after a 401 that new credentials may cure."""
        body = request.encoded()
        renewed = False
        while True:
            try:
                return await self._once(request, body)
            except Throttled as error:
                wait = max(_LEAST_WAIT, error.retry_after)
                if asyncio.get_running_loop().time() + wait >= ends:
                    raise
                await asyncio.sleep(wait)
            except Unauthorized:
                if renewed or not await self.connection.renew():
                    raise
                renewed = True

    async def _once(self, request: Request, body: bytes | None) -> aiohttp.ClientResponse:
        headers = {**request.headers(), "User-Agent": self.user_agent}
        response = await self.connection.send(request.method, request.target, headers, body)
        if response.status < 300:
            return response
        async with response:
            content = await response.read()
        raise error_of_answer(request.method, request.path, response.status, response.headers, content)

    def _log_warnings(self, request: Request, response: aiohttp.ClientResponse) -> None:
        """Log what the server warns of (unknown fields, deprecated versions), each text once."""
        for warning in response.headers.getall("Warning", ()):
            if warning not in self._warned and len(self._warned) < _WARNINGS_KEPT:
                self._warned.add(warning)
                log.warning("API server warns", method=request.method, path=request.path, warning=warning)


def _object(request: Request, content: bytes) -> Json:
    try:
        answer = decode(content)
    except ValueError as error:
        raise Unreachable(request.method, request.path, "the answer isn't JSON") from error
    if not isinstance(answer, dict):
        raise Unreachable(request.method, request.path, "the answer isn't an object")
    return answer
