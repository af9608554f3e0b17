"""`canary init`: a first spec for a workload that runs, by what there is around it in the cluster."""

import argparse
from typing import TYPE_CHECKING

from canary.cli.cluster_commands import to_cluster
from canary.cli.failures import DONE, FAILED

if TYPE_CHECKING:
    from canary.cli.init.draft import Draft
    from canary.kube.client import KubeClient


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "init",
        help="draft a Canary for a Deployment that runs",
        description="Draft a Canary for a Deployment or DaemonSet that runs: its Service, ports, autoscaler, and the"
        " route that leads to it. Says what was found, what was guessed, and what is left to do; changes nothing."
        " Example: canary init my-app > canary.yaml",
        epilog="exit codes: 0 drafted; 1 there is none of that name, a Canary rolls it out already, or the draft would"
        " be refused; 2 no cluster, no right to it, or a flag is wrong",
    )
    parser.set_defaults(run=_run)
    parser.add_argument("name", metavar="NAME", help="the Deployment; or KIND/NAME")
    to_cluster(parser)
    parser.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml", help="form")
    parser.add_argument("--apply", action="store_true", help="create it in the cluster, too")


def _run(arguments: argparse.Namespace) -> int:
    # Here and not above: what is needed takes longer to load than help may take.
    from canary.cli.cluster.access import in_cluster  # noqa: PLC0415
    from canary.cli.cluster.tables import written  # noqa: PLC0415
    from canary.cli.init.draft import draft  # noqa: PLC0415
    from canary.cli.init.report import data, text  # noqa: PLC0415
    from canary.cli.init.surroundings import kind_and_name, look  # noqa: PLC0415
    from canary.cli.main import tell  # noqa: PLC0415
    from canary.kube.types import CANARY  # noqa: PLC0415

    resource, name = kind_and_name(arguments.name)

    async def work(client: "KubeClient", namespace: str) -> "Draft":
        made = draft(await look(client, resource, namespace, name))
        if arguments.apply and not made.problems:
            await client.create(CANARY, made.canary)
        return made

    made = in_cluster(arguments, work)
    print(text(made) if arguments.output == "yaml" else written(data(made), "json"))
    if made.problems:
        tell("canary init", [f"it would be refused as it is: {each}" for each in made.problems])
        return FAILED
    if arguments.apply:
        tell("canary init", [f"{made.canary['metadata']['namespace']}/{name} is created"])
    return DONE
