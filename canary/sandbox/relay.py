"""A way into the private network from outside: TCP ports of this machine, carried over a unix socket.

Inside, `serve_inside` listens at the unix socket, which both sides see; a connection begins with a line `HOST PORT`
and is from then on a connection to there. Outside, `serve_outside` listens at a port of 127.0.0.1 for each place.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

_CHUNK = 65_536
_CONNECT_SECONDS = 5.0

Endpoint = tuple[str, int]
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def serve_inside(path: Path) -> asyncio.Server:
    """Listen at the unix socket, for connections to anywhere inside."""

    async def target(reader: asyncio.StreamReader) -> _Streams:
        host, port = (await reader.readline()).decode().split()
        return await asyncio.open_connection(host, int(port))

    return await asyncio.start_unix_server(_accept(target), path)


async def serve_outside(path: Path, port: int, target: Endpoint) -> asyncio.Server:
    """Listen at a port of 127.0.0.1, for connections to one place inside."""

    async def open_target(reader: asyncio.StreamReader) -> _Streams:
        streams = await asyncio.open_unix_connection(path)
        streams[1].write(f"{target[0]} {target[1]}\n".encode())
        return streams

    return await asyncio.start_server(_accept(open_target), "127.0.0.1", port)


def _accept(
    open_target: Callable[[asyncio.StreamReader], Awaitable[_Streams]],
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    there_reader, there_writer = await open_target(reader)
            except (OSError, TimeoutError, ValueError):
                return
            with contextlib.closing(there_writer):
                await asyncio.gather(_carry(reader, there_writer), _carry(there_reader, writer))

    return handle


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()
