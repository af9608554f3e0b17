"""A hub on API servers in memory: what it sees, writes, stores and tells, whatever becomes of members and of itself."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Self

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from canary.fleet.members import cluster_api
from canary.fleet.members.placement import FEDERATED_DEPLOYMENT
from canary.hub import run
from canary.kube.types import CANARY, CANARY_FLEET, SECRET
from canary.rollout.votes import Vote, votes_in
from outbound.message import Request, Response
from tests.unit.controller.api_in_memory import Answer, Asked, Json, now, refused
from tests.unit.hub.whole_hub import PILOT, PLACE, USER, WAVES, Api, World, connect, eventually

pytestmark = pytest.mark.looptime(noop_cycles=1)


@pytest_asyncio.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Two members, of which the first is the pilot, and no fleet yet."""
    world = World()
    connect(monkeypatch, world)
    with capture_logs() as logs:
        yield world
        await world.end()
    assert [each for each in logs if each["log_level"] == "error"] == []


async def set_up(world: World, *names: str) -> None:
    """The first release has all members set up; the next version is deployed in them then."""
    world.add(names[0], PILOT)
    for name in names[1:]:
        world.add(name)
    world.put_fleet()
    world.start()
    await eventually(lambda: world.status.get("phase") == "Succeeded", 60, lambda: world.status)
    for name in names:
        world.played[name].deploy()


async def test_a_release_goes_from_wave_to_wave(world: World, looptime: int) -> None:
    await set_up(world, "a", "b")
    await asyncio.sleep(5)
    assert {each.canary["status"]["phase"] for each in world.members.values()} == {"Waiting"}

    world.put_fleet("r2", 2)
    await eventually(lambda: world.states.get("a") == "Progressing", 10, lambda: world.status)
    assert world.members["b"].canary["status"]["phase"] == "Waiting"
    await eventually(lambda: world.status["phase"] == "Succeeded", 30, lambda: world.status)

    assert world.states == {"a": "Passed", "b": "Passed"}
    await asyncio.sleep(5)
    told = [each for each in world.events if "r2" in each]
    assert told == [
        "Release r2 begins",
        "Wave pilot of release r2 begins: a",
        "Wave all of release r2 begins: b",
        "Release r2 is done: released",
    ]
    assert world.status.get("outbox") is None


async def test_what_is_settled_costs_nothing_but_its_watches(world: World, looptime: int) -> None:
    await set_up(world, "a", "b")
    await asyncio.sleep(10)
    apis = [world.hub, *world.members.values()]
    before = sum(len(each.asked) for each in apis)
    await asyncio.sleep(100)
    assert sum(len(each.asked) for each in apis) == before


async def test_a_member_that_refuses_connections_is_told_of_and_delays_no_other(world: World, looptime: int) -> None:
    await set_up(world, "a", "b", "c")
    world.members["b"].leave()
    world.put_fleet("r2", 2)
    began = now()
    await eventually(lambda: world.states.get("c") == "Passed", 20, lambda: world.status)

    assert now() - began < 15
    await eventually(lambda: "unreachableSince" in world.member("b"), 10, lambda: world.status)
    away = world.member("b")
    assert away["unreachableSince"].startswith("2026-11-28T")
    assert "Connection refused" in away["message"]
    assert world.status["message"].startswith("waits for b (unreachable since 2026-11-28T")
    assert any(each.startswith("Member b is unreachable since") for each in world.events)

    world.members["b"].come_back()
    await eventually(lambda: world.status["phase"] == "Succeeded", 60, lambda: world.status)
    assert "unreachableSince" not in world.member("b")


async def test_one_that_takes_connections_and_never_answers_is_told_of_and_delays_no_other(
    world: World, looptime: int
) -> None:
    await set_up(world, "a", "b", "c")
    world.members["b"].leave(hangs=True)
    world.put_fleet("r2", 2)
    await eventually(lambda: world.states.get("c") == "Passed", 15, lambda: world.status)
    await eventually(lambda: "no answer within 10 s" in world.member("b").get("message", ""), 30, lambda: world.status)
    await world.kill()

    world.start()
    began = now()
    world.put_fleet("r3", 3)
    await eventually(lambda: world.status["release"] == "r3", 10, lambda: world.status)
    assert now() - began < 6  # what a hub that starts gives it


