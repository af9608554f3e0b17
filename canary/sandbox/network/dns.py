"""A name server for Services, over UDP: `NAME`, `NAME.NS`, `NAME.NS.svc`, `NAME.NS.svc.cluster.local`."""

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from canary.sandbox.network.services import Directory

_A = 1
_ANY = 255
_NO_ERROR = 0
_NO_SUCH_NAME = 3
_TTL_SECONDS = 1
_HEADER = struct.Struct("!6H")
_SUFFIXES = (".svc.cluster.local", ".svc")
_MAX_ALIASES = 4


@dataclass(frozen=True, slots=True)
class Names:
    """What names stand for.

    Attributes:
        directory: the Services.
        namespace: where a name without a namespace is looked for.
        extra: names given from outside, which come first: to an address or another name.
    """

    directory: Directory
    namespace: str
    extra: Mapping[str, str]

    def resolve(self, name: str) -> list[str] | None:
        """The addresses of a name; None where there is no such name."""
        target: list[str] | str | None = name.rstrip(".").lower()
        for _ in range(_MAX_ALIASES):
            if not isinstance(target, str):
                return target
            if _is_address(target):
                return [target]
            target = self._step(target)
        return None

    def _step(self, name: str) -> list[str] | str | None:
        for suffix in _SUFFIXES:
            name = name.removesuffix(suffix)
        if name in self.extra:
            return self.extra[name]
        service, _, namespace = name.partition(".")
        return self.directory.addresses_of(namespace or self.namespace, service)


def _is_address(text: str) -> bool:
    try:
        socket.inet_aton(text)
    except OSError:
        return False
    return text.count(".") == 3


def answer(query: bytes, names: Names) -> bytes | None:
    """The answer to one query; None for what isn't one."""
    try:
        number, flags, questions, *_ = _HEADER.unpack_from(query)
        name, end = _read_name(query, _HEADER.size)
        kind, _ = struct.unpack_from("!2H", query, end)
    except (struct.error, IndexError, UnicodeDecodeError):
        return None
    if questions != 1 or flags & 0x8000:
        return None
    found = names.resolve(name)
    addresses = (found or []) if kind in {_A, _ANY} else []
    code = _NO_SUCH_NAME if found is None else _NO_ERROR
    header = _HEADER.pack(number, 0x8580 | code, 1, len(addresses), 0, 0)
    records = [
        struct.pack("!3HIH4s", 0xC000 | _HEADER.size, _A, 1, _TTL_SECONDS, 4, socket.inet_aton(address))
        for address in addresses
    ]
    return header + query[_HEADER.size : end + 4] + b"".join(records)


def _read_name(message: bytes, start: int) -> tuple[str, int]:
    labels = []
    while length := message[start]:
        labels.append(message[start + 1 : start + 1 + length].decode("ascii"))
        start += 1 + length
    return ".".join(labels), start + 1


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, names: Names) -> None:
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # which asyncio's own class doesn't derive from

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        reply = answer(data, self._names)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, address)


async def serve(address: str, names: Names) -> asyncio.BaseTransport:
    """Answer queries at port 53 of an address until the transport is closed."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(names), local_addr=(address, 53))
    return transport
