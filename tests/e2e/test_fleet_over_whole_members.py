"""One release over whole clusters, under users' requests: what a fleet shifts between them, and what may befall it.

Each member is a cluster of its own with our controller in it (`tests/tools/whole_members.py`), and the hub's gateway
leads to all of them. The tests follow one another on the same fleet: each deploys a version, and ends with all at rest.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from canary.api.fleet import parse_fleet
from canary.cli.fleets.show import explain
from canary.kube.types import Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Recording, phase_of
from tests.tools.whole_members import FIRST, SHARES, WITHIN, Shop, Users, opened, shop_over, states_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def members(running_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Cluster]]:
    """The members' clusters and the fleet over them, until the last test of the file."""
    yield from opened(running_cluster, tmp_path_factory.mktemp("members"))


@pytest_asyncio.fixture
async def shop(cluster: Cluster, members: dict[str, Cluster], tmp_path: Path) -> AsyncIterator[Shop]:
    """The fleet, for one test."""
    async with shop_over(cluster, members, tmp_path) as shop:
        yield shop
    assert [each.failure for each in members.values()] == [None] * len(members)


def share_of(status: Json, name: str) -> tuple[str, int]:
    """Where the share of a member stands, and its step."""
    found: Json = next((each for each in status.get("traffic", ()) if each["name"] == name), {})
    return str(found.get("state", "")), int(found.get("step", 0))


class Watching:
    """What a fleet's status and its route said, one after the other."""

    def __init__(self, shop: Shop) -> None:
        self.weights: set[tuple[int, ...]] = set()
        self.away: dict[str, tuple[float, float]] = {}
        self._shop = shop

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            status, weights = await self._shop.status(), await self._shop.weights()
            self.weights.add(tuple(weights.values()))
            now = asyncio.get_running_loop().time()
            for name in SHARES:
                if share_of(status, name)[0] == "Away" and weights[name] == 0:
                    self.away[name] = (self.away.get(name, (now, now))[0], now)
            await asyncio.sleep(0.1)


async def test_a_good_release_passes_three_waves_and_a_bad_one_stops_in_the_first(shop: Shop) -> None:
    """A member gets no request while it rolls out, and users meet no version there that has not passed."""
    async with shop.users() as users:
        await shop.deploy("1.1.0")
        watching = Watching(shop)
        task = asyncio.create_task(watching.run())
        await shop.release("good")
        status = await shop.ended("good", "Succeeded")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await eventually(lambda: from_now(users), lambda met: {each for each, _ in met} == {"1.1.0"}, within=300)
    assert states_of(status) == "Passed Passed Passed"
    assert users.failed() == []
    assert watching.weights >= {(50, 30, 20), (0, 60, 40), (25, 45, 30), (71, 0, 29), (63, 37, 0)}, watching.weights
    for name, (since, until) in watching.away.items():
        assert [each for each in users.met(since, until) if each[1] == name] == [], name
        assert ("1.1.0", name) not in users.met(until=until)
    assert await shop.weights() == SHARES

    async with shop.users() as users:
        await shop.deploy("1.2.0", {"FAULT_ERROR_RATE": "0.3"})
        await shop.release("bad")
        status = await shop.ended("bad", "Failed")
        await eventually(shop.weights, lambda found: found == SHARES, within=WITHIN)
        await from_now(users)
    assert states_of(status) == "Failed Pending Pending"
    assert status["reason"] == "Held"
    assert users.failed() == []
    assert {version for version, _ in users.met()} == {"1.1.0"}


async def from_now(users: Users) -> set[tuple[str, str]]:
    """What users meet in the next three seconds."""
    now = asyncio.get_running_loop().time()
    await asyncio.sleep(3)
    return set(users.met(now))


def gist(status: Json) -> tuple[object, ...]:
    """Where everything of a release stands, without words and times."""
    waves = [each["state"] for each in status.get("waves", ())]
    shares = [share_of(status, name) for name in SHARES]
    return status.get("release"), status.get("phase"), status.get("reason"), states_of(status), waves, shares


async def test_a_hub_that_is_killed_at_every_change_of_status_ends_where_it_would_have_ended(shop: Shop) -> None:
    """And whatever it has let begin has begun once."""
    killed, before = 0, gist(await shop.status())
    async with shop.recording() as canaries, shop.users() as users:
        await shop.deploy("1.3.0")
        await shop.release("killed")
        while (now := gist(await shop.status()))[:2] != ("killed", "Succeeded"):
            if now != before:
                before, killed = now, killed + 1
                await shop.kill_hub()
                await shop.start_hub()
            assert killed < 90, now
            await asyncio.sleep(0.05)
        assert await eventually(lambda: from_now(users), lambda met: {each for each, _ in met} == {"1.3.0"}, within=300)
    assert killed >= 9, "as each share goes, is away, and comes back, at least"
    assert states_of(await shop.status()) == "Passed Passed Passed"
    assert await shop.weights() == SHARES
    assert users.failed() == []
    for name, canary in canaries.items():
        assert begun(canary) == 1, name


