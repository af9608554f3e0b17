"""A cluster with the controller and the load tester on it, as `canary sandbox up` and the demo have it."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from canary.sandbox import addresses, credentials
from canary.sandbox.addresses import OWN, Site
from canary.sandbox.harness import CONTROLLER_PORT, LOADTESTER_PORT
from canary.sandbox.options import CONTROLLER, Companion, Options
from canary.sandbox.prometheus import Scraping

LOADTESTER_HOST = "flagger-loadtester.test"
NAMES = {
    LOADTESTER_HOST: addresses.TOOLS,
    "traefik.traefik": addresses.GATEWAY,
    "flagger-prometheus.traefik": addresses.PROMETHEUS,
    "prometheus.monitoring": addresses.PROMETHEUS,
}
"""What the tutorials of Flagger, and our own documents, call the parts that are here beside the cluster."""


def installed(options: Options, manifests: Sequence[Path]) -> Options:
    """The same cluster with a controller and a load tester.

    The controller may do everything here: that it needs no more than its ClusterRole is tried by the tests.

    Args:
        options: the cluster without them.
        manifests: the controller's CustomResourceDefinitions.
    """
    return replace(
        options,
        users={**options.users, CONTROLLER: (credentials.ALL_RIGHTS,)},
        names={**options.names, **NAMES},
        scraping=scraping_of(OWN),
        manifests=(*options.manifests, *manifests),
        companions=(*options.companions, controller_of(OWN), _load_tester()),
    )


def scraping_of(site: Site) -> Scraping:
    """What the Prometheus of a cluster scrapes beside pods and gateways."""
    return Scraping(targets={"controller": [f"{site.tools}:{CONTROLLER_PORT}"]})


def controller_of(site: Site, *flags: str) -> Companion:
    """The controller of a cluster, with further flags."""
    command = [sys.executable, "-m", "canary", "run", "--kubeconfig={kubeconfig}", "--mesh-provider=traefik"]
    command += [f"--metrics-server={site.prometheus_url}", *flags]
    return at_tools("controller", command, CONTROLLER_PORT, "/readyz", CONTROLLER, site)


def _load_tester() -> Companion:
    return at_tools("loadtester", [sys.executable, "-m", "loadtest"], LOADTESTER_PORT, "/healthz", credentials.ADMIN)


def at_tools(name: str, command: Sequence[str], port: int, health: str, user: str, site: Site = OWN) -> Companion:
    """A program of ours at a port of a cluster's address for tools.

    Args:
        name: what it is called among the cluster's parts.
        command: its argument list, without what it listens at.
        port: where it listens.
        health: the path at which it says that it is ready.
        user: who it is to the API server.
        site: the cluster.
    """
    words = (*command, f"--address={site.tools}", f"--port={port}")
    return Companion(name, words, user=user, ready_url=f"http://{site.tools}:{port}{health}")
