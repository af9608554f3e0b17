"""How far a backtest is, on standard error: bars on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from canary.cli.backtest.gather import Progress

if TYPE_CHECKING:
    import rich.progress

EVERY = 2.0
"""Seconds between two plain lines about the same thing."""


class Lines:
    """A line when something begins, now and then while it lasts, and when it is done.

    Args:
        out: where they go.
        clock: seconds that only grow.
    """

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock

    def begin(self, what: str, total: int) -> Callable[[int], None]:
        """See `Progress`."""
        done, told = 0, self._clock()

        def advance(parts: int) -> None:
            nonlocal done, told
            done += parts
            now = self._clock()
            if done >= total or now - told >= EVERY:
                told = now
                print(f"{what}: {done:,} of {total:,}", file=self._out, flush=True)

        return advance


class Silence:
    """Nothing."""

    def begin(self, what: str, total: int) -> Callable[[int], None]:
        """See `Progress`."""
        return lambda _: None


class _Bars:
    def __init__(self, bars: "rich.progress.Progress") -> None:
        self._bars = bars

    def begin(self, what: str, total: int) -> Callable[[int], None]:
        task = self._bars.add_task(what, total=total)
        return lambda parts: self._bars.advance(task, parts)


@contextmanager
def shown(*, quiet: bool) -> Iterator[Progress]:
    """The way of telling that fits where standard error goes."""
    if quiet:
        yield Silence()
        return
    bars = _bars() if sys.stderr.isatty() else None
    if bars is None:
        yield Lines(sys.stderr)
        return
    with bars:
        yield _Bars(bars)


def _bars() -> "rich.progress.Progress | None":
    """Bars, where rich is installed: it is an extra."""
    try:
        from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    except ImportError:
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
