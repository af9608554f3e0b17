"""`canary undo`: back to a version that was promoted before."""

import argparse
from typing import TYPE_CHECKING

from canary.cli.arguments import canary_name
from canary.cli.cluster_commands import to_cluster
from canary.cli.failures import DONE

if TYPE_CHECKING:
    from canary.cli.changes.undo import Way
    from canary.kube.client import KubeClient
    from canary.kube.types import Json


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "undo",
        help="set the target back to a version that was promoted before",
        description="Set a Canary's Deployment, and the configuration that is kept, back to a version that was promoted"
        " before; it is rolled out as any other. A GitOps tool will put back what Git says: revert it there, too."
        " Example: canary undo my-app --to 5c6d8f7b9d",
        epilog="exit codes: 0 it is set back; 1 there is none of that name, or no way back; 2 no cluster, no right to"
        " it, or a flag is wrong",
    )
    parser.set_defaults(run=_run)
    parser.add_argument("name", type=canary_name, metavar="NAME")
    to_cluster(parser)
    parser.add_argument(
        "--to",
        default="",
        metavar="REVISION",
        help="as status.history names it; the last promoted one before where absent",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="form")


def _run(arguments: argparse.Namespace) -> int:
    # Here and not above: what is needed takes longer to load than help may take.
    from canary.cli.changes.undo import set_back, way_back  # noqa: PLC0415
    from canary.cli.cluster.access import in_cluster  # noqa: PLC0415
    from canary.cli.cluster.tables import written  # noqa: PLC0415
    from canary.cli.main import tell  # noqa: PLC0415

    async def work(client: "KubeClient", namespace: str) -> "Way":
        find = way_back if arguments.dry_run else set_back
        return await find(client, namespace, arguments.name, arguments.to)

    way = in_cluster(arguments, work)
    changes = [*way.changes()]
    place = f"{way.target['metadata'].get('namespace')}/{way.target['metadata']['name']}"
    if arguments.output == "json":
        data: Json = {"deployment": place, "revision": way.revision, "images": way.images, "managedBy": way.owner}
        data |= {"lost": list(way.lost), "changes": [each.data() for each in changes]}
        print(written(data, "json"))
    elif arguments.dry_run:
        print("\n".join(line for each in changes for line in each.diff))
    else:
        images = ", ".join(way.images.values())
        print(f"{place} is set back to revision {way.revision} ({images}), and rolled out as any other version")
    if way.lost:
        tell("canary undo", [f"left as it is, as only analysis.bake keeps it: {', '.join(way.lost)}"])
    who = f"{way.owner} writes this Deployment, and" if way.owner else "a GitOps tool, where one writes it,"
    if not arguments.dry_run:
        tell("canary undo", [f"{who} will put back what Git says; revert it there, too"])
    return DONE
