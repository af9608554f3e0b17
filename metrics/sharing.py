"""Questions that are the same are put once: many Canaries ask for what is true of all of them, and at the same time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from outbound.connections import Sender
from outbound.message import Request, Response

FRESH = 1.0
"""Seconds for which an answer, counted from its question, is the one that another question would get."""


@dataclass(slots=True)
class _Flight:
    """A request that was sent.

    Args:
        task: gets the answer.
        asked: loop time at which it was sent.
        waiting: who waits for it.
    """

    task: asyncio.Task[Response]
    asked: float
    waiting: int = 0


class Shared:
    """Connections over which requests that are the same, with all that lets them in, are sent once a second at most.

    What went wrong is shared by those who wait for it, and with nobody else.

    Args:
        connections: where they go.
    """

    def __init__(self, connections: Sender) -> None:
        self._connections = connections
        self._flights: dict[Request, _Flight] = {}

    async def send(self, request: Request, deadline: float) -> Response:
        """The answer to a request; see `Connections.send`.

        Args:
            request: what to ask.
            deadline: seconds that the whole may take, for whoever comes first.

        Raises:
            OutboundError: there is none.
        """
        loop = asyncio.get_running_loop()
        flight = self._flights.get(request)
        if flight is None or loop.time() - flight.asked >= FRESH:
            flight = _Flight(loop.create_task(self._connections.send(request, deadline)), loop.time())
            self._flights[request] = flight
            loop.call_later(FRESH, self._forget, request, flight)
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        except BaseException:
            self._forget(request, flight)
            raise
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                flight.task.cancel()

    def _forget(self, request: Request, flight: _Flight) -> None:
        if self._flights.get(request) is flight:
            del self._flights[request]
