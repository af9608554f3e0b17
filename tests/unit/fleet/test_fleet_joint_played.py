"""The joint verdict over members whose Canaries are moved, and judged, by the controller's own decisions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.fleet import CanaryFleet, parse_fleet
from canary.api.fleet_rules import GATE
from canary.api.fleet_status import FleetPhase
from canary.fleet.simulation import Cluster, Played
from canary.fleet.simulation.clusters import Place
from canary.fleet.simulation.world import HubDiedError
from canary.fleet.writes import wanted_canary
from canary.rollout.simulation import Deploy, Reading, Reply, Scenario, Scheduled, Version
from tests.unit.fleet.fleets import DAY, MINUTE, START, SafeFleetWorld, events, fleet_of, names

BEFORE = 2 * MINUTE
TOO_FEW = 0.2
"""Percent of requests that fail beyond what is tolerated: no member has the requests to tell in its three minutes."""


def fleet(**spec: Any) -> CanaryFleet:
    raw = fleet_of([{"name": "pilot", "count": 1}, {"name": "rest"}], onFailure="rollbackAll", **spec).to_json()
    compared: Mapping[str, Any] = {"name": "request-success-rate", "compareTo": "primary"}
    analysis = raw["spec"]["template"]["spec"]["analysis"]
    raw["spec"]["template"]["spec"]["analysis"] = {**analysis, "stepWeight": 25, "metrics": [compared]}
    return parse_fleet(raw)


def member(name: str, percent: float, given: CanaryFleet) -> Played:
    """A member in which so many percent of the new version's requests fail."""

    def scenario(canary: Canary, now: datetime) -> Scenario:
        versions = {"v1": Version(), "v2": Version(readings=(Reading(100 - percent, "request-success-rate"),))}
        deployed, closed = Scheduled(BEFORE, Deploy("v2")), Reply(approved=False, name=GATE)
        return Scenario(canary=canary, versions=versions, changes=(deployed,), replies=(closed,), start=now)

    made = Played(Place(name), scenario)
    made.apply(wanted_canary(given), START - BEFORE)
    made.advance(START)
    return made


class World(SafeFleetWorld):
    """A world that ends with its release, whose hub dies at one moment."""

    dies_at = moments = 0

    def is_over(self) -> bool:
        return self.fleet.status.phase in (FleetPhase.SUCCEEDED, FleetPhase.FAILED)

    def before_store(self, *args: Any) -> None:
        super().before_store(*args)
        self.moments += 1
        if self.moments == self.dies_at:
            raise HubDiedError


def release(percent: float, count: int = 4, dies_at: int = 0, **spec: Any) -> World:
    given = fleet(**spec)
    clusters: list[Cluster] = [member(name, percent, given) for name in names(count)]
    world = World(given, clusters, START)
    world.dies_at = dies_at
    world.run(DAY)
    return world


def served(world: World) -> list[str]:
    return [each.canary.status.last_promoted_spec for each in world.clusters.values() if each.canary]


def test_what_no_member_can_tell_alone_all_tell_together_and_it_is_brought_back() -> None:
    alone = release(TOO_FEW)
    assert (alone.fleet.status.phase, set(served(alone))) == (FleetPhase.SUCCEEDED, {"v2"})

    world = release(TOO_FEW, jointVerdict={})
    status = world.fleet.status
    assert (status.phase, status.reason, set(served(world))) == (FleetPhase.FAILED, "RolledBack", {"v1"})
    assert "by the numbers of all together: request-success-rate 0.2 %" in status.cause
    assert not [event for event in events(world) if "has failed" in event]


def test_a_release_that_is_as_good_everywhere_comes_everywhere_and_no_status_is_written_more_often() -> None:
    """What a member's Canary says of its comparison changes with what it has counted anyway."""
    world, without = release(0, jointVerdict={}), release(0)
    assert (world.fleet.status.phase, set(served(world))) == (FleetPhase.SUCCEEDED, {"v2"})
    (joint,) = world.fleet.status.joint
    assert (joint.members, joint.p_value, joint.value) == (4, 1, 0)
    assert world.moments <= without.moments + 2


def test_it_is_found_with_fewer_members_the_worse_it_is() -> None:
    counts = [len([each for each in release(percent, jointVerdict={}).fleet.status.members if each.evidence])
              for percent in (TOO_FEW, 100)]  # fmt: skip
    assert counts[1] == 1 < counts[0]


@pytest.mark.parametrize("dies_at", [5, 40, 80])
def test_a_hub_that_dies_is_followed_by_one_that_judges_the_same(dies_at: int) -> None:
    world = release(TOO_FEW, dies_at=dies_at, jointVerdict={})
    assert (world.fleet.status.reason, set(served(world))) == ("RolledBack", {"v1"})
