"""Istio: its control plane, istiod, and a plain Envoy as its ingress gateway.

It follows changes as late as where nobody tells it otherwise: a tenth of a second after the last of them, and up to ten
seconds after the first while they go on.

Envoy from its wheel has none of the filters that Istio adds to it. istiod is told to leave them out, and the metrics
are those of Envoy's own access logger for statistics, under Istio's names: they show that a query finds its series,
not that Istio still calls them so.
"""

import json
from collections.abc import Mapping

from canary.kube.types import ENDPOINT_SLICE, SERVICE, Json, Resource
from canary.sandbox import addresses, envoys
from canary.sandbox.gateway import Gateway, Program, gateway_api

NAMESPACE = "istio-system"
GATEWAY = "public"
"""The Gateway for VirtualServices of every namespace, who call it `istio-system/public`."""

VIRTUAL_SERVICE = Resource("networking.istio.io", "v1", "virtualservices", "VirtualService")
SIDECAR = Resource("networking.istio.io", "v1", "sidecars", "Sidecar")
_NETWORKING = Resource("networking.istio.io", "v1", "gateways", "Gateway")
_FILTER = Resource("networking.istio.io", "v1alpha3", "envoyfilters", "EnvoyFilter")
_AUTHENTICATION = Resource("security.istio.io", "v1", "peerauthentications", "PeerAuthentication")

_NAME = "istio-ingressgateway"
_SELECTOR = {"istio": "ingressgateway"}
_HOST = addresses.ISTIO
_PORTS = {"http": 80, "app": 9898}
TCP_LISTENER, TCP_PORT = "tcp", 9000
"""Of the Gateway of Gateway API alone: takes connections, by TCPRoutes."""
_OPEN = {**_PORTS, TCP_LISTENER: TCP_PORT}
_OWN_PORT = 8180
_MONITORING_PORT = 15014

_DISCOVERY = (
    "discovery",
    "--kubeconfig={kubeconfig}",
    "--meshConfig={folder}/mesh.json",
    "--networksConfig=",
    f"--httpAddr={_HOST}:{_OWN_PORT}",
    "--httpsAddr=",
    f"--grpcAddr={_HOST}:{envoys.XDS_PORT}",
    "--secureGRPCAddr=",
    f"--monitoringAddr={_HOST}:{_MONITORING_PORT}",
    "--ctrlz_port=0",
    "--registries=Kubernetes",
    "--domain=cluster.local",
)
_ENVIRONMENT = {
    "POD_NAME": "istiod-0",
    "POD_NAMESPACE": NAMESPACE,
    "SERVICE_ACCOUNT": "istiod",
    "REVISION": "default",
    "CLUSTER_ID": envoys.CLUSTER,
    "ENABLE_CA_SERVER": "false",
    "PILOT_CERT_PROVIDER": "none",
    "ENABLE_LEADER_ELECTION": "false",
    "INJECT_ENABLED": "false",
    "VALIDATION_WEBHOOK_CONFIG_NAME": "",
    "INJECTION_WEBHOOK_CONFIG_NAME": "",
    "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
    "PILOT_ENABLE_STATUS": "true",
    # Plain Envoy has neither of these filters.
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
}
_MESH: Json = {
    "accessLogFile": "",
    "enablePrometheusMerge": False,
    "trustDomain": "cluster.local",
    "rootNamespace": NAMESPACE,
    "defaultConfig": {"discoveryAddress": f"{_HOST}:{envoys.XDS_PORT}"},
    "defaultProviders": {"metrics": [], "tracing": [], "accessLogging": []},
    "enableAutoMtls": False,
    "ingressService": _NAME,
    "ingressSelector": _SELECTOR["istio"],
}


def _objects() -> tuple[tuple[Resource, Json], ...]:
    ports = [{"name": name, "port": port, "targetPort": port} for name, port in _OPEN.items()]
    servers = [
        {"port": {"number": port, "name": name, "protocol": "HTTP"}, "hosts": ["*"]} for name, port in _PORTS.items()
    ]
    return (
        (SERVICE, _called(_NAME, {"selector": _SELECTOR, "ports": ports})),
        (ENDPOINT_SLICE, _endpoints()),
        (_NETWORKING, _called(GATEWAY, {"selector": _SELECTOR, "servers": servers})),
        # A sidecar's listener would otherwise wait for certificates that nobody hands out here.
        *_gateway_api(),
        (_AUTHENTICATION, _called("default", {"mtls": {"mode": "DISABLE"}})),
        (_FILTER, _called("address", {"configPatches": [_address()]})),
        (_FILTER, _called("statistics", {"configPatches": _statistics()})),
    )


