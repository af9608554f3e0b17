"""A way to the API server that can be cut, one connection at a time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from canary.sandbox import addresses

PORT = 10643
QUIET = 5.0
"""Seconds for which nobody has sent anything on a watch, and on no other connection: a lease is renewed more often."""


@dataclass(slots=True)
class Relay:
    """Carries connections to the API server."""

    _open: dict[asyncio.StreamWriter, float] = field(default_factory=dict)

    def cut(self) -> bool:
        """Break off one watch: the connection whose client has been silent for longest. False where there is none."""
        writer = min(self._open, key=self._open.__getitem__, default=None)
        if writer is None or asyncio.get_running_loop().time() - self._open[writer] < QUIET:
            return False
        writer.transport.abort()
        return True

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side closes it."""
        there_reader, there_writer = await asyncio.open_connection(addresses.API_SERVER, addresses.API_PORT)
        self._open[writer] = asyncio.get_running_loop().time()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, there_writer, said_by=writer))
                group.create_task(self._carry(there_reader, writer))
        except* OSError:
            pass
        finally:
            del self._open[writer]
            writer.close()
            there_writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said_by: asyncio.StreamWriter | None = None
    ) -> None:
        while data := await reader.read(65_536):
            if said_by is not None:
                self._open[said_by] = asyncio.get_running_loop().time()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@asynccontextmanager
async def relayed(kubeconfig: Path) -> AsyncIterator[tuple[Relay, Path]]:
    """A relay, and a kubeconfig file beside the given one that leads through it."""
    relay, path = Relay(), kubeconfig.with_suffix(".relay")
    _lead_through(kubeconfig, path)
    server = await asyncio.start_server(relay.accept, "127.0.0.1", PORT)
    try:
        yield relay, path
    finally:
        server.close()


def _lead_through(kubeconfig: Path, path: Path) -> None:
    document = json.loads(kubeconfig.read_text())
    # The API server's certificate names localhost.
    document["clusters"][0]["cluster"]["server"] = f"https://localhost:{PORT}"
    path.write_text(json.dumps(document))
