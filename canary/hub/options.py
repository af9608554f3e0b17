"""How one hub was told to work: the command line as a value."""

from dataclasses import dataclass, field
from pathlib import Path

from outbound.destinations import Destinations


@dataclass(frozen=True, slots=True)
class HubOptions:
    """The settings of a hub.

    Args:
        kubeconfig: the way to the API server of the hub's own cluster; None is the pod's service account.
        context: context of the kubeconfig; None is its current one.
        namespace: the only namespace whose CanaryFleets count; None is all.
        sources: what stands for clusters, by the names of `canary.fleet.members.registry`.
        member_namespaces: where that and its Secrets are; the hub's own namespace where empty.
        placements: whether FederatedDeployments are watched, by whose placement fleets may choose members.
        address: where `/healthz`, `/readyz` and `/metrics` are served; empty for all addresses.
        port: TCP port of these.
        workers: how many fleets are worked on at once.
        leader_election: whether a Lease says which of several hubs acts.
        lease_namespace: namespace of that Lease; the hub's own where empty.
        destinations: which addresses gates may have.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    sources: tuple[str, ...] = ("kubeconfig",)
    member_namespaces: tuple[str, ...] = ()
    placements: bool = False
    address: str = ""
    port: int = 8080
    workers: int = 4
    leader_election: bool = True
    lease_namespace: str = ""
    destinations: Destinations = field(default_factory=Destinations)
