"""`python -m bench.load [RATE [SECONDS]]`: the load tester's own load beside that of wrk2 and k6.

The server answers after times that are drawn from a lognormal distribution, so that all percentiles are known. The
others are asked for the same rate, where they are on PATH: wrk2 under this name, k6 by its executor
constant-arrival-rate. All on the loopback. What processors are short of is seen by all of them: on a machine that has
others' work to do, run it before the others (`nice -n -19`, as root).
"""

import asyncio
import json
import math
import random
import re
import selectors
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist, median
from tempfile import TemporaryDirectory

MEDIAN, SIGMA = 0.100, 0.5
"""Seconds, and the standard deviation of their logarithm: p99 is 320 ms."""
POINTS = (50.0, 75.0, 90.0, 99.0)
ROUNDS = 5
"""All of them by turns; of what they saw, the median is told."""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SCRIPT = """
import http from "k6/http";
export const options = {{
  scenarios: {{ s: {{ executor: "constant-arrival-rate", rate: {rate}, timeUnit: "1s", duration: "{seconds}s",
    preAllocatedVUs: 200, maxVUs: 400 }} }},
  summaryTrendStats: ["p(50)", "p(75)", "p(90)", "p(99)", "count"],
}};
export default function () {{ http.get("{url}"); }}
"""


class Server(asyncio.Protocol):
    """Answers each request after a time of the distribution."""

    drawn = random.Random(7)  # noqa: S311 - the same times in each run

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request, whose head is all there is of it, after its time."""
        assert isinstance(self.transport, asyncio.Transport)
        seconds = math.exp(self.drawn.gauss(math.log(MEDIAN), SIGMA))
        for _ in range(data.count(b"\r\n\r\n")):
            asyncio.get_running_loop().call_later(seconds, self.transport.write, ANSWER)


def expected(point: float) -> float:
    """Return a percentile of the distribution in milliseconds."""
    return 1000 * math.exp(NormalDist(math.log(MEDIAN), SIGMA).inv_cdf(point / 100))


async def ours(url: str, rate: int, seconds: int) -> Mapping[str, float]:
    words = ["--rate", str(rate), "--duration", f"{seconds}s", "--connections", "200", url]
    text = await output(sys.executable, "-m", "loadtest.load", *words)
    found = {f"p{point:g}": float(re.findall(rf"p{point:g} ([\d.]+)", text)[0]) for point in POINTS}
    return found | {"rate": float(re.findall(r": ([\d.]+) a second", text)[0])}


async def wrk2(url: str, rate: int, seconds: int) -> Mapping[str, float]:
    text = await output("wrk2", "-t1", "-c200", f"-d{seconds}s", f"-R{rate}", "--latency", url)
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    found = {}
    for point in POINTS:
        value, unit = re.findall(rf"^ *{point:.3f}% +([\d.]+)(\w+)", text, re.MULTILINE)[0]
        found[f"p{point:g}"] = float(value) * units[unit]
    return found | {"rate": float(re.findall(r"Requests/sec: +([\d.]+)", text)[0])}


async def k6(url: str, rate: int, seconds: int) -> Mapping[str, float]:
    with TemporaryDirectory(prefix="bench-") as folder:
        script, summary = f"{folder}/script.js", f"{folder}/summary.json"
        await asyncio.to_thread(Path(script).write_text, SCRIPT.format(rate=rate, seconds=seconds, url=url))
        await output("k6", "run", "--quiet", "--no-usage-report", f"--summary-export={summary}", script)
        metrics = json.loads(await asyncio.to_thread(Path(summary).read_text))["metrics"]
    times = metrics["http_req_duration"]
    return {f"p{point:g}": times[f"p({point:g})"] for point in POINTS} | {"rate": metrics["http_reqs"]["rate"]}


async def output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0, command
    return said.decode()


async def serve() -> None:
    """Answer until nobody needs it any more."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def main(rate: int, seconds: int) -> None:
    """Make both loads, one after the other, and print what they saw."""
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.load", "serve", stdin=pipe, stdout=pipe)
    assert server.stdout is not None
    url = f"http://127.0.0.1:{int(await server.stdout.readline())}/"
    try:
        print("ms        rate/s  " + "  ".join(f"p{point:g}".rjust(7) for point in POINTS))
        row("expected", {f"p{point:g}": expected(point) for point in POINTS} | {"rate": rate})
        others = [(name, measure) for name, measure in (("wrk2", wrk2), ("k6", k6)) if shutil.which(name)]
        seen: dict[str, list[Mapping[str, float]]] = {}
        for _ in range(ROUNDS):
            for name, measure in (("ours", ours), *others):
                seen.setdefault(name, []).append(await measure(url, rate, seconds))
        for name, rounds in seen.items():
            row(name, {key: median(each[key] for each in rounds) for key in rounds[0]})
    finally:
        server.kill()
        await server.wait()


def row(name: str, found: Mapping[str, float]) -> None:
    points = "  ".join(f"{found[f'p{point:g}']:7.2f}" for point in POINTS)
    print(f"{name:8} {found['rate']:7.2f}  {points}")


if __name__ == "__main__":
    # In finer steps than the milliseconds of epoll.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        if sys.argv[1:] == ["serve"]:
            runner.run(serve())
        else:
            runner.run(main(*map(int, (sys.argv[1:] + ["200", "60"][len(sys.argv) - 1 :]))))
