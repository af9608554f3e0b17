"""The sandbox that runs in the background: what is known of it, and where. One a user."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from canary.sandbox import binaries

Phase = Literal["starting", "ready", "failed"]

HOME: Final = "CANARY_SANDBOX_HOME"
FOLDER: Final = "canary-sandbox"
"""What the folder is called inside the one that a user chose: nothing beside it is ours."""

_LONGEST_SOCKET: Final = 107
"""Bytes that the path of a unix socket may have."""


class AlreadyRunningError(RuntimeError):
    """There is a sandbox already."""


class PlaceError(RuntimeError):
    """The sandbox's files can't lie where they should; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the sandbox in the background is.

    Attributes:
        phase: where it is in its life.
        kubeconfig: the administrator's kubeconfig file, for use from outside the private network.
        urls: what else is reachable from outside: `gateway`, `prometheus`.
        tools: the folder of `kubectl` and `hey`.
        logs: the folder of the parts' logs.
        members: further clusters: from the name of the context of each to the folder of its logs.
        failure: what went wrong: the part that died, with the end of its log.
    """

    phase: Phase
    kubeconfig: str
    tools: str
    logs: str
    urls: dict[str, str] = field(default_factory=dict)
    failure: str = ""
    members: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """Where the files of the sandbox in the background lie.

    What it did not make itself it leaves alone: a folder is its own where its lock lies in it, and of that only the
    files which it writes are ever removed.
    """

    folder: Path

    @classmethod
    def of_user(cls) -> "Instance":
        """The user's own: a folder in `CANARY_SANDBOX_HOME`, or in the cache.

        Raises:
            ToolMissingError: there is no home folder to have a cache in.
        """
        given = os.environ.get(HOME)
        return cls(Path(given).absolute() / FOLDER if given else binaries.cache_folder() / "sandbox")

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

    @property
    def inside(self) -> Path:
        """The kubeconfig file for use from inside."""
        return self.cluster / "inside.kubeconfig"

    def member(self, name: str) -> Path:
        """The files of a further cluster."""
        return self.cluster / "members" / name

    def write(self, status: Status) -> None:
        """Write down how it is."""
        self._unfinished.write_text(json.dumps(asdict(status), indent=1))
        self._unfinished.replace(self._status)

    def read(self) -> Status | None:
        """How it is; None where nothing is written down. What can't be read is a sandbox that failed."""
        try:
            # Of another version it may say more than is known here.
            return _STATUS.validate_json(self._status.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValidationError):
            return Status("failed", "", "", "", failure=f"{self._status} can't be read")

    def alive(self) -> bool:
        """Whether somebody holds the sandbox."""
        try:
            with self._lock.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except BlockingIOError:
            return True
        return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the sandbox; the system lets go of it when the process dies, and those forked from it.

        Raises:
            AlreadyRunningError: another process holds it.
            PlaceError: its files can't lie there.
        """
        self.make()
        with self._lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunningError(f"a sandbox runs already ({self.folder})") from None
            yield

    def make(self) -> None:
        """Make its folder, or take the one that an earlier sandbox has left.

        Raises:
            PlaceError: it can't be made, is somebody else's, or has too long a name.
        """
        excess = len(os.fsencode(self.socket)) - _LONGEST_SOCKET
        if excess > 0:
            raise PlaceError(
                f"{self.folder}: it is {excess} bytes too long for a socket in it; set {HOME} to a shorter one"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.ours and any(self.folder.iterdir()):
                raise PlaceError(
                    f"{self.folder}: there are files in it that are no sandbox's; set {HOME} to another folder"
                )
            self._lock.touch(mode=0o600)
        except OSError as error:
            where = os.fsdecode(error.filename or self.folder)
            raise PlaceError(f"{where}: {error.strerror}; set {HOME} to a folder that can be written to") from error

    @property
    def ours(self) -> bool:
        """Whether a sandbox has made this folder."""
        return self._lock.is_file()

    def clear(self) -> None:
        """Remove what a sandbox has written, but for its lock."""
        shutil.rmtree(self.cluster, ignore_errors=True)
        for path in (self.options, self.log, self.socket, self.init_pid, self.kubeconfig, self._pid, self._status):
            path.unlink(missing_ok=True)
        self._unfinished.unlink(missing_ok=True)

    def remove(self) -> bool:
        """Remove it, save what somebody else has put there; whether it was there."""
        if not self.ours:
            return False
        self.clear()
        self._lock.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others' files are in it
            self.folder.rmdir()
        return True

    def sign(self) -> None:
        """Write down that this process is the one to end."""
        self._pid.write_text(str(os.getpid()))

    def holder(self) -> int | None:
        """The process to end; None where none holds the sandbox, or none can be told."""
        return number_in(self._pid) if self.alive() else None

    @property
    def _lock(self) -> Path:
        return self.folder / "canary-sandbox.lock"

    @property
    def _pid(self) -> Path:
        return self.folder / "pid"

    @property
    def _status(self) -> Path:
        return self.folder / "status.json"

    @property
    def _unfinished(self) -> Path:
        return self.folder / "status.part"


def number_in(path: Path) -> int | None:
    """The number of a process that a file says; None where it says none."""
    try:
        text = path.read_text()
    except (OSError, UnicodeError):
        return None
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and int(digits) > 1 else None


_STATUS = TypeAdapter(Status)