def _endpoints() -> Json:
    """Where the gateway's Service leads: its Envoy is no pod, so that nobody else says it."""
    labels = {"kubernetes.io/service-name": _NAME, "endpointslice.kubernetes.io/managed-by": "canary-sandbox"}
    return {
        "metadata": {"name": _NAME, "namespace": NAMESPACE, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [_HOST], "conditions": {"ready": True}}],
        "ports": [{"name": name, "port": port} for name, port in _OPEN.items()],
    }


def _gateway_api() -> tuple[tuple[Resource, Json], ...]:
    """The Gateway of the Envoy that is there already, for which istiod is to deploy none."""
    gateway_class, (resource, gateway) = gateway_api("istio", NAMESPACE, "istio.io/gateway-controller", _PORTS)
    service = {"type": "Hostname", "value": f"{_NAME}.{NAMESPACE}.svc.cluster.local"}
    everybody = {"namespaces": {"from": "All"}}
    tcp = {"name": TCP_LISTENER, "port": TCP_PORT, "protocol": "TCP", "allowedRoutes": everybody}
    spec = {**gateway["spec"], "addresses": [service], "listeners": [*gateway["spec"]["listeners"], tcp]}
    own = {**gateway, "spec": spec}
    return gateway_class, (resource, own)


def _called(name: str, spec: Json) -> Json:
    return {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _address() -> Json:
    """The gateway listens at its own address: all programs share one network, where others have ports of `0.0.0.0`."""
    address = {"address": {"socket_address": {"address": _HOST}}}
    return {
        "applyTo": "LISTENER",
        "match": {"context": "GATEWAY"},
        "patch": {"operation": "MERGE", "value": address},
    }


def _statistics() -> list[Json]:
    server = {
        "reporter": "destination",
        "destination_workload": "%CEL(xds.node.metadata.WORKLOAD_NAME)%",
        "destination_workload_namespace": "%CEL(xds.node.metadata.NAMESPACE)%",
    }
    # What istiod says of an endpoint is `WORKLOAD;NAMESPACE;…`, which Prometheus takes apart.
    client = {
        "reporter": "source",
        "destination_workload": "%UPSTREAM_METADATA(istio:workload)%",
        "destination_workload_namespace": "%UPSTREAM_METADATA(istio:workload)%",
    }
    return [
        _counted("GATEWAY", client),
        _counted("SIDECAR_OUTBOUND", client),
        _counted("SIDECAR_INBOUND", server),
    ]


def _counted(context: str, labels: Mapping[str, str]) -> Json:
    values = {**labels, "response_code": "%RESPONSE_CODE%", "request_protocol": "http"}
    tags = [{"name": name, "value_format": value} for name, value in values.items()]
    durations = {"name": "request_duration_milliseconds", "tags": tags}
    configuration: Json = {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
        "stat_prefix": "istio",
        "counters": [{"stat": {"name": "requests_total", "tags": tags}, "value_fixed": 1}],
        "histograms": [{"stat": durations, "unit": "Milliseconds", "value_format": "%DURATION%"}],
    }
    manager = "envoy.filters.network.http_connection_manager"
    return {
        "applyTo": "NETWORK_FILTER",
        "match": {"context": context, "listener": {"filterChain": {"filter": {"name": manager}}}},
        "patch": {
            "operation": "MERGE",
            "value": {
                "typed_config": {
                    "@type": f"type.googleapis.com/{_MANAGER}",
                    "access_log": [{"name": "envoy.access_loggers.stats", "typed_config": configuration}],
                }
            },
        },
    }


_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def _bootstrap() -> Json:
    labels = {**_SELECTOR, "app": _NAME}
    proxy = envoys.Proxy("router", ip=_HOST, name=f"{_NAME}-0", namespace=NAMESPACE, workload=_NAME, labels=labels)
    return envoys.bootstrap(proxy)


ISTIO = Gateway(
    name="istio",
    namespace=NAMESPACE,
    host=_HOST,
    port=_PORTS["http"],
    programs=(
        Program("istiod", "pilot-discovery", _DISCOVERY, f"http://{_HOST}:{_OWN_PORT}/ready", _ENVIRONMENT),
        Program(
            "istio-envoy",
            "envoy",
            ("-c", "{folder}/envoy.json", *envoys.ALONE),
            f"http://{_HOST}:{envoys.ADMIN_PORT}/ready",
        ),
    ),
    schemas=("istio-crds.json", "gateway-api-crds.json", "tcp-route-crds.json"),
    objects=_objects(),
    files={"mesh.json": json.dumps(_MESH), "envoy.json": json.dumps(_bootstrap(), indent=1)},
    scraping=(envoys.scraping("istio", _HOST),),
)
"""A VirtualService is served whose gateways have `istio-system/public` among them."""