def begun(canary: Recording) -> int:
    """How often a version that waited has begun."""
    phases = [phase_of(each.value or {}) for each in canary.moments]
    return sum(before == "Waiting" and now == "Progressing" for before, now in pairwise(phases))


MINUTE = 60.0
TOGETHER: list[Json] = [{"name": "wave1", "count": 2, "maxParallel": 2}, {"name": "wave2"}]


async def test_members_are_away_come_go_and_are_given_other_tokens_in_mid_wave(shop: Shop) -> None:
    """Each is told with the member and the reason; no user notices, and the release ends as it would have."""
    async with shop.recording() as canaries, shop.users() as users:
        await shop.forget("cluster3")
        await eventually(shop.status, lambda status: len(status["members"]) == 2, within=WITHIN)
        await shop.deploy("1.4.0")
        await shop.release("troubled", TOGETHER)
        await eventually(shop.status, lambda status: states_of(status).startswith("Open"), within=WITHIN)
        await shop.register("cluster3", FIRST)  # without which one of the two would have to wait for the other
        away = asyncio.gather(
            away_for_a_minute(shop, shop.frozen("cluster1"), "cluster1"),
            away_for_a_minute(shop, shop.dead("cluster2"), "cluster2"),
        )
        await eventually(shop.status, lambda status: len(status["members"]) == 3, within=WITHIN)
        await shop.revoke("cluster3", FIRST)
        frozen, dead = await away

        refusing = await eventually(shop.fleet, is_refused, within=WITHIN)
        await shop.register("cluster3", "second")
        await shop.stands("Passed Passed Progressing")
        await shop.forget("cluster3")
        status = await shop.ended("troubled", "Succeeded")
        gone = await shop.fleet()
        await shop.register("cluster3", "second")
        await eventually(shop.weights, lambda found: found == SHARES, within=WITHIN)
        assert await eventually(lambda: from_now(users), lambda met: {each for each, _ in met} == {"1.4.0"}, within=300)

    assert users.failed() == []
    assert {name: begun(canary) for name, canary in canaries.items()} == dict.fromkeys(SHARES, 1)
    assert states_of(status) == "Passed Passed"
    assert "cluster1 must be reached again (no answer within 10 s" in explained(frozen)
    assert "cluster2 (unreachable since " in dead["status"]["message"]
    assert "Cannot connect to host" in explained(dead)
    assert states_of(refusing["status"]) == "Passed Passed Open"
    assert "cluster3 must take what the hub writes (its API server does not take the hub's credentials" in (
        explained(refusing)
    )
    assert "cluster3 must be a member again to get its share of requests back." in explained(gone)
    told = await shop.told()
    assert "Member cluster3 is new, and joins wave 2" in told
    assert "Member cluster3 is gone, and its Canary left as it is" in told
    shown = f"{refusing} {told} {shop.own.cluster.parts['hub'].log.read_text()}"
    assert [each for each in shop.tokens if each in shown] == []


async def away_for_a_minute(shop: Shop, how: AbstractAsyncContextManager[None], name: str) -> Json:
    """A member's API server is away once its Canary rolls out, until that is told, too: the fleet as it was then."""
    await eventually(lambda: shop.canary_in(name), lambda found: phase_of(found) == "Progressing", within=WITHIN)
    async with how:
        ends = asyncio.get_running_loop().time() + MINUTE
        told = await eventually(shop.fleet, lambda fleet: "unreachableSince" in member_of(fleet, name), within=WITHIN)
        await asyncio.sleep(ends - asyncio.get_running_loop().time())
    assert member_of(told, name)["state"] == "Progressing"
    return told


def member_of(fleet: Json, name: str) -> Json:
    """Where a member stands."""
    return next(each for each in fleet["status"]["members"] if each["name"] == name)


def is_refused(fleet: Json) -> bool:
    """Whether the third member is said to refuse the hub."""
    return "does not take the hub's credentials" in fleet["status"]["members"][-1].get("message", "")


def explained(fleet: Json) -> str:
    """What `canary explain` says of it."""
    return "\n".join(explain(parse_fleet(fleet), datetime.now(UTC)))
