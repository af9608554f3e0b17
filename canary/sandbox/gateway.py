"""The gateway: Traefik, reading its own resources and those of Gateway API from the API server."""

import json
from pathlib import Path

from canary.kube.types import Json, Resource
from canary.sandbox import addresses

NAME = "traefik"
"""Name of the GatewayClass, and of the Gateway that routes attach to, in the namespace `NAMESPACE`."""
NAMESPACE = "gateway"
_MANIFESTS = Path(__file__).parent / "manifests"
_PORTS = {"web": 80, "app": 9898}
_BUCKETS = "0.005,0.01,0.025,0.05,0.1,0.2,0.3,0.5,0.75,1,1.5,2.5,5,10"


def schemas() -> list[Json]:
    """The CustomResourceDefinitions that it needs."""
    files = (_MANIFESTS / "traefik-crds.json", _MANIFESTS / "gateway-api-crds.json")
    return [definition for file in files for definition in json.loads(file.read_text())]


def objects() -> list[tuple[Resource, Json]]:
    """The GatewayClass and the Gateway, which is open to routes of every namespace."""
    group, version = "gateway.networking.k8s.io", "v1"
    listeners = [
        {"name": name, "port": port, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
        for name, port in _PORTS.items()
    ]
    gateway_class: Json = {
        "metadata": {"name": NAME},
        "spec": {"controllerName": "traefik.io/gateway-controller"},
    }
    gateway: Json = {
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"gatewayClassName": NAME, "listeners": listeners},
    }
    return [
        (Resource(group, version, "gatewayclasses", "GatewayClass", namespaced=False), gateway_class),
        (Resource(group, version, "gateways", "Gateway"), gateway),
    ]


def command(program: Path, *, token: str, certificate: Path) -> list[str]:
    """The command line of Traefik, which follows routes and pods as late as it does where nobody tells it otherwise."""
    providers = [
        f"--providers.{provider}.{option}"
        for provider in ("kubernetescrd", "kubernetesgateway")
        for option in (
            f"endpoint={addresses.PATIENT_API_URL}",
            f"token={token}",
            f"certauthfilepath={certificate}",
        )
    ]
    entry_points = [
        f"--entrypoints.{name}.address={addresses.GATEWAY}:{port}"
        for name, port in (*_PORTS.items(), ("metrics", addresses.GATEWAY_METRICS_PORT))
    ]
    return [
        str(program),
        *entry_points,
        *providers,
        "--entrypoints.web.asdefault=true",
        "--entrypoints.app.asdefault=true",
        "--providers.kubernetescrd.allowcrossnamespace=true",
        f"--providers.kubernetesgateway.statusaddress.ip={addresses.GATEWAY}",
        "--metrics.prometheus=true",
        "--metrics.prometheus.entrypoint=metrics",
        f"--metrics.prometheus.buckets={_BUCKETS}",
        "--ping=true",
        "--ping.entrypoint=metrics",
        "--log.level=INFO",
        "--log.nocolor=true",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]
