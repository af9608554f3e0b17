"""`python -m bench.loadtester`: how soon the load tester under attack answers a gate, and what memory it takes.

At once: 2,000 connections that say nothing or send heads a byte at a time, 10,000 bodies of random bytes and random
JSON, and 64 tasks, each a `hey -c 2 -q 10`. All on the loopback; it ends by itself within a minute.
"""

import asyncio
import json
import os
import random
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import aiohttp

from bench.process import memory_mib
from canary.sandbox import binaries

CONNECTIONS = 2000
BODIES = 10_000
SENDERS = 20
TASKS = 64
LOAD = "hey -z {seconds}s -c 2 -q 10 http://127.0.0.1:{port}/?{task}"
SECONDS = 25
LONGEST = 90
EVERY = 0.05
RANDOM = random.Random(7)  # noqa: S311 - the same bodies each time
CANARY = {"name": "app", "namespace": "test"}


async def main() -> None:
    """Attack, watch and print."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    # Its log goes into a file: a pipe that this process, which is busy, does not empty in time would hold it up.
    with NamedTemporaryFile("r", prefix="loadtest-", suffix=".log") as log:
        await _measure(log)


async def _measure(log: IO[str]) -> None:
    async with AsyncExitStack() as stack:
        target = await asyncio.start_server(_answer, "127.0.0.1", 0)
        stack.callback(target.close)
        service = await _start(log.fileno())
        stack.push_async_callback(_stop, service)
        port = await _port(log)
        client = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))
        print(f"memory at rest: {_memory(service.pid):.0f} MiB")
        started = await asyncio.gather(*(_task(client, target.sockets[0].getsockname()[1], n) for n in range(TASKS)))
        attack = [asyncio.create_task(_linger(port, n)) for n in range(CONNECTIONS)]
        statuses: Counter[int] = Counter()
        left = iter(range(BODIES))
        attack += [asyncio.create_task(_send(client, left, statuses)) for _ in range(SENDERS)]
        before = _processor(service.pid)
        asked, peak = await _watch(port, service.pid)
        had, waited = (after - now for after, now in zip(_processor(service.pid), before, strict=True))
        for each in attack:
            each.cancel()
        await asyncio.gather(*attack, return_exceptions=True)
    times = [took for took, _ in asked]
    ordered = sorted(each for each in times if each >= 0)
    print(f"tasks: {Counter(started)}; bodies: {dict(sorted(statuses.items()))}")
    print(f"gate, {len(times)} times: p50 {statistics.median(ordered) * 1000:.1f} ms, ", end="")
    print(f"p99 {ordered[len(ordered) * 99 // 100] * 1000:.1f} ms, max {ordered[-1] * 1000:.1f} ms, ", end="")
    print(f"{times.count(-1)} without an answer")
    print(f"of that max {max(asked)[1] * 1000:.1f} ms were spent by whoever asks, waiting for a processor; ", end="")
    print(f"the load tester had one for {had:.1f} s and waited for one for {waited:.1f} s")
    print(f"memory at most: {peak[0]:.0f} MiB, with all {TASKS} loads {peak[1]:.0f} MiB")


async def _start(log: int) -> asyncio.subprocess.Process:
    hey = binaries.find("hey")
    assert hey is not None, "build it: python -m canary.sandbox.binaries hey"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest", "--port=0", "--address=127.0.0.1",
        env=os.environ | {"PATH": f"{hey.parent}{os.pathsep}{os.environ['PATH']}"}, stderr=log,
    )  # fmt: skip


async def _stop(service: asyncio.subprocess.Process) -> None:
    service.terminate()
    await service.wait()


async def _port(log: IO[str]) -> int:
    while not (line := log.readline()).endswith("\n"):
        log.seek(0)
        await asyncio.sleep(0.05)
    return int(json.loads(line)["addresses"][0].rpartition(":")[2])


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    writer.close()


async def _task(client: aiohttp.ClientSession, port: int, task: int) -> int:
    command = LOAD.format(seconds=SECONDS, port=port, task=task)
    body = {**CANARY, "name": f"app-{task % 2}", "type": "rollout", "metadata": {"cmd": command}}
    async with client.post("/", json=body) as response:
        return response.status


async def _linger(port: int, number: int) -> None:
    """Keep a connection open, every other one with a head that never ends; come again when it is closed."""
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                if number % 2:
                    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
                while not reader.at_eof():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(1), 1 + number % 7)
                        break
                    if number % 2:
                        writer.write(b"x")
            finally:
                writer.close()
        await asyncio.sleep(5)


async def _send(client: aiohttp.ClientSession, left: Iterator[int], statuses: Counter[int]) -> None:
    for _ in left:
        path = RANDOM.choice(["/", "/gate/check", "/gate/open", "/rollback/close"])
        headers = {
            "Content-Type": RANDOM.choice(["application/json", "application/x-www-form-urlencoded", "text/plain"])
        }
        with suppress(aiohttp.ClientError):
            async with client.post(path, data=_body(), headers=headers) as response:
                statuses[response.status] += 1


def _body() -> bytes:
    if RANDOM.random() < 0.5:
        return RANDOM.randbytes(RANDOM.randrange(2000))
    words = ["app", "\ud800", "A_b", "x" * 300, 1, None, [], {"cmd": "$(x)"}, {"cmd": "nosuch \udfff"}]
    keys = ["name", "namespace", "type", "metadata"]
    return json.dumps({key: RANDOM.choice(words) for key in keys}).encode()


async def _watch(port: int, pid: int) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """Have a gate asked again and again; return what was told of that, and the memory of the service and of all."""
    asking = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.loadtester", str(port), stdout=asyncio.subprocess.PIPE
    )
    told = asyncio.create_task(asking.communicate())
    peak = (0.0, 0.0)
    while not told.done():
        peak = max(peak[0], memory_mib(pid)), max(peak[1], _memory(pid))
        await asyncio.wait([told], timeout=1)
    return [(took, waited) for took, waited in json.loads((await told)[0])], peak


def _processor(pid: int) -> tuple[float, float]:
    """Return for how many seconds a process had a processor, and for how many it waited for one: its first thread."""
    had, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(had) / 1e9, int(waited) / 1e9


def ask(port: int) -> None:
    """Ask a gate, each time on a new connection; print the seconds that each took (-1: no answer) and our own part."""
    times: list[tuple[float, float]] = []
    end = time.monotonic() + SECONDS - 5
    while time.monotonic() < end:
        begin, (_, before) = time.monotonic(), _processor(os.getpid())
        connection = HTTPConnection("127.0.0.1", port)
        try:
            connection.request("POST", "/gate/check", json.dumps(CANARY), {"Content-Type": "application/json"})
            connection.getresponse().read()
        except OSError:
            times.append((-1, 0))
        else:
            times.append((time.monotonic() - begin, _processor(os.getpid())[1] - before))
        finally:
            connection.close()
        time.sleep(EVERY)
    print(json.dumps(times))


def _memory(pid: int) -> float:
    """Return what a process and all below it hold, in MiB: pages that several share are counted once."""
    total = 0
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, StopIteration):
            if int(path.name) == pid or pid in _ancestors(int(path.name)):
                lines = (path / "smaps_rollup").read_text().splitlines()
                total += int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return total / 1024


def _ancestors(pid: int) -> list[int]:
    found: list[int] = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


if __name__ == "__main__":
    if sys.argv[1:]:
        ask(int(sys.argv[1]))
    else:
        asyncio.run(asyncio.wait_for(main(), LONGEST))