async def test_a_member_that_hangs_in_a_write_delays_no_other(world: World, looptime: int) -> None:
    """Its watch goes on, so that it can be reached; only writes are not answered."""
    await set_up(world, "a", "b", "c")

    def hang(asked: Asked) -> Answer | None:
        return Answer(after=3600) if asked.method == "PATCH" else None

    world.members["b"].ill = hang
    world.put_fleet("r2", 2)
    await eventually(lambda: world.states.get("c") == "Passed", 15, lambda: world.status)
    await eventually(lambda: "can't be written" in world.member("b")["message"], 15, lambda: world.status)
    assert "no answer within 10 s" in world.member("b")["message"]

    world.members["b"].ill = lambda _: None
    await eventually(lambda: world.status["phase"] == "Succeeded", 60, lambda: world.status)


async def test_what_a_member_refuses_stands_in_the_status_and_is_tried_again_ever_more_seldom(
    world: World, looptime: int
) -> None:
    world.add("a", PILOT)
    world.members["a"].ill = lambda asked: refused(403, "Forbidden") if asked.method == "PATCH" else None
    world.put_fleet()
    world.start()
    await eventually(lambda: "can't be written: Forbidden" in world.member("a").get("message", ""), 10)

    await asyncio.sleep(60)
    assert 3 < len(world.members["a"].writes) < 12
    world.members["a"].ill = lambda _: None
    await eventually(lambda: world.status["phase"] == "Succeeded", 60, lambda: world.status)
    assert "message" not in world.member("a") or "can't" not in world.member("a")["message"]


async def test_a_hub_that_starts_again_goes_on_from_what_is_stored(world: World, looptime: int) -> None:
    await set_up(world, "a", "b")
    world.put_fleet("r2", 2)
    await eventually(lambda: world.states.get("a") == "Progressing", 10, lambda: world.status)
    await world.kill()
    await asyncio.sleep(20)
    assert world.members["a"].canary["status"]["phase"] == "Succeeded"
    assert world.members["b"].canary["status"]["phase"] == "Waiting"

    world.start()
    await eventually(lambda: world.status["phase"] == "Succeeded", 30, lambda: world.status)
    await asyncio.sleep(5)
    assert [each for each in world.events if "is gone" in each or "unreachable" in each] == []
    told = [each for each in world.events if "release r2" in each.lower()]
    assert len(told) == len({*told}) == 4


@pytest.mark.parametrize("lives", [0.3, 0.7, 1.3, 2.9])
async def test_a_hub_that_dies_again_and_again_gets_there_all_the_same(
    world: World, looptime: int, lives: float
) -> None:
    """Whatever it had written and not stored, or stored and not told: nobody begins early, nothing is told twice."""
    await set_up(world, "a", "b", "c")
    await asyncio.sleep(5)
    world.put_fleet("r2", 2)
    deaths = 0
    while world.status["release"] != "r2" or world.status["phase"] != "Succeeded":
        assert (deaths := deaths + 1) < 60, world.status
        await world.kill()
        world.start()
        await asyncio.sleep(lives)
        if world.states.get("a") != "Passed":
            assert {world.members[each].canary["status"]["phase"] for each in "bc"} == {"Waiting"}
    await asyncio.sleep(5)
    told = [each for each in world.events if "release r2" in each.lower()]
    assert len(told) == len({*told}) == 4


async def test_since_when_a_member_is_away_outlives_the_hub(world: World, looptime: int) -> None:
    await set_up(world, "a", "b")
    world.members["b"].leave()
    await eventually(lambda: "unreachableSince" in world.member("b"), 30, lambda: world.status)
    since = world.member("b")["unreachableSince"]
    await world.kill()
    world.start()
    await asyncio.sleep(60)
    assert world.member("b")["unreachableSince"] == since
    assert sum("unreachable" in each for each in world.events) == 1


