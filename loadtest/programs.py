"""Which programs a command may name: those on PATH, and two of our own where those are missing."""

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from loadtest.command import Script

OWN: Mapping[str, str] = MappingProxyType({"hey": "loadtest.hey", "curl": "loadtest.curl"})
"""Programs that we bring, each a module run by the same Python."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs at hand.

    Args:
        which: returns a program's path, None where it isn't installed.
    """

    which: Callable[[str], str | None] = shutil.which

    def missing(self, script: Script) -> str | None:
        """Return the first program of a script that isn't at hand, None where all are."""
        names = (command.argv[0] for step in script for command in step.pipeline)
        return next((name for name in names if name not in OWN and self.which(name) is None), None)

    def launch(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return what to execute for a command: an installed program goes before one of ours."""
        if argv[0] in OWN and self.which(argv[0]) is None:
            return (sys.executable, "-m", OWN[argv[0]], *argv[1:])
        return argv
