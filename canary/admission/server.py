"""The server that the API server asks, over TLS: bodies of bounded size in bounded time, to pure functions and back."""

import asyncio
import ssl
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from canary.admission.certificates import Pair
from canary.admission.endpoints import ENDPOINTS, Endpoint
from canary.admission.review import API_VERSION, KIND, NoReviewError
from canary.admission.validate import validate
from canary.api.meta import API_VERSION as OURS
from canary.controller.listening import Listener
from canary.controller.options import Options
from canary.controller.telemetry import Telemetry
from canary.kube.decode import DEEPEST, decode
from canary.kube.types import Json, mapping
from inbound.connections import Connections
from inbound.tls import Handshakes, context_of

MOST: Final = 256
"""Connections at most: for each one more, the one that has been quiet for longest is closed."""

PATIENCE: Final = 120.0
"""Seconds that a connection may bring no request: API servers keep theirs for 90."""

LARGEST_BODY: Final = 4 * 1024 * 1024
"""Bytes of a question: the object as it was and as it is to be, and an API server takes 3 MiB of one at most."""

SLOWEST_BODY: Final = 5.0
"""Seconds that a question may take to come."""

AT_ONCE: Final = 4
"""Questions that are taken in at once; more wait, so that they need no more memory than there is."""

WARM_UP: Final = tuple(
    {
        "kind": KIND,
        "apiVersion": API_VERSION,
        "request": {"uid": "0", "operation": "CREATE", "object": {"apiVersion": OURS, "kind": kind, "spec": {}}},
    }
    for kind in ("Canary", "MetricTemplate", "AlertProvider")
)
"""Questions by which everything is made that is made at its first use: from then on it may be used by any thread."""


class AdmissionServer:
    """Answers the API server.

    Args:
        address: address to listen on; empty for all.
        port: TCP port.
        options: what the controller is told.
        telemetry: is told.
    """

    def __init__(self, address: str, port: int, options: Options, telemetry: Telemetry) -> None:
        self._options = options
        self._telemetry = telemetry
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._judging = asyncio.Lock()
        self._context: ssl.SSLContext | None = None
        self.connections = Connections(MOST, PATIENCE)
        self._handshakes = Handshakes(self.connections, self._in_force)
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._touch])
        for path, endpoint in ENDPOINTS.items():
            app.router.add_post(path, self._answering(path, endpoint))
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=PATIENCE)
        self._listener = Listener(runner, self._handshakes.over, address, port, f"--admission-port {port}")

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        return self._listener.is_listening and self._context is not None

    async def start(self) -> None:
        """Begin to listen; without a certificate nobody is answered.

        Raises:
            ListenError: the port is taken, or the address is none of this machine's.
        """
        for each in WARM_UP:
            validate(each, self._options)
        await self._listener.start()

    async def serve(self, pair: Pair) -> None:
        """Answer with this certificate from now on: connections that are open keep theirs.

        Raises:
            ssl.SSLError: they are no certificate and its key.
        """
        self._context = await asyncio.to_thread(context_of, pair.certificate, pair.key)

    async def close(self) -> None:
        """Stop listening."""
        self._listener.stop()
        await self._handshakes.close()
        await self._listener.close()

    def _in_force(self) -> ssl.SSLContext:
        if self._context is None:
            raise ConnectionAbortedError("there is no certificate yet")
        return self._context

    @web.middleware
    async def _touch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        with self.connections.held(request.transport):
            return await handler(request)

    def _answering(self, path: str, endpoint: Endpoint) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                async with asyncio.timeout(SLOWEST_BODY), self._turns:
                    body = await request.read()
                    async with self._judging:
                        # Beside the rollouts, which go on meanwhile.
                        found = await asyncio.to_thread(self._answer, endpoint, body)
            except TimeoutError:
                self._telemetry.reviewed(path, "late")
                return web.Response(status=408, text="the question took too long to come\n")
            except (NoReviewError, ValueError) as error:
                self._telemetry.reviewed(path, "unreadable")
                return web.Response(status=400, text=f"{error}\n")
            self._telemetry.reviewed(path, _outcome(found))
            return web.json_response(found)

        return answer

    def _answer(self, endpoint: Endpoint, body: bytes) -> Json:
        review = decode(body)
        if not isinstance(review, dict) or _is_deep(review):
            msg = "this is no review"
            raise NoReviewError(msg)
        return endpoint(review, self._options)


def _is_deep(review: Json) -> bool:
    """Whether it is nested deeper than any object that the API server keeps."""
    layer: list[Json | list[object]] = [review]
    for _ in range(DEEPEST):
        values = (inner for each in layer for inner in (each.values() if isinstance(each, dict) else each))
        layer = [inner for inner in values if isinstance(inner, dict | list)]
        if not layer:
            return False
    return True


def _outcome(review: Json) -> str:
    response = mapping(review.get("response"))
    if "allowed" not in response:
        return "answered"
    return "allowed" if response["allowed"] else "denied"
