"""Servers on the loopback that answer as they are told, byte by byte."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Play = Callable[[asyncio.StreamWriter, int], Awaitable[None]]
"""Answers a request, whose number on this server it is told, from 0."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Server:
    """A server, and what it was sent.

    Args:
        play: how it answers.
        port: where it listens.
        heads: the first line and the headers of each request.
        bodies: the body of each.
        connections: how many were opened.
        asked: set while there is a request that nobody has seen.
    """

    play: Play
    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def header(self, name: str, request: int = 0) -> list[str]:
        """The values of a header of a request."""
        lines = (line.partition(": ") for line in self.heads[request].splitlines()[1:])
        return [value for found, _, value in lines if found.lower() == name.lower()]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes over one connection."""
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                lengths = self.header("content-length", len(self.heads) - 1)
                self.bodies.append(await reader.readexactly(int(lengths[0])) if lengths else b"")
                self.asked.set()
                await self.play(writer, len(self.heads) - 1)
                await writer.drain()
        writer.close()


def saying(*answers: bytes) -> Play:
    """Give these answers in turn, the last one over and over."""

    async def play(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(answers[min(number, len(answers) - 1)])

    return play


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """An answer in bytes."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def serving(play: Play, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server for as long as it is needed."""
    server = Server(play)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(lambda _: writer.close())

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listening.wait_closed()
