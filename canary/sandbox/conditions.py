"""When something in the sandbox's network is ready to be used."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import httpx

Condition = Callable[[], Awaitable[bool]]

_SECONDS = 3.0


def answers(url: str, *, token: str | None = None, certificate: str | None = None) -> Condition:
    """A GET of this address is answered with 2xx.

    Args:
        url: what is asked for.
        token: sent as a bearer token.
        certificate: what the server is verified by, in PEM.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    context = ssl.create_default_context(cadata=certificate) if certificate else False

    async def ready() -> bool:
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False, verify=context, headers=headers) as client:
            try:
                return (await client.get(url)).is_success
            except httpx.TransportError:
                return False

    return ready


def connects(host: str, port: int) -> Condition:
    """Somebody accepts a TCP connection there."""

    async def ready() -> bool:
        try:
            async with asyncio.timeout(_SECONDS):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    return ready


async def always() -> bool:
    """For what is ready as soon as it runs."""
    return True
