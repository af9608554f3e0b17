"""Asks as the plan says, and counts what comes back."""

import asyncio
import importlib.util
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import httpx

from loadtest.hey.flags import USAGE, FlagError, HelpAsked, Plan, parse
from loadtest.hey.report import Tally, report

USER_AGENT = "canary-loadtest"


def main(arguments: Sequence[str]) -> int:
    """Make load as the command line says and print the report.

    The exit status tells whether the load was made, as that of `hey` does, and not how it was answered.
    """
    try:
        plan = _with_file(parse(arguments))
    except HelpAsked:
        sys.stdout.write(USAGE)
        return 0
    except FlagError as error:
        sys.stderr.write(f"hey: {error}\n\n{USAGE}")
        return 2
    if plan.http2 and importlib.util.find_spec("h2") is None:
        sys.stderr.write("hey: -h2 needs the package h2, which this image lacks\n")
        return 2
    begin = perf_counter()
    tally = asyncio.run(make_load(plan))
    sys.stdout.write(report(tally, perf_counter() - begin))
    return 0


def _with_file(plan: Plan) -> Plan:
    if not plan.body_file:
        return plan
    try:
        return replace(plan, body=Path(plan.body_file).read_bytes())
    except OSError as error:
        msg = f"-D {plan.body_file}: {error.strerror}"
        raise FlagError(msg) from None


class Pace:
    """When a worker asks next: evenly, and without catching up on what it has missed.

    Args:
        start: when the first request is due, in the loop's seconds.
        rate: requests a second; 0 is at once, always.
    """

    def __init__(self, start: float, rate: float) -> None:
        self._next = start
        self._period = 1 / rate if rate else 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the next request, which is then taken as made."""
        due = max(self._next, now)
        self._next = due + self._period
        return due - now


async def make_load(plan: Plan) -> Tally:
    """Ask as the plan says; requests under way at its end are waited for."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    start = loop.time()
    end = start + plan.duration.total_seconds() if plan.duration is not None else float("inf")
    tickets: Iterator[int] = itertools.count() if plan.requests is None else iter(range(plan.requests))
    async with _client(plan) as client, asyncio.TaskGroup() as workers:
        request = _request(client, plan)
        for index in range(plan.workers):
            offset = index / plan.workers / plan.rate if plan.rate else 0.0
            workers.create_task(_work(client, request, plan, tally, Pace(start + offset, plan.rate), tickets, end))
    return tally


async def _work(
    client: httpx.AsyncClient,
    request: httpx.Request,
    plan: Plan,
    tally: Tally,
    pace: Pace,
    tickets: Iterator[int],
    end: float,
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        wait = pace.wait(loop.time())
        if loop.time() + wait >= end or next(tickets, None) is None:
            return
        await asyncio.sleep(wait)
        await _ask(client, request, plan, tally)


async def _ask(client: httpx.AsyncClient, request: httpx.Request, plan: Plan, tally: Tally) -> None:
    begin = perf_counter()
    size = 0
    try:
        async with asyncio.timeout(plan.timeout.total_seconds() if plan.timeout else None):
            response = await client.send(request, stream=True)
            try:
                async for chunk in response.aiter_raw():
                    size += len(chunk)
            finally:
                await response.aclose()
    except TimeoutError:
        tally.error(f"{plan.method} {plan.url}: timeout")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        tally.error(f"{plan.method} {plan.url}: {str(error) or type(error).__name__}")
    else:
        tally.answer(response.status_code, perf_counter() - begin, size)


def _client(plan: Plan) -> httpx.AsyncClient:
    """Open the client; like `hey` it takes any certificate and no proxy but the plan's."""
    limits = httpx.Limits(max_connections=plan.workers, max_keepalive_connections=plan.workers if plan.keepalive else 0)
    return httpx.AsyncClient(
        verify=False,  # noqa: S501 - load, not secrets, and test systems sign their own certificates
        http2=plan.http2,
        proxy=plan.proxy or None,
        auth=plan.auth,
        timeout=httpx.Timeout(None),  # each request has the plan's, as a whole
        limits=limits,
        follow_redirects=plan.redirects,
        trust_env=False,
    )


def _request(client: httpx.AsyncClient, plan: Plan) -> httpx.Request:
    """Build the one request that all workers send."""
    headers = [("Accept-Encoding", "gzip" if plan.compression else "identity")]
    given = {name.lower() for name, _ in plan.headers}
    defaults = {"Content-Type": "text/html", "User-Agent": USER_AGENT}
    headers += [(name, value) for name, value in defaults.items() if name.lower() not in given]
    headers += [(name, value) for name, value in plan.headers if name.lower() != "host"]
    host = plan.host or next((value for name, value in plan.headers if name.lower() == "host"), "")
    if host:
        headers.append(("Host", host))
    if not plan.keepalive:
        headers.append(("Connection", "close"))
    extensions = {"sni_hostname": host.partition(":")[0]} if host else {}
    return client.build_request(
        plan.method, plan.url, headers=headers, content=plan.body or None, extensions=extensions
    )
