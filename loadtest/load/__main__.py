"""`python -m loadtest.load --rate 50 --duration 1m URL`: makes a load, and prints a report a second and a summary."""

import asyncio
import gc
import json
import selectors
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yarl

from loadtest.load.arguments import Arguments, WrongArgumentsError, read
from loadtest.load.openloop import Load, NoAnswerError, Report, Send
from loadtest.load.results import MARK

WRONG_ARGUMENTS = 2
CHUNK = 64 * 1024


@asynccontextmanager
async def sender(arguments: Arguments) -> AsyncIterator[Send]:
    """Give what sends one request of a load."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=arguments.connections, ssl=not arguments.insecure),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
        auto_decompress=False,
    ) as session:
        url, proxy = yarl.URL(arguments.url), _proxy(arguments.url)

        async def send() -> int:
            try:
                async with session.request(
                    arguments.method,
                    url,
                    headers=arguments.headers,
                    data=arguments.body,
                    allow_redirects=False,
                    proxy=proxy,
                ) as response:
                    async for _ in response.content.iter_chunked(CHUNK):
                        pass
                    return response.status
            except (aiohttp.ClientError, OSError) as error:
                if isinstance(error, TimeoutError):
                    raise
                raise NoAnswerError(str(error)) from None

        yield send


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for an address; it is looked for once, for it takes its time."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def tell(report: Report) -> None:
    """Print a report for the load tester to read."""
    print(MARK + json.dumps(report.as_json()), flush=True)  # noqa: T201 - it is what this program is for


def summary(load: Load) -> str:
    """Return what a load has shown, for people."""
    sent, latencies = load.codes.total(), load.latencies
    points = (50, 75, 90, 95, 99, 99.9)
    return "\n".join(
        [
            f"{sent} requests in {load.seconds:.2f} s: {sent / load.seconds:.2f} a second",
            "by status: " + ", ".join(f"{code} {count}" for code, count in sorted(load.codes.items())),
            "latency in ms, from when a request was due: "
            + ", ".join(f"p{point:g} {latencies.percentile(point) * 1000:.2f}" for point in points)
            + f", longest {latencies.longest * 1000:.2f}",
            f"sent late by {load.late * 1000:.2f} ms at most",
        ]
    )


async def make(arguments: Arguments) -> int:
    """Make a load; return 0, or 1 where not a single request was answered."""
    async with sender(arguments) as send:
        load = Load(arguments.plan, send, tell)
        await load.run()
    print(summary(load))  # noqa: T201 - it is what this program is for
    return 0 if any(code.isdigit() for code in load.codes) else 1


def main(argv: Sequence[str]) -> int:
    """Make the load that a command line asks for; return the exit status."""
    try:
        arguments = read(argv)
    except WrongArgumentsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - it is what this program is for
        return WRONG_ARGUMENTS
    gc.freeze()
    # What epoll waits for is rounded up to milliseconds, which would come on top of every latency.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        return runner.run(make(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
