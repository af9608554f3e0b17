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


class GateFileError(ValueError):
    """The file with the gates can't be read; going on would forget which are open."""


class Gates:
    """Which gates are open; the others are closed.

    Args:
        path: a file that keeps them across restarts; None keeps them in memory alone.

    Raises:
        GateFileError: the file is there, but not to be read as one of ours.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._open = _load(path) if path is not None else frozenset[Gate]()
        self._writing = asyncio.Lock()

    def is_open(self, gate: Gate) -> bool:
        """Tell whether a gate is open."""
        return gate in self._open

    async def open(self, gate: Gate) -> None:
        """Open a gate.

        Raises:
            OSError: that can't be kept; the gate is as it was.
        """
        async with self._writing:
            await self._become(self._open | {gate})

    async def close(self, gate: Gate) -> None:
        """Close a gate.

        Raises:
            OSError: that can't be kept; the gate is as it was.
        """
        async with self._writing:
            await self._become(self._open - {gate})

    async def _become(self, gates: frozenset[Gate]) -> None:
        if self._path is not None and gates != self._open:
            await asyncio.to_thread(_store, self._path, to_text(gates))
        self._open = gates


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
    except (OSError, ValueError) as error:
        msg = f"{path}: {error}"
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
