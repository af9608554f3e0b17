"""`canary promote`, `abort`, `pause`, `resume`, `retry` and `restart`, `override`: what people order of a rollout."""

import argparse
from typing import TYPE_CHECKING, Final

from canary.cli.arguments import about
from canary.cli.cluster_commands import to_cluster
from canary.cli.failures import DONE

if TYPE_CHECKING:
    from canary.api.fleet import CanaryFleet
    from canary.cli.cluster.view import View
    from canary.kube.client import KubeClient

_ORDERS: Final = {
    "promote": ("give the version that is rolled out to everybody", "Skip what is left of its analysis, and its gates"),
    "abort": ("take the version that is rolled out back", "All traffic goes to the primary"),
    "pause": ("let a rollout stand still", "Whatever changes, nothing is done before it is resumed or aborted"),
    "resume": ("let a paused rollout go on", "It goes on where it was"),
    "retry": (
        "try a version again that has failed",
        "Its rollout begins anew, with the same target",
    ),
    "restart": ("begin the analysis of a version anew", "It goes back to its first step"),
    "override": (
        "let a rollout go on that a freeze or a queue holds",
        "It passes by whatever holds it, to its end; gates are asked all the same",
    ),
}
_FLEETS: Final = {
    "promote": "the waves that are left begin at once, without soaks, gates and quorums",
    "abort": "every member that has begun is brought back",
    "pause": "nothing further begins, and members under way stand still",
    "resume": "a pause ends, or the gates open that wait for a person",
    "retry": "members that have failed, or were brought back, try again",
}
_DONE: Final = {
    "promote": "is to be promoted",
    "abort": "is to be taken back",
    "pause": "is paused",
    "resume": "goes on",
    "retry": "is to be tried again",
    "restart": "is to begin its analysis anew",
    "override": "passes by what holds it",
}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    for verb, (told, description) in _ORDERS.items():
        parser = commands.add_parser(
            verb,
            help=told,
            description=f"{description}. It is written as an annotation of the Canary, for which the right to patch"
            f" canaries is needed, and told by an event with who and when.{_of_fleets(verb)} Example: canary {verb}"
            " my-app",
            epilog="exit codes: 0 it is ordered; 1 there is none of that name, or it can't be done as things stand;"
            " 2 no cluster, no right to it, or a flag is wrong",
        )
        parser.set_defaults(run=_run, verb=verb)
        about(parser)
        to_cluster(parser)
        parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the event and the status")


def _of_fleets(verb: str) -> str:
    return f" Of a CanaryFleet, {_FLEETS[verb]}." if verb in _FLEETS else ""


def _run(arguments: argparse.Namespace) -> int:
    # Here and not above: what is needed takes longer to load than help may take.
    from canary.cli.cluster.access import in_cluster  # noqa: PLC0415
    from canary.cli.cluster.orders import give  # noqa: PLC0415
    from canary.cli.fleets.orders import give as give_fleet  # noqa: PLC0415

    of_fleet, name = arguments.name

    async def work(client: "KubeClient", namespace: str) -> "View | CanaryFleet":
        order = give_fleet if of_fleet else give
        return await order(client, namespace, name, arguments.verb, arguments.reason)

    found = in_cluster(arguments, work)
    see = f"canary explain {'fleet/' if of_fleet else ''}{found.name} -n {found.namespace}"
    print(f"{found.namespace}/{found.name} {_DONE[arguments.verb]}; see it by: {see}")
    return DONE
