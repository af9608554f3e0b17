"""What has to be fetched before a question can be put: tokens and temporary credentials, kept until they run out."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from metrics.wire import Request, Response

DEADLINE = 5.0
"""Seconds that fetching may take."""

_KEPT = 256
_EARLY = timedelta(seconds=60)
"""They are fetched anew so long before they run out: the question itself takes its time, and clocks differ."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What was given.

    Args:
        credentials: keys and values that take the place of the Secret's.
        lasts: for how long they hold.
    """

    credentials: Mapping[str, str] = field(repr=False)
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class Grant:
    """Other credentials for those that there are.

    Args:
        request: asks for them.
        read: takes them out of the answer; raises a ProviderError.
        who: who gives them, in words that can stand before a colon.
        secrets: what of the request nobody may be told.
        mine: what else the request hangs on, where it differs each time, as by a signature.
    """

    request: Request
    read: Callable[[Response], Granted]
    who: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    mine: str = field(default="", repr=False)

    @property
    def key(self) -> str:
        """What is the same for the same credentials at the same place; nothing of them can be read in it."""
        body = (self.request.body or b"").decode("latin-1")
        asked = self.request
        parts = [self.mine] if self.mine else [asked.url, repr(asked.headers), body]
        parts += [self.who, asked.tls.authority, asked.proxy]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Grants:
    """What was granted, in memory alone; whoever wants the same at once waits for one answer."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Granted, datetime]] = OrderedDict()
        self._asking: dict[str, asyncio.Lock] = {}

    async def of(self, grant: Grant, now: datetime, fetch: Callable[[], Awaitable[Granted]]) -> Mapping[str, str]:
        """The credentials that a grant gives, fetched where none are kept that hold for a while.

        Args:
            grant: what is wanted.
            now: the time.
            fetch: fetches it; raises a ProviderError.
        """
        key = grant.key
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                kept = self._kept.get(key)
                if kept is None or kept[1] <= now:
                    granted = await fetch()
                    kept = self._kept[key] = granted, now + granted.lasts - _EARLY
                self._kept.move_to_end(key)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
                return kept[0].credentials
        finally:
            if not lock.locked():
                self._asking.pop(key, None)

    def forget(self, grant: Grant) -> None:
        """Keep it no more, as the server that it was for does not take it."""
        self._kept.pop(grant.key, None)
