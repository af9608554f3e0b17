"""The whole controller, for a day, with an API server that answers anything; in virtual time."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from random import Random
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict
from structlog.testing import capture_logs

from canary.controller import reconcile
from canary.controller.contest import CALM, LONGEST_REST
from canary.controller.observe.caches import Freshness, KindState
from canary.controller.options import Options
from canary.controller.run import Controller
from canary.kube import backoff
from canary.kube.types import CANARY, DEPLOYMENT, SERVICE, TRAEFIK_SERVICE
from tests.unit.controller.api_in_memory import Answer, Asked, now
from tests.unit.controller.whole_controller import Cluster, connect, eventually

Json = dict[str, Any]

SEED = 20261128
HOURS = 24
MENDED_WITHIN = 30.0
"""Seconds after which all is followed again once the API server is well.

The longest are a request that was never answered (10 s) with the wait after it (5 s), and a wait that the server asked
for (20 s): each is followed by a list at once.
"""

NO_OBJECTS: tuple[Any, ...] = (
    None,
    5,
    "starting",
    [],
    {},
    {"message": "starting"},
    {"kind": "Status"},
    {"kind": "Status", "code": "x", "details": {"retryAfterSeconds": [], "causes": 5}, "message": {}},
    {"metadata": None},
    {"metadata": [], "items": {}},
    {"metadata": {"name": 5, "resourceVersion": 7}, "spec": 5},
    {"metadata": {"name": None, "namespace": [], "resourceVersion": "9" * 5000}},
    {"metadata": {"resourceVersion": "1"}, "items": [None, 5, {}, {"metadata": {}}, {"metadata": {"name": "ghost"}}]},
    {"metadata": {"resourceVersion": "1"}, "items": None},
    {"metadata": {"resourceVersion": "999999999"}, "items": []},
    {"metadata": {"resourceVersion": 5, "continue": {}}, "items": []},
    {"type": "ADDED"},
    {"type": ["ADDED"], "object": {}},
    {"type": "ADDED", "object": {"metadata": {"name": "ghost", "namespace": "prod", "resourceVersion": "1"}}},
    {"type": "DELETED", "object": None},
    {"type": "DELETED", "object": {"metadata": {"labels": []}}},
    {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "999999999"}}},
    {"type": "BOOKMARK", "object": {"metadata": {"annotations": 5}}},
    {"type": "ERROR", "object": {"code": 410}},
    {"type": "ERROR", "object": {}},
    {"type": "ERROR", "object": "no"},
)
RAW = (b"", b"<html>", b"\xff\xfe", b"{", b"9" * 5000, b"[" * 20_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"\n\n")
CODES = (200, 200, 201, 204, 301, 400, 401, 403, 404, 409, 410, 418, 422, 429, 500, 503, 504)
WAITS = ("3600", "0", "-1", "nan", "inf", "tomorrow")
BROKEN: tuple[Callable[[], Exception], ...] = (
    lambda: ConnectionResetError("reset"),
    lambda: aiohttp.ServerDisconnectedError("gone"),
    lambda: aiohttp.ClientPayloadError("half an answer"),
    lambda: ValueError("nobody thought of that"),
    lambda: KeyError("nor of that"),
)


class Moody(Cluster):
    """An API server that is well and ill by turns."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.is_ill = False
        self.ill = self._anything
        self.served = 0

    def _anything(self, _: Asked) -> Answer | None:
        if not self.is_ill or self.random.random() < 0.1:
            return None
        self.served += 1
        if self.random.random() < 0.15:
            raise self._broken()
        headers = CIMultiDict({"Retry-After": self.random.choice(WAITS)} if self.random.random() < 0.3 else {})
        after = self.random.choice((0.0, 0.0, 0.0, 1.0, 1000.0))
        return Answer(self.random.choice(CODES), self._bytes(), headers, self._chunks(self.cuts), after)

    def _broken(self) -> Exception:
        return self.random.choice(BROKEN)()

    def _bytes(self) -> bytes:
        if self.random.random() < 0.3:
            return self.random.choice(RAW)
        return json.dumps(self.random.choice(NO_OBJECTS)).encode() + b"\n"

    async def _chunks(self, cuts: int) -> AsyncIterator[bytes]:
        """What follows in a stream: some more of it, then an end, a break, or silence until the server is well."""
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(self.random.random() * 5)
            if self.cuts != cuts:
                break
            yield self._bytes()
        match self.random.randrange(3):
            case 0:
                raise self._broken()
            case 1:
                async with self.changed:
                    await self.changed.wait_for(lambda: self.cuts != cuts)
                raise aiohttp.ClientPayloadError("the server was started anew")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Moody]:
    # The same day each time, the jitter of waits included.
    seeds = itertools.count(SEED)
    monkeypatch.setattr(backoff, "Random", lambda: Random(next(seeds)))  # noqa: S311
    api = Moody(Random(SEED))  # noqa: S311
    connect(monkeypatch, api)
    # Formatting what is logged in a day would take a minute.
    with capture_logs():
        yield api


