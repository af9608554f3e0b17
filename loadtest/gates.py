"""Gates that people open and close, and that hooks ask about."""

import asyncio
import json
import os
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What an open gate lets through."""

    GATE = "gate"
    """The rollout goes on."""
    ROLLBACK = "rollback"
    """The rollout is rolled back."""


@dataclass(frozen=True, slots=True, order=True)
class Gate:
    """A gate of one Canary.

    Args:
        kind: what it lets through.
        namespace: of the Canary.
        name: of the Canary.
    """

    kind: Kind
    namespace: str
    name: str


MOST_OPEN = 4096
"""Gates that may be open at once."""


class GateFileError(ValueError):
    """The file with the gates can't be read or written; going on would forget which are open."""


class TooManyGatesError(Exception):
    """As many gates are open as may be."""


class Gates:
    """Which gates are open; the others are closed.

    Args:
        path: a file that keeps them across restarts; None keeps them in memory alone.
        most: how many may be open at once.

    Raises:
        GateFileError: the file can't be written, or is there, but not to be read as one of ours.
    """

    def __init__(self, path: Path | None = None, most: int = MOST_OPEN) -> None:
        self._path = path
        self._most = most
        self._open = frozenset[Gate]()
        if path is not None:
            self._open = _load(path)
            _try(path, to_text(self._open))
        self._changes: list[tuple[Gate, bool, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    def is_open(self, gate: Gate) -> bool:
        """Tell whether a gate is open."""
        return gate in self._open

    async def open(self, gate: Gate) -> None:
        """Open a gate.

        Raises:
            TooManyGatesError: as many are open as may be.
            OSError: that can't be kept; the gate is as it was.
        """
        await self._change(gate, is_open=True)

    async def close(self, gate: Gate) -> None:
        """Close a gate.

        Raises:
            OSError: that can't be kept; the gate is as it was.
        """
        await self._change(gate, is_open=False)

    async def _change(self, gate: Gate, *, is_open: bool) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changes.append((gate, is_open, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="gates")
        await done

    async def _write(self) -> None:
        """Make all changes that have come, in one write, and those that come meanwhile in the next."""
        while self._changes:
            changes, self._changes = self._changes, []
            gates = set(self._open)
            made: list[asyncio.Future[None]] = []
            for gate, is_open, done in changes:
                if is_open and gate not in gates and len(gates) >= self._most:
                    _settle(done, TooManyGatesError(f"{self._most} gates are open, which is as many as may be"))
                    continue
                (gates.add if is_open else gates.discard)(gate)
                made.append(done)
            error = await self._become(frozenset(gates))
            for done in made:
                _settle(done, error)

    async def _become(self, gates: frozenset[Gate]) -> OSError | None:
        if self._path is not None and gates != self._open:
            try:
                await asyncio.to_thread(_store, self._path, to_text(gates))
            except OSError as error:
                return error
        self._open = gates
        return None


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    """Tell one who waits, unless they have gone."""
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def to_text(gates: frozenset[Gate]) -> str:
    """Return the open gates as the file keeps them."""
    return json.dumps({"open": [[gate.kind, gate.namespace, gate.name] for gate in sorted(gates)]}, indent=1)


def from_text(text: str) -> frozenset[Gate]:
    """Return the open gates that a file's text tells of.

    Raises:
        ValueError: it is none of ours.
    """
    try:
        entries = json.loads(text)["open"]
        found = [(Kind(kind), namespace, name) for kind, namespace, name in entries]
    except (KeyError, TypeError, RecursionError) as error:
        msg = f"not a list of open gates: {error}"
        raise ValueError(msg) from None
    return frozenset(Gate(kind, str(namespace), str(name)) for kind, namespace, name in found)


def _load(path: Path) -> frozenset[Gate]:
    try:
        return from_text(path.read_text())
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        msg = f"{path}: {error.strerror or error}"
        raise GateFileError(msg) from error
    except ValueError as error:
        msg = f"{path}: {error}"
        raise GateFileError(msg) from error


def _try(path: Path, text: str) -> None:
    """Write the file at the start: that it can't be written must not show when a gate is to be opened."""
    try:
        _store(path, text)
    except OSError as error:
        msg = f"{path}: {error.strerror or error}"
        raise GateFileError(msg) from error


def _store(path: Path, text: str) -> None:
    """Replace the file in one go: a crash leaves the old one or the new one."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
