"""`canary backtest`: a spec's metric checks over recorded data."""

import argparse
import math
from pathlib import Path

from canary.cli.run_command import DEFAULT_PROVIDER

OUTPUTS = ("table", "json", "yaml", "svg")
WORKLOADS = ("canary", "primary", "plain")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "backtest",
        help="try a spec's metric checks on recorded data",
        description="Play rollouts over what Prometheus has recorded, with the controller's own decisions: how often "
        "a healthy time would have been rolled back, by which metric, what thresholds the data supports, and how much "
        "traffic it takes to tell. Nothing is changed anywhere. Example: canary backtest -f canary.yaml "
        "--prometheus http://localhost:9090",
        epilog="exit codes: 0 done; 1 more rolled back than --fail-above; 2 something is wrong with what was given, or "
        "with Prometheus, or --fail-above has no rollout to judge",
    )
    parser.set_defaults(run=run)
    spec = parser.add_argument_group("the spec")
    spec.add_argument(
        "-f",
        "--filename",
        action="append",
        required=True,
        type=Path,
        metavar="FILE",
        help="file of the Canary; again for its MetricTemplates, if they are elsewhere; - is standard input",
    )
    spec.add_argument("--canary", default="", metavar="NAME", help="which Canary, if there are several")
    spec.add_argument("-n", "--namespace", default="default", help="namespace of what names none (default: default)")
    spec.add_argument("--mesh-provider", default=DEFAULT_PROVIDER, help="traffic provider of a spec that names none")

    data = parser.add_argument_group("the data")
    data.add_argument("--prometheus", required=True, metavar="URL", help="address; the spec's own is not used")
    data.add_argument("--from", dest="start", default="7d", metavar="TIME", help="first moment (default: 7d)")
    data.add_argument(
        "--to", dest="end", default="now", metavar="TIME", help="last moment (default: now); such as 2h, 2026-03-01"
    )
    data.add_argument("--workload", choices=WORKLOADS, help="whose requests (default: whose there are)")
    data.add_argument("--header", action="append", default=[], metavar="NAME: VALUE", help="request header; repeatable")
    data.add_argument("--token-file", type=Path, metavar="FILE", help="file with a bearer token")
    data.add_argument("--username", default="", help="user name of basic authentication")
    data.add_argument("--password-file", type=Path, metavar="FILE", help="file with its password")
    data.add_argument("--insecure", action="store_true", help="do not verify the server's certificate")
    data.add_argument("--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="of one query (default: 60)")

    told = parser.add_argument_group("what is told")
    told.add_argument("-o", "--output", choices=OUTPUTS, default="table", help="form of the result (default: table)")
    told.add_argument("--picture", type=Path, metavar="FILE", help="write the picture there too")
    told.add_argument("--fail-above", type=_percent, metavar="PERCENT", help="exit with 1 if more are rolled back")
    told.add_argument("--seed", type=int, default=1, metavar="NUMBER", help="of pretend rollouts (default: 1)")
    told.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Run a backtest with these arguments, and return the exit code."""
    # Here and not above: what it needs takes longer to load than help may take.
    from canary.cli.backtest.run import backtest  # noqa: PLC0415

    return backtest(arguments)


def _seconds(text: str) -> float:
    return _positive(text, "number of seconds")


def _percent(text: str) -> float:
    return _positive(text, "percentage", least=0.0)


def _positive(text: str, what: str, least: float = 1e-3) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:
        msg = f"{text!r} is no {what}"
        raise argparse.ArgumentTypeError(msg)
    return number
