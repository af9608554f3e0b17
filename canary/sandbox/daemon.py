"""The processes of a sandbox in the background.

`serve` is outside the private network: it holds the sandbox, opens ports of this machine, and starts `live`, which is
inside and runs the cluster. When either dies, so does the other.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from canary.sandbox import addresses, credentials, relay
from canary.sandbox.assembly import own_package
from canary.sandbox.clusters import Clusters
from canary.sandbox.credentials import CONTEXT
from canary.sandbox.instance import AlreadyRunningError, Instance, PlaceError, Status
from canary.sandbox.options import Options

_OPTIONS = TypeAdapter(Options)
_PREFERRED_PORTS = {
    "apiserver": 16443,
    "gateway": 18080,
    "contour": 18081,
    "nginx": 18082,
    "istio": 18083,
    "envoy-gateway": 18084,
    "ingress-nginx": 18085,
    "members": 18090,
    "prometheus": 19090,
}


def write_options(instance: Instance, options: Options) -> None:
    """Write down how the cluster is to be, for the processes below."""
    instance.options.write_bytes(_OPTIONS.dump_json(options))


def read_options(instance: Instance) -> Options:
    """How the cluster is to be."""
    return _OPTIONS.validate_json(instance.options.read_bytes())


def detach(instance: Instance) -> int:
    """Hold the sandbox in the background; returns in the foreground once it is held.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    with instance.held():
        if os.fork() != 0:
            os._exit(0)  # what is held passes to the child
        os.setsid()
        instance.sign()
        return asyncio.run(serve(instance))


async def serve(instance: Instance) -> int:
    """Hold the sandbox together until SIGTERM, or until it ends by itself."""
    options = read_options(instance)
    targets = targets_of(options)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        ports = {name: free_port(_preferred(name, options)) for name in targets}
        for name, port in ports.items():
            await stack.enter_async_context(await relay.serve_outside(instance.socket, port, targets[name]))
        inside = await _start_inside(instance, ports)
        ended, told = asyncio.create_task(inside.wait()), asyncio.create_task(stop.wait())
        await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
        if inside.returncode is None:
            inside.terminate()
        status = await ended
        told.cancel()
    return status


def targets_of(options: Options) -> dict[str, tuple[str, int]]:
    """What is reachable from outside: from name to address inside. The first gateway is called so."""
    targets = {"apiserver": (addresses.API_SERVER, addresses.API_PORT)}
    for number, gateway in enumerate(options.gateways):
        targets["gateway" if number == 0 else gateway.name] = (gateway.host, gateway.port)
    targets |= {"prometheus": (addresses.PROMETHEUS, 9090)} if options.prometheus else {}
    for name, member in options.members.items():
        targets[_api_server(name)] = (member.site.api_server, member.site.api_port)
        for gateway in member.gateways[:1]:
            targets[name] = (gateway.host, gateway.port)
    return targets


def _api_server(member: str) -> str:
    """What the way to a member's API server is called; that to its gateway has the member's own name."""
    return f"{member}-apiserver"


def _preferred(name: str, options: Options) -> int:
    """The port of this machine that something is best reachable at; 0 for any."""
    member = options.members.get(name.removesuffix("-apiserver"))
    if member is None:
        return _PREFERRED_PORTS.get(name, 0)
    return _PREFERRED_PORTS["apiserver" if name.endswith("-apiserver") else "members"] + member.site.number


async def _start_inside(instance: Instance, ports: dict[str, int]) -> asyncio.subprocess.Process:
    words = [sys.executable, "-m", "canary.sandbox.netns", "--die-with-parent"]
    words += ["--pid-file", str(instance.init_pid), "--"]
    words += [sys.executable, "-m", "canary.sandbox.daemon", "live", str(instance.folder)]
    words += [f"--port={name}={port}" for name, port in ports.items()]
    return await asyncio.create_subprocess_exec(*words, env={**os.environ, **own_package()})


def free_port(preferred: int) -> int:
    """A port of 127.0.0.1 that nobody uses: the preferred one if it can be."""
    for port in (preferred, 0):
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(attempt.getsockname()[1])
    raise OSError("no free port")


async def live(instance: Instance, ports: dict[str, int]) -> int:
    """Run the cluster, inside the private network, until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    options = read_options(instance)
    clusters = Clusters(options, tell)
    status = _status(instance, ports, options)
    try:
        if await _started(clusters, stop):
            _write_kubeconfigs(instance, clusters, ports)
            async with await relay.serve_inside(instance.socket):
                instance.write(replace(status, phase="ready"))
                clusters.listen(lambda failure: _note_failure(instance, status, failure))
                await stop.wait()
    except Exception as error:
        _note_failure(instance, status, str(error))
        raise
    finally:
        await clusters.stop()
    return 0


async def _started(clusters: Clusters, stop: asyncio.Event) -> bool:
    """Start the clusters, unless told to stop meanwhile."""
    start, stopped = asyncio.create_task(clusters.start()), asyncio.create_task(stop.wait())
    await asyncio.wait({start, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for task in (start, stopped):
        if not task.done():
            task.cancel()
    await asyncio.gather(start, stopped, return_exceptions=True)
    if stop.is_set():
        return False
    start.result()
    return True


def _note_failure(instance: Instance, status: Status, failure: str) -> None:
    tell(f"failed: {failure}")
    instance.write(replace(status, phase="failed", failure=failure))


def tell(line: str) -> None:
    """Write a line of progress to standard output, which is the sandbox's log."""
    print(line, flush=True)  # noqa: T201 - this is the output


def _status(instance: Instance, ports: dict[str, int], options: Options) -> Status:
    return Status(
        phase="starting",
        kubeconfig=str(instance.kubeconfig),
        tools=str(instance.cluster / "bin"),
        logs=str(instance.cluster / "logs"),
        urls={name: f"http://127.0.0.1:{port}" for name, port in ports.items() if not name.endswith("apiserver")},
        members={name: str(instance.member(name) / "logs") for name in options.members},
    )


def _write_kubeconfigs(instance: Instance, clusters: Clusters, ports: dict[str, int]) -> None:
    ways = {CONTEXT: "apiserver", **{name: _api_server(name) for name in clusters.members}}
    # Their certificates name localhost, not 127.0.0.1.
    outside = {name: f"https://localhost:{ports[way]}" for name, way in ways.items()}
    credentials.write_contexts(instance.kubeconfig, clusters.ways(outside))
    credentials.write_contexts(instance.inside, clusters.ways())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the two processes."""
    parser = argparse.ArgumentParser(prog="python -m canary.sandbox.daemon")
    parser.add_argument("role", choices=("serve", "live"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", action="append", default=[], metavar="NAME=PORT")
    given = parser.parse_args(arguments)
    instance = Instance(given.folder)
    if given.role == "serve":
        try:
            return detach(instance)
        except (AlreadyRunningError, PlaceError) as error:
            tell(str(error))
            return 1
    ports = {name: int(port) for name, _, port in (entry.partition("=") for entry in given.port)}
    return asyncio.run(live(instance, ports))


if __name__ == "__main__":
    sys.exit(main())
