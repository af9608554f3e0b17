"""Programs that run as parts of a cluster: started, watched, stopped, and named when they die."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from canary.sandbox.conditions import Condition, always

_POLL_SECONDS = 0.03
_READY_WITHIN = 90.0
"""Seconds that a part may take to start: beside other work, half a minute has been too little."""
_TAIL_LINES = 25
_TO_OTHER_CLUSTERS = frozenset({"KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"})


class PartFailed(RuntimeError):  # noqa: N818 - it tells what happened
    """A part of the cluster died, or never got ready.

    The text names the part and ends with the last lines of its log.
    """

    def __init__(self, part: str, what: str, log: Path) -> None:
        super().__init__(f"{part} {what}; the end of its log ({log}):\n{log_tail(log)}")
        self.part = part
        self.log = log


def log_tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log, or a note that there are none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "(nothing logged)"


@dataclass(slots=True)
class Part:
    """One program of the cluster.

    Attributes:
        name: what it is called in messages, and what its log is named after.
        command: the argument list, asked for at every start.
        log: where its output goes; it is appended to at a restart.
        ready: asked again and again after a start, until it says true.
        environment: variables added to those of this process; none of these leads a part to another cluster.
        on_crash: called from another thread when it ends without having been told to.
    """

    name: str
    command: Callable[[], Sequence[str]]
    log: Path
    ready: Condition = always
    environment: Mapping[str, str] = field(default_factory=dict)
    on_crash: Callable[[PartFailed], None] | None = None
    _process: subprocess.Popen[bytes] | None = None
    _expected: threading.Event = field(default_factory=threading.Event)

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process, while one is alive."""
        return self._process.pid if self._process is not None and self.running else None

    def launch(self) -> None:
        """Start the process without waiting for it to be ready. Does nothing where it runs already."""
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        expected = threading.Event()
        with self.log.open("ab") as output:
            process = self._spawn(output)
        self._process, self._expected = process, expected
        watcher = threading.Thread(target=self._watch, args=(process, expected), daemon=True)
        watcher.start()

    def _spawn(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        command = list(self.command())
        try:
            return subprocess.Popen(  # noqa: S603 - the commands are ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**inherited(os.environ), **self.environment},
                start_new_session=True,
            )
        except OSError as error:
            raise PartFailed(self.name, f"can't be started ({error})", self.log) from error

    def _watch(self, process: subprocess.Popen[bytes], expected: threading.Event) -> None:
        status = process.wait()
        if not expected.is_set() and self.on_crash is not None:
            self.on_crash(PartFailed(self.name, _ending(status), self.log))

    async def start(self, timeout: float = _READY_WITHIN) -> None:  # noqa: ASYNC109 - in seconds, for the whole start
        """Start it and wait until it is ready.

        Raises:
            PartFailed: it died, or was not ready within `timeout` seconds.
        """
        self.launch()
        await self.wait_ready(timeout)

    async def wait_ready(self, timeout: float = _READY_WITHIN) -> None:  # noqa: ASYNC109 - in seconds
        """Wait until a launched part is ready.

        Raises:
            PartFailed: it died, or was not ready within `timeout` seconds.
        """
        process = self._process
        deadline = time.monotonic() + timeout
        while True:
            if process is None or process.poll() is not None:
                status = 0 if process is None else process.returncode
                raise PartFailed(self.name, _ending(status), self.log)
            if await self.ready():
                return
            if time.monotonic() > deadline:
                raise PartFailed(self.name, f"is not ready after {timeout:g} s", self.log)
            await asyncio.sleep(_POLL_SECONDS)

    def hang_up(self) -> None:
        """Send SIGHUP, on which many a program reads its files again. Does nothing where it is not running."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGHUP)

    async def stop(self, grace: float = 10) -> None:
        """End it with SIGTERM, and with SIGKILL after `grace` seconds. Does nothing where it is not running."""
        self._expected.set()
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        deadline = time.monotonic() + grace
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
            await asyncio.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """End it with SIGKILL, as a lost machine would. It counts as told to, not as a crash."""
        self._expected.set()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def inherited(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables of a process that its parts may have: without those that lead to clusters of somebody else.

    Traefik and others go by these before they go by their command line.
    """
    return {name: value for name, value in variables.items() if name not in _TO_OTHER_CLUSTERS}


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"exited with status {status}"
