"""A server that answers instant queries as Prometheus does, at little cost: who asks is measured.

`python -m bench.answers PORT`; it ends with its standard input. `GET /asked` tells how many queries it was asked.
"""

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

_NUMBER = '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1772600000.123,"99.7"]}]}}'
_COUNTS = (
    '{"status":"success","data":{"resultType":"vector","result":['
    '{"metric":{"count":"0/canary/least"},"value":[1772600000.123,"100"]},'
    '{"metric":{"count":"0/canary/most"},"value":[1772600000.123,"120"]},'
    '{"metric":{"count":"0/canary/total"},"value":[1772600000.123,"100"]},'
    '{"metric":{"count":"0/promoted/least"},"value":[1772600000.123,"900"]},'
    '{"metric":{"count":"0/promoted/most"},"value":[1772600000.123,"980"]},'
    '{"metric":{"count":"0/promoted/total"},"value":[1772600000.123,"900"]}]}}'
)


def _answer(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class _Answers(asyncio.Protocol):
    """One connection.

    Args:
        asked: how many queries there were, in its only place.
    """

    def __init__(self, asked: list[int]) -> None:
        self._asked = asked
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As the protocol has it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer what has come whole."""
        self._left += data
        while (end := self._left.find(b"\r\n\r\n")) >= 0:
            head = self._left[:end].decode("latin-1")
            words = head.lower().partition("content-length:")[2].split(None, 1)
            whole = end + 4 + (int(words[0]) if words else 0)
            if len(self._left) < whole:
                return
            body, self._left = self._left[end + 4 : whole].decode(), self._left[whole:]
            self._transport.write(self._said(head.split(" ", 2)[1], body))

    def _said(self, target: str, body: str) -> bytes:
        url = urlsplit(target)
        if url.path == "/asked":
            return _answer(str(self._asked[0]))
        self._asked[0] += 1
        query = parse_qs(body or url.query)["query"][0]
        return _answer(_COUNTS if "label_replace" in query else _NUMBER)


async def main(port: int) -> None:
    """Answer until the standard input ends."""
    loop, asked = asyncio.get_running_loop(), [0]
    server = await loop.create_server(lambda: _Answers(asked), "127.0.0.1", port)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
