"""A good and a bad version behind a TLSRoute, through Traefik's Gateway: counted by the connections that arrive."""

import asyncio
import base64
import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from canary.kube.types import GATEWAY, TLS_ROUTE, Json
from canary.sandbox import addresses
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import NAME, PORT, READY_SECONDS, SUCCESS_RATE, Scenario, canary_of

HOST = "shop.example.com"
SAMPLE = 400
FIVE_SIGMA = 5 * (SAMPLE * 0.25 * 0.75) ** 0.5
FOLLOWED_SECONDS = 5.0
"""Twice Traefik's throttle, and a second."""
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


def canary(namespace: str, listener: str, **analysis: str) -> Json:
    service = {
        "port": PORT,
        "routeKind": "TLSRoute",
        "hosts": [HOST],
        "gatewayRefs": [{"name": "secure", "sectionName": listener}],
    }
    return canary_of(namespace, {"metrics": [SUCCESS_RATE], **analysis}, provider="gatewayapi:v1", service=service)


async def answer() -> str:
    """The version that a new connection comes to, or how it fails."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(addresses.GATEWAY, PORT, ssl=context, server_hostname=HOST)
            writer.write(f"GET /version HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
            said = (await reader.read()).decode()
            writer.close()
    except (OSError, TimeoutError) as error:
        return type(error).__name__
    return next((version for version in ("1.0.0", "1.0.1", "1.0.2") if version in said), said[:200])


@asynccontextmanager
async def connections() -> AsyncIterator[Counter[str]]:
    """Where steady connections through the gateway came to."""
    answers: Counter[str] = Counter()

    async def go_on() -> None:
        while True:
            answers[await answer()] += 1
            await asyncio.sleep(0.01)

    task = asyncio.create_task(go_on())
    yield answers
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task.exception()


async def test_connections_are_divided_by_weight_and_none_is_lost(rig: Rig, tmp_path: Path) -> None:
    """Neither at a change of the weight, nor at promotion and rollback; what is judged is the pods' own word."""
    async with Scenario.on(rig, TLS_ROUTE) as scenario:
        await rig.apply(secret(rig.namespace, tmp_path))
        await rig.apply(gateway(rig.namespace))
        await rig.apply(application(NAME, rig.namespace, "1.0.0"))
        await rig.apply(canary(rig.namespace, "web"))
        why = "no listener of Gateway secure takes a TLSRoute: web is of protocol HTTP"
        await scenario.canary.until(lambda each: why in stalled(each), within=READY_SECONDS, what="a refusal")

        await scenario.initialise(canary(rig.namespace, "tls"), application(NAME, rig.namespace, "1.0.0"))
        await _served("1.0.0")
        async with connections() as answers:
            await rig.apply(canary(rig.namespace, "tls", interval="60s"))
            await scenario.deploy("1.0.1")
            await scenario.weight(25)
            await asyncio.sleep(FOLLOWED_SECONDS)
            found = Counter([await answer() for _ in range(SAMPLE)])
            assert abs(found["1.0.1"] - SAMPLE / 4) <= FIVE_SIGMA, found
            await rig.apply(canary(rig.namespace, "tls"))
            assert await scenario.ended() == "Succeeded"
            await _served("1.0.1")
        assert set(answers) == {"1.0.0", "1.0.1"}, answers

        async with connections() as answers:
            await rig.apply(application(NAME, rig.namespace, "1.0.2", environment={"FAULT_ERROR_RATE": "1"}))
            await scenario.phase("Progressing")
            assert await scenario.ended() == "Failed"
        assert set(answers) == {"1.0.1", "1.0.2"}, answers
        assert scenario.serving == "sample/web:1.0.1"


async def _served(version: str) -> None:
    """Wait until a version takes all connections, ten in a row."""
    async with asyncio.timeout(READY_SECONDS):
        while {await answer() for _ in range(10)} != {version}:  # noqa: ASYNC110 - nobody tells when a gateway follows
            await asyncio.sleep(0.1)


def stalled(canary: Json) -> str:
    conditions = (canary.get("status") or {}).get("conditions") or []
    return next((str(each["message"]) for each in conditions if each["type"] == "Stalled"), "")
