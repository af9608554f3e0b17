"""How an application is reached behind each gateway that runs here."""

from collections.abc import Callable
from dataclasses import dataclass

from canary.kube.types import HTTP_PROXY, HTTP_ROUTE, INGRESS, TRAEFIK_SERVICE, VIRTUAL_SERVICE, Json, Resource
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways import ingress_nginx
from canary.sandbox.gateways.contour import CONTOUR
from canary.sandbox.gateways.envoy_gateway import ENVOY_GATEWAY
from canary.sandbox.gateways.ingress_nginx import INGRESS_NGINX
from canary.sandbox.gateways.istio import GATEWAY, ISTIO, NAMESPACE
from canary.sandbox.gateways.nginx import NGINX
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.scenario import NAME, PORT

THROTTLE = 4.5
"""Seconds after which Traefik takes a change at once: it takes one in two seconds, in two places."""
SYNCHRONISED = 10.0
"""Seconds after which ingress-nginx takes a change at once: one in 3.3 seconds, and the last of several twice."""
CALM = 2.0
"""Seconds after which no other gateway has anything left to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Behind:
    """A gateway with a kind of route.

    Args:
        label: what it is called in the table.
        gateway: by which gateway.
        provider: the Canary's.
        route: the object that divides requests.
        name: of that object.
        quiet: seconds without changes, after which the gateway waits for nothing before it takes one.
        theirs: the object of the users that leads there, from a namespace and a host.
        service: what the Canary's spec says of its Service, from a host.
        spec: what else it says.
    """

    label: str
    gateway: Gateway
    provider: str
    route: Resource
    name: str = NAME
    quiet: float = CALM
    theirs: Callable[[str, str], Json | None] = lambda _namespace, _host: None
    service: Callable[[str], Json] = lambda _host: {}
    spec: Json | None = None

    def canary(self, namespace: str, host: str, analysis: Json) -> Json:
        """The Canary."""
        return {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": NAME, "namespace": namespace},
            "spec": {
                "provider": self.provider,
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
                "service": {"port": PORT, **self.service(host)},
                "analysis": analysis,
                **(self.spec or {}),
            },
        }


def _object(resource: Resource, name: str, namespace: str, spec: Json) -> Json:
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    return {**head, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def _ingress(of_class: str) -> Callable[[str, str], Json]:
    backend = {"service": {"name": NAME, "port": {"number": PORT}}}
    http = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}

    def ingress(namespace: str, host: str) -> Json:
        spec = {"ingressClassName": of_class, "rules": [{"host": host, "http": http}]}
        return _object(INGRESS, "theirs", namespace, spec)

    return ingress


def _front(namespace: str, host: str) -> Json:
    return _object(HTTP_PROXY, "theirs", namespace, {"virtualhost": {"fqdn": host}, "includes": [{"name": NAME}]})


def _attached(gateway: Gateway) -> Callable[[str], Json]:
    return lambda host: {"hosts": [host], "gatewayRefs": [gateway.parent]}


_INGRESS_REF = {"ingressRef": {"apiVersion": INGRESS.api_version, "kind": INGRESS.kind, "name": "theirs"}}
_GATEWAY_API = "gatewayapi:v1"

ISTIO_ROUTE = Behind(
    "Istio, VirtualService",
    ISTIO,
    "istio",
    VIRTUAL_SERVICE,
    service=lambda host: {"hosts": [host], "gateways": [f"{NAMESPACE}/{GATEWAY}"]},
)
EVERYWHERE = (
    Behind(
        "Traefik, TraefikService",
        TRAEFIK,
        "traefik",
        TRAEFIK_SERVICE,
        quiet=THROTTLE,
    ),
    Behind("Traefik, HTTPRoute", TRAEFIK, _GATEWAY_API, HTTP_ROUTE, quiet=THROTTLE, service=_attached(TRAEFIK)),
    Behind(
        "Traefik, Ingress (nginx)",
        NGINX,
        "nginx",
        INGRESS,
        name="theirs-canary",
        quiet=THROTTLE,
        theirs=_ingress("nginx"),
        spec=_INGRESS_REF,
    ),
    Behind("Contour, HTTPProxy", CONTOUR, "contour", HTTP_PROXY, theirs=_front),
    Behind("Contour, HTTPRoute", CONTOUR, _GATEWAY_API, HTTP_ROUTE, service=_attached(CONTOUR)),
    Behind("Istio, HTTPRoute", ISTIO, _GATEWAY_API, HTTP_ROUTE, service=_attached(ISTIO)),
    ISTIO_ROUTE,
    Behind("Envoy Gateway, HTTPRoute", ENVOY_GATEWAY, _GATEWAY_API, HTTP_ROUTE, service=_attached(ENVOY_GATEWAY)),
    Behind(
        "ingress-nginx, Ingress",
        INGRESS_NGINX,
        "nginx",
        INGRESS,
        name="theirs-canary",
        quiet=SYNCHRONISED,
        theirs=_ingress(ingress_nginx.CLASS),
        spec=_INGRESS_REF,
    ),
)
"""In this order gateways are started, each with the first that needs it."""
