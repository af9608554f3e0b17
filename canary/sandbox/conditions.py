"""When something in the sandbox's network is ready to be used."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import aiohttp

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
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            try:
                async with session.get(url, ssl=context, allow_redirects=False) as answer:
                    return answer.status < HTTPStatus.MULTIPLE_CHOICES
            except (aiohttp.ClientError, TimeoutError, OSError):
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
