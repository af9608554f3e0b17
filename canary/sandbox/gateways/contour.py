"""Contour with its Envoy, reading HTTPProxies and the resources of Gateway API."""

import json

from canary.kube.types import Json
from canary.sandbox import addresses
from canary.sandbox.gateway import Gateway, Program, gateway_api

_NAME, _NAMESPACE = "contour", "projectcontour"
_HOST = addresses.CONTOUR
_LISTENER_PORT = 80
_HTTP_PORT = 8000 + _LISTENER_PORT  # Contour puts 8000 on a listener's port, whatever the flag says
_HTTPS_PORT = 8443
_XDS_PORT = 8001
_OWN_PORT = 8000
_DEBUG_PORT = 6060
_STATS_PORT = 8002
_ADMIN_PORT = 9901  # on 127.0.0.1:9001 Contour has it listen, too
_FLUSH_SECONDS = 1  # histograms are as new as counters at a scrape a second


_UNKNOWN = ("tlsroutes", "tcproutes", "backendtlspolicies")
"""What it would read in versions that today's Gateway API no longer has; without those it does not start."""


def _serve() -> tuple[str, ...]:
    """The words behind `contour`."""
    return (
        "serve",
        "--kubeconfig={kubeconfig}",
        "--config-path={folder}/contour.json",
        "--insecure",
        "--disable-leader-election",
        f"--xds-address={_HOST}",
        f"--xds-port={_XDS_PORT}",
        f"--http-address={_HOST}",
        f"--http-port={_OWN_PORT}",
        f"--health-address={_HOST}",
        f"--health-port={_OWN_PORT}",
        f"--debug-http-address={_HOST}",
        f"--debug-http-port={_DEBUG_PORT}",
        f"--stats-address={_HOST}",
        f"--stats-port={_STATS_PORT}",
        f"--envoy-service-http-address={_HOST}",
        f"--envoy-service-http-port={_HTTP_PORT}",
        f"--envoy-service-https-address={_HOST}",
        f"--envoy-service-https-port={_HTTPS_PORT}",
        f"--ingress-status-address={_HOST}",
        *(f"--disable-feature={kind}" for kind in _UNKNOWN),
    )


def _bootstrap() -> Json:
    """What `contour bootstrap` writes for Envoy, without what only large clusters need."""
    xds: Json = {"api_type": "GRPC", "transport_api_version": "V3"}
    xds["grpc_services"] = [{"envoy_grpc": {"cluster_name": "contour", "authority": "contour"}}]
    source = {"api_config_source": xds, "resource_api_version": "V3"}
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2 = {"@type": f"type.googleapis.com/{options}", "explicit_http_config": {"http2_protocol_options": {}}}
    control = {**_cluster("contour", _XDS_PORT), "typed_extension_protocol_options": {options: http2}}
    return {
        "admin": {"address": _address(_ADMIN_PORT)},
        "dynamic_resources": {"lds_config": source, "cds_config": source},
        "layered_runtime": {"layers": [{"name": "dynamic", "rtds_layer": {"name": "dynamic", "rtds_config": source}}]},
        "static_resources": {"clusters": [control, _cluster("envoy-admin", _ADMIN_PORT)]},
        "stats_flush_interval": f"{_FLUSH_SECONDS}s",
    }


def _cluster(name: str, port: int) -> Json:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


def _address(port: int) -> Json:
    return {"socket_address": {"address": _HOST, "port_value": port}}


def _job(name: str, port: int, path: str) -> Json:
    return {"job_name": name, "metrics_path": path, "static_configs": [{"targets": [f"{_HOST}:{port}"]}]}


_ENVOY = ("-c", "{folder}/envoy.json", "--service-cluster", _NAMESPACE, "--service-node", "contour-envoy")
# Without the last two, two Envoys of one machine share memory, and it takes as many threads as there are cores.
_ALONE = ("--log-level", "warn", "--disable-hot-restart", "--concurrency", "1")

CONTOUR = Gateway(
    name=_NAME,
    namespace=_NAMESPACE,
    host=_HOST,
    port=_HTTP_PORT,
    programs=(
        Program("contour", "contour", _serve(), f"http://{_HOST}:{_OWN_PORT}/healthz"),
        Program("contour-envoy", "envoy", (*_ENVOY, *_ALONE), f"http://{_HOST}:{_STATS_PORT}/ready"),
    ),
    schemas=("contour-crds.json", "gateway-api-crds.json"),
    objects=gateway_api(_NAME, _NAMESPACE, "projectcontour.io/gateway-controller", {"web": _LISTENER_PORT}),
    files={
        "contour.json": json.dumps({"gateway": {"gatewayRef": {"namespace": _NAMESPACE, "name": _NAME}}}),
        "envoy.json": json.dumps(_bootstrap(), indent=1),
    },
    scraping=(_job("contour", _STATS_PORT, "/stats/prometheus"),),
)
"""An HTTPProxy is served, and an HTTPRoute whose parent is the Gateway `contour` in `projectcontour`."""
