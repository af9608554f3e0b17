"""The command lines of the real control plane: etcd, kube-apiserver, kube-controller-manager."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from canary.sandbox.addresses import Site

_CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "daemonset-controller",
    "statefulset-controller",
    "job-controller",
    "cronjob-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "disruption-controller",
    "resourcequota-controller",
)


@dataclass(frozen=True, slots=True)
class Files:
    """Where the control plane keeps what, under one folder."""

    folder: Path

    @property
    def data(self) -> Path:
        """The etcd database."""
        return self.folder / "etcd"

    @property
    def certificates(self) -> Path:
        """Where the API server puts the certificate that it makes for itself."""
        return self.folder / "certificates"

    @property
    def certificate(self) -> Path:
        """What clients verify the API server by."""
        return self.certificates / "apiserver.crt"

    @property
    def certificate_key(self) -> Path:
        """The private key of `certificate`."""
        return self.certificates / "apiserver.key"

    @property
    def tokens(self) -> Path:
        """The API server's token file."""
        return self.folder / "tokens.csv"

    @property
    def signing_key(self) -> Path:
        """The key of service account tokens."""
        return self.folder / "service-accounts.key"

    @property
    def audit_policy(self) -> Path:
        """Which requests are recorded."""
        return self.folder / "audit-policy.json"

    @property
    def audit_log(self) -> Path:
        """The recorded requests, a JSON object a line."""
        return self.folder / "audit.log"


def write_audit_policy(path: Path, users: Sequence[str]) -> None:
    """Record every request of these users, once it is answered, and nobody else's."""
    rules: list[Mapping[str, object]] = [{"level": "None"}]
    if users:
        stages = ["RequestReceived", "ResponseStarted"]
        rules.insert(0, {"level": "Metadata", "users": list(users), "omitStages": stages})
    path.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}))


def etcd(program: Path, files: Files, site: Site) -> list[str]:
    """The command line of etcd. It keeps nothing through a power cut: nothing here needs to."""
    return [
        str(program),
        f"--data-dir={files.data}",
        f"--listen-client-urls={site.etcd_url}",
        f"--advertise-client-urls={site.etcd_url}",
        f"--listen-peer-urls={site.etcd_peer_url}",
        f"--initial-advertise-peer-urls={site.etcd_peer_url}",
        f"--initial-cluster=default={site.etcd_peer_url}",
        "--unsafe-no-fsync",
        "--heartbeat-interval=500",
        "--election-timeout=2500",
        "--initial-election-tick-advance=true",
        "--log-level=warn",
    ]


def api_server(program: Path, files: Files, site: Site) -> list[str]:
    """The command line of kube-apiserver."""
    return [
        str(program),
        f"--etcd-servers={site.etcd_url}",
        "--bind-address=0.0.0.0",  # so that its certificate names localhost too, for relays
        f"--advertise-address={site.api_server}",
        f"--secure-port={site.api_port}",
        f"--service-cluster-ip-range={site.service_range}",
        f"--cert-dir={files.certificates}",
        f"--token-auth-file={files.tokens}",
        "--authorization-mode=Node,RBAC",
        f"--service-account-issuer={site.api_url}",
        f"--service-account-key-file={files.signing_key}",
        f"--service-account-signing-key-file={files.signing_key}",
        # Pods need no token mounted, and nodes no node lifecycle controller to be taken as ready.
        "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
        f"--audit-policy-file={files.audit_policy}",
        f"--audit-log-path={files.audit_log}",
        "--feature-gates=SizeBasedListCostEstimate=false",
        "--enable-priority-and-fairness=false",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
        "--profiling=false",
        "--shutdown-delay-duration=0s",
        "--shutdown-send-retry-after=false",
        "--goaway-chance=0",
        "--v=1",
    ]


def controller_manager(program: Path, files: Files, kubeconfig: Path) -> list[str]:
    """The command line of kube-controller-manager: the controllers of workloads, endpoints and garbage."""
    return [
        str(program),
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--leader-elect=false",
        f"--service-account-private-key-file={files.signing_key}",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--endpointslice-updates-batch-period=0",
        "--secure-port=0",
        "--profiling=false",
        "--v=1",
    ]