async def test_other_credentials_are_connected_with_and_nobody_hears_of_it(world: World, looptime: int) -> None:
    await set_up(world, "a", "b")
    await asyncio.sleep(5)
    before = len(world.events)
    world.register("b", token="t2")
    await asyncio.sleep(30)

    assert world.tokens[-1] == ("b", "t2")
    assert len(world.events) == before
    world.put_fleet("r2", 2)
    await eventually(lambda: world.status["phase"] == "Succeeded", 30, lambda: world.status)


async def test_a_member_that_can_not_be_used_says_why_and_no_credentials_show(world: World, looptime: int) -> None:
    world.add("a", PILOT)
    world.register("b", token="hunter2", exec={"command": "aws"})
    world.put_fleet()
    with capture_logs() as logs:
        world.start()
        await eventually(lambda: "exec" in world.member("b").get("message", ""), 10, lambda: world.status)
        await asyncio.sleep(5)
    assert "Secret canary-system/b: users[0].user.exec" in world.member("b")["message"]
    assert "hunter2" not in str([logs, world.status, world.events])


async def test_members_come_and_go_while_the_hub_runs(world: World, looptime: int) -> None:
    await set_up(world, "a", "b")
    world.put_fleet("r2", 2)
    await eventually(lambda: world.states.get("a") == "Progressing", 10)
    world.add("c")
    world.hub.remove("/api/v1/namespaces/canary-system/secrets/b")
    await eventually(lambda: world.states.keys() == {"a", "c"}, 10, lambda: world.status)
    await asyncio.sleep(5)

    assert "Member b is gone, and its Canary left as it is" in world.events
    assert "Member c is new, and joins wave 2" in world.events
    assert world.members["b"].canary
    await eventually(lambda: world.members["c"].canary != {}, 30)


async def test_a_fleet_that_watches_writes_nothing(world: World, looptime: int) -> None:
    await set_up(world, "a", "b")
    await asyncio.sleep(5)
    before = [len(each.writes) for each in world.members.values()]
    for player in world.played.values():
        player.sketch.gated = False
    world.put_fleet("r2", 2, mode="watch")
    await eventually(lambda: world.status.get("release") == "r2", 10)
    await asyncio.sleep(30)
    assert [len(each.writes) for each in world.members.values()] == before
    assert world.status["members"][0]["state"] in ("Open", "Passed")


async def test_while_it_can_not_be_known_which_clusters_there_are_nothing_is_decided(
    world: World, looptime: int
) -> None:
    await set_up(world, "a", "b")
    await world.kill()

    def no_secrets(asked: Asked) -> Answer | None:
        return refused(403, "Forbidden") if asked.path.endswith("/secrets") else None

    world.hub.ill = no_secrets
    world.start()
    await eventually(lambda: world.ready["reason"] == "Invalid", 30, lambda: world.status)
    assert "does not see secrets: Forbidden" in world.ready["message"]
    assert world.states == {"a": "Passed", "b": "Passed"}

    world.hub.ill = lambda _: None
    await eventually(lambda: world.ready["reason"] == "Passed", 60, lambda: world.status)


async def test_one_that_can_not_be_connected_to_by_what_its_secret_says_tells_so(world: World, looptime: int) -> None:
    world.add("a", PILOT)
    world.add("b")
    world.unusable = {"b"}
    world.put_fleet()
    world.start()
    await eventually(lambda: "the certificate can't be used" in world.member("b").get("message", ""), 10)
    assert world.member("b")["unreachableSince"]

    world.unusable = set()
    world.register("b", token="t2")
    await eventually(lambda: world.status["phase"] == "Succeeded", 30, lambda: world.status)


async def test_a_canary_that_can_not_be_read_is_left_alone_and_told_of(world: World, looptime: int) -> None:
    await set_up(world, "a", "b")
    api = world.members["b"]
    api.store(CANARY.path(*PLACE), {**api.canary, "spec": {"analysis": {"interval": "soon"}}})
    await eventually(lambda: "its Canary can't be read" in world.member("b").get("message", ""), 10)
    since, before = world.member("b")["unreachableSince"], len(api.writes)
    await asyncio.sleep(30)
    assert (world.member("b")["unreachableSince"], len(api.writes)) == (since, before)


