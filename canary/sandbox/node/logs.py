"""`kubectl logs`: the one thing of a kubelet's own server that people miss at once."""

import asyncio
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PORT = 10250
LogOf = Callable[[str, str, str], Path | None]
"""From namespace, pod and container to the log; None where there is no such container."""

_PREFIX = "/containerLogs/"
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class LogRequest:
    """What is asked for.

    Attributes:
        namespace: of the pod.
        pod: its name.
        container: its name.
        tail: how many of the last lines; None for all.
        follow: whether to go on as the log grows.
    """

    namespace: str
    pod: str
    container: str
    tail: int | None = None
    follow: bool = False


def parse(target: str) -> LogRequest | None:
    """The request that the API server makes; None for any other."""
    parts = urlsplit(target)
    names = parts.path.removeprefix(_PREFIX).split("/")
    if not parts.path.startswith(_PREFIX) or len(names) != 3:
        return None
    query = parse_qs(parts.query)
    tail = query.get("tailLines", [""])[0]
    namespace, pod, container = names
    return LogRequest(
        namespace, pod, container, tail=int(tail) if tail.isdigit() else None, follow=query.get("follow") == ["true"]
    )


def last_lines(data: bytes, count: int | None) -> bytes:
    """The end of a log."""
    if count is None:
        return data
    return b"".join(data.splitlines(keepends=True)[-count:]) if count else b""


async def serve(host: str, certificate: Path, key: Path, log_of: LogOf) -> asyncio.Server:
    """Serve logs at a node's address, as the API server asks for them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            await _answer(parse(head.split(" ")[1]), log_of, reader, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, IndexError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(handle, host, PORT, ssl=context)


async def _answer(
    request: LogRequest | None, log_of: LogOf, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    path = None if request is None else log_of(request.namespace, request.pod, request.container)
    if request is None or path is None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        return
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n")
    data = await asyncio.to_thread(_read, path, 0)
    writer.write(last_lines(data, request.tail))
    position = len(data)
    gone = asyncio.create_task(reader.read(1)) if request.follow else None
    while gone is not None and not gone.done():
        await writer.drain()
        data = await asyncio.to_thread(_read, path, position)
        writer.write(data)
        position += len(data)
        await asyncio.wait({gone}, timeout=_POLL_SECONDS)


def _read(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position, os.SEEK_SET)
            return file.read()
    except FileNotFoundError:
        return b""
