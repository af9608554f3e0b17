"""`canary get`, `explain` and `history`: how the Canaries of a cluster stand, why, and how those before have ended."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from canary.cli.arguments import Subject, about, about_all, canary_name, namespace
from canary.cli.failures import DONE, CommandError

if TYPE_CHECKING:
    from datetime import datetime

    from canary.kube.client import KubeClient
    from canary.kube.types import Json

CODES = "exit codes: 0 done; 1 there is none of that name; 2 no cluster, no right to it, or a flag is wrong"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    get = commands.add_parser(
        "get",
        help="how the Canaries of a cluster stand, or its fleets",
        description="List Canaries: phase, weight, step, failed checks, and what each waits for; or CanaryFleets:"
        " release, wave, and how many members have passed. Example: canary get -A -w; canary get fleets",
        epilog=CODES,
    )
    get.set_defaults(run=_get)
    about_all(
        get, "the only one; all where absent; fleet/NAME or fleet NAME for a CanaryFleet, fleets for all of these"
    )
    to_cluster(get, everywhere=True)
    get.add_argument("-o", "--output", choices=("table", "wide", "json", "yaml"), default="table", help="form")
    get.add_argument("-w", "--watch", action="store_true", help="go on: a live view, or a line with each change")

    explain = commands.add_parser(
        "explain",
        help="why a Canary, or a fleet, stands where it does",
        description="Why it is where it is, what must happen next, and what was measured, or how each member stands."
        " Example: canary explain my-app; canary explain fleet/my-app",
        epilog=CODES,
    )
    explain.set_defaults(run=_explain)
    about(explain)
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
    history.add_argument("name", type=canary_name, metavar="NAME")
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
    from canary.cli.cluster.access import in_cluster  # noqa: PLC0415
    from canary.cli.cluster.live import CANARIES, shown, watch  # noqa: PLC0415
    from canary.cli.fleets.live import FLEETS  # noqa: PLC0415
    from canary.kube.types import CANARY, CANARY_FLEET  # noqa: PLC0415

    (of_fleet, name), everywhere, form = arguments.name, arguments.all_namespaces, arguments.output
    resource, look, kinds = (CANARY_FLEET, FLEETS, "CanaryFleets") if of_fleet else (CANARY, CANARIES, "Canaries")
    if name and everywhere:
        raise CommandError("a name is one of a namespace; leave -A out, or the name", command="canary get")

    async def work(client: "KubeClient", here: str) -> "Sequence[Json]":
        place = None if everywhere else here
        if arguments.watch:
            with shown(form, everywhere=everywhere, look=look) as show:
                await watch(client, place, name, show, resource)
        return await _found(client, here if name else place, arguments.name)

    found = [tables.bare(each) for each in in_cluster(arguments, work)]
    if form in ("json", "yaml"):
        print(tables.written(found[0] if name else tables.listed(found), form))
    elif found:
        print("\n".join(look.table(found, datetime.now(UTC), everywhere, form == "wide")))
    else:
        print(f"no {kinds} in {'the cluster' if everywhere else 'this namespace; -A looks in all'}")
    return DONE


async def _found(client: "KubeClient", namespace: str | None, which: Subject) -> "Sequence[Json]":
    """What the cluster has of that kind and name."""
    from canary.cli.cluster.access import objects  # noqa: PLC0415
    from canary.kube.types import CANARY, CANARY_FLEET  # noqa: PLC0415

    resource = CANARY_FLEET if which.of_fleet else CANARY
    if which.name:
        return [await client.get(resource, namespace or "", which.name)]
    return await objects(client, resource, namespace)


def read(arguments: argparse.Namespace) -> "Json":
    """The Canary that the arguments name."""
    return _read(arguments, Subject(of_fleet=False, name=arguments.name))


def _read(arguments: argparse.Namespace, which: Subject) -> "Json":
    from canary.cli.cluster.access import in_cluster  # noqa: PLC0415

    async def work(client: "KubeClient", here: str) -> "Json":
        return (await _found(client, here, which))[0]

    return in_cluster(arguments, work)


def _explain(arguments: argparse.Namespace) -> int:
    from datetime import UTC, datetime  # noqa: PLC0415

    from canary.cli.cluster import tables  # noqa: PLC0415
    from canary.cli.cluster.explain import data, explain  # noqa: PLC0415
    from canary.cli.cluster.view import view_of  # noqa: PLC0415

    raw, now = _read(arguments, arguments.name), datetime.now(UTC)
    if arguments.name.of_fleet:
        return _explain_fleet(raw, now, arguments.output)
    view = view_of(raw)
    if arguments.output == "text":
        print("\n".join(explain(view, now)))
    else:
        print(tables.written(data(view, now), arguments.output))
    return DONE


def _explain_fleet(raw: "Json", now: "datetime", form: str) -> int:
    from canary.cli.cluster import tables  # noqa: PLC0415
    from canary.cli.fleets.access import read as as_fleet  # noqa: PLC0415
    from canary.cli.fleets.show import data, explain  # noqa: PLC0415

    fleet = as_fleet(raw)
    print("\n".join(explain(fleet, now)) if form == "text" else tables.written(data(fleet), form))
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
