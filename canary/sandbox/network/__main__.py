"""`python -m canary.sandbox.network KUBECONFIG`: be the sandbox's Service addresses and name server."""

import argparse
import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from canary.kube.backoff import Backoff
from canary.kube.client import KubeClient
from canary.kube.source import WatchTiming
from canary.kube.types import ENDPOINT_SLICE, SERVICE
from canary.kube.watch import WatchCache
from canary.sandbox import addresses
from canary.sandbox.network import dns
from canary.sandbox.network.proxy import Proxy
from canary.sandbox.network.services import Directory

TIMING = WatchTiming(backoff=Backoff(first=0.2, cap=1.0))


async def serve(kubeconfig: Path, namespace: str, names: dict[str, str] | None) -> None:
    """Follow Services and their endpoints, for good; names are served unless they are None."""
    directory = Directory()
    proxy = Proxy(directory)
    async with AsyncExitStack() as stack:
        if names is not None:
            transport = await dns.serve(addresses.DNS, dns.Names(directory, namespace, names))
            stack.callback(transport.close)
        async with KubeClient.connect(kubeconfig, user_agent="canary-sandbox-network") as client:
            services = WatchCache(client, SERVICE, timing=TIMING)
            slices = WatchCache(client, ENDPOINT_SLICE, timing=TIMING)
            services.subscribe(directory.set_service)
            services.subscribe(lambda change: proxy.services_changed())
            slices.subscribe(directory.set_slice)
            slices.subscribe(lambda change: proxy.endpoints_changed())
            async with asyncio.TaskGroup() as group:
                for work in (services.run(), slices.run(), proxy.run()):
                    group.create_task(work)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m canary.sandbox.network")
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("--namespace", default="default", help="where names without a namespace are looked for")
    parser.add_argument("--name", action="append", default=[], metavar="NAME=TARGET", help="a further name")
    parser.add_argument("--no-names", action="store_true", help="leave names to another cluster of the network")
    given = parser.parse_args()
    names = dict(entry.split("=", 1) for entry in given.name)
    asyncio.run(serve(given.kubeconfig, given.namespace, None if given.no_names else names))


main()
