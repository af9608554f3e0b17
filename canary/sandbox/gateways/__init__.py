"""The gateways that a sandbox can have, a module each."""

from collections.abc import Mapping

from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.contour import CONTOUR
from canary.sandbox.gateways.envoy_gateway import ENVOY_GATEWAY
from canary.sandbox.gateways.ingress_nginx import INGRESS_NGINX
from canary.sandbox.gateways.istio import ISTIO
from canary.sandbox.gateways.nginx import NGINX

FURTHER: Mapping[str, Gateway] = {
    gateway.name: gateway for gateway in (CONTOUR, ISTIO, NGINX, ENVOY_GATEWAY, INGRESS_NGINX)
}
"""Those that run where they are asked for, beside Traefik; by name."""
