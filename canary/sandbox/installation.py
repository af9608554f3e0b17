"""A cluster with the controller and the load tester on it, as `canary sandbox up` and the demo have it."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from canary.sandbox import addresses, credentials
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
        scraping=Scraping(targets={"controller": [f"{addresses.TOOLS}:{CONTROLLER_PORT}"]}),
        manifests=(*options.manifests, *manifests),
        companions=(*options.companions, _controller(), _load_tester()),
    )


def _controller() -> Companion:
    command = [sys.executable, "-m", "canary", "run", "--kubeconfig={kubeconfig}", "--mesh-provider=traefik"]
    command += [f"--metrics-server={addresses.PROMETHEUS_URL}"]
    return _at_tools("controller", command, CONTROLLER_PORT, "/readyz", CONTROLLER)


def _load_tester() -> Companion:
    return _at_tools("loadtester", [sys.executable, "-m", "loadtest"], LOADTESTER_PORT, "/healthz", credentials.ADMIN)


def _at_tools(name: str, command: Sequence[str], port: int, health: str, user: str) -> Companion:
    words = (*command, f"--address={addresses.TOOLS}", f"--port={port}")
    return Companion(name, words, user=user, ready_url=f"http://{addresses.TOOLS}:{port}{health}")
