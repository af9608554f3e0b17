"""What a cluster has around a workload that runs: its Services, autoscalers, and the routes that lead to it."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from canary.cli.failures import FAILED, CommandError
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden, NotFound
from canary.kube.types import (
    APISIX_ROUTE,
    CANARY,
    DAEMON_SET,
    DEPLOYMENT,
    GATEWAY,
    GRPC_ROUTE,
    HORIZONTAL_POD_AUTOSCALER,
    HTTP_PROXY,
    HTTP_ROUTE,
    INGRESS,
    NAMESPACE,
    ROUTE,
    SCALED_OBJECT,
    SERVICE,
    TRAEFIK_SERVICE,
    VIRTUAL_SERVICE,
    Json,
    Resource,
    mapping,
    name_of,
)

INGRESS_ROUTE: Final = Resource("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute")
INGRESS_CLASS: Final = Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False)

_BESIDE: Final = (
    *(SERVICE, HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, CANARY),
    *(HTTP_ROUTE, GRPC_ROUTE, VIRTUAL_SERVICE, HTTP_PROXY, TRAEFIK_SERVICE, INGRESS_ROUTE),
    *(INGRESS, ROUTE, APISIX_ROUTE),
)
"""What is looked for in the workload's namespace."""

_ANYWHERE: Final = (INGRESS_CLASS, GATEWAY)
"""What is looked for in the whole cluster."""

_KINDS: Final = {
    **dict.fromkeys(("deployment", "deployments", "deploy"), DEPLOYMENT),
    **dict.fromkeys(("daemonset", "daemonsets", "ds"), DAEMON_SET),
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A workload, and what there is around it.

    Args:
        resource: the workload's kind.
        target: the workload.
        objects: what there is, by kind; nothing of a kind that isn't installed, or may not be read.
        unread: the kinds that may not be read.
        labels: the labels of the namespace, as far as they may be read.
    """

    resource: Resource
    target: Json
    objects: Mapping[Resource, tuple[Json, ...]]
    unread: tuple[Resource, ...] = ()
    labels: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """The workload's name."""
        return name_of(self.target)

    @property
    def namespace(self) -> str:
        """The workload's namespace."""
        return str(mapping(self.target.get("metadata")).get("namespace") or "default")

    def of(self, resource: Resource) -> tuple[Json, ...]:
        """The objects of a kind."""
        return self.objects.get(resource, ())

    @property
    def pod_labels(self) -> Json:
        """The labels of the workload's pods."""
        template = mapping(mapping(self.target.get("spec")).get("template"))
        return mapping(mapping(template.get("metadata")).get("labels"))

    def services(self) -> Iterator[Json]:
        """The Services that select the workload's pods, in the order of their names."""
        labels = self.pod_labels
        for each in sorted(self.of(SERVICE), key=name_of):
            selector = mapping(mapping(each.get("spec")).get("selector"))
            if selector and all(labels.get(key) == value for key, value in selector.items()):
                yield each


def kind_and_name(text: str) -> tuple[Resource, str]:
    """Reads `NAME` or `KIND/NAME`.

    Raises:
        CommandError: it is neither, or no kind that a spec can be drafted for.
    """
    kind, slash, name = text.rpartition("/")
    resource = _KINDS.get(kind.lower()) if slash else DEPLOYMENT
    if resource is None or not name:
        raise CommandError(f"{text!r} names no workload; write NAME, deployment/NAME or daemonset/NAME")
    return resource, name


async def look(client: KubeClient, resource: Resource, namespace: str, name: str) -> Surroundings:
    """Look around a workload.

    Raises:
        KubeError: there is none of that name, or it can't be read.
        CommandError: a Canary rolls it out already.
    """
    target = await client.get(resource, namespace, name)
    listed = [*((each, namespace) for each in _BESIDE), *((each, None) for each in _ANYWHERE)]
    found = await asyncio.gather(*(_list(client, each, where) for each, where in listed))
    objects = {each: items for (each, _), items in zip(listed, found, strict=True) if items is not None}
    unread = tuple(each for (each, _), items in zip(listed, found, strict=True) if items is None)
    for each in objects.get(CANARY, ()):
        ref = mapping(mapping(each.get("spec")).get("targetRef"))
        if (ref.get("kind"), ref.get("name")) == (resource.kind, name):
            raise CommandError(
                f"{namespace}/{name}: Canary {name_of(each)} rolls it out already; see canary explain {name_of(each)}",
                code=FAILED,
            )
    return Surroundings(resource, target, objects, unread, await _labels(client, namespace))


async def _list(client: KubeClient, resource: Resource, namespace: str | None) -> tuple[Json, ...] | None:
    """The objects of a kind; None where they may not be read."""
    try:
        found: list[Json] = (await client.list(resource, namespace))["items"]
    except NotFound:
        return ()
    except Forbidden:
        return None
    return tuple({"apiVersion": resource.api_version, "kind": resource.kind, **each} for each in found)


async def _labels(client: KubeClient, namespace: str) -> Mapping[str, str]:
    try:
        found = await client.get(NAMESPACE, None, namespace)
    except (Forbidden, NotFound):
        return {}
    return {key: str(value) for key, value in mapping(mapping(found.get("metadata")).get("labels")).items()}
