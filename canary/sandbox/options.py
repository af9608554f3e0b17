"""How a cluster is to be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from canary.sandbox.addresses import OWN, Site
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.prometheus import Scraping

CONTROLLER = "system:serviceaccount:canary-system:canary-controller"
"""The user that a controller installed by `deploy/` is."""


@dataclass(frozen=True, slots=True)
class Companion:
    """A program that runs beside the cluster, such as a controller or a load tester.

    In its command and its environment `{kubeconfig}` stands for the path of its user's kubeconfig file.

    Attributes:
        name: what it is called among the cluster's parts.
        command: its argument list.
        user: one of the options' users, or `admin`.
        environment: variables added to those of this process.
        ready_url: it is ready once a GET of this address is answered with 2xx; None for at once.
    """

    name: str
    command: tuple[str, ...]
    user: str = "admin"
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_url: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How a cluster is to be.

    Attributes:
        folder: for its data and logs; None for a temporary one that goes with the cluster.
        namespaces: are created. Names without a namespace are looked for in the first.
        users: may talk to the API server beside the administrator: from name to groups. What they may do is a matter
            of RBAC; the group `system:masters` may do all.
        audited: the users whose requests the audit log records.
        names: further host names: to an address or to another name.
        nodes: how many nodes there are.
        fake_delay: None for pods that are processes; else pods are empty, and ready after so many seconds.
        gateways: the ways into it that run from the start.
        prometheus: whether Prometheus runs.
        scraping: what Prometheus scrapes.
        crash_backoff: seconds before a container's second restart, doubled at each after it.
        manifests: files of objects that are applied before the companions start.
        companions: programs that run beside it.
        site: its addresses.
        names_served: whether the network's name server is this cluster's: one network has one.
        members: further clusters in the same network, which `canary.sandbox.clusters` starts beside it: by name.
    """

    folder: Path | None = None
    namespaces: tuple[str, ...] = ("test", "canary")
    users: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {CONTROLLER: ()})
    audited: tuple[str, ...] = (CONTROLLER,)
    names: Mapping[str, str] = field(default_factory=dict)
    nodes: int = 2
    fake_delay: float | None = None
    gateways: tuple[Gateway, ...] = (TRAEFIK,)
    prometheus: bool = True
    scraping: Scraping = field(default_factory=Scraping)
    crash_backoff: float = 1.0
    manifests: tuple[Path, ...] = ()
    companions: tuple[Companion, ...] = ()
    site: Site = OWN
    names_served: bool = True
    members: Mapping[str, "Options"] = field(default_factory=dict)
