"""Names whose servers are silent keep nobody from other names, nor a process from its end."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from outbound.connections import Connections, Manner
from outbound.errors import CannotAskError, NoConnectionError, TooLateError
from outbound.message import Request
from tests.unit.outbound.servers import OK, saying, serving

MANNER = Manner(total=200, per_host=8, largest=100)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lookups of `silent*` hang, `nobody` is not found, all others are here."""
    over, real = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, *rest: int, **options: int) -> object:
        if host.startswith("silent"):
            over.wait()
        if host.startswith(("silent", "nobody")):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real("127.0.0.1", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    over.set()


async def send(connections: Connections, url: str, deadline: float = 30) -> int:
    return (await connections.send(Request("GET", url), deadline)).status


@pytest.mark.usefixtures("silent")
async def test_a_hundred_silent_names_keep_nobody_from_another() -> None:
    async with serving(saying(OK)) as server, Connections(MANNER) as connections:
        waiting = [asyncio.create_task(send(connections, f"http://silent{n}.test/")) for n in range(100)]
        assert await send(connections, f"http://well.test:{server.port}/") == 200
        assert not any(each.done() for each in waiting)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.usefixtures("silent")
def test_a_loop_ends_while_a_name_is_looked_up() -> None:
    async def ask() -> None:
        async with Connections(MANNER) as connections:
            with pytest.raises(TooLateError):
                await send(connections, "http://silent.test/", 0.05)

    asyncio.run(ask())


@pytest.mark.usefixtures("silent")
async def test_a_name_that_is_not_known_is_told_as_that() -> None:
    async with Connections(MANNER) as connections:
        with pytest.raises(NoConnectionError, match="Name or service not known"):
            await send(connections, "http://nobody.test/")


async def test_a_name_that_can_t_be_looked_up_is_no_address() -> None:
    async with Connections(MANNER) as connections:
        with pytest.raises(CannotAskError):
            await send(connections, f"http://{'x' * 70}.test/")
