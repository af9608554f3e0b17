"""Envoy Gateway with an Envoy, reading the resources of Gateway API.

In a cluster it would have a Deployment for each Gateway. Here it is told that others see to its data plane (its
infrastructure of the type `Remote`): the Envoy below, for its one Gateway. That nobody answers where it asks for one is
in its log, and all.
"""

import json

from canary.kube.types import ENDPOINT_SLICE, SERVICE, Json, Resource
from canary.sandbox import addresses, envoys
from canary.sandbox.gateway import Gateway, Program, gateway_api

_NAME, _NAMESPACE = "envoy-gateway", "envoy-gateway-system"
_CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
_HOST = addresses.ENVOY_GATEWAY
# Its listeners are at 0.0.0.0, so that nobody else in this network may have the port at any address.
_PORT = 8087
_XDS_PORT = 18000
_ADMIN_PORT = 9901
_OTHERS_PORT = 18005  # nobody listens there
_CERTIFICATES = "{folder}/certs"
_FLUSH_SECONDS = 1  # histograms are as new as counters at a scrape a second


def _configuration() -> Json:
    resources: Json = {"type": "Kubernetes", "kubernetes": {"leaderElection": {"disable": True}}}
    others = {"ip": {"address": _HOST, "port": _OTHERS_PORT}}
    infrastructure: Json = {"type": "Remote", "remote": {"service": others}}
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyGateway",
        "gateway": {"controllerName": _CONTROLLER},
        "provider": {"type": "Custom", "custom": {"resource": resources, "infrastructure": infrastructure}},
        "admin": {"address": {"host": _HOST, "port": 19000}},
        "telemetry": {"metrics": {"prometheus": {"disable": True}}},
    }


def _objects() -> tuple[tuple[Resource, Json], ...]:
    """The Gateway, and the Service whose address is its own, as that of a Deployment's would be."""
    owner = "gateway.envoyproxy.io/owning-gateway"
    labels = {f"{owner}-name": _NAME, f"{owner}-namespace": _NAMESPACE}
    port: Json = {"name": "http", "port": _PORT}
    about = {"name": _NAME, "namespace": _NAMESPACE}
    led = {"kubernetes.io/service-name": _NAME, "endpointslice.kubernetes.io/managed-by": "canary-sandbox"}
    endpoints = {
        "metadata": {**about, "labels": led},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [_HOST], "conditions": {"ready": True}}],
        "ports": [port],
    }
    return (
        (SERVICE, {"metadata": {**about, "labels": labels}, "spec": {"ports": [{**port, "port": 80}]}}),
        (ENDPOINT_SLICE, endpoints),
        *gateway_api(_NAME, _NAMESPACE, _CONTROLLER, {"http": _PORT}),
    )


def _bootstrap() -> Json:
    """What Envoy Gateway writes for an Envoy, without what only large clusters need."""
    source = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {
        "node": {"id": f"{_NAME}-0", "cluster": f"{_NAMESPACE}/{_NAME}", "locality": {"zone": "sandbox"}},
        "admin": {"address": _address(_ADMIN_PORT)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds_cluster"}}],
            },
            "cds_config": source,
            "lds_config": source,
        },
        "static_resources": {"clusters": [_control()]},
        "stats_flush_interval": f"{_FLUSH_SECONDS}s",
    }


def _control() -> Json:
    """Where Envoy asks for its configuration: each of the two shows the other a certificate."""
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2 = {"@type": f"type.googleapis.com/{options}", "explicit_http_config": {"http2_protocol_options": {}}}
    own = {name: {"filename": f"{_CERTIFICATES}/envoy/tls.{end}"} for name, end in _FILES.items()}
    name = {"san_type": "DNS", "matcher": {"exact": "envoy-gateway"}}
    trusted = {"filename": f"{_CERTIFICATES}/envoy/ca.crt"}
    common: Json = {
        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [own],
        "validation_context": {"trusted_ca": trusted, "match_typed_subject_alt_names": [name]},
    }
    tls = {"@type": f"type.googleapis.com/{_TLS}", "common_tls_context": common}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(_XDS_PORT)}}]}]
    return {
        "name": "xds_cluster",
        "type": "STATIC",
        "typed_extension_protocol_options": {options: http2},
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
        "load_assignment": {"cluster_name": "xds_cluster", "endpoints": endpoints},
    }


_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_FILES = {"certificate_chain": "crt", "private_key": "key"}


def _address(port: int) -> Json:
    return {"socket_address": {"address": _HOST, "port_value": port}}


ENVOY_GATEWAY = Gateway(
    name=_NAME,
    namespace=_NAMESPACE,
    host=_HOST,
    port=_PORT,
    programs=(
        Program(
            "envoy-gateway",
            "envoy-gateway",
            ("server", "--config-path={folder}/envoy-gateway.json"),
            f"http://{_HOST}:{addresses.ENVOY_GATEWAY_HEALTH_PORT}/readyz",
            {"KUBECONFIG": "{kubeconfig}", "ENVOY_GATEWAY_NAMESPACE": _NAMESPACE},
            before=(
                ("{program}", "certgen", "--local", "--config-home={folder}"),
                # Further ones, as Secrets: without those it complains at every change.
                ("{program}", "certgen", "--disable-topology-injector", "--overwrite"),
            ),
            places={"/certs": f"{_CERTIFICATES}/envoy-gateway"},
        ),
        Program(
            "envoy-gateway-envoy",
            "envoy",
            ("-c", "{folder}/envoy.json", *envoys.ALONE),
            # Not `/ready`: whoever asks before Envoy Gateway knows the Gateway is told nothing until there is a route.
            f"http://{_HOST}:{_ADMIN_PORT}/server_info",
        ),
    ),
    schemas=("gateway-api-crds.json",),
    objects=_objects(),
    files={
        "envoy-gateway.json": json.dumps(_configuration()),
        "envoy.json": json.dumps(_bootstrap(), indent=1),
    },
    scraping=(
        {
            "job_name": _NAME,
            "metrics_path": "/stats/prometheus",
            "static_configs": [{"targets": [f"{_HOST}:{_ADMIN_PORT}"]}],
        },
    ),
)
"""An HTTPRoute is served whose parent is the Gateway `envoy-gateway` in `envoy-gateway-system`."""
