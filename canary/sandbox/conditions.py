"""When something in the sandbox's network is as one waits for it to be."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx

from canary.kube.errors import Unreachable

T = TypeVar("T")

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


async def eventually(ask: Callable[[], Awaitable[T]], accept: Callable[[T], bool], *, within: float = 30.0) -> T:
    """Ask again and again until the answer is accepted; the answer.

    Args:
        ask: gets the answer; that none came from the API server is no end of it.
        accept: whether it is the one waited for.
        within: seconds.

    Raises:
        AssertionError: no answer was accepted in time; the text has the last one.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        try:
            answer = await ask()
        except Unreachable as error:
            # An API server that has too much to do for a moment, as its machine has.
            last = str(error)
        else:
            if accept(answer):
                return answer
            last = repr(answer)
        if loop.time() > deadline:
            raise AssertionError(f"not within {within:g} s; last answer: {last}")
        await asyncio.sleep(0.1)
