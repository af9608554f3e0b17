"""A command line as a value: pipelines of programs, and when each is run.

What is understood, with the meaning that POSIX sh gives it: words with quotes and backslashes, `|`, `&&`,
`||`, `;` and newlines, comments, `NAME=value` before a program, and redirections to or from `/dev/null` and
between the two outputs (`2>&1`, `>&2`, `&>/dev/null`); of the shell's own commands `exit` and `set` with `-e`, `-u`,
`-x` and `-o pipefail`. Everything else that only a shell can do is refused by name, with what to write instead. In an
address (a word with `://`) the signs `*`, `?` and `[…]` stand for themselves, as they do in a shell that finds no such
file.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeAlias

from loadtest.words import QUOTE_IT, CommandError, NeedsShellError, Operator, Redirect, Token, Word, split

MOST_COMMANDS = 32
"""Programs in one command line at most."""


class End(Enum):
    """Where an output of a program leads."""

    NEXT = auto()
    """Into the next program of the pipeline; for the last one, into the log."""
    LOG = auto()
    """Into what is kept of the output."""
    NULL = auto()
    """Nowhere."""


@dataclass(frozen=True, slots=True)
class Command:
    """One program to run.

    Args:
        argv: its name and arguments, never empty.
        env: variables set for it alone.
        stdout: where its standard output leads.
        stderr: where its standard error leads.
        reads_null: whether it reads nothing, even where it has a program before it in the pipeline.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    stdout: End = End.NEXT
    stderr: End = End.LOG
    reads_null: bool = False


Pipeline: TypeAlias = tuple[Command, ...]
"""Programs that run at once, each reading what the one before writes; its status is the last one's."""


class When(Enum):
    """When a pipeline is run, given the status so far."""

    ALWAYS = ";"
    SUCCEEDED = "&&"
    FAILED = "||"

    def holds(self, status: int) -> bool:
        """Tell whether to run after the given exit status."""
        return self is When.ALWAYS or (self is When.SUCCEEDED) == (status == 0)


@dataclass(frozen=True, slots=True)
class Step:
    """A pipeline and when it is run.

    The flat order has the meaning of a shell's lists: `a || b && c` looks at the status so far before each.

    Args:
        when: when it is run.
        pipeline: what is run.
        must_succeed: whether its failure ends the script, as after `set -e`.
        any_fails: whether it fails when any of its programs does, as after `set -o pipefail`.
    """

    when: When
    pipeline: Pipeline
    must_succeed: bool = False
    any_fails: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of the script.

    Args:
        when: when it ends here.
        status: its exit status; None is the status so far.
    """

    when: When
    status: int | None


Script: TypeAlias = tuple[Step | Exit, ...]

_KEYWORDS = frozenset(
    {"!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "select", "then"}
    | {"until", "while", "[[", "in", "coproc"}
)
_BUILTINS = frozenset(
    {".", ":", "alias", "bg", "break", "cd", "command", "continue", "declare", "eval", "exec", "export"}
    | {"fg", "hash", "jobs", "let", "local", "read", "readonly", "return", "shift", "shopt", "source"}
    | {"times", "trap", "type", "ulimit", "umask", "unset", "wait"}
)
_REMEDIES = {
    "!": "write PROGRAM && exit 1 || exit 0",
    "[[": "write [ ... ], with = or -eq",
    ":": "write true",
    "cd": "write the files with their folders",
    "command": "write the program alone",
    "eval": "write the program alone",
    "exec": "write the program alone",
    "return": "write exit",
}
_JOIN = "join programs by &&, ||, ; and |"
_OPTIONS = {"e": "errexit", "u": "nounset", "x": "xtrace"}
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_GLOB = re.compile(r"[*?]|\[.+\]")


def parse(line: str) -> Script:
    """Read a command line.

    Raises:
        NeedsShellError: it has a construct that only a shell can run.
        CommandError: it is empty, too long, or makes no sense.
    """
    script = _Parser(split(line)).script()
    if not script:
        msg = "the command is empty"
        raise CommandError(msg)
    if sum(len(step.pipeline) if isinstance(step, Step) else 1 for step in script) > MOST_COMMANDS:
        msg = f"more than {MOST_COMMANDS} programs in one command"
        raise CommandError(msg)
    return script


class _Parser:
    """Reads tokens from left to right; each method takes what it understands and leaves the rest."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._options: frozenset[str] = frozenset()

    def script(self) -> Script:
        steps: list[Step | Exit] = []
        when = When.ALWAYS
        self._skip_newlines()
        while self._at < len(self._tokens) or when is not When.ALWAYS:
            pipeline = self._pipeline()
            sign = self._take_operator()
            then = When.ALWAYS if sign in ("", "\n") else When(sign)
            steps += self._step(when, pipeline, then)
            when = then
            self._skip_newlines()
        return tuple(steps)

    def _step(self, when: When, pipeline: Pipeline, then: When) -> Sequence[Step | Exit]:
        """Return what to run for a pipeline: nothing for options of the shell, which are noted."""
        name = pipeline[0].argv[0]
        if name == "exit":
            return [Exit(when, _exit_status(pipeline[0].argv))]
        if name == "set":
            if when is not When.ALWAYS or then is not When.ALWAYS:
                raise NeedsShellError("set", "a command of the shell itself", "write it alone, at the beginning")
            self._options |= _set_options(pipeline[0].argv)
            return []
        # Of programs that are joined by && and || only the last one's failure ends a script.
        must_succeed = "errexit" in self._options and then is When.ALWAYS
        return [Step(when, pipeline, must_succeed, "pipefail" in self._options)]

    def _pipeline(self) -> Pipeline:
        commands = [self._command()]
        while self._operator() == "|":
            self._at += 1
            self._skip_newlines()
            commands.append(self._command())
        own = next((each.argv[0] for each in commands if each.argv[0] in ("exit", "set")), None)
        if own is not None and len(commands) > 1:
            raise NeedsShellError(own, "a command of the shell itself", "write it after && or ||, not in a pipe")
        return tuple(commands)

    def _command(self) -> Command:
        words: list[Word] = []
        ends = Command(())
        while self._at < len(self._tokens) and not self._operator():
            token = self._tokens[self._at]
            self._at += 1
            if isinstance(token, Redirect):
                ends = _redirected(ends, token, self._target(token))
            elif isinstance(token, Word):
                words.append(token)
        env = _assignments(words)
        argv = words[len(env) :]
        _check(argv, env, self._operator())
        return replace(ends, argv=tuple(word.text for word in argv), env=env)

    def _target(self, redirect: Redirect) -> str:
        target = self._tokens[self._at] if self._at < len(self._tokens) else None
        if not isinstance(target, Word):
            msg = f"{redirect.text} without a target"
            raise CommandError(msg)
        self._at += 1
        return target.text

    def _operator(self) -> str:
        """Return the operator that comes next, empty where none does."""
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        return token.text if isinstance(token, Operator) else ""

    def _take_operator(self) -> str:
        sign = self._operator()
        self._at += 1
        return sign

    def _skip_newlines(self) -> None:
        while self._operator() == "\n":
            self._at += 1


