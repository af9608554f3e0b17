"""What the samples have in common: the faults that their environment switches on, and how they end."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self


def seconds(name: str, default: float = 0.0) -> float:
    """A time from the environment, in seconds; `never` is possible.

    Raises:
        ValueError: it is no number.
    """
    value = os.environ.get(name, "")
    return float("inf") if value == "never" else float(value or default)


def option(arguments: Sequence[str], name: str) -> str | None:
    """The value of an option, written `--name=value` or `--name value`; None where it is not given."""
    for index, argument in enumerate(arguments):
        if argument.startswith(f"{name}="):
            return argument.partition("=")[2]
        if argument == name and index + 1 < len(arguments):
            return arguments[index + 1]
    return None


def port_of(arguments: Sequence[str], default: int) -> int:
    """The port of `--port`, else of the variable PORT; all other options are ignored."""
    return int(option(arguments, "--port") or os.environ.get("PORT") or default)


@dataclass(frozen=True, slots=True)
class Faults:
    """What is to go wrong; all times in seconds.

    Attributes:
        error_rate: share of what is done that fails, from 0 to 1.
        latency: what everything takes longer.
        after: age from which on these two show.
        until: age from which on they don't any more, as of a program that is cold at first.
        ready_after: age at which the program is ready.
        started: when its age was 0, by the monotonic clock.
    """

    error_rate: float = 0.0
    latency: float = 0.0
    after: float = 0.0
    ready_after: float = 0.0
    until: float = float("inf")
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def switched_on(cls) -> Self:
        """The faults that the environment asks for.

        Raises:
            ValueError: a variable holds no number.
        """
        rate = float(os.environ.get("FAULT_ERROR_RATE") or 0)
        until = seconds("FAULT_UNTIL", float("inf"))
        return cls(rate, seconds("FAULT_LATENCY"), seconds("FAULT_AFTER"), seconds("READY_DELAY"), until)

    @property
    def ready(self) -> bool:
        """Whether the program is ready."""
        return time.monotonic() - self.started >= self.ready_after

    async def strike(self) -> bool:
        """Take the time that one piece of work takes longer; whether it is to fail."""
        if not self.after <= time.monotonic() - self.started < self.until:
            return False
        if self.latency:
            await asyncio.sleep(self.latency)
        return random.random() < self.error_rate  # noqa: S311 - not a secret


class Ending:
    """The program's end: SIGTERM, or the crash that CRASH_AFTER asks for. Made in a running loop."""

    def __init__(self) -> None:
        self._over = asyncio.Event()
        self._crash = False
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._over.set)
        after = seconds("CRASH_AFTER", float("inf"))
        if after != float("inf"):
            loop.call_later(after, self._crashes)

    def _crashes(self) -> None:
        self._crash = True
        self._over.set()

    async def crashes(self) -> bool:
        """Wait for the end; whether it is a crash."""
        await self._over.wait()
        if self._crash:
            print("crashing, as asked", flush=True)  # noqa: T201 - its log
        return self._crash
