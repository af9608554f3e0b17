"""`canary wait`: a pipeline's step that ends when a rollout does, with its outcome as the exit code."""

import argparse
from typing import TYPE_CHECKING, Final

from canary.cli.arguments import about
from canary.cli.cluster_commands import to_cluster
from canary.cli.failures import DONE, CommandError

if TYPE_CHECKING:
    from canary.kube.client import KubeClient

_PHASES: Final = (
    *("promoted", "Initializing", "Initialized", "Waiting", "Progressing", "WaitingPromotion", "Promoting"),
    *("Finalising", "Succeeded", "Failed"),
)
_FLEET_PHASES: Final = ("promoted", "Progressing", "RollingBack", "Succeeded", "Failed")
_ANY: Final = (*dict.fromkeys((*_PHASES, *_FLEET_PHASES)),)


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "wait",
        help="wait until a version is promoted, or can't be any more",
        description="Wait for a rollout, or for the release of a fleet; fails at once when it does."
        " Example: canary wait my-app --timeout 1h; canary wait fleet/my-app --revision v1.4.2",
        epilog="exit codes: 0 it is so; 1 the version has failed or was replaced, it was not in time, or there is none"
        " of that name; 2 no cluster, no right to it, or a flag is wrong",
    )
    parser.set_defaults(run=_run)
    about(parser)
    to_cluster(parser)
    parser.add_argument(
        "--for", dest="phase", choices=_ANY, default="promoted", metavar="PHASE", help="promoted, or a phase"
    )
    parser.add_argument(
        "--revision",
        default="",
        help="the only one that counts, as status.lastAppliedSpec names it; of a fleet, the release",
    )
    parser.add_argument("--timeout", default="1h", metavar="DURATION", help="at most (default: 1h)")
    parser.add_argument("-q", "--quiet", action="store_true", help="don't tell each step")


def _run(arguments: argparse.Namespace) -> int:
    # Here and not above: what is needed takes longer to load than help may take.
    from canary.api.durations import REMEDY, parse_duration  # noqa: PLC0415
    from canary.cli.cluster.access import in_cluster  # noqa: PLC0415
    from canary.cli.cluster.waiting import Wanted, wait  # noqa: PLC0415
    from canary.cli.fleets.waiting import Released  # noqa: PLC0415

    try:
        limit = parse_duration(arguments.timeout)
    except ValueError as error:
        raise CommandError(f"--timeout: {error}; {REMEDY}") from error

    def tell(line: str) -> None:
        if not arguments.quiet:
            print(line, flush=True)

    of_fleet, name = arguments.name
    if arguments.phase not in (known := _FLEET_PHASES if of_fleet else _PHASES):
        whose = "a fleet" if of_fleet else "a Canary"
        raise CommandError(f"--for: {whose} has no phase {arguments.phase}; write one of {', '.join(known)}")

    async def work(client: "KubeClient", namespace: str) -> str:
        wanted = (Released if of_fleet else Wanted)(arguments.phase, arguments.revision)
        await wait(client, namespace, name, wanted, limit, tell)
        return namespace

    namespace = in_cluster(arguments, work)
    tell(f"{namespace}/{name} is {arguments.phase}")
    return DONE
