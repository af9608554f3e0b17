"""The wall clock, and when it was set: by NTP, by hand, or as a virtual machine goes on after a rest.

What a status keeps is wall-clock time, as another controller must be able to read it. When that clock is set, waits
that are under way look longer or shorter than they were. The time of the event loop tells: nobody sets it.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

JUMP_SECONDS = 5.0
"""By how much the two clocks must part at once; less is what deadlines are not exact to anyway."""

SLEWED = 0.1
"""Share of the time by which a clock that is put right little by little runs off: chrony's limit is 0.083."""


class Clock:
    """Tells the time, and notices when it is told that the clock was set.

    Args:
        wall: the clock that may be set.
        steady: one that nobody sets, in seconds.
    """

    def __init__(
        self, wall: Callable[[], datetime] = lambda: datetime.now(UTC), steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._read: tuple[datetime, float] | None = None
        self._set: float | None = None

    def __call__(self) -> datetime:
        """The time by the wall clock."""
        now, steady = self._wall(), self._steady()
        if self._read is not None:
            before, then = self._read
            passed = steady - then
            apart = abs((now - before).total_seconds() - passed)
            if apart > JUMP_SECONDS + SLEWED * passed:
                self._set = steady
        self._read = now, steady
        return now

    def set_at(self, now: datetime) -> datetime | None:
        """When it was seen that the clock had been set, as the clock tells the time now; None where it never was."""
        return None if self._set is None else now - timedelta(seconds=self._steady() - self._set)
