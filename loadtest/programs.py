"""Which programs a command may run, and which variables it may set for them.

The lists guard against what a caller has no business with, not against a caller who means harm: programs for load read
and write files, and ask whatever address they are given. Who may call at all is for a NetworkPolicy to say.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loadtest.command import Command, Script, Step

DEFAULT = ("curl", "ghz", "grpc_health_probe", "grpcurl", "hey", "jq", "k6")
"""Programs that make load or ask, unless others are named."""

TEXT_TOOLS = frozenset(
    {"[", "base64", "basename", "cat", "cut", "date", "echo", "egrep", "expr", "false", "fgrep", "grep", "head"}
    | {"ls", "printf", "seq", "sleep", "tail", "test", "tr", "true", "uniq", "wc"}
)
"""What stands beside those in a pipeline, always: none of these starts another program."""

STARTERS = frozenset(
    {"ash", "awk", "bash", "bats", "busybox", "chroot", "csh", "dash", "env", "expect", "find", "fish", "flock", "gawk"}
    | {"gdb", "git", "ionice", "ksh", "lua", "make", "mawk", "nawk", "nice", "node", "nohup", "nsenter", "parallel"}
    | {"perl", "php", "pypy", "python", "python2", "python3", "ruby", "script", "sed", "setsid", "sh", "sort", "ssh"}
    | {"stdbuf", "strace", "su", "sudo", "tar", "taskset", "tclsh", "time", "timeout", "unshare", "vi", "vim", "watch"}
    | {"wget", "xargs", "zsh"}
)
"""Well-known programs that run code or start other programs: a list with one of them would be none."""

VARIABLES = re.compile(
    r"TZ|LANG|LC_[A-Z]+|NO_COLOR|(?:http|https|all|no)_proxy|(?:HTTP|HTTPS|ALL|NO)_PROXY|K6_(?:VUS|DURATION|ITERATIONS)"
)
"""Variables that change no more than what a flag of the program could."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs at hand.

    Args:
        names: those that may be run besides the tools for texts; None allows every program, and every variable.
        which: returns a program's path, None where it isn't installed.
    """

    names: frozenset[str] | None = frozenset(DEFAULT)
    which: Callable[[str], str | None] = shutil.which

    def refusal(self, script: Script) -> str | None:
        """Return why a script may not be run, in words that tell what to do; None where it may."""
        return next((reason for command in _commands(script) for reason in self._reasons(command)), None)

    def _reasons(self, command: Command) -> Iterator[str]:
        name = command.argv[0]
        if self.names is not None:
            if name not in self.names | TEXT_TOOLS:
                yield self._unlisted(name, self.names)
            for variable, _ in command.env:
                if not VARIABLES.fullmatch(variable):
                    yield f"the variable {variable} may not be set here; give {name} a flag in its place"
        if self.which(name) is None:
            yield f"there is no program {name} in this load tester's image; put it on PATH of an image of your own"

    def _unlisted(self, name: str, names: frozenset[str]) -> str:
        plain = name.rpartition("/")[2]
        if plain != name and plain in names | TEXT_TOOLS:
            return f"a program is named without its folder: write {plain}"
        if is_starter(plain):
            return f"{name} runs code or starts other programs: start the load tester with --allow-shell for that"
        listed = ",".join([*sorted(names), plain])
        return f"{name} is not among the programs that may be run here; start the load tester with --programs={listed}"


def is_starter(name: str) -> bool:
    """Tell whether a program is known to run code or to start others, in whatever version."""
    return name in STARTERS or re.sub(r"[0-9.]+$", "", name) in STARTERS


def _commands(script: Script) -> Iterator[Command]:
    return (command for step in script if isinstance(step, Step) for command in step.pipeline)
