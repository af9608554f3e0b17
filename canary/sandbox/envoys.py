"""Envoys that istiod configures: as a gateway, beside a pod's program, or for a client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from canary.kube.types import Json
from canary.sandbox import addresses

CLUSTER = "Kubernetes"
XDS_PORT = 15010
ADMIN_PORT = 15000
# Without the first, two Envoys of one machine share memory; without the second, each takes as many threads as there
# are cores.
ALONE = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warn")

_TAGS = [
    # Istio's own. With Envoy's a cluster's name would be cut at its dots.
    {"tag_name": "cluster_name", "regex": r"^cluster(\.(.+);)"},
    {
        "tag_name": "http_conn_manager_prefix",
        "regex": r"^http\.(((?:[_.[:digit:]\w]*|[_\[\]aAbBcCdDeEfF[:digit:]\w\:]*));\.)",
    },
    {"tag_name": "response_code", "regex": r"_rq(_(\d{3}))$"},
    {"tag_name": "response_code_class", "regex": r"_rq(_(\dxx))$"},
]


@dataclass(frozen=True, slots=True)
class Proxy:
    """Who an Envoy is to istiod.

    Attributes:
        kind: a gateway, or one beside a program.
        ip: its address.
        name: its pod's name.
        namespace: its pod's namespace.
        workload: what its pod is one of.
        labels: its pod's labels.
    """

    kind: Literal["router", "sidecar"]
    ip: str
    name: str
    namespace: str
    workload: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def node(self) -> Json:
        """What it says of itself."""
        metadata = {
            "NAMESPACE": self.namespace,
            "NAME": self.name,
            "CLUSTER_ID": CLUSTER,
            "ISTIO_VERSION": "1.31.0",
            "MESH_ID": "cluster.local",
            "LABELS": dict(self.labels),
            "INSTANCE_IPS": self.ip,
            "SERVICE_ACCOUNT": "default",
            "WORKLOAD_NAME": self.workload,
            **({"INTERCEPTION_MODE": "NONE"} if self.kind == "sidecar" else {}),
        }
        return {
            "id": f"{self.kind}~{self.ip}~{self.name}.{self.namespace}~{self.namespace}.svc.cluster.local",
            "cluster": f"{self.workload}.{self.namespace}",
            "metadata": metadata,
        }


def bootstrap(proxy: Proxy) -> Json:
    """What an Envoy begins with; all else it learns from istiod. Its own pages are at its address, `ADMIN_PORT`."""
    source = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {
        "node": proxy.node,
        "admin": {"address": _address(proxy.ip, ADMIN_PORT)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "istiod"}}],
            },
            "cds_config": source,
            "lds_config": source,
        },
        "static_resources": {"clusters": [_istiod()]},
        "stats_config": {"use_all_default_tags": False, "stats_tags": _TAGS},
        "stats_flush_interval": "1s",  # histograms are as new as counters at a scrape a second
    }


RENAMED: tuple[Json, ...] = (
    {"source_labels": ["__name__"], "regex": "envoy_(istio_.+)", "target_label": "__name__"},
    *(
        {
            "source_labels": ["destination_workload"],
            "regex": "([^;]*);([^;]*);.*",
            "target_label": label,
            "replacement": part,
        }
        for label, part in (("destination_workload_namespace", "$2"), ("destination_workload", "$1"))
    ),
)
"""How Prometheus is to call what such an Envoy counts: as Istio does."""


def scraping(name: str, host: str) -> Json:
    """Prometheus's job for an Envoy."""
    return {
        "job_name": name,
        "metrics_path": "/stats/prometheus",
        "static_configs": [{"targets": [f"{host}:{ADMIN_PORT}"]}],
        "metric_relabel_configs": list(RENAMED),
    }


def _istiod() -> Json:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2 = {"@type": f"type.googleapis.com/{options}", "explicit_http_config": {"http2_protocol_options": {}}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(addresses.ISTIO, XDS_PORT)}}]}]
    return {
        "name": "istiod",
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {options: http2},
        "load_assignment": {"cluster_name": "istiod", "endpoints": endpoints},
    }


def _address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}
