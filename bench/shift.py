"""When requests go to the other version: asked one after the other, with the time of each answer."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp

from canary.kube.types import Json

IN_A_ROW = 20
OFTEN = 0.001
"""Seconds from an answer to the next request."""
_WITHIN = 30.0
_CHANGED = ("annotations", "labels")


@dataclass(frozen=True, slots=True)
class Asked:
    """One application behind a gateway, asked over one connection.

    Args:
        session: the connection.
        url: the gateway's.
        host: the application's.
    """

    session: aiohttp.ClientSession
    url: str
    host: str

    async def version(self) -> str:
        """Who answers a request; the status, where none of the application's versions does."""
        async with self.session.get(self.url, headers={"Host": self.host}) as answer:
            await answer.read()
            return str(answer.headers.get("X-Version", answer.status))

    async def turned(self, version: str) -> float:
        """Ask until so many answers in a row are of a version: when the first of them came, in s since the epoch.

        Raises:
            TimeoutError: they do not come.
        """
        first, count = 0.0, 0
        async with asyncio.timeout(_WITHIN):
            while count < IN_A_ROW:
                if await self.version() == version:
                    first = first if count else time.time()
                    count += 1
                else:
                    count = 0
                await asyncio.sleep(OFTEN)
        return first


def patch_between(before: Json, after: Json) -> Json:
    """The merge patch that makes the first into the second, in their spec, labels and annotations."""
    return _patch(_written(before), _written(after))


def _written(obj: Json) -> Json:
    metadata = {key: obj["metadata"].get(key) or {} for key in _CHANGED}
    return {"metadata": metadata, "spec": obj.get("spec") or {}}


def _patch(before: Json, after: Json) -> Json:
    gone: Iterable[str] = before.keys() - after.keys()
    patch: Json = dict.fromkeys(gone)
    for key, value in after.items():
        old = before.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            if deeper := _patch(old, value):
                patch[key] = deeper
        elif key not in before or old != value:
            patch[key] = value
    return patch
