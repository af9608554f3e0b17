"""Leader election: two electors against one Lease, in virtual time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from random import Random
from typing import Any

import pytest

from canary.kube.client import KubeClient
from canary.kube.errors import AlreadyExists, Conflict, NotFound, Unreachable
from canary.kube.leader import (
    LeaderElector,
    StuckLeaderError,
)
from canary.kube.transport import Query, Request

Json = dict[str, Any]


class LeaseServer:
    """One lease with the API server's rules for writing it; can be down."""

    def __init__(self) -> None:
        self.lease: Json | None = None
        self.down = False
        self.requests: list[str] = []
        self.watches: set[asyncio.Queue[bytes]] = set()

    async def answer(self, request: Request) -> Json:
        self.requests.append(request.method)
        await asyncio.sleep(0.01)
        if self.down:
            raise Unreachable(request.method, request.path, "connection refused")
        if request.method == "GET":
            if self.lease is None:
                raise NotFound(request.method, request.path, "not found")
            return deepcopy(self.lease)
        body = deepcopy(request.body)
        assert body is not None
        if request.method == "POST":
            if self.lease is not None:
                raise AlreadyExists(request.method, request.path, "exists")
            body["metadata"]["resourceVersion"] = "1"
        else:
            if self.lease is None or body["metadata"]["resourceVersion"] != self.version:
                raise Conflict(request.method, request.path, "changed")
            body["metadata"]["resourceVersion"] = str(int(self.version) + 1)
        self.lease = body
        for watch in self.watches:
            watch.put_nowait(json.dumps({"type": "MODIFIED", "object": body}).encode() + b"\n")
        return deepcopy(body)

    def delete(self) -> None:
        """Somebody deletes the lease."""
        lease, self.lease = self.lease, None
        for watch in self.watches:
            watch.put_nowait(json.dumps({"type": "DELETED", "object": lease}).encode() + b"\n")

    @property
    def version(self) -> str:
        assert self.lease is not None
        return str(self.lease["metadata"]["resourceVersion"])

    @property
    def holder(self) -> str:
        return "" if self.lease is None else str(self.lease["spec"]["holderIdentity"])


class LeaseClient(KubeClient):
    """A client that asks a `LeaseServer`; may be cut off from it."""

    def __init__(self, server: LeaseServer) -> None:
        self.server = server
        self.cut_off = False
        self.may_watch = True

    async def _send(self, request: Request) -> Json:
        if self.cut_off:
            try:
                async with asyncio.timeout(request.deadline):
                    await asyncio.sleep(3600)
            except TimeoutError:
                raise Unreachable(request.method, request.path, "no answer") from None
        return await self.server.answer(request)

    @asynccontextmanager
    async def _watch(self) -> AsyncIterator["Stream"]:
        self.server.requests.append("WATCH")
        if self.server.down or not self.may_watch:
            raise Unreachable("GET", "leases", "connection refused")
        told: asyncio.Queue[bytes] = asyncio.Queue()
        self.server.watches.add(told)
        try:
            yield Stream(told)
        finally:
            self.server.watches.remove(told)

    def stream(self, path: str, query: Query, *, accept: str = "") -> Any:
        assert query["fieldSelector"] == "metadata.name=lease"
        return self._watch()


class Stream:
    """The body of a watch that never ends."""

    def __init__(self, told: "asyncio.Queue[bytes]") -> None:
        self.told = told

    async def iter_any(self) -> AsyncIterator[bytes]:
        while True:
            yield await self.told.get()


class Actor:
    """Work that notes when it acts, and complains if anybody else does at the same time."""

    acting: set[str]

    def __init__(self, name: str, server: LeaseServer, acting: set[str], lingers: float = 0.0) -> None:
        self.name = name
        self.client = LeaseClient(server)
        self.elector = LeaderElector(self.client, "test", "lease", name, random=Random(name))  # noqa: S311
        self.acting = acting
        self.lingers = lingers
        self.times: list[tuple[float, float]] = []

    async def lead(self) -> None:
        loop = asyncio.get_running_loop()
        assert self.elector.is_leader
        assert not self.acting
        self.acting.add(self.name)
        began = loop.time()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(self.lingers)
            self.acting.remove(self.name)
            self.times.append((began, loop.time()))

    def start(self) -> "asyncio.Task[None]":
        return asyncio.create_task(self.elector.run(self.lead))


