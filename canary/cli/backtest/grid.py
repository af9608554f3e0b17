"""The looks that a window of time is cut into."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Grid:
    """Moments at equal distances.

    Args:
        start: the first moment.
        step: the distance between two moments, more than nothing.
        looks: how many moments there are, at least one.
    """

    start: datetime
    step: timedelta
    looks: int

    @classmethod
    def between(cls, start: datetime, end: datetime, step: timedelta) -> "Grid":
        """The moments from `start` until `end`, both counted."""
        return cls(start, step, (end - start) // step + 1)

    @property
    def end(self) -> datetime:
        """The last moment."""
        return self.at(self.looks - 1)

    def at(self, look: int) -> datetime:
        """The moment of one look."""
        return self.start + self.step * look

    def index(self, moment: datetime) -> int:
        """The look that is nearest to a moment; outside of the grid where the moment is."""
        return round((moment - self.start) / self.step)

    def chunks(self, size: int) -> Iterator[range]:
        """The looks in stretches of at most `size`, in order."""
        for first in range(0, self.looks, size):
            yield range(first, min(first + size, self.looks))

    def thinned(self, most: int) -> "Grid":
        """Moments over the same time, at most so many."""
        every = max(1, -(-self.looks // most))
        return Grid(self.start, self.step * every, (self.looks - 1) // every + 1)
