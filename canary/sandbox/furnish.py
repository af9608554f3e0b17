"""What is put into a cluster that has just started: namespaces, the gateway's resources, manifests."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from canary.sandbox import gateway
from canary.sandbox.api import Api, Json

Until = Callable[[Callable[[], Awaitable[bool]], str], Awaitable[None]]
"""Waits until a condition holds; the text says what is wrong with the API server if it never does."""

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


async def furnish(api: Api, namespaces: Sequence[str], until: Until, *, with_gateway: bool) -> None:
    """Create the namespaces, and what the gateway needs."""
    names = [*namespaces, *([gateway.NAMESPACE] if with_gateway else [])]
    await asyncio.gather(*(_namespace(api, name) for name in names))
    if with_gateway:
        await install(api, gateway.schemas(), until)
        for path, obj in gateway.objects():
            await api.apply(path, obj)


async def _namespace(api: Api, name: str) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await api.apply(f"/api/v1/namespaces/{name}", namespace)


async def install(api: Api, definitions: Sequence[Json], until: Until) -> None:
    """Install CustomResourceDefinitions and wait until their resources are served."""
    await asyncio.gather(*(api.apply(f"{_DEFINITIONS}/{item['metadata']['name']}", item) for item in definitions))
    wanted = _served(definitions)

    async def served() -> bool:
        for path in list(wanted):
            if not await api.answers(path):
                return False
            resources = (await api.request("GET", path))["resources"]
            if not wanted[path] <= {resource["name"] for resource in resources}:
                return False
            del wanted[path]
        return True

    await until(served, "does not serve the custom resources")


def _served(definitions: Sequence[Json]) -> dict[str, set[str]]:
    """What is to be served: from the path of a group's version to the resources there."""
    wanted: dict[str, set[str]] = {}
    for definition in definitions:
        spec = definition["spec"]
        for version in spec["versions"]:
            if version["served"]:
                wanted.setdefault(f"/apis/{spec['group']}/{version['name']}", set()).add(spec["names"]["plural"])
    return wanted
