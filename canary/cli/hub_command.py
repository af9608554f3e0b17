"""`canary hub`: what carries out CanaryFleets over many clusters."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from canary.cli import destination_flags
from canary.cli.arguments import namespace, namespace_or_all, port, whole
from canary.cli.failures import DONE, FAILED, CommandError

if TYPE_CHECKING:
    from canary.hub.options import HubOptions

SOURCES = ("argocd", "cluster-api", "cluster-profile", "kubeconfig", "kubefed", "rancher-fleet")
"""What stands for clusters, by name."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "hub",
        help="run the hub of fleets",
        description="Watch CanaryFleets and the clusters that are their members, and release over them wave by wave,"
        " until told to stop. Example: canary hub --members kubeconfig,cluster-api --member-namespaces clusters",
        epilog="exit codes: 0 told to stop; 1 the port can't be listened on; 2 a flag or the kubeconfig can't be used",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.set_defaults(run=run, refuse=parser.error)
    _add_cluster(parser)
    _add_process(parser)
    destination_flags.add(parser)


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the hub's own cluster")
    group.add_argument("--kubeconfig", type=Path, help="path to a kubeconfig; in a pod none is needed")
    group.add_argument("--context", help="context of the kubeconfig")
    group.add_argument(
        "--namespace",
        type=namespace_or_all,
        default="",
        help="the only namespace whose CanaryFleets count; empty for all",
    )
    group.add_argument(
        "--members",
        type=sources,
        default=("kubeconfig",),
        metavar="SOURCE,...",
        help=f"what stands for clusters: {', '.join(SOURCES)}",
    )
    group.add_argument(
        "--member-namespaces",
        type=namespaces,
        default=(),
        metavar="NAMESPACE,...",
        help="where that is, and its Secrets; the hub's own namespace where absent",
    )
    group.add_argument(
        "--placements",
        action="store_true",
        help="watch FederatedDeployments of KubeFed, by whose placement CanaryFleets may choose members",
    )


def _add_process(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("process")
    group.add_argument(
        "--no-leader-election", action="store_true", help="act without a Lease that says which of several hubs does"
    )
    group.add_argument("--lease-namespace", type=namespace_or_all, default="", help="its namespace; the hub's own")
    group.add_argument("--workers", type=whole(1, 100), default=4, help="fleets that are worked on at once")
    group.add_argument("--address", default="", help="address to listen on; empty for all")
    group.add_argument("--port", type=port, default=8080, help="port of /healthz, /readyz and /metrics")
    group.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info", help="least level that is logged"
    )
    group.add_argument("--log-encoding", choices=("json", "console"), default="json", help="form of the log")


def sources(text: str) -> tuple[str, ...]:
    """Reads names of sources, with commas between them."""
    names = tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    unknown = [each for each in names if each not in SOURCES]
    if unknown or not names:
        msg = f"{unknown[0]!r} is no source of members" if unknown else "no source of members is named"
        raise argparse.ArgumentTypeError(f"{msg}; write some of {','.join(SOURCES)}")
    return names


def namespaces(text: str) -> tuple[str, ...]:
    """Reads namespaces, with commas between them."""
    return tuple(dict.fromkeys(namespace(each.strip()) for each in text.split(",") if each.strip()))


def run(arguments: argparse.Namespace) -> int:
    """Run the hub with these arguments, and return the exit code."""
    # Here and not above: these libraries take longer to load than help may take.
    from outbound.lean import load_lean  # noqa: PLC0415

    load_lean()
    from canary.controller.listening import ListenError  # noqa: PLC0415
    from canary.controller.logs import configure  # noqa: PLC0415
    from canary.hub.run import run as run_hub  # noqa: PLC0415
    from canary.kube.library import ConfigError  # noqa: PLC0415

    configure(arguments.log_level, arguments.log_encoding)
    try:
        asyncio.run(run_hub(options_of(arguments)))
    except ListenError as error:
        raise CommandError(f"{error.flags} can't be listened on: {error}", code=FAILED) from error
    except ConfigError as error:
        raise CommandError(f"no way to an API server: {error}; see --kubeconfig") from error
    return DONE


def options_of(arguments: argparse.Namespace) -> "HubOptions":
    """The hub's settings out of the parsed command line."""
    from canary.hub.options import HubOptions  # noqa: PLC0415

    return HubOptions(
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        namespace=arguments.namespace or None,
        sources=arguments.members,
        member_namespaces=arguments.member_namespaces,
        placements=arguments.placements,
        address=arguments.address,
        port=arguments.port,
        workers=arguments.workers,
        leader_election=not arguments.no_leader_election,
        lease_namespace=arguments.lease_namespace,
        destinations=destination_flags.destinations_of(arguments),
    )
