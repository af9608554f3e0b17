"""The certificate of a server in files of others: cert-manager's, in a Secret that is mounted."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"

EVERY: Final = 10.0
"""Seconds between two looks at the files."""


class GivenCertificate:
    """Serves the certificate of a folder, and the next one when that is there.

    Args:
        folder: has `tls.crt` and `tls.key`.
        serve: serves with a certificate and its key, in PEM, from now on; raises `ssl.SSLError` where it can't be.
        of: what it is the certificate of, for the log.
    """

    def __init__(self, folder: Path, serve: Callable[[bytes, bytes], Awaitable[None]], of: str) -> None:
        self._folder = folder
        self._serve = serve
        self._of = of
        self._served: tuple[bytes, bytes] | None = None
        self._said = ""

    async def run(self) -> None:
        """Look after it until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Look once; what can't be used is logged, and what is served goes on being so."""
        try:
            found = await asyncio.to_thread(self._read)
            if found != self._served:
                await self._serve(*found)
                self._served, self._said = found, ""
                log.info("a certificate is served", of=self._of, folder=str(self._folder))
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if reason != self._said:
                log.error("a certificate can't be used", of=self._of, folder=str(self._folder), reason=reason)
            self._said = reason

    def _read(self) -> tuple[bytes, bytes]:
        return (self._folder / CERTIFICATE).read_bytes(), (self._folder / KEY).read_bytes()