async def test_a_fleet_that_can_not_be_read_is_told_of_once_and_keeps_no_other(world: World, looptime: int) -> None:
    world.hub.store(
        CANARY_FLEET.path("prod", "bad"),
        {
            "kind": "CanaryFleet",
            "metadata": {"name": "bad", "namespace": "prod", "generation": 1},
            "spec": {"waves": 3},
        },
    )
    await set_up(world, "a", "b")
    await asyncio.sleep(60)
    assert sum("spec.waves" in each for each in world.events) == 1


async def test_of_two_hubs_one_acts_and_the_other_goes_on_once_it_is_gone(world: World, looptime: int) -> None:
    world.add("a", PILOT)
    world.put_fleet()
    world.start(leader_election=True)
    await eventually(lambda: world.status.get("phase") == "Succeeded", 60, lambda: world.status)
    other = World()
    other.hub, other.members = world.hub, world.members
    other.start(leader_election=True)
    await asyncio.sleep(30)
    assert (len(world.tokens), len(other.tokens)) == (1, 0)

    await world.kill()
    world.played["a"].deploy()
    world.put_fleet("r2", 2)
    await eventually(lambda: world.status["release"] == "r2" and world.status["phase"] == "Succeeded", 60)
    assert len(other.tokens) == 1
    await other.kill()


async def test_of_two_fleets_with_one_canary_the_younger_one_begins_once_the_older_one_is_gone(
    world: World, looptime: int
) -> None:
    await set_up(world, "a", "b")
    path = CANARY_FLEET.path("prod", "young")
    raw = {key: value for key, value in world.hub.objects[CANARY_FLEET.path(*PLACE)].items() if key != "status"}
    world.hub.store(path, {**raw, "metadata": {"name": "young", "namespace": "prod", "generation": 1, "uid": "young"}})

    def young() -> Json:
        found: Json = world.hub.objects[path].get("status") or {}
        return found

    await eventually(lambda: "is written by the older fleet prod/shop" in young().get("message", ""), 10)
    await asyncio.sleep(30)
    assert young()["reason"] == "Invalid"
    world.hub.remove(CANARY_FLEET.path(*PLACE))
    await eventually(lambda: young().get("release") == "r1", 10, young)
    assert young().get("reason") != "Invalid"


