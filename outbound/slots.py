"""How many requests are under way at once, in all and to one host: one server that is dead starves nobody."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from outbound.errors import CrowdedError


class Slots:
    """Turns at asking, given to the hosts in a circle and not in the order of coming.

    Args:
        total: questions under way at once.
        per_host: those of one host.
    """

    def __init__(self, total: int, per_host: int) -> None:
        self._free = total
        self._per_host = per_host
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._last: dict[str, int] = {}
        self._given = 0

    @asynccontextmanager
    async def of(self, host: str, patience: float | None = None) -> AsyncIterator[None]:
        """Hold a turn at a host.

        Args:
            host: whom to ask.
            patience: seconds to wait for a turn; None for as long as it takes.

        Raises:
            CrowdedError: there was no turn in that time.
        """
        if self._free and host not in self._waiting and self._taken[host] < self._per_host:
            # Whoever waits at another host can't have this one: it would have been given it.
            self._take(host)
            try:
                yield
            finally:
                self._return(host)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(host, deque()).append(turn)
        self._give()
        try:
            async with asyncio.timeout(patience):
                await turn
        except TimeoutError:
            self._withdraw(host, turn)
            raise CrowdedError(f"too many requests to {host} wait for their answers") from None
        except BaseException:
            self._withdraw(host, turn)
            raise
        try:
            yield
        finally:
            self._return(host)

    def _give(self) -> None:
        """Give what is free to the hosts that have the fewest turns, and of those to who has waited longest for one."""
        while self._free:
            hosts = [each for each in self._waiting if self._taken[each] < self._per_host]
            if not hosts:
                return
            host = min(hosts, key=lambda each: (self._taken[each], self._last.get(each, 0)))
            turn = self._waiting[host].popleft()
            if not self._waiting[host]:
                del self._waiting[host]
            if turn.done():
                # Whoever waited was cancelled, and has not come to withdraw it yet.
                continue
            self._take(host)
            turn.set_result(None)

    def _take(self, host: str) -> None:
        self._free -= 1
        self._taken[host] += 1
        self._given += 1
        self._last[host] = self._given

    def _withdraw(self, host: str, turn: asyncio.Future[None]) -> None:
        """Nobody waits for a turn any more, which may just have been given."""
        if turn.done() and not turn.cancelled():
            self._return(host)
            return
        waiting = self._waiting.get(host)
        if waiting is not None and turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._waiting[host]
        self._forget(host)

    def _return(self, host: str) -> None:
        self._free += 1
        self._taken[host] -= 1
        self._give()
        self._forget(host)

    def _forget(self, host: str) -> None:
        """Keep nothing of a host that nobody asks."""
        if not self._taken[host] and host not in self._waiting:
            del self._taken[host]
            self._last.pop(host, None)
