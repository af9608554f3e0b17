"""Fixtures of further gateways on the cluster of the session: the first test that asks for one starts it.

A conftest takes them over by importing them; see `tests.tools.clusters`. `make gateways` builds their programs.
"""

import pytest_asyncio

from canary.sandbox.cluster import Cluster
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.contour import CONTOUR
from canary.sandbox.gateways.envoy_gateway import ENVOY_GATEWAY
from canary.sandbox.gateways.ingress_nginx import INGRESS_NGINX
from canary.sandbox.gateways.istio import ISTIO
from canary.sandbox.gateways.nginx import NGINX


@pytest_asyncio.fixture
async def contour(cluster: Cluster) -> Gateway:
    """Contour and its Envoy, for HTTPProxies and for HTTPRoutes with `contour.parent`."""
    await cluster.open(CONTOUR)
    return CONTOUR


@pytest_asyncio.fixture
async def envoy_gateway(cluster: Cluster) -> Gateway:
    """Envoy Gateway and its Envoy, for HTTPRoutes with `envoy_gateway.parent`."""
    await cluster.open(ENVOY_GATEWAY)
    return ENVOY_GATEWAY


@pytest_asyncio.fixture
async def ingress_nginx(cluster: Cluster) -> Gateway:
    """ingress-nginx itself, for Ingresses of the class `ingress-nginx`."""
    await cluster.open(INGRESS_NGINX)
    return INGRESS_NGINX


@pytest_asyncio.fixture
async def istio(cluster: Cluster) -> Gateway:
    """Istio and an Envoy, for VirtualServices of `istio-system/public` and for HTTPRoutes with `istio.parent`."""
    await cluster.open(ISTIO)
    return ISTIO


@pytest_asyncio.fixture
async def nginx(cluster: Cluster) -> Gateway:
    """Traefik as an ingress-nginx, for Ingresses of the class `nginx`."""
    await cluster.open(NGINX)
    return NGINX
