"""`canary get`, `explain` and `history`: how the Canaries of a cluster stand, why, and how those before have ended."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from canary.cli.arguments import namespace
from canary.cli.failures import DONE, CommandError

if TYPE_CHECKING:
    from canary.kube.client import KubeClient
    from canary.kube.types import Json

CODES = "exit codes: 0 done; 1 there is none of that name; 2 no cluster, no right to it, or a flag is wrong"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    get = commands.add_parser(
        "get",
        help="how the Canaries of a cluster stand",
        description="List Canaries: phase, weight, step, failed checks, and what each waits for."
        " Example: canary get -A -w",
        epilog=CODES,
    )
    get.set_defaults(run=_get)
    get.add_argument("name", nargs="?", default="", metavar="NAME", help="the only one; all where absent")
    to_cluster(get, everywhere=True)
    get.add_argument("-o", "--output", choices=("table", "wide", "json", "yaml"), default="table", help="form")
    get.add_argument("-w", "--watch", action="store_true", help="go on: a live view, or a line with each change")

    explain = commands.add_parser(
        "explain",
        help="why a Canary stands where it does",
        description="Why it is where it is, what must happen next, and what was measured."
        " Example: canary explain my-app",
        epilog=CODES,
    )
    explain.set_defaults(run=_explain)
    explain.add_argument("name", metavar="NAME")
    to_cluster(explain)
    explain.add_argument("-o", "--output", choices=("text", "json", "yaml"), default="text", help="form")

    history = commands.add_parser(
        "history",
        help="how the last rollouts of a Canary have ended",
        description="The rollouts that have ended, the newest first, each with its cause."
        " Example: canary history my-app",
        epilog=CODES,
    )
    history.set_defaults(run=_history)
    history.add_argument("name", metavar="NAME")
    to_cluster(history)
    history.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table", help="form")


def to_cluster(parser: argparse.ArgumentParser, *, everywhere: bool = False) -> None:
    """Add the arguments that say which cluster, and where in it."""
    parser.add_argument("-n", "--namespace", type=namespace, help="namespace; the context's where absent")
    if everywhere:
        parser.add_argument("-A", "--all-namespaces", action="store_true", help="all namespaces")
    parser.add_argument("--kubeconfig", type=Path, help="path to a kubeconfig; that of KUBECONFIG where absent")
    parser.add_argument("--context", help="context of the kubeconfig")


def _get(arguments: argparse.Namespace) -> int:
    # Here and not above: what is needed takes longer to load than help may take.
    from datetime import UTC, datetime  # noqa: PLC0415

    from canary.cli.cluster import tables  # noqa: PLC0415
    from canary.cli.cluster.access import canaries, canary, in_cluster  # noqa: PLC0415
    from canary.cli.cluster.live import shown, watch  # noqa: PLC0415
    from canary.cli.cluster.view import view_of  # noqa: PLC0415

    name, everywhere, form = arguments.name, arguments.all_namespaces, arguments.output
    if name and everywhere:
        raise CommandError("a name is one of a namespace; leave -A out, or the name", command="canary get")

    async def work(client: "KubeClient", here: str) -> "Sequence[Json]":
        if arguments.watch:
            with shown(form, everywhere=everywhere) as show:
                await watch(client, None if everywhere else here, name, show)
        return [await canary(client, here, name)] if name else await canaries(client, None if everywhere else here)

    found = [tables.bare(each) for each in in_cluster(arguments, work)]
    if form in ("json", "yaml"):
        print(tables.written(found[0] if name else tables.listed(found), form))
    elif found:
        views = [view_of(each) for each in found]
        print("\n".join(tables.canaries(views, datetime.now(UTC), everywhere=everywhere, wide=form == "wide")))
    else:
        print(f"no Canaries in {'the cluster' if everywhere else 'this namespace; -A looks in all'}")
    return DONE


def read(arguments: argparse.Namespace) -> "Json":
    """The Canary that the arguments name."""
    from canary.cli.cluster.access import canary, in_cluster  # noqa: PLC0415

    async def work(client: "KubeClient", here: str) -> "Json":
        return await canary(client, here, arguments.name)

    return in_cluster(arguments, work)


def _explain(arguments: argparse.Namespace) -> int:
    from datetime import UTC, datetime  # noqa: PLC0415

    from canary.cli.cluster import tables  # noqa: PLC0415
    from canary.cli.cluster.explain import data, explain  # noqa: PLC0415
    from canary.cli.cluster.view import view_of  # noqa: PLC0415

    view, now = view_of(read(arguments)), datetime.now(UTC)
    if arguments.output == "text":
        print("\n".join(explain(view, now)))
    else:
        print(tables.written(data(view, now), arguments.output))
    return DONE


def _history(arguments: argparse.Namespace) -> int:
    from canary.cli.cluster import tables  # noqa: PLC0415
    from canary.cli.cluster.view import view_of  # noqa: PLC0415

    view = view_of(read(arguments))
    if arguments.output != "table":
        print(tables.written(view.status.get("history") or [], arguments.output))
    elif view.history:
        print("\n".join(tables.history(view)))
    else:
        print(f"no rollout of {view.namespace}/{view.name} has ended yet, as far as its status says")
    return DONE
