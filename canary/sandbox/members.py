"""Members of fleets: whole clusters beside the sandbox's own, where a hub knows them and its gateway leads to them."""

import base64
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from canary.kube.client import KubeClient
from canary.kube.types import SECRET, SERVICE, Json, Resource
from canary.sandbox import credentials
from canary.sandbox.addresses import MOST_SITES, Site
from canary.sandbox.bootstrap import MANAGER
from canary.sandbox.cluster import Cluster
from canary.sandbox.credentials import Way
from canary.sandbox.gateways.traefik import traefik
from canary.sandbox.installation import at_tools, controller_of, scraping_of
from canary.sandbox.options import CONTROLLER, Companion, Options

MOST: Final = MOST_SITES - 1
SYSTEM: Final = "canary-system"
APPLICATIONS: Final = "test"
"""The namespace in which the Services that lead to members are."""
HUB: Final = f"system:serviceaccount:{SYSTEM}:canary-fleet-hub"
"""Who the hub is in its own cluster."""
HUB_IN_MEMBER: Final = f"system:serviceaccount:{SYSTEM}:canary-hub"
"""Who the hub is in a member."""
HUB_PORT: Final = 10090
_RIGHTS = Path(__file__).parent / "manifests"
_SLICE = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")


def names(count: int) -> tuple[str, ...]:
    """What so many members are called."""
    return tuple(f"cluster{number}" for number in range(1, count + 1))


def with_members(options: Options, count: int, definitions: Path) -> Options:
    """The same cluster with a hub, and so many members beside it.

    The hub and the members' controllers have the rights that `deploy/` gives them, and no others.

    Args:
        options: the cluster without them; the definitions are applied there.
        count: how many members there are, at most `MOST`.
        definitions: the file of our CustomResourceDefinitions.
    """
    sites = {name: Site(number) for number, name in enumerate(names(count), 1)}
    return replace(
        options,
        namespaces=(*options.namespaces, SYSTEM),
        users={**options.users, HUB: ()},
        manifests=(*options.manifests, _RIGHTS / "hub.yaml"),
        companions=(*options.companions, _hub()),
        members={name: _member(site, options.nodes, definitions) for name, site in sites.items()},
    )


def _hub() -> Companion:
    command = [sys.executable, "-m", "canary", "hub", "--kubeconfig={kubeconfig}"]
    command += [f"--member-namespaces={SYSTEM}", f"--lease-namespace={SYSTEM}"]
    return at_tools("hub", command, HUB_PORT, "/readyz", HUB)


def _member(site: Site, nodes: int, definitions: Path) -> Options:
    return Options(
        namespaces=(APPLICATIONS, SYSTEM),
        users={CONTROLLER: (), HUB_IN_MEMBER: ()},
        nodes=nodes,
        gateways=(traefik(site),),
        scraping=scraping_of(site),
        manifests=(definitions, _RIGHTS / "member.yaml"),
        companions=(controller_of(site, f"--leader-election-namespace={SYSTEM}"),),
        site=site,
        names_served=False,
    )


async def join(own: Cluster, name: str, member: Cluster) -> None:
    """Have the hub know a member, and the hub's cluster have a Service that leads to the member's gateway."""
    user = credentials.User(HUB_IN_MEMBER, member.token(HUB_IN_MEMBER))
    way = Way(user, member.options.site.api_url, member.certificate)
    gateway = member.options.gateways[0]
    async with KubeClient.connect(own.kubeconfig, user_agent=MANAGER) as client:
        for resource, obj in [*leading(name, gateway.host, gateway.port), (SECRET, known_as(name, {name: way}))]:
            await client.apply(resource, obj, field_manager=MANAGER)


def known_as(name: str, ways: Mapping[str, Way]) -> Json:
    """The Secret by which a hub knows a member."""
    text = credentials.kubeconfig(ways)
    labels = {"fleet.canary.dev/member": "kubeconfig"}
    metadata = {"name": name, "namespace": SYSTEM, "labels": labels}
    return {"metadata": metadata, "data": {"kubeconfig": base64.b64encode(text.encode()).decode()}}


def leading(name: str, host: str, port: int) -> Sequence[tuple[Resource, Json]]:
    """A Service without pods, of the member's name, and its one endpoint: the member's gateway."""
    there = {"endpoints": [{"addresses": [host], "conditions": {"ready": True}}], "ports": [{"name": "", "port": port}]}
    labels = {"kubernetes.io/service-name": name}
    return (
        (SERVICE, {"metadata": _placed(name), "spec": {"ports": [{"port": port}]}}),
        (_SLICE, {"metadata": {**_placed(f"{name}-gateway"), "labels": labels}, "addressType": "IPv4", **there}),
    )


def _placed(name: str) -> Json:
    return {"name": name, "namespace": APPLICATIONS}
