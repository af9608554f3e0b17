"""`canary diff`: what a promotion, or a file, would change in the cluster."""

import argparse
from typing import TYPE_CHECKING

from canary.cli.arguments import canary_name
from canary.cli.cluster_commands import to_cluster
from canary.cli.failures import DONE, FAILED, UNUSABLE, CommandError

if TYPE_CHECKING:
    from canary.cli.changes.texts import Change
    from canary.kube.client import KubeClient


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "diff",
        help="what a promotion, or a file, would change",
        description="Show as unified diffs what a promotion would change of the primary's pods and configuration; or,"
        " with -f, what files of Canaries, MetricTemplates and AlertProviders would change in the cluster. Values of"
        " Secrets are never shown. Example: canary diff my-app",
        epilog="exit codes: 0 nothing would change; 1 something would; 2 there is none of that name, no cluster, no"
        " right to it, or a flag or a file is wrong",
    )
    parser.set_defaults(run=_run)
    parser.add_argument(
        "name", type=canary_name, nargs="?", default="", metavar="NAME", help="the Canary whose promotion is looked at"
    )
    parser.add_argument(
        *("-f", "--filename"),
        action="append",
        default=[],
        metavar="PATH",
        help="file or folder; - for the standard input",
    )
    to_cluster(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="form")


def _run(arguments: argparse.Namespace) -> int:
    # Here and not above: what is needed takes longer to load than help may take.
    from canary.cli.changes.files import against, objects_in  # noqa: PLC0415
    from canary.cli.changes.promotion import promoted, versions  # noqa: PLC0415
    from canary.cli.cluster.access import in_cluster  # noqa: PLC0415
    from canary.cli.cluster.tables import written  # noqa: PLC0415
    from canary.cli.main import tell  # noqa: PLC0415

    name, places = arguments.name, arguments.filename
    if bool(name) == bool(places):
        raise CommandError("name a Canary, or files by -f; one of the two", command="canary diff")
    objects = objects_in(places) if places else []
    unread: tuple[str, ...] = ()

    async def work(client: "KubeClient", namespace: str) -> "list[Change]":
        nonlocal unread
        if objects:
            return await against(client, namespace, objects)
        seen = await versions(client, namespace, name)
        unread = seen.unread
        return [*promoted(seen)]

    try:
        changes = in_cluster(arguments, work)
    except CommandError as error:
        raise CommandError(*error.lines, code=UNUSABLE) from error
    if arguments.output == "json":
        print(written([each.data() for each in changes], "json"))
    for each in changes if arguments.output == "text" else ():
        print("\n".join(each.diff))
    if unread:
        tell("canary diff", [f"not looked at, as it may not be read: {', '.join(unread)}"])
    return FAILED if changes else DONE
