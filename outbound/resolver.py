"""Looks up the addresses of hosts."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from contextlib import suppress

from aiohttp.abc import AbstractResolver, ResolveResult

from outbound.destinations import DeniedError, Destinations

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
_AS_IT_IS = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

_Found = list[ResolveResult]


class Resolver(AbstractResolver):
    """Looks up each host in a thread of its own, which ends with the process.

    A lookup blocks its thread for as long as name servers are silent. The loop's own threads are a handful: so many
    such names would keep everybody from a new connection, and whoever ends a loop waits for them.

    Args:
        destinations: which addresses may be called; others are left out.
    """

    def __init__(self, destinations: Destinations | None = None) -> None:
        self._destinations = destinations

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> _Found:
        """The addresses of a host.

        Raises:
            DeniedError: none of them may be called.
            OSError: it has none.
            ValueError: it can have none.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Found] = loop.create_future()

        def look_up() -> None:
            outcome: _Found | Exception
            try:
                outcome = _look_up(host, port, family)
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                outcome = error
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_settle, answer, outcome)

        try:
            threading.Thread(target=look_up, name="look up a host", daemon=True).start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, str(error)) from None
        found = await answer
        return found if self._destinations is None else _permitted(found, self._destinations)

    async def close(self) -> None:
        """Nothing is kept."""


def _look_up(host: str, port: int, family: socket.AddressFamily) -> _Found:
    found: _Found = []
    for kind, _, protocol, _, address in socket.getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    ):
        number, _ = socket.getnameinfo(address, _NUMERIC)
        found.append(ResolveResult(hostname=host, host=number, port=port, family=kind, proto=protocol, flags=_AS_IT_IS))
    return found


def _permitted(found: _Found, destinations: Destinations) -> _Found:
    """Those that may be called, so that of several the others are not tried.

    Raises:
        DeniedError: none of them may.
    """
    permitted: _Found = []
    denied: DeniedError | None = None
    for each in found:
        try:
            destinations.check(each["host"])
        except DeniedError as error:
            denied = denied or error
        else:
            permitted.append(each)
    if denied is not None and not permitted:
        raise denied
    return permitted


def _settle(answer: asyncio.Future[_Found], outcome: _Found | Exception) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
