"""`canary approve` and `canary gate`: what people say of gates that wait for them, and how these stand."""

import argparse
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from canary.cli.arguments import address, canary_name, namespace
from canary.cli.cluster_commands import CODES, to_cluster
from canary.cli.failures import DONE, CommandError

if TYPE_CHECKING:
    from canary.kube.client import KubeClient

_VOTE_CODES: Final = (
    "exit codes: 0 it is said; 1 there is none of that name, no such gate waits, or you are none of its approvers;"
    " 2 no cluster, no right to it, or a flag is wrong"
)
KEPT_IN: Final = "canary-system/canary-controller-links"
"""Where the key of links is, unless somebody says otherwise."""

_WRITTEN: Final = (
    "It is written as an annotation of the Canary, for which the right to patch canaries is needed,"
    " and told by an event with who and when"
)


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    approve = commands.add_parser(
        "approve",
        help="approve what a gate of a rollout waits for, or reject it",
        description=f"Say yes to a gate that people open, or no. {_WRITTEN}. Example: canary approve my-app --gate qa",
        epilog=_VOTE_CODES,
    )
    approve.set_defaults(run=_vote, approves=True)
    _about_one(approve)
    approve.add_argument("--reject", dest="approves", action="store_false", help="say no: the version is taken back")

    gate = commands.add_parser(
        "gate",
        help="the gates of rollouts that people open",
        description="List the gates that people open, open one, close it, or make links for that."
        " Example: canary gate list",
        epilog=CODES,
    )
    verbs = gate.add_subparsers(title="commands", dest="verb", required=True, metavar="COMMAND")
    listing = verbs.add_parser(
        "list",
        help="how gates stand",
        description="List the gates that people open in rollouts that are under way: how they stand, and who has said"
        " what. Example: canary gate list -A",
        epilog=CODES,
    )
    listing.set_defaults(run=_list)
    listing.add_argument(
        "name", type=canary_name, nargs="?", default="", metavar="NAME", help="the only Canary; all where absent"
    )
    to_cluster(listing, everywhere=True)
    for verb, help_, approves in (
        ("open", "say yes to a gate", True),
        ("close", "say no to a gate: the version is taken back", False),
    ):
        parser = verbs.add_parser(
            verb,
            help=help_,
            description=f"{help_[:1].upper()}{help_[1:]}. {_WRITTEN}. Example: canary gate {verb} my-app --gate qa",
            epilog=_VOTE_CODES,
        )
        parser.set_defaults(run=_vote, approves=approves)
        _about_one(parser)

    _add_link(verbs)


def _add_link(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    link = verbs.add_parser(
        "link",
        help="make links by which approvers vote in a browser",
        description="Make links by which approvers say yes or no to a gate that waits, each once and for a while. Who"
        " has a link votes as the approver that it names: send each to that one alone. They are signed by a key in a"
        " Secret, for which the right to get it is needed. Example: canary gate link my-app --gate qa",
        epilog="exit codes: 0 done; 1 there is none of that name, no such gate waits, or somebody is none of its"
        " approvers; 2 no cluster, no right to it, or a flag is wrong",
    )
    link.set_defaults(run=_link)
    link.add_argument("name", type=canary_name, metavar="NAME")
    to_cluster(link)
    link.add_argument("--gate", default="", metavar="GATE", help="its name; the only one that waits where absent")
    link.add_argument(
        "--approver",
        action="append",
        default=[],
        metavar="WHO",
        help="whose link; of all whom the gate names where absent",
    )
    link.add_argument("--answer", choices=("yes", "no"), help="what the link says; one link each where absent")
    link.add_argument("--expires", default="24h", metavar="DURATION", help="how long it works, 31 days (744h) at most")
    link.add_argument(
        "--secret",
        type=_secret,
        default=_secret(KEPT_IN),
        metavar="NAMESPACE/NAME",
        help=f"the Secret with key and url; {KEPT_IN} where absent",
    )
    link.add_argument(
        "--url",
        type=address,
        default="",
        help="where votes are taken, such as https://votes.example.com; url of the Secret where absent",
    )


def _secret(text: str) -> tuple[str, str]:
    """The namespace and the name of a Secret."""
    where, _, name = text.partition("/")
    if not name or "/" in name:
        msg = f"{text!r} is not NAMESPACE/NAME; write one such as {KEPT_IN}"
        raise argparse.ArgumentTypeError(msg)
    return namespace(where), name


def _about_one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=canary_name, metavar="NAME")
    to_cluster(parser)
    parser.add_argument("--gate", default="", metavar="GATE", help="its name; the only one that waits where absent")
    parser.add_argument("--message", default="", metavar="TEXT", help="why, for the event and the status")


def _vote(arguments: argparse.Namespace) -> int:
    # Here and not above: what is needed takes longer to load than help may take.
    from canary.cli.cluster.access import in_cluster  # noqa: PLC0415
    from canary.cli.cluster.gates import give  # noqa: PLC0415

    async def work(client: "KubeClient", namespace: str) -> str:
        what = arguments.gate, arguments.message
        return await give(client, namespace, arguments.name, *what, approves=arguments.approves)

    print(in_cluster(arguments, work))
    return DONE


def _link(arguments: argparse.Namespace) -> int:
    from canary.api.durations import REMEDY, parse_duration  # noqa: PLC0415
    from canary.cli.cluster.access import in_cluster  # noqa: PLC0415
    from canary.cli.cluster.links import Wanted, made  # noqa: PLC0415
    from canary.rollout.links import LONGEST_LIFE  # noqa: PLC0415

    try:
        lasts = parse_duration(arguments.expires)
    except ValueError as error:
        raise CommandError(f"--expires: {error}; {REMEDY}", command="canary gate") from error
    if not timedelta(seconds=1) <= lasts <= LONGEST_LIFE:
        message = f"--expires: {arguments.expires} is not from 1s to {LONGEST_LIFE.days * 24}h"
        raise CommandError(message, command="canary gate")
    answers = (True, False) if arguments.answer is None else (arguments.answer == "yes",)
    wanted = Wanted(arguments.gate, arguments.approver, answers, lasts, arguments.secret, arguments.url)

    async def work(client: "KubeClient", here: str) -> list[str]:
        return await made(client, here, arguments.name, wanted)

    print("\n".join(in_cluster(arguments, work)))
    return DONE


def _list(arguments: argparse.Namespace) -> int:
    from canary.cli.cluster.access import in_cluster  # noqa: PLC0415
    from canary.cli.cluster.gates import shown  # noqa: PLC0415

    name, everywhere = arguments.name, arguments.all_namespaces
    if name and everywhere:
        raise CommandError("a name is one of a namespace; leave -A out, or the name", command="canary gate")

    async def work(client: "KubeClient", here: str) -> list[str]:
        return await shown(client, None if everywhere else here, name)

    print("\n".join(in_cluster(arguments, work)))
    return DONE