@pytest.mark.timeout(600)  # twenty seconds of one core, which it may have to share
@pytest.mark.looptime(noop_cycles=1)
async def test_whatever_the_api_server_answers_for_a_day_all_goes_on_once_it_is_well(api: Moody, looptime: int) -> None:
    api.put_app()
    api.put_canary()
    controller = asyncio.create_task(Controller(Options(mesh_provider="traefik")).run())
    service = SERVICE.path("prod", "app-canary")
    await eventually(lambda: service in api.objects, 60)
    caches = api.caches[0]

    def seen() -> tuple[dict[str, KindState], set[str], set[str]]:
        """How kinds are followed; the Services that are known, and those that there are."""
        states = {each.kind: caches.state(each) for each in (CANARY, DEPLOYMENT, SERVICE, TRAEFIK_SERVICE)}
        known = {obj["metadata"]["name"] for obj in caches.list(SERVICE)}
        return states, known, {obj["metadata"]["name"] for obj in api.under(SERVICE.path())}

    def is_followed() -> bool:
        states, known, there = seen()
        return known == there and all(each.freshness is Freshness.FRESH for each in states.values())

    while now() < HOURS * 3600:
        api.is_ill = True
        api.cut()
        await asyncio.sleep(api.random.choice((5, 60, 600)))
        api.is_ill = False
        api.cut()
        api.forget()
        assert not controller.done(), controller
        await eventually(is_followed, MENDED_WITHIN, seen)
        # Somebody deletes a Service of ours: it is seen, and made anew, by a Canary that may have to rest first.
        api.remove(service)
        await eventually(lambda: service in api.objects, LONGEST_REST.total_seconds() + 2 * MENDED_WITHIN)
        await asyncio.sleep(api.random.choice((10, 600, 3600)))

    assert not controller.done()
    assert api.served > 1000
    controller.cancel()
    await asyncio.gather(controller, return_exceptions=True)


@pytest.mark.looptime(noop_cycles=1)
async def test_what_somebody_undoes_is_told_until_nobody_does(
    api: Moody, looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once nobody undoes anything nothing changes any more: the controller looks again by itself."""
    monkeypatch.setattr(reconcile, "time", SimpleNamespace(monotonic=now))
    api.put_app()
    api.put_canary()
    controller = asyncio.create_task(Controller(Options(mesh_provider="traefik")).run())
    service = SERVICE.path("prod", "app-canary")

    def stalled() -> bool:
        return bool(api.condition("Stalled").get("reason") == "NotSettling")

    await eventually(lambda: service in api.objects, 60)
    for _ in range(100):
        api.remove(service)
        await eventually(lambda: service in api.objects, 90)
        if stalled():
            break
    assert stalled()
    assert api.condition("Stalled")["message"].endswith(": Service app-canary (deleted)")
    await eventually(lambda: not stalled(), CALM.total_seconds() + 70)

    controller.cancel()
    await asyncio.gather(controller, return_exceptions=True)