def _assignments(words: Sequence[Word]) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for word in words:
        name = _ASSIGNMENT.match(word.bare)
        if name is None:
            break
        found.append((name[1], word.text[name.end() :]))
    return tuple(found)


def _check(argv: Sequence[Word], env: Sequence[tuple[str, str]], sign: str) -> None:
    """Refuse what only a shell would understand in the words of one command, which `sign` ends.

    Raises:
        NeedsShellError: there is such a thing.
        CommandError: there is no program.
    """
    if not argv:
        if env:
            remedy = "write its value where it is used, or a program after it"
            raise NeedsShellError(f"{env[0][0]}=", "a variable of the shell itself", remedy)
        msg = f"a program is missing {f'before {sign}' if sign.strip() else 'at the end of a line'}"
        raise CommandError(msg)
    program = argv[0]
    if program.bare in _KEYWORDS:
        raise NeedsShellError(program.bare, "a keyword of the shell", _REMEDIES.get(program.bare, _JOIN))
    if program.text in _BUILTINS:
        raise NeedsShellError(program.text, "a command of the shell itself", _REMEDIES.get(program.text, ""))
    if not program.text:
        msg = "a program with an empty name"
        raise CommandError(msg)
    for word in argv:
        glob = _GLOB.search(word.bare)
        if glob and "://" not in word.text:
            remedy = f"write the names, or {QUOTE_IT}"
            raise NeedsShellError(glob[0], f"a pattern for file names (in {word.text})", remedy)
        if word.bare.startswith("~"):
            raise NeedsShellError("~", "a home folder", "write the path, or " + QUOTE_IT)


def _exit_status(argv: Sequence[str]) -> int | None:
    match argv[1:]:
        case []:
            return None
        case [number] if re.fullmatch("[0-9]{1,9}", number, re.ASCII):
            return int(number) % 256
    msg = f"{' '.join(argv)}: write exit and one number"
    raise CommandError(msg)


def _set_options(argv: Sequence[str]) -> frozenset[str]:
    """Return the options that a `set` turns on.

    Raises:
        NeedsShellError: it does something else, too.
    """
    names: set[str] = set()
    rest = iter(argv[1:])
    for word in rest:
        for letter in word.removeprefix("-") if word.startswith("-") else "?":
            names.add(next(rest, "?") if letter == "o" else _OPTIONS.get(letter, "?"))
    if not names or not names <= {"pipefail", *_OPTIONS.values()}:
        raise NeedsShellError(" ".join(argv), "a command of the shell itself", "of set only -e, -u, -x and -o pipefail")
    return frozenset(names)


def _redirected(command: Command, redirect: Redirect, target: str) -> Command:
    """Return the command with one more redirection, the earlier ones already done."""
    match redirect.text, redirect.fd, target:
        case "<", "" | "0", "/dev/null":
            return replace(command, reads_null=True)
        case ">" | ">>", "" | "1", "/dev/null":
            return replace(command, stdout=End.NULL)
        case ">" | ">>", "2", "/dev/null":
            return replace(command, stderr=End.NULL)
        case "&>" | "&>>" | ">&", "", "/dev/null":
            return replace(command, stdout=End.NULL, stderr=End.NULL)
        case ">&", "2", "1":
            return replace(command, stderr=command.stdout)
        case ">&", "" | "1", "2":
            return replace(command, stdout=command.stderr)
    written = f"{redirect.fd}{redirect.text}{target}"
    raise NeedsShellError(written, "a redirection", "take it out: only /dev/null, 2>&1 and >&2 can be redirected to")
