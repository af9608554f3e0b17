"""Whose a token is, where somebody else is to be asked.

An answer counts for a while. Whoever brings nothing but tokens that nobody knows is turned away before others wait for
that.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, Generic, TypeVar

Holder = TypeVar("Holder")

REMEMBERED: Final = 10.0
"""Seconds for which an answer counts."""

REGULAR: Final = 600.0
"""Seconds for which whoever had a good token is asked about before strangers are."""

MOST_REMEMBERED: Final = 1024
"""Tokens that are remembered, good and bad ones each, not by themselves but by their hash."""

STRANGERS_AT_ONCE, REGULARS_AT_ONCE = 3, 2
"""Questions at once; strangers never take the places of those whose tokens were good lately."""

SLOWEST_ANSWER: Final = 5.0
"""Seconds that an answer may take, the wait for the question's turn included."""

BURST: Final = 20.0
"""Tokens that nobody knows from one address, before it has to wait."""

REFILL: Final = 1.0
"""How many more of them it may bring a second."""

MOST_PEERS: Final = 4096
"""Addresses that are remembered."""


class TooManyStrangers(Exception):  # noqa: N818 - reads as what it is where it is caught
    """An address has brought too many tokens that nobody knows: nobody is asked about this one now.

    Args:
        seconds: after how many it may be brought again.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many tokens that nobody knows came from this address; try again in {seconds:.0f} s")
        self.seconds = seconds


@dataclass(slots=True)
class _Allowance:
    """How many tokens that nobody knows an address may still bring."""

    left: float
    at: float

    def filled(self, now: float) -> float:
        self.left, self.at = min(BURST, self.left + (now - self.at) * REFILL), now
        return self.left


class Reviews(Generic[Holder]):
    """Answers about tokens.

    Args:
        ask: asks whose a token is; None where nobody knows it. What it raises is raised, and not remembered.
    """

    def __init__(self, ask: Callable[[str], Awaitable[Holder | None]]) -> None:
        self._ask = ask
        self._good: OrderedDict[bytes, tuple[float, Holder]] = OrderedDict()
        self._bad: OrderedDict[bytes, float] = OrderedDict()
        self._peers: OrderedDict[str, _Allowance] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[Holder | _NoAnswer | None]] = {}
        self._strangers = asyncio.Semaphore(STRANGERS_AT_ONCE)
        self._regulars = asyncio.Semaphore(REGULARS_AT_ONCE)

    async def holder(self, token: str, peer: str) -> Holder | None:
        """Whose a token is; None where nobody knows it.

        Args:
            token: the token.
            peer: the address that it came from.

        Raises:
            TooManyStrangers: the address has brought too many that nobody knows.
            TimeoutError: there was no answer in time.
        """
        key, now = sha256(token.encode()).digest(), asyncio.get_running_loop().time()
        known = self._good.get(key)
        if known is not None and now - known[0] < REMEMBERED:
            return known[1]
        if now - self._bad.get(key, float("-inf")) < REMEMBERED:
            return None
        if key not in self._under_way:
            regular = known is not None and now - known[0] < REGULAR
            asking = self._review(key, token) if regular else self._review_stranger(key, token, self._taken(peer, now))
            task = self._under_way[key] = asyncio.create_task(asking, name="review")
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        # One who goes away takes the question from nobody else who has the same token.
        answer = await asyncio.shield(self._under_way[key])
        if isinstance(answer, _NoAnswer):
            raise answer.error
        return answer

    async def close(self) -> None:
        """Ask no more."""
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _taken(self, peer: str, now: float) -> _Allowance:
        """Take one from the allowance of an address.

        Raises:
            TooManyStrangers: nothing is left of it.
        """
        place = network_of(peer)
        allowance = self._peers.setdefault(place, _Allowance(BURST, now))
        self._peers.move_to_end(place)
        while len(self._peers) > MOST_PEERS:
            self._peers.popitem(last=False)
        if allowance.filled(now) < 1:
            raise TooManyStrangers(max(1.0, (1 - allowance.left) / REFILL))
        allowance.left -= 1
        return allowance

    async def _review_stranger(self, key: bytes, token: str, allowance: _Allowance) -> "Holder | _NoAnswer | None":
        answer = await self._review(key, token, self._strangers)
        if answer is not None:
            allowance.left += 1
        return answer

    async def _review(
        self, key: bytes, token: str, turn: asyncio.Semaphore | None = None
    ) -> "Holder | _NoAnswer | None":
        try:
            async with asyncio.timeout(SLOWEST_ANSWER), turn or self._regulars:
                answer = await self._ask(token)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            return _NoAnswer(error)
        now = asyncio.get_running_loop().time()
        if answer is None:
            self._good.pop(key, None)
            _remember(self._bad, key, now)
        else:
            _remember(self._good, key, (now, answer))
        return answer


@dataclass(frozen=True, slots=True)
class _NoAnswer:
    error: Exception


Value = TypeVar("Value")


def _remember(known: OrderedDict[bytes, Value], key: bytes, value: Value) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > MOST_REMEMBERED:
        known.popitem(last=False)


def network_of(peer: str) -> str:
    """What stands for an address: of IPv6 the network of one machine, which has many of them."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, 64), strict=False))
