"""Who may run: so many at once, each Canary its share of them, and the others in a line that is fair among Canaries."""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A place in the line or a turn to run.

    Args:
        canary: whose it is.
        given: is True once it may run, False where it had to give up its place.
    """

    canary: str
    given: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Turns:
    """Turns to run, and the line for them.

    The next turn goes to the Canary that has the fewest, and of those to the one that has gone without for longest. In
    a full line, a Canary with a longer line gives up its last place for one with a shorter one.

    Args:
        most: how many turns there are at once.
        longest: how many may stand in line.
    """

    def __init__(self, most: int, longest: int) -> None:
        self._most = most
        self._longest = longest
        self._share = most - most // 4
        """Turns that one Canary may have at once: some are always left for others, or free."""
        self._had: Counter[str] = Counter()
        self._lines: dict[str, deque[Turn]] = {}
        """Those who wait, the Canary that was served last at the end."""

    @property
    def running(self) -> int:
        """How many turns are taken."""
        return self._had.total()

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return sum(map(len, self._lines.values()))

    def take(self, canary: str) -> Turn | None:
        """Take a turn, or a place in the line; None where there is neither."""
        turn = Turn(canary)
        if self._may_run(canary):
            self._give(turn)
            return turn
        if self.waiting >= self._longest and not self._push_out(canary):
            return None
        self._lines.setdefault(canary, deque()).append(turn)
        return turn

    def leave(self, turn: Turn) -> None:
        """Give a turn back, or leave the line."""
        if turn.given.done() and not turn.given.cancelled():
            if not turn.given.result():
                return
            self._had -= Counter({turn.canary: 1})
            if turn.canary in self._lines:  # it has just had one
                self._lines[turn.canary] = self._lines.pop(turn.canary)
        else:
            self._drop(turn)
        while (canary := self._next()) is not None:
            line = self._lines.pop(canary)
            turn = line.popleft()
            if not turn.given.cancelled():
                self._give(turn)
            if line:
                self._lines[canary] = line

    def _may_run(self, canary: str) -> bool:
        return self.running < self._most and self._had[canary] < self._share

    def _give(self, turn: Turn) -> None:
        self._had[turn.canary] += 1
        turn.given.set_result(True)

    def _next(self) -> str | None:
        able = [canary for canary in self._lines if self._may_run(canary)]
        return min(able, key=lambda canary: self._had[canary], default=None)

    def _push_out(self, canary: str) -> bool:
        longest = max(self._lines, key=lambda each: len(self._lines[each]), default=canary)
        if len(self._lines.get(longest, ())) <= len(self._lines.get(canary, ())) + 1:
            return False
        last = self._lines[longest][-1]
        self._drop(last)
        if not last.given.cancelled():
            last.given.set_result(False)
        return True

    def _drop(self, turn: Turn) -> None:
        line = self._lines.get(turn.canary, deque())
        if turn in line:
            line.remove(turn)
        if not line:
            self._lines.pop(turn.canary, None)