async def stop(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, asyncio.CancelledError)


@pytest.fixture
def server() -> LeaseServer:
    return LeaseServer()


@pytest.mark.looptime
@pytest.mark.parametrize(("may_watch", "limit"), [(True, 0.2), (False, 2 * 2.2)])
async def test_one_of_two_leads_and_the_other_takes_over_at_once_after_a_clean_end(
    server: LeaseServer, looptime: Any, may_watch: bool, limit: float
) -> None:
    acting: set[str] = set()
    first, second = Actor("first", server, acting), Actor("second", server, acting)
    second.client.may_watch = may_watch
    task = first.start()
    await asyncio.sleep(1)
    other = second.start()
    await asyncio.sleep(60)
    assert acting == {"first"}

    await stop(task)
    assert server.holder == ""
    before = looptime + 0.0
    while acting != {"second"}:  # noqa: ASYNC110 - in virtual time
        await asyncio.sleep(0.1)

    assert looptime - before < limit
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 1
    await stop(other)


@pytest.mark.looptime
@pytest.mark.parametrize("age", [0.0, 0.7, 1.3])
async def test_a_leader_that_dies_is_followed_within_the_duration_of_its_lease(
    server: LeaseServer, looptime: Any, age: float
) -> None:
    acting: set[str] = set()
    first, second = Actor("first", server, acting), Actor("second", server, acting)
    task = first.start()
    await asyncio.sleep(1)
    other = second.start()
    await asyncio.sleep(30 + age)
    assert "WATCH" in server.requests
    died = looptime + 0.0
    first.client.cut_off = True
    await stop(task)
    await asyncio.sleep(12 - (looptime - died))
    assert acting == set()
    while acting != {"second"}:  # noqa: ASYNC110 - in virtual time
        await asyncio.sleep(0.1)

    assert looptime - died <= 15
    await stop(other)


@pytest.mark.looptime
async def test_a_follower_asks_nothing_while_the_leader_renews(server: LeaseServer, looptime: Any) -> None:
    acting: set[str] = set()
    first, second = Actor("first", server, acting), Actor("second", server, acting)
    tasks = [first.start()]
    await asyncio.sleep(1)
    tasks.append(second.start())
    await asyncio.sleep(100)

    assert server.requests.count("GET") == 2
    assert server.requests.count("WATCH") == 1
    await stop(*tasks)


@pytest.mark.looptime
async def test_a_leader_that_is_cut_off_stops_before_another_begins(server: LeaseServer, looptime: Any) -> None:
    acting: set[str] = set()
    first, second = Actor("first", server, acting, lingers=4.5), Actor("second", server, acting)
    tasks = [first.start()]
    await asyncio.sleep(1)
    tasks.append(second.start())
    await asyncio.sleep(9)
    first.client.cut_off = True
    cut = looptime + 0.0
    await asyncio.sleep(30)

    assert acting == {"second"}
    assert first.times[0][1] - cut <= 10 + 4.5
    assert not first.elector.is_leader
    await stop(*tasks)


