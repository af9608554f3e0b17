"""What is put into a cluster that has just started: namespaces, the gateway's resources, manifests."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from canary.kube.client import KubeClient
from canary.kube.errors import KubeError, Retryable
from canary.kube.types import NAMESPACE, Json, Resource
from canary.sandbox.gateway import Gateway

Until = Callable[[Callable[[], Awaitable[bool]], str], Awaitable[None]]
"""Waits until a condition holds; the text says what is wrong with the API server if it never does."""

DEFINITION = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
_MANIFESTS = Path(__file__).parent / "manifests"
MANAGER = "canary-sandbox"
"""The field manager of what the sandbox itself applies."""


async def prepare(client: KubeClient, namespaces: Sequence[str], gateways: Sequence[Gateway], until: Until) -> None:
    """Create the namespaces, and what the gateways need."""
    names = dict.fromkeys([*namespaces, *(gateway.namespace for gateway in gateways)])
    await asyncio.gather(*(_apply(client, NAMESPACE, {"metadata": {"name": name}}, until) for name in names))
    files = dict.fromkeys(file for gateway in gateways for file in gateway.schemas)
    await install(client, [definition for file in files for definition in definitions(file)], until)
    for gateway in gateways:
        for resource, obj in gateway.objects:
            await _apply(client, resource, obj, until)


def definitions(file: str) -> list[Json]:
    """The CustomResourceDefinitions of a file among the package's manifests."""
    found: list[Json] = json.loads((_MANIFESTS / file).read_text())
    return found


async def _apply(client: KubeClient, resource: Resource, obj: Json, until: Until) -> None:
    """Apply an object, again and again where a server that has just started is too busy to answer."""

    async def applied() -> bool:
        try:
            await client.apply(resource, obj, field_manager=MANAGER)
        except Retryable:
            return False
        return True

    await until(applied, f"does not take {resource.kind} {obj['metadata']['name']}")


async def install(client: KubeClient, definitions: Sequence[Json], until: Until) -> None:
    """Install CustomResourceDefinitions and wait until their resources are served."""
    await asyncio.gather(*(_apply(client, DEFINITION, definition, until) for definition in definitions))
    wanted = _served(definitions)

    async def served() -> bool:
        for path in list(wanted):
            try:
                resources = (await client.page(path))["resources"]
            except KubeError:
                return False
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
