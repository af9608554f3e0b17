"""`python -m canary.sandbox up|status|down|exec`: a sandbox in the background."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from canary.sandbox import background
from canary.sandbox.binaries import ToolMissingError
from canary.sandbox.instance import AlreadyRunningError, Status
from canary.sandbox.options import Options


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is a command line


def describe(status: Status) -> str:
    """What a person wants to know of a running sandbox."""
    lines = [f"export KUBECONFIG={status.kubeconfig}", f"export PATH={status.tools}:$PATH"]
    lines += [f"# {name}: {url}" for name, url in status.urls.items()]
    return "\n".join([*lines, f"# logs: {status.logs}"])


def _up(given: argparse.Namespace) -> int:
    options = replace(Options(), nodes=given.nodes, gateway=not given.no_gateway, prometheus=not given.no_prometheus)
    _say(describe(background.up(options, lambda line: print(line, file=sys.stderr, flush=True))))  # noqa: T201
    return 0


def _status(given: argparse.Namespace) -> int:
    found = background.status()
    if found is None:
        _say("no sandbox is running")
        return 1
    _say(f"{found.phase}\n{describe(found)}")
    if found.failure:
        _say(found.failure)
    return 0 if found.phase == "ready" else 1


def _down(given: argparse.Namespace) -> int:
    _say("the sandbox is gone" if background.down() else "no sandbox is running")
    return 0


def _exec(given: argparse.Namespace) -> int:
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    return background.execute(command or ["sh"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m canary.sandbox", description=__doc__)
    commands = parser.add_subparsers(required=True)
    up = commands.add_parser("up", help="start it, and build what is missing")
    up.add_argument("--nodes", type=int, default=2)
    up.add_argument("--no-gateway", action="store_true")
    up.add_argument("--no-prometheus", action="store_true")
    up.set_defaults(run=_up)
    commands.add_parser("status", help="say how it is and how to use it").set_defaults(run=_status)
    commands.add_parser("down", help="end it and remove its files").set_defaults(run=_down)
    execute = commands.add_parser("exec", help="run a command inside its network")
    execute.add_argument("command", nargs=argparse.REMAINDER, help="-- COMMAND [ARGUMENT…]; a shell by default")
    execute.set_defaults(run=_exec)
    given = parser.parse_args(arguments)
    try:
        status: int = given.run(given)
    except (background.SandboxError, AlreadyRunningError, ToolMissingError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is a command line
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
