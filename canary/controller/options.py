"""How one controller was told to work: the command line as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from canary.alerts.alert import Destination
from canary.api.freezes import FreezeWindow
from canary.workloads.base import Rules
from outbound.destinations import Destinations


@dataclass(frozen=True, slots=True)
class VoteSettings:
    """How votes come by HTTP.

    Args:
        address: the address to listen on; empty for all.
        port: the TCP port; 0 for any that is free.
        key_file: the file with the keys of links, one a line; None for no links.
        audience: for whom tokens must have been made; empty for the API server itself.
        certificate: folder with `tls.crt` and `tls.key`; None for votes without TLS.
    """

    address: str
    port: int
    key_file: Path | None = None
    audience: str = ""
    certificate: Path | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """How the API server is answered that asks before it stores Canaries, MetricTemplates and AlertProviders.

    Args:
        port: TCP port.
        name: name of the Service that leads here, of the Secret with the certificate and of the configurations of
            webhooks.
        folder: has a certificate of others, in `tls.crt` and `tls.key`; None where one is made here.
        life: how long a certificate is good that is made here.
        converts: whether the definition of Canaries is to trust that certificate, too, as it serves v1beta2.
    """

    port: int
    name: str = "canary-controller-admission"
    folder: Path | None = None
    life: timedelta = timedelta(days=90)
    converts: bool = False


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
        freezes: times at which no rollout begins, of any Canary.
        max_rollouts: how many rollouts may go on at once; 0 for any number.
        leader_election: whether a Lease says which of several controllers acts.
        lease_namespace: namespace of that Lease.
        destinations: which addresses may be called by what Canaries, templates and these settings name.
        event_webhook: address that is told of every event of Canaries without an event hook of their own.
        messengers: who gets the alerts of Canaries that name no provider.
        cluster: name of the cluster in alerts.
        links: templates of links that go with every alert, by the words to be clicked.
        traces: where spans of rollouts go, by OTLP over HTTP; empty where nothing is traced.
        votes: where votes on gates are taken by HTTP; None for nowhere.
        admission: how the API server is answered; None where it isn't.
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
    freezes: tuple[FreezeWindow, ...] = ()
    max_rollouts: int = 0
    leader_election: bool = True
    lease_namespace: str = "kube-system"
    destinations: Destinations = field(default_factory=Destinations)
    event_webhook: str = field(default="", repr=False)
    messengers: tuple[Destination, ...] = ()
    cluster: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    traces: str = field(default="", repr=False)
    votes: VoteSettings | None = None
    admission: Admission | None = None
