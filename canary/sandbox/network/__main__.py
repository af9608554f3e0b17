"""`python -m canary.sandbox.network KUBECONFIG`: be the sandbox's Service addresses and name server."""

import argparse
import asyncio
from pathlib import Path

from canary.sandbox import addresses
from canary.sandbox.api import Api
from canary.sandbox.network import dns
from canary.sandbox.network.proxy import Proxy
from canary.sandbox.network.services import Directory


async def serve(kubeconfig: Path, namespace: str, names: dict[str, str]) -> None:
    """Follow Services and their endpoints, for good."""
    directory = Directory()
    proxy = Proxy(directory)
    transport = await dns.serve(addresses.DNS, dns.Names(directory, namespace, names))
    try:
        async with Api(kubeconfig) as api, asyncio.TaskGroup() as group:
            group.create_task(_follow_services(api, directory, proxy))
            group.create_task(_follow_slices(api, directory, proxy))
    finally:
        transport.close()


async def _follow_services(api: Api, directory: Directory, proxy: Proxy) -> None:
    async for kind, obj in api.watch("/api/v1/services"):
        if kind == "LISTED":
            directory.set_services(obj.get("items") or [])
        else:
            directory.set_service(obj, gone=kind == "DELETED")
        await proxy.update()


async def _follow_slices(api: Api, directory: Directory, proxy: Proxy) -> None:
    async for kind, obj in api.watch("/apis/discovery.k8s.io/v1/endpointslices"):
        if kind == "LISTED":
            directory.set_slices(obj.get("items") or [])
        else:
            directory.set_slice(obj, gone=kind == "DELETED")
        proxy.endpoints_changed()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m canary.sandbox.network")
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("--namespace", default="default", help="where names without a namespace are looked for")
    parser.add_argument("--name", action="append", default=[], metavar="NAME=TARGET", help="a further name")
    given = parser.parse_args()
    names = dict(entry.split("=", 1) for entry in given.name)
    asyncio.run(serve(given.kubeconfig, given.namespace, names))


main()
