"""A hub that sets the weights of clusters in routes of its own cluster, on API servers in memory."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from canary.fleet.traffic.routes import KINDS
from canary.hub.routes import rivals
from canary.kube.types import HTTP_ROUTE, VIRTUAL_SERVICE
from tests.unit.controller.api_in_memory import Answer, Asked, Json, refused
from tests.unit.fleet.fleets import fleet_of
from tests.unit.hub.whole_hub import PILOT, PLACE, START, World, connect, eventually

pytestmark = pytest.mark.looptime(noop_cycles=1)

ROUTE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "edge"}
TRAFFIC: dict[str, Any] = {"settle": "2s", "routes": [ROUTE], "members": [{"name": "a", "share": 60}]}
TRAFFIC["members"] += [{"name": "b", "share": 40}]
STEPS = {"strategy": "cluster", "stepWeights": [50], "stepInterval": "3s"}
WAVES: list[dict[str, Any]] = [{"name": "pilot", "selector": {"matchLabels": PILOT}, **STEPS}, {"name": "all", **STEPS}]
PATH = HTTP_ROUTE.path(PLACE[0], "edge")


@pytest_asyncio.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """No member and no fleet yet."""
    world = World()
    connect(monkeypatch, world)
    with capture_logs() as logs:
        yield world
        await world.end()
    assert [each for each in logs if each["log_level"] == "error"] == []


def put_route(world: World, **weights: int) -> None:
    """The route, with a rule for everything, one of another application's, and fields of its author's."""
    backends = [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]
    rules = [
        {"matches": [{"path": {"value": "/"}}], "backendRefs": [*backends, {"name": "old", "port": 80, "weight": 7}]},
        {"matches": [{"path": {"value": "/cart"}}], "backendRefs": [{"name": "cart", "port": 80}]},
    ]
    metadata = {"name": "edge", "namespace": PLACE[0], "labels": {"team": "edge"}}
    world.hub.store(PATH, {"metadata": metadata, "spec": {"hostnames": ["shop.example.com"], "rules": rules}})


def weights(world: World) -> dict[str, int]:
    """What the route says."""
    backends = world.hub.objects[PATH]["spec"]["rules"][0]["backendRefs"]
    return {each["name"]: each["weight"] for each in backends}


def written(world: World) -> list[dict[str, int]]:
    """What was written into the route, in order."""
    ours = [each for each in world.hub.asked if each.method == "PATCH" and each.path == PATH]
    return [
        {backend["name"]: backend["weight"] for backend in each.body["spec"]["rules"][0]["backendRefs"][:2]}
        for each in ours
    ]


def routed(world: World) -> Json:
    """The condition that says how routes are."""
    return next((each for each in world.status.get("conditions", []) if each["type"] == "Routed"), {})


def join(world: World) -> None:
    """Two members, of which the first is the pilot."""
    world.add("a", PILOT)
    world.add("b")


async def set_up(world: World, **spec: Any) -> None:
    """The first release has all members set up; the next version is deployed in them then."""
    join(world)
    put_route(world, a=60, b=40)
    world.put_fleet(**{"waves": WAVES, "traffic": TRAFFIC, **spec})
    world.start()
    await eventually(lambda: world.status.get("phase") == "Succeeded", 90, lambda: world.status)
    for each in world.played.values():
        each.deploy()
    await asyncio.sleep(5)


@pytest.mark.field("CanaryFleet.spec.traffic.routes[].apiVersion", "CanaryFleet.spec.traffic.routes[].name")
async def test_a_share_goes_before_the_rollout_and_comes_back_step_by_step(world: World, looptime: int) -> None:
    await set_up(world)
    assert written(world) == [], "members that are set up keep their shares"
    world.put_fleet("r2", 2, waves=WAVES, traffic=TRAFFIC)
    await eventually(lambda: world.states.get("a") == "Progressing", 30, lambda: world.status)
    assert weights(world) == {"a": 0, "b": 100, "old": 7}
    await eventually(lambda: world.status["phase"] == "Succeeded", 90, lambda: world.status)
    assert written(world) == [
        {"a": 0, "b": 100},
        {"a": 30, "b": 70},
        {"a": 60, "b": 40},
        {"a": 100, "b": 0},
        {"a": 80, "b": 20},
        {"a": 60, "b": 40},
    ]
    assert routed(world)["status"] == "True"


async def test_all_else_in_the_route_stays_as_it_is(world: World, looptime: int) -> None:
    await set_up(world)
    before = world.hub.objects[PATH]
    world.put_fleet("r2", 2, waves=WAVES, traffic=TRAFFIC)
    await eventually(lambda: weights(world)["a"] == 0, 30, lambda: world.status)
    after = world.hub.objects[PATH]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert after["spec"]["hostnames"] == before["spec"]["hostnames"]
    assert after["spec"]["rules"][1] == before["spec"]["rules"][1]
    for old, new in zip(*(each["spec"]["rules"][0]["backendRefs"] for each in (before, after)), strict=True):
        assert {**old, "weight": 0} == {**new, "weight": 0}


async def test_an_edit_of_the_weights_is_put_back(world: World, looptime: int) -> None:
    await set_up(world)
    put_route(world, a=1, b=99)
    await eventually(lambda: weights(world) == {"a": 60, "b": 40, "old": 7}, 10, lambda: world.status)


async def test_an_edit_of_what_is_not_ours_meanwhile_is_not_lost(world: World, looptime: int) -> None:
    """What was read in the meantime is written; a write on what was there before is refused, and looked at again."""
    await set_up(world)
    put_route(world, a=1, b=99)
    world.hub.objects[PATH]["spec"]["hostnames"] = ["other.example.com"]
    world.hub.store(PATH, {**world.hub.objects[PATH], "status": {"seen": True}})
    await eventually(lambda: weights(world)["a"] == 60, 10, lambda: world.status)
    assert world.hub.objects[PATH]["spec"]["hostnames"] == ["other.example.com"]


async def test_nothing_begins_while_the_route_is_gone_which_is_told(world: World, looptime: int) -> None:
    await set_up(world)
    world.hub.remove(PATH)
    world.put_fleet("r2", 2, waves=WAVES, traffic=TRAFFIC)
    await eventually(lambda: routed(world).get("status") == "False", 10, lambda: world.status)
    await asyncio.sleep(60)
    assert world.members["a"].canary["status"]["phase"] == "Waiting"
    assert "HTTPRoute edge: it does not exist in prod; create it, or correct its name" in world.member("a")["message"]
    assert any("Requests can't be shifted between clusters: HTTPRoute edge" in each for each in world.events)
    put_route(world, a=60, b=40)
    await eventually(lambda: world.status["phase"] == "Succeeded", 90, lambda: world.status)


async def test_a_rule_that_leads_to_one_cluster_alone_is_told(world: World, looptime: int) -> None:
    await set_up(world)
    put_route(world, a=100)
    await eventually(lambda: routed(world)["status"] == "False", 10, lambda: world.status)
    assert routed(world)["message"] == "HTTPRoute edge: a rule of it leads to a and not to b; name all members in it"


async def test_rights_that_are_missing_are_told_with_what_gives_them(world: World, looptime: int) -> None:
    def ill(asked: Asked) -> Answer | None:
        return refused(403, "Forbidden") if asked.path.endswith("/httproutes") else None

    world.hub.ill = ill
    join(world)
    put_route(world, a=60, b=40)
    world.put_fleet(waves=WAVES, traffic=TRAFFIC)
    world.start()
    await eventually(lambda: routed(world).get("status") == "False", 30, lambda: world.status)
    assert "the hub does not see httproutes" in routed(world)["message"]
    assert routed(world)["message"].endswith("deploy/kustomize/fleet/components/traffic gives the rights")


async def test_a_kind_that_nobody_has_installed_is_told(world: World, looptime: int) -> None:
    def ill(asked: Asked) -> Answer | None:
        return Answer(404, b"404 page not found") if asked.path.endswith("/httproutes") else None

    world.hub.ill = ill
    join(world)
    world.put_fleet(waves=WAVES, traffic=TRAFFIC)
    world.start()
    await eventually(lambda: routed(world).get("status") == "False", 30, lambda: world.status)
    assert "httproutes.gateway.networking.k8s.io are not installed in the hub's cluster" in routed(world)["message"]


async def test_what_may_not_be_written_is_told_and_no_gate_opens(world: World, looptime: int) -> None:
    await set_up(world)

    def ill(asked: Asked) -> Answer | None:
        return refused(403, "Forbidden") if asked.method == "PATCH" and asked.path == PATH else None

    world.hub.ill = ill
    world.put_fleet("r2", 2, waves=WAVES, traffic=TRAFFIC)
    await eventually(lambda: "it can't be written" in str(routed(world)), 30, lambda: world.status)
    await asyncio.sleep(60)
    assert world.members["a"].canary["status"]["phase"] == "Waiting"
    world.hub.ill = world.hub.away
    await eventually(lambda: world.status["phase"] == "Succeeded", 120, lambda: world.status)


async def test_routes_are_watched_only_where_a_fleet_names_them(world: World, looptime: int) -> None:
    join(world)
    world.put_fleet(waves=[{"name": "all"}])
    world.start()
    await eventually(lambda: world.status.get("phase") == "Succeeded", 60, lambda: world.status)
    kinds = {kind.resource.plural for kind in KINDS.values()}
    assert not [each for each in world.hub.asked if each.path.rpartition("/")[2] in kinds]

    put_route(world, a=60, b=40)
    world.put_fleet(generation=2, waves=[{"name": "all"}], traffic=TRAFFIC)
    await eventually(lambda: routed(world).get("status") == "True", 20, lambda: world.status)
    assert {each.path for each in world.hub.asked if "routes" in each.path} == {HTTP_ROUTE.path(PLACE[0])}
    assert not [each for each in world.hub.asked if VIRTUAL_SERVICE.plural in each.path]


@pytest.mark.parametrize("moment", range(1, 40, 6))
async def test_a_hub_that_is_killed_ends_where_it_would_have_ended(world: World, looptime: int, moment: int) -> None:
    await set_up(world)
    world.put_fleet("r2", 2, waves=WAVES, traffic=TRAFFIC)
    await asyncio.sleep(moment)
    await world.kill()
    held = weights(world)
    await asyncio.sleep(30)
    assert weights(world) == held, "a hub that is away leaves what routes say"
    world.start()
    await eventually(lambda: world.status["phase"] == "Succeeded", 120, lambda: world.status)
    assert weights(world) == {"a": 60, "b": 40, "old": 7}
    assert world.states == {"a": "Passed", "b": "Passed"}


@pytest.mark.parametrize(
    ("other", "shares"),
    [
        ({}, "the weights of HTTPRoute edge for a are set by the older fleet prod/older; name another route"),
        ({"routes": [{**ROUTE, "name": "inside"}]}, ""),
        ({"members": [{"name": "a", "backend": "x", "share": 50}, {"name": "b", "backend": "y", "share": 50}]}, ""),
    ],
)
def test_of_two_fleets_that_set_the_same_weights_the_younger_one_does_nothing(other: Any, shares: str) -> None:
    young, old = (fleet_of(waves=WAVES, traffic=each) for each in (TRAFFIC, {**TRAFFIC, **other}))
    old = old.replace(metadata=old.metadata.replace(name="older", creation_timestamp=START))
    young = young.replace(metadata=young.metadata.replace(creation_timestamp=START + timedelta(days=1)))
    found = [str(each) for each in rivals(young, (young, old))]
    assert [each.removeprefix("spec.traffic.routes[0]: ") for each in found] == (
        [f"{shares}, or other backends"] if shares else []
    )
    assert [*rivals(old, (young, old))] == []
