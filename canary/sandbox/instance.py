"""The sandbox that runs in the background: what is known of it, and where. One a user."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from canary.sandbox import binaries

Phase = Literal["starting", "ready", "failed"]


class AlreadyRunningError(RuntimeError):
    """There is a sandbox already."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the sandbox in the background is.

    Attributes:
        phase: where it is in its life.
        kubeconfig: the administrator's kubeconfig file, for use from outside the private network.
        urls: what else is reachable from outside: `gateway`, `prometheus`.
        tools: the folder of `kubectl` and `hey`.
        logs: the folder of the parts' logs.
        failure: what went wrong: the part that died, with the end of its log.
    """

    phase: Phase
    kubeconfig: str
    tools: str
    logs: str
    urls: dict[str, str] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """Where the files of the sandbox in the background lie."""

    folder: Path

    @classmethod
    def of_user(cls) -> "Instance":
        """The user's own: `CANARY_SANDBOX_HOME`, or a folder in the cache."""
        given = os.environ.get("CANARY_SANDBOX_HOME")
        return cls(Path(given) if given else binaries.cache_folder() / "sandbox")

    @property
    def cluster(self) -> Path:
        """The cluster's own files."""
        return self.folder / "cluster"

    @property
    def options(self) -> Path:
        """How the cluster is to be."""
        return self.folder / "options.json"

    @property
    def log(self) -> Path:
        """What is told of the start, and of what goes wrong."""
        return self.folder / "sandbox.log"

    @property
    def socket(self) -> Path:
        """The way into the private network."""
        return self.folder / "relay.sock"

    @property
    def init_pid(self) -> Path:
        """The number of the private network's first process."""
        return self.folder / "init.pid"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file for use from outside."""
        return self.folder / "kubeconfig"

    def write(self, status: Status) -> None:
        """Write down how it is."""
        path = self.folder / "status.json"
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(asdict(status), indent=1))
        unfinished.replace(path)

    def read(self) -> Status | None:
        """How it is; None where nothing is written down."""
        try:
            return Status(**json.loads((self.folder / "status.json").read_text()))
        except FileNotFoundError:
            return None

    def alive(self) -> bool:
        """Whether somebody holds the sandbox."""
        try:
            with self._lock.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the sandbox; the system lets go of it when the process dies, and those forked from it.

        Raises:
            AlreadyRunningError: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunningError(f"a sandbox runs already ({self.folder})") from None
            yield

    def sign(self) -> None:
        """Write down that this process is the one to end."""
        self._pid.write_text(str(os.getpid()))

    def holder(self) -> int | None:
        """The process to end; None where none holds the sandbox."""
        return int(self._pid.read_text()) if self.alive() and self._pid.exists() else None

    @property
    def _lock(self) -> Path:
        return self.folder / "lock"

    @property
    def _pid(self) -> Path:
        return self.folder / "pid"
