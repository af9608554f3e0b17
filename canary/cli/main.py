"""`canary`: the parser of all commands. What a command needs is imported when it runs, so that help comes at once."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from canary.cli import backtest_command, rehearse_command, run_command, sandbox_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name; None takes the process's own.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage.
    """
    parser = argparse.ArgumentParser(
        prog=Path(sys.argv[0]).name if sys.argv[0].endswith("canary") else "canary",
        description="Progressive delivery for Kubernetes: canaries that promote and roll back by themselves.",
    )
    parser.add_argument("--version", action="version", version=f"canary {version('canary-controller')}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    run_command.add(commands)
    rehearse_command.add(commands)
    backtest_command.add(commands)
    sandbox_command.add(commands)
    options = parser.parse_args(double_dashes(sys.argv[1:] if arguments is None else arguments))
    run = options.run
    code: int = run(options)
    return code


def double_dashes(arguments: Sequence[str]) -> list[str]:
    """Take `-log-level=info` of `run` for `--log-level=info`: deployments made for Flagger write one dash."""
    if arguments[:1] != ["run"]:
        return [*arguments]
    return [
        f"-{argument}" if len(argument) > 2 and argument[0] == "-" and argument[1].isalpha() else argument
        for argument in arguments
    ]
