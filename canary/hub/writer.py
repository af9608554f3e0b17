"""Writes into members and routes side by side: one that is slow or refuses keeps no other waiting, and says why."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import structlog

from canary.fleet.decision import Write
from canary.hub.link import Link, words_of
from canary.kube.backoff import Backoff
from canary.kube.errors import Conflict, KubeError, NotLeading

log = structlog.get_logger(__name__)

PATIENCE: Final = 0.25
"""Seconds that a fleet waits for its writes; what takes longer goes on while it goes on.

Enough for a healthy member: a fleet that waits says nothing of all others, whose changes are to be told within 1 s.
"""


class Whom(NamedTuple):
    """A member of a fleet, or a route such as `HTTPRoute shop`; the fleet's key is `NAMESPACE/NAME`."""

    fleet: str
    member: str


class Doable(Protocol):
    """What is to be written into one place; doing it again ends in the same state."""

    async def done(self) -> None:
        """Do it.

        Raises:
            KubeError: it is refused, or not answered in time.
        """


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be written into one member, one after the other.

    Args:
        link: the way there.
        canary: name of its Canary.
        writes: what to write.
    """

    link: Link
    canary: str
    writes: Sequence[Write]

    async def done(self) -> None:
        """Write all of it.

        Raises:
            KubeError: one is refused, or not answered in time.
        """
        for each in self.writes:
            await self.link.write(self.canary, each)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write that was not done.

    Args:
        words: why.
        tries: how often in a row.
        again: loop time in seconds from which on it is tried again.
    """

    words: str
    tries: int
    again: float


class Writer:
    """Writes into members.

    Args:
        done: is told the key of a fleet of which a write has ended, well or not.
    """

    def __init__(self, done: Callable[[str], None]) -> None:
        self._done = done
        self._open: dict[Whom, asyncio.Task[None]] = {}
        self._refusals: dict[Whom, Refusal] = {}
        self._backoff = Backoff(first=1.0, cap=30.0)

    def refused(self, whom: Whom) -> str:
        """Why what was to be written last was not, in words; empty where it was."""
        found = self._refusals.get(whom)
        return found.words if found is not None else ""

    def due_in(self, fleet: str) -> float | None:
        """Seconds until something of a fleet is to be tried again; None where nothing is."""
        due = [each.again - _now() for whom, each in self._refusals.items() if whom.fleet == fleet]
        return max(0.0, min(due)) if due else None

    def forget(self, fleet: str) -> None:
        """A fleet is gone: give up what is on its way, and what was refused."""
        for whom in [each for each in self._open if each.fleet == fleet]:
            self._open[whom].cancel()
        self._refusals = {whom: refusal for whom, refusal in self._refusals.items() if whom.fleet != fleet}

    async def write(self, fleet: str, work: Mapping[str, Doable]) -> None:
        """Write, and wait a moment for it. What a member is still busy with is not begun a second time.

        Args:
            fleet: its key.
            work: what to write, by member or route: all of it that is to be written now.
        """
        for whom in [each for each in self._refusals if each.fleet == fleet and each.member not in work]:
            del self._refusals[whom]
        begun = [self._begin(whom, work[whom.member]) for name in work if self._may(whom := Whom(fleet, name))]
        if begun:
            await asyncio.wait(begun, timeout=PATIENCE)

    def _may(self, whom: Whom) -> bool:
        refusal = self._refusals.get(whom)
        return whom not in self._open and (refusal is None or refusal.again <= _now())

    def _begin(self, whom: Whom, work: Doable) -> asyncio.Task[None]:
        task = asyncio.create_task(self._write(whom, work), name=f"write {whom.member}")
        self._open[whom] = task
        task.add_done_callback(lambda _: self._ended(whom))
        return task

    async def _write(self, whom: Whom, work: Doable) -> None:
        try:
            await work.done()
            self._refusals.pop(whom, None)
        except (Conflict, NotLeading) as error:
            log.debug("a write is looked at again", member=whom.member, reason=error.message)
        except KubeError as error:
            self._refuse(whom, words_of(error))
        except Exception as error:
            log.exception("a write failed by a bug", fleet=whom.fleet, member=whom.member)
            self._refuse(whom, f"an error of the hub's: {type(error).__name__}")

    def _refuse(self, whom: Whom, words: str) -> None:
        before = self._refusals.get(whom)
        tries = before.tries + 1 if before is not None else 1
        self._refusals[whom] = Refusal(words, tries, _now() + self._backoff.delay(tries))
        if before is None or before.words != words:
            log.warning("a member is not written to", fleet=whom.fleet, member=whom.member, reason=words)

    def _ended(self, whom: Whom) -> None:
        self._open.pop(whom, None)
        self._done(whom.fleet)

    async def close(self) -> None:
        """Give up what is on its way: whoever acts next does it again."""
        tasks = [*self._open.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
