"""The command `canary-loadtest`; the service behind it is loaded only when it starts."""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from loadtest.durations import parse_duration
from loadtest.limits import Limits, parse_size, size_text
from loadtest.programs import DEFAULT, is_starter

LEVELS = ("debug", "info", "warning", "error")
ENCODINGS = ("json", "console")
INTERRUPTED = 130
"""What a shell says of a program that Ctrl-C has ended."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the load tester is started.

    Args:
        address: to listen on.
        port: to listen on; 0 takes a free one.
        limits: what a task may take.
        namespaces: calls for Canaries in other namespaces are forbidden; None allows all.
        most_tasks: how many tasks may run at once.
        queue: how many tasks may wait for their turn.
        programs: the programs that tasks may run, besides tools for texts.
        allow_shell: whether tasks may use a shell, and so run any program.
        token_file: has the tokens of those who may call; None for everybody, unless `token_review` names some.
        token_review: the users who may call, by a token that the API server knows; empty for everybody.
        token_audience: for whom their tokens must have been made; empty for the API server.
        gate_file: keeps open gates across restarts; None keeps them in memory.
        log_level: one of `LEVELS`.
        log_encoding: one of `ENCODINGS`.
    """

    address: str
    port: int
    limits: Limits
    namespaces: re.Pattern[str] | None
    most_tasks: int
    queue: int
    programs: frozenset[str]
    allow_shell: bool
    token_file: Path | None
    token_review: frozenset[str]
    token_audience: str
    gate_file: Path | None
    log_level: str
    log_encoding: str


def settings(arguments: Sequence[str]) -> Settings:
    """Read the command line; Go's way of writing flags, `-port=8080`, is understood too.

    Raises:
        SystemExit: help was asked for, or the command line is wrong.
    """
    parser = _parser()
    options = parser.parse_args([_two_dashes(argument) for argument in arguments])
    if options.token_audience and not options.token_review:
        parser.error("--token-audience lets nobody be asked for a token: name who may call by --token-review")
    return Settings(
        address=options.address,
        port=options.port,
        limits=Limits(
            time=options.timeout,
            memory=options.task_memory,
            cpu=options.task_cpu,
            processes=options.task_processes,
            output=options.task_output,
        ),
        namespaces=options.namespace_regexp,
        most_tasks=options.max_tasks,
        queue=options.max_queue,
        programs=options.programs,
        allow_shell=options.allow_shell,
        token_file=options.token_file,
        token_review=options.token_review,
        token_audience=options.token_audience,
        gate_file=options.gate_file,
        log_level=options.log_level,
        log_encoding=options.zap_encoding,
    )


def _two_dashes(argument: str) -> str:
    return f"-{argument}" if re.match(r"-[a-z][a-z-]", argument) else argument


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="canary-loadtest",
        description="Runs the load tests, acceptance tests and gates that the webhooks of Canaries call.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--port", type=_port, default=9090, help="port to listen on (default: %(default)s)")
    add("--address", default="", help="address to listen on (default: all)")
    add("--log-level", choices=LEVELS, default="info", help="least level to log (default: %(default)s)")
    add("--zap-encoding", choices=ENCODINGS, default="json", help="form of the log (default: %(default)s)")
    add(
        "--zap-replace-globals",
        nargs="?",
        const="true",
        help="taken, so that an existing deployment starts; there is nothing to replace here",
    )
    add("--timeout", type=_duration, default="1h", help="how long a task may run (default: %(default)s)")
    add(
        "--namespace-regexp",
        type=_pattern,
        default=None,
        help="serve only calls that name a namespace with this pattern in it: ^test$ is test alone (default: all)",
    )
    add("--max-tasks", type=_count, default=64, help="tasks that may run at once (default: %(default)s)")
    add("--max-queue", type=_count, default=256, help="tasks that may wait for their turn (default: %(default)s)")
    _add_limits(parser, Limits())
    _add_callers(parser)
    add("--gate-file", type=Path, default=None, help="file that keeps open gates across restarts")
    add(
        "--programs",
        type=_programs,
        default=",".join(DEFAULT),
        help="programs that tasks may run, besides tools for texts such as grep (default: %(default)s)",
    )
    add(
        "--allow-shell",
        action="store_true",
        help="let tasks run any program: those of type bash are handed to bash, others where they need it",
    )
    return parser


def _add_callers(parser: argparse.ArgumentParser) -> None:
    """Add the flags for who may call; everybody may without them."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--token-file",
        type=Path,
        default=None,
        help="let in only who sends a token of this file, one a line, as Authorization: Bearer (default: everybody)",
    )
    either.add_argument(
        "--token-review",
        type=_users,
        default=frozenset(),
        help="let in only these users, by their token, about which the API server is asked: "
        "system:serviceaccount:NAMESPACE:NAME,… (default: everybody)",
    )
    parser.add_argument(
        "--token-audience",
        default="",
        help="with --token-review: for whom tokens must be made (default: the API server)",
    )


def _add_limits(parser: argparse.ArgumentParser, usual: Limits) -> None:
    """Add the flags for what one task may take, all of its processes together."""
    add = parser.add_argument
    add(
        "--task-memory",
        type=_size,
        default=size_text(usual.memory),
        help="memory that a task may take (default: %(default)s)",
    )
    add("--task-cpu", type=_duration, default="1h", help="processor time that a task may take (default: %(default)s)")
    add(
        "--task-processes",
        type=_count,
        default=usual.processes,
        help="processes that a task may have at once (default: %(default)s)",
    )
    add(
        "--task-output",
        type=_size,
        default=size_text(usual.output),
        help="bytes that a task may write to its outputs (default: %(default)s)",
    )


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        msg = f"{text!r} is not a port; write a number from 0 to 65535"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _count(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,4}", text):
        msg = f"{text!r} is not a number from 1 to 99999"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not size:
        msg = "a task must be given some"
        raise argparse.ArgumentTypeError(msg)
    return size


def _users(text: str) -> frozenset[str]:
    names = frozenset(text.split(","))
    if not all(names):
        msg = f"{text!r} is no list of users, parted by commas"
        raise argparse.ArgumentTypeError(msg)
    return names


def _programs(text: str) -> frozenset[str]:
    names = frozenset(text.split(","))
    for name in sorted(names):
        if not re.fullmatch(r"[\w.+-]+", name, re.ASCII):
            msg = f"{name!r} is not the name of a program; write names without folders, parted by commas"
            raise argparse.ArgumentTypeError(msg)
        if is_starter(name):
            msg = f"{name} runs code or starts other programs; that takes --allow-shell"
            raise argparse.ArgumentTypeError(msg)
    return names


def _duration(text: str) -> timedelta:
    try:
        limit = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not limit:
        msg = "a task must be given some time"
        raise argparse.ArgumentTypeError(msg)
    return limit


def _pattern(text: str) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        msg = f"{text!r} is not a regular expression: {error}"
        raise argparse.ArgumentTypeError(msg) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load tester until SIGTERM or SIGINT; return the exit status."""
    try:
        chosen = settings(sys.argv[1:] if arguments is None else arguments)
        import asyncio  # noqa: PLC0415 - help must not wait for the service to load

        from loadtest.serve import serve  # noqa: PLC0415

        return asyncio.run(serve(chosen))
    except KeyboardInterrupt:  # before it served
        return INTERRUPTED