class Gate:
    """In place of connections: one gate, which says what it is told to."""

    status = 403

    def __init__(self, *_: object, **__: object) -> None:
        """As connections are made."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """As connections end."""

    async def send(self, request: Request, deadline: float) -> Response:
        return Response(self.status, b"tests fail")


async def test_a_wave_waits_for_its_gate(world: World, looptime: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Connections", Gate)
    await set_up(world, "a", "b")
    gated = [WAVES[0], {"name": "all", "gates": [{"name": "tests", "url": "https://tests.example/"}]}]
    world.put_fleet("r2", 2, waves=gated)
    await eventually(lambda: world.states.get("a") == "Passed", 20, lambda: world.status)
    await asyncio.sleep(70)
    assert world.status["reason"] == "WaitingForGate"
    assert world.status["message"] == "wave all waits for tests (it answered 403: tests fail)"
    assert sum("waits for tests" in each for each in world.events) == 1

    monkeypatch.setattr(Gate, "status", 204)
    await eventually(lambda: world.status["phase"] == "Succeeded", 60, lambda: world.status)


async def test_a_secret_that_an_object_names_is_read_once_the_object_is_there_and_followed(
    world: World, looptime: int
) -> None:
    """Of Cluster API the Secret comes first, and is of no interest before its Cluster is there."""
    world.add("a", PILOT)
    labelled = world.hub.objects.pop(SECRET.path(Api.namespace, "a"))
    world.hub.put_secret("a-kubeconfig", value=labelled["data"]["kubeconfig"])
    world.put_fleet()
    world.start(sources=("cluster-api",))
    await eventually(lambda: world.status.get("reason") == "NoMembers", 10, lambda: world.status)

    up = {"type": "ControlPlaneInitialized", "status": "True"}
    metadata = {"name": "a", "namespace": Api.namespace, "labels": PILOT}
    cluster = {"kind": "Cluster", "metadata": metadata, "status": {"conditions": [up]}}
    world.hub.store(cluster_api.CLUSTER.path(Api.namespace, "a"), cluster)
    await eventually(lambda: world.status["phase"] == "Succeeded", 30, lambda: world.status)
    assert world.tokens == [("a", "t1")]

    world.register("b", token="t2")
    text = base64.b64decode(world.hub.objects[SECRET.path(Api.namespace, "b")]["data"]["kubeconfig"])
    world.hub.put_secret("a-kubeconfig", value=base64.b64encode(text.replace(b"https://b.", b"https://a.")).decode())
    await eventually(lambda: world.tokens[-1] == ("a", "t2"), 10, lambda: world.tokens)
    assert world.states.keys() == {"a"}


async def test_a_vote_is_by_whom_the_member_knows_the_hub_as(world: World, looptime: int) -> None:
    """A policy there may hold it against who writes it; which fleet it is of stands in why."""
    await set_up(world, "a")
    world.put_fleet("r2", 2)
    await eventually(lambda: is_released(world, "r2"), 30, lambda: world.status)
    cast = [vote for each in world.members["a"].writes for vote in votes_of(each)]
    assert {(each.by, each.why) for each in cast} == {(USER, "fleet/prod/shop: release r2, wave 1")}


async def test_a_member_that_does_not_say_whom_it_knows_is_voted_in_as_the_fleet(world: World, looptime: int) -> None:
    """It hangs, or has no such question, before Kubernetes 1.28: nothing waits for longer than a moment."""
    a, b = world.add("a", PILOT), world.add("b")
    a.ill = lambda asked: Answer(after=3600) if asked.path.endswith("/selfsubjectreviews") else None
    b.ill = lambda asked: refused(404, "NotFound") if asked.path.endswith("/selfsubjectreviews") else None
    await set_up(world, "a", "b")
    world.put_fleet("r2", 2)
    await eventually(lambda: is_released(world, "r2"), 30, lambda: world.status)
    cast = [vote for each in (a, b) for asked in each.writes for vote in votes_of(asked)]
    assert {each.by for each in cast} == {"fleet/prod/shop"}


def place(world: World, *names: str) -> None:
    """Put the fleet's FederatedDeployment on clusters of these names."""
    metadata = {"name": "my-app", "namespace": PLACE[0], "uid": "placed"}
    spec = {"placement": {"clusters": [{"name": each} for each in names]}, "template": {"spec": {"replicas": 3}}}
    world.hub.store(FEDERATED_DEPLOYMENT.path(PLACE[0], "my-app"), {"metadata": metadata, "spec": spec})


@pytest.mark.field("CanaryFleet.spec.members.placement.federatedDeployment")
async def test_a_fleet_follows_the_placement_of_a_federated_deployment(world: World, looptime: int) -> None:
    for name in "abc":
        world.add(name)
    world.put_fleet(waves=[{"name": "all"}], members={"placement": {"federatedDeployment": "my-app"}})
    world.start(placements=True)
    await eventually(lambda: "does not exist" in str(world.status), 10, lambda: world.status)
    place(world, "a", "b")
    await eventually(lambda: is_released(world, "r1"), 60, lambda: world.status)
    assert {*world.states} == {"a", "b"}
    assert world.members["c"].canary == {}

    place(world, "b", "c", "atlantis")
    await eventually(lambda: {*world.states} == {"b", "c", "atlantis"}, 10, lambda: world.status)
    await eventually(lambda: world.members["c"].canary != {}, 10)
    assert "no member is called atlantis" in world.member("atlantis")["message"]
    assert any("Member a is gone" in each for each in world.events)

    world.hub.remove(FEDERATED_DEPLOYMENT.path(PLACE[0], "my-app"))
    await eventually(lambda: world.ready["reason"] == "Invalid", 10, lambda: world.status)
    assert {*world.states} == {"b", "c", "atlantis"}, "nobody is gone by that"


def is_released(world: World, release: str) -> bool:
    """Whether that release is done."""
    return (world.status.get("release"), world.status["phase"]) == (release, "Succeeded")


def votes_of(asked: Asked) -> list[Vote]:
    """The votes that a request writes."""
    annotations = (asked.body.get("metadata") or {}).get("annotations") or {}
    return [vote for _, vote in votes_in(annotations) if vote is not None]
