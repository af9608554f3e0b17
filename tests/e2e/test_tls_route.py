"""A good and a bad version behind a TLSRoute, through Traefik's Gateway: counted by the connections that arrive."""

import base64
import subprocess
from pathlib import Path

import pytest

from canary.kube.types import GATEWAY, TLS_ROUTE, Json
from canary.sandbox import addresses
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import PORT, Scenario, canary_of
from tests.tools.connections import QUARTER, Entrance, divided, refused

pytestmark = pytest.mark.long

HOST = "shop.example.com"
CERTIFICATE, KEY = "tls.crt", "tls.key"


def secret(namespace: str, folder: Path) -> Json:
    """A certificate for the host, by which the gateway ends TLS."""
    words = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    names = ("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}")
    files = ("-keyout", str(folder / KEY), "-out", str(folder / CERTIFICATE))
    subprocess.run(("openssl", *words, *names, *files), check=True, capture_output=True)
    data = {name: base64.b64encode((folder / name).read_bytes()).decode() for name in (CERTIFICATE, KEY)}
    metadata = {"name": "shop", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}


def gateway(namespace: str) -> Json:
    """A listener for TLS, and another one beside it that takes requests only."""
    tls = {"mode": "Terminate", "certificateRefs": [{"name": "shop"}]}
    listeners = [
        {"name": "tls", "port": PORT, "protocol": "TLS", "tls": tls},
        {"name": "web", "port": PORT, "protocol": "HTTP"},
    ]
    return {
        "apiVersion": GATEWAY.api_version,
        "kind": GATEWAY.kind,
        "metadata": {"name": "secure", "namespace": namespace},
        "spec": {"gatewayClassName": "traefik", "listeners": listeners},
    }


def canary(namespace: str, listener: str) -> Json:
    service = {
        "port": PORT,
        "routeKind": "TLSRoute",
        "hosts": [HOST],
        "gatewayRefs": [{"name": "secure", "sectionName": listener}],
    }
    return canary_of(namespace, QUARTER, provider="gatewayapi:v1", service=service)


async def test_connections_are_divided_by_weight_and_none_is_lost(rig: Rig, tmp_path: Path) -> None:
    """Neither at a change of the weight, nor at promotion and rollback; what is judged is the pods' own word."""
    async with Scenario.on(rig, TLS_ROUTE) as scenario:
        await rig.apply(secret(rig.namespace, tmp_path))
        await rig.apply(gateway(rig.namespace))
        why = "no listener of Gateway secure takes a TLSRoute: web is of protocol HTTP"
        await refused(scenario, canary(rig.namespace, "web"), why)
        await divided(scenario, Entrance(addresses.GATEWAY, PORT, HOST), canary(rig.namespace, "tls"))
