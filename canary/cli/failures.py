"""How a command ends: the exit codes, and what is raised where it can't do what was asked for."""

from typing import Final

DONE: Final = 0
FAILED: Final = 1
"""What was asked for was done, and came out otherwise than wanted; or what runs can't go on."""
UNUSABLE: Final = 2
"""The command line, a file, an address or the machine is in the way: nothing was found out."""
INTERRUPTED: Final = 130
"""Ctrl-C."""
UNREAD: Final = 141
"""Whoever reads the output has gone."""


class CommandError(Exception):
    """A command can't do what was asked for.

    Args:
        lines: why, for people, each in a line of its own; one that begins with a space goes on from the one before.
        code: the exit code.
        command: the command that was typed, where it is another than the first word says.
    """

    def __init__(self, *lines: str, code: int = UNUSABLE, command: str = "") -> None:
        self.lines = lines
        self.code = code
        self.command = command
        super().__init__("\n".join(lines))
