"""What a hub shows Prometheus: where fleets, waves and members stand, and nothing of what is gone."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import generate_latest

from canary.api.fleet_status import FleetStatus, JointStatus
from canary.api.fleet_traffic import ShareStatus
from canary.api.status import Verdict
from canary.controller.outcome import Kind
from canary.fleet.simulation import Fate, FleetWorld
from canary.hub.telemetry import Telemetry
from canary.kube.types import CANARY_FLEET
from tests.unit.fleet.fleets import MINUTE, START, fleet_of, names, play, sketch
from tests.unit.hub.whole_hub import PILOT, PLACE, World, connect, eventually, labelled, shown

JOINT = JointStatus(
    name="request-success-rate",
    verdict=Verdict.PASS,
    value=4.5,
    threshold="1 and 0.1",
    samples=300,
    p_value=0.02,
    members=3,
    message="it can't be told",
)
"""What members say together of one metric."""


def of(name: str, **labels: str) -> str:
    """A series of the fleet."""
    return f"canary_hub_{name}{labelled({'name': 'shop', 'namespace': 'prod', **labels})}"


def observed(world: FleetWorld) -> dict[str, float]:
    telemetry = Telemetry("0")
    telemetry.observe(world.fleet, world.fleet.status)
    return shown(telemetry)


def test_a_release_under_way_shows_its_wave_and_how_many_members_stand_where() -> None:
    found = observed(play(fleet_of(), [sketch(name) for name in names(6)], limit=7 * MINUTE))
    assert found[of("fleet_status")] == 0
    assert found[of("fleet_waves")] == 3
    assert found[of("fleet_started_timestamp_seconds")] == START.timestamp()
    wave = found[of("fleet_wave")]
    assert 1 <= wave <= 3
    members = {key: value for key, value in found.items() if key.startswith("canary_hub_fleet_members")}
    assert sum(members.values()) == 6
    assert members[of("fleet_members", state="Failed")] == 0
    assert found[of("wave_members", wave="some")] == 3


def test_what_each_cluster_is_to_get_is_shown_where_a_fleet_sets_it() -> None:
    own = [{"name": name, "share": share} for name, share in zip(names(2), (60, 40), strict=True)]
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "shop"}
    fleet = fleet_of(traffic={"routes": [route], "members": own})
    found = observed(play(fleet, [sketch(name) for name in names(2)], limit=MINUTE))
    assert (found[of("cluster_weight", member="c001")], found[of("cluster_weight", member="c002")]) == (60, 40)
    without = observed(play(fleet_of(), [sketch(name) for name in names(2)], limit=MINUTE))
    assert not [each for each in without if "cluster_weight" in each]


@pytest.mark.parametrize(
    ("fate", "result", "reason", "state"),
    [(Fate(), 1, "Passed", "Passed"), (Fate(fails=9), 2, "Held", "Failed")],
)
def test_how_it_ended_is_shown_with_the_reason(fate: Fate, result: int, reason: str, state: str) -> None:
    world = play(fleet_of(), [sketch(name, fate) for name in names(2)])
    found, phase = observed(world), world.fleet.status.phase.value
    assert found[of("fleet_status")] == result
    assert found[of("fleet_info", release="r2", phase=phase, reason=reason)] == 1
    assert found[of("member_info", member="c001", wave="1", state=state)] == 1
    assert found[of("wave_info", wave="pilot", state=state)] == 1


def test_what_members_say_together_is_shown_metric_by_metric() -> None:
    telemetry = Telemetry("0")
    telemetry.observe(fleet_of(), FleetStatus(joint=(JOINT,)))
    found = shown(telemetry)
    names = ("p_value", "bad_percent", "requests", "members")
    assert [found[of(f"joint_{name}", metric="request-success-rate")] for name in names] == [0.02, 4.5, 300, 3]


def test_a_member_that_can_t_be_reached_is_shown_beside_its_state() -> None:
    away = [(2 * MINUTE, None)]
    found = observed(play(fleet_of(), [sketch("c001", away=away), sketch("c002")], limit=timedelta(hours=1)))
    assert found[of("member_unreachable", member="c001")] == 1
    assert found[of("member_unreachable", member="c002")] == 0


def test_a_spec_that_can_t_work_or_be_read_is_stalled() -> None:
    assert observed(play(fleet_of([]), [sketch("c001")]))[of("fleet_stalled")] == 1
    telemetry = Telemetry("0")
    telemetry.unreadable("prod/shop")
    of_fleets = {key: value for key, value in shown(telemetry).items() if "fleet" in key}
    assert of_fleets == {of("fleet_stalled"): 1}


def test_whoever_stands_by_shows_no_fleet() -> None:
    telemetry = Telemetry("0")
    before = shown(telemetry).keys()
    world = play(fleet_of(), [sketch("c001")])
    telemetry.observe(world.fleet, world.fleet.status)
    assert shown(telemetry).keys() != before
    telemetry.stand_by()
    assert shown(telemetry).keys() == before


def test_a_label_holds_whatever_a_release_is_called() -> None:
    world = play(fleet_of(release='a "b" \\ c'), [sketch("c001")])
    telemetry = Telemetry("0")
    telemetry.observe(world.fleet, world.fleet.status)
    assert b'release="a \\"b\\" \\\\ c"' in generate_latest(telemetry.registry)


def test_the_page_lists_exactly_what_is_exported_with_its_labels() -> None:
    page = (Path(__file__).parents[3] / "docs/metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(canary_hub\w+)` \| (\w+) \|([^|]*)\|", page, re.MULTILINE)
    listed = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    world = play(fleet_of(), [sketch("c001")])
    telemetry = Telemetry("0")
    shared = (ShareStatus(name="c001", weight=60),)
    telemetry.observe(world.fleet, world.fleet.status.replace(joint=(JOINT,), traffic=shared))
    families = [each for each in telemetry.registry.collect() if each.name.startswith("canary_hub")]
    assert listed == {
        each.name + ("_total" if each.type == "counter" else ""): (
            each.type,
            frozenset(each.samples[0].labels) - {"le"},
        )
        for each in families
    }


def test_passes_are_counted_from_zero_by_outcome() -> None:
    telemetry = Telemetry("0")
    telemetry.passed(Kind.BUG, timedelta(seconds=2))
    found = shown(telemetry)
    assert (found["canary_hub_reconcile_total{outcome=bug}"], found["canary_hub_reconcile_total{outcome=done}"]) == (
        1,
        0,
    )
    assert found["canary_hub_reconcile_duration_seconds_sum"] == 2


@pytest_asyncio.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    world = World()
    connect(monkeypatch, world)
    yield world
    await world.end()


@pytest.mark.looptime(noop_cycles=1)
async def test_a_hub_shows_its_fleets_while_they_are_there(world: World, looptime: int) -> None:
    world.add("a", PILOT)
    world.put_fleet()
    world.start()
    await eventually(lambda: world.status.get("phase") == "Succeeded", 60, lambda: world.status)
    await asyncio.sleep(1)
    found: dict[str, Any] = world.metrics
    assert (found["canary_hub_leader"], found[of("fleet_status")]) == (1, 1)
    assert found["canary_hub_reconcile_total{outcome=done}"] > 0

    world.hub.remove(CANARY_FLEET.path(*PLACE))
    await asyncio.sleep(5)
    assert [key for key in world.metrics if "name=shop" in key] == []
    await world.kill()
    assert world.metrics["canary_hub_leader"] == 0
