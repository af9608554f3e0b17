"""The parser of all commands. What a command needs is imported when it runs, so that help comes at once."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from canary.cli import (
    backtest_command,
    cluster_commands,
    completion_command,
    convert_command,
    diff_command,
    gate_commands,
    hub_command,
    init_command,
    lint_command,
    order_commands,
    rehearse_command,
    report_command,
    run_command,
    sandbox_command,
    undo_command,
    wait_command,
)
from canary.cli.arguments import Parser
from canary.cli.failures import CommandError


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line, without the program's name; `run` of the result runs the command.

    Raises:
        CommandError: it can't be understood.
        SystemExit: it asked for help or the version, which has been shown.
    """
    parser = Parser(
        prog=Path(sys.argv[0]).name if sys.argv[0].endswith("canary") else "canary",
        description="Progressive delivery for Kubernetes: canaries that promote and roll back by themselves.",
        epilog="exit codes: 0 done; 1 done, and otherwise than wanted; 2 what was given can't be used; 130 interrupted;"
        " 141 the reader of the output has gone",
    )
    parser.add_argument("--version", action="version", version=f"canary {version('canary-controller')}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for command in (
        run_command,
        hub_command,
        cluster_commands,
        order_commands,
        undo_command,
        gate_commands,
        wait_command,
        report_command,
        diff_command,
        init_command,
        convert_command,
        lint_command,
        rehearse_command,
        backtest_command,
        sandbox_command,
        completion_command,
    ):
        command.add(commands)
    options, unknown = parser.parse_known_args(double_dashes(words))
    if unknown:
        of = f"canary {options.command}"
        raise CommandError(f"unrecognized arguments: {' '.join(unknown)}; see `{of} --help`", command=of)
    return options


def double_dashes(words: Sequence[str]) -> list[str]:
    """Take `-log-level=info` of `run` for `--log-level=info`: deployments made for Flagger write one dash."""
    if words[:1] != ["run"]:
        return [*words]
    return [f"-{word}" if len(word) > 2 and word[0] == "-" and word[1].isalpha() else word for word in words]
