"""How one controller was told to work: the command line as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from canary.alerts.alert import Destination
from canary.workloads.base import Rules


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of a controller.

    Args:
        kubeconfig: the way to the API server; None is the pod's service account.
        context: context of the kubeconfig; None is its current one.
        namespace: the only namespace to work in; None is all.
        mesh_provider: traffic provider of Canaries that name none.
        settle: how long the data plane of a traffic provider is given to follow, by the provider's name, or under the
            empty name of every other; of one that isn't named, what is known of it counts.
        metrics_server: address of the Prometheus of Canaries that name none.
        address: where `/metrics`, `/healthz` and `/readyz` are served; empty for all addresses.
        port: TCP port of `/metrics`, `/healthz` and `/readyz`.
        rules: how versions are told apart, and what is copied to the primary.
        track_configs: whether ConfigMaps and Secrets belong to a revision.
        cross_namespace_refs: whether templates and alert providers of other namespaces may be named.
        workers: how many Canaries are worked on at once.
        leader_election: whether a Lease says which of several controllers acts.
        lease_namespace: namespace of that Lease.
        event_webhook: address that is told of every event of Canaries without an event hook of their own.
        messengers: who gets the alerts of Canaries that name no provider.
        cluster: name of the cluster in alerts.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    mesh_provider: str = "traefik"
    settle: Mapping[str, timedelta] = field(default_factory=dict)
    metrics_server: str = "http://prometheus:9090"
    address: str = ""
    port: int = 8080
    rules: Rules = field(default_factory=Rules)
    track_configs: bool = True
    cross_namespace_refs: bool = True
    workers: int = 10
    leader_election: bool = True
    lease_namespace: str = "kube-system"
    event_webhook: str = field(default="", repr=False)
    messengers: tuple[Destination, ...] = ()
    cluster: str = ""
