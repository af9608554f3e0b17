"""Traefik, reading its own resources and those of Gateway API from the API server."""

from collections.abc import Mapping

from canary.kube.types import Json
from canary.sandbox import addresses
from canary.sandbox.addresses import OWN, Site
from canary.sandbox.gateway import Gateway, Program, gateway_api

_PORTS = {"web": 80, "app": 9898}
_BUCKETS = "0.005,0.01,0.025,0.05,0.1,0.2,0.3,0.5,0.75,1,1.5,2.5,5,10"


def program(
    part: str, host: str, ports: Mapping[str, int], providers: tuple[str, ...], *options: str, site: Site = OWN
) -> Program:
    """A Traefik that follows routes and pods as late as it does where nobody tells it otherwise.

    Args:
        part: what it is called among the cluster's parts.
        host: its address.
        ports: where it serves requests, by the names of its entry points.
        providers: what it reads from the API server.
        options: further words.
        site: the cluster that it is in.
    """
    everywhere = {**ports, "metrics": addresses.GATEWAY_METRICS_PORT}
    access = (f"endpoint={site.patient_api_url}", "token={token}", "certauthfilepath={certificate}")
    words = (
        *(f"--entrypoints.{name}.address={host}:{port}" for name, port in everywhere.items()),
        *(f"--entrypoints.{name}.asdefault=true" for name in ports),
        *(f"--providers.{provider}.{option}" for provider in providers for option in access),
        *options,
        "--metrics.prometheus=true",
        "--metrics.prometheus.entrypoint=metrics",
        f"--metrics.prometheus.buckets={_BUCKETS}",
        "--ping=true",
        "--ping.entrypoint=metrics",
        "--log.level=INFO",
        "--log.nocolor=true",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    )
    return Program(part, "traefik", words, f"http://{host}:{addresses.GATEWAY_METRICS_PORT}/ping")


def scraping(name: str, host: str) -> Json:
    """Prometheus's job for a Traefik."""
    return {"job_name": name, "static_configs": [{"targets": [f"{host}:{addresses.GATEWAY_METRICS_PORT}"]}]}


def traefik(site: Site = OWN) -> Gateway:
    """Traefik in a cluster."""
    return Gateway(
        name="traefik",
        namespace="gateway",
        host=site.gateway,
        port=_PORTS["web"],
        programs=(
            program(
                "gateway",
                site.gateway,
                _PORTS,
                ("kubernetescrd", "kubernetesgateway"),
                "--providers.kubernetescrd.allowcrossnamespace=true",
                f"--providers.kubernetesgateway.statusaddress.ip={site.gateway}",
                site=site,
            ),
        ),
        schemas=("traefik-crds.json", "gateway-api-crds.json"),
        objects=gateway_api("traefik", "gateway", "traefik.io/gateway-controller", _PORTS),
        scraping=(scraping("traefik", site.gateway),),
    )


TRAEFIK = traefik()
"""The gateway of every sandbox that is not told otherwise."""