@pytest.mark.looptime
async def test_an_outage_of_twenty_seconds_is_survived(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    server.down = True
    await asyncio.sleep(20)
    assert actor.acting == set()
    server.down = False
    await asyncio.sleep(5)

    assert actor.acting == {"first"}
    assert server.holder == "first"
    assert len(actor.times) == 1
    await stop(task)


@pytest.mark.looptime
async def test_a_short_outage_costs_no_leadership(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    server.down = True
    await asyncio.sleep(7)
    server.down = False
    await asyncio.sleep(60)

    assert actor.times == []
    await stop(task)


@pytest.mark.looptime
async def test_a_lease_taken_by_force_ends_the_leadership_at_the_next_renewal(
    server: LeaseServer, looptime: Any
) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    assert server.lease is not None
    server.lease["metadata"]["resourceVersion"] = "77"
    server.lease["spec"]["holderIdentity"] = "usurper"
    await asyncio.sleep(2.1)

    assert actor.acting == set()
    assert server.holder == "usurper"
    await stop(task)


@pytest.mark.looptime
async def test_a_lease_that_somebody_labelled_is_renewed_all_the_same(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    assert server.lease is not None
    server.lease["metadata"] |= {"resourceVersion": "77", "labels": {"a": "b"}}
    await asyncio.sleep(20)

    assert actor.times == []
    assert server.lease["metadata"]["labels"] == {"a": "b"}
    await stop(task)


@pytest.mark.looptime
async def test_a_deleted_lease_is_created_anew(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    server.lease = None
    await asyncio.sleep(3)

    assert actor.times == []
    assert server.holder == "first"
    await stop(task)


@pytest.mark.looptime
@pytest.mark.parametrize("after", [2.5, 3.0, 3.9])
async def test_two_never_act_at_once_where_the_lease_is_deleted(
    server: LeaseServer, looptime: Any, after: float
) -> None:
    """The leader can't be reached, and learns of it last: the other one waits for as long as it may act."""
    acting: set[str] = set()
    first, second = (Actor(name, server, acting) for name in ("first", "second"))
    tasks = [first.start()]
    await asyncio.sleep(1)
    tasks.append(second.start())
    await asyncio.sleep(10 + after)
    first.client.cut_off = True
    server.delete()
    await asyncio.sleep(30)

    assert server.holder == "second"
    assert acting == {"second"}
    for task in tasks:
        await stop(task)


@pytest.mark.looptime
async def test_nothing_that_a_server_answers_ends_an_election(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    answers: list[dict[str, Any]] = [
        {"metadata": 5, "spec": 7},
        {"metadata": {}, "spec": None},
        {"metadata": {"resourceVersion": []}},
    ]
    for nonsense in answers:
        server.lease = nonsense
        await asyncio.sleep(20)
        assert not task.done()
    server.lease = None
    await asyncio.sleep(30)

    assert server.holder == "first"
    await stop(task)


@pytest.mark.looptime
async def test_renewing_costs_one_request_each_two_seconds(server: LeaseServer, looptime: Any) -> None:
    task = Actor("first", server, set()).start()
    await asyncio.sleep(5)
    server.requests.clear()
    await asyncio.sleep(20)

    assert set(server.requests) == {"PUT"}
    assert len(server.requests) <= 10
    await stop(task)


@pytest.mark.looptime
async def test_work_that_does_not_stop_ends_the_process(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set(), lingers=60)
    task = actor.start()
    await asyncio.sleep(10)
    server.down = True

    with pytest.raises(StuckLeaderError, match="within 5 s"):
        await task
    assert looptime <= 10 + 10 + 5.1


@pytest.mark.looptime
async def test_work_that_ends_by_itself_gives_the_lease_back(server: LeaseServer, looptime: Any) -> None:
    async def brief() -> None:
        await asyncio.sleep(1)

    await LeaderElector(LeaseClient(server), "test", "lease", "me").run(brief)

    assert server.holder == ""


@pytest.mark.looptime
async def test_work_that_fails_gives_the_lease_back_and_tells(server: LeaseServer, looptime: Any) -> None:
    async def failing() -> None:
        raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        await LeaderElector(LeaseClient(server), "test", "lease", "me").run(failing)
    assert server.holder == ""


@pytest.mark.looptime
async def test_the_right_to_act_runs_out_by_itself(server: LeaseServer, looptime: Any) -> None:
    """Even where nothing runs any more: it is a time, not a flag."""
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(1)
    assert 8 < actor.elector.remaining() <= 10
    actor.client.cut_off = True
    await asyncio.sleep(10)

    assert actor.elector.remaining() == 0
    await stop(task)
