"""A member in a few strokes is what the real one is: a hub sees and does the same with a controller's decisions."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.fleet_rules import GATE
from canary.api.fleet_status import FleetPhase
from canary.fleet.decision import Decision, Write
from canary.fleet.facts import Facts
from canary.fleet.simulation import Fate, Played
from canary.fleet.simulation.clusters import Cluster, Place
from canary.fleet.simulation.world import HubDiedError
from canary.fleet.writes import wanted_canary
from canary.rollout.simulation import Deploy, Reading, Reply, SafeWorld, Scenario, Scheduled, Side, Version
from tests.unit.fleet.fleets import DAY, MINUTE, START, SafeFleetWorld, events, fleet_of, names, sketch

BEFORE = timedelta(minutes=2)
"""How long before the release a member's Canary is there already."""

VERSIONS: Mapping[str, Version] = {
    "good": Version(),
    "bad": Version(readings=(Reading(1.0),)),
    "turns bad": Version(readings=(Reading(1.0, side=Side.PRIMARY, after=4 * MINUTE),)),
}
FATES: Mapping[str, Fate] = {
    "good": Fate(takes=3 * MINUTE),
    "bad": Fate(takes=3 * MINUTE, fails=9),
    "turns bad": Fate(takes=3 * MINUTE, turns_bad_after=5 * MINUTE),
}
WAVES: list[dict[str, Any]] = [{"name": "one", "count": 1, "soak": "10m"}, {"name": "rest"}]


class DyingHub(SafeFleetWorld):
    """A world whose hub dies at one moment."""

    dies_at = 0
    moments = 0

    def before_write(self, write: Write, decision: Decision) -> None:
        super().before_write(write, decision)
        self._step()

    def before_store(self, facts: Facts, decision: Decision) -> None:
        super().before_store(facts, decision)
        self._step()

    def _step(self) -> None:
        self.moments += 1
        if self.moments == self.dies_at:
            raise HubDiedError

    def is_over(self) -> bool:
        """Bakes are of no interest once the release has ended."""
        return self.fleet.status.phase in (FleetPhase.SUCCEEDED, FleetPhase.FAILED)


def played(name: str, version: Version) -> Played:
    """A member whose Canary is at rest with the version before, and is moved by the controller's own decisions."""

    def scenario(canary: Canary, now: datetime) -> Scenario:
        deployed = Scheduled(BEFORE, Deploy("v2"))
        closed = Reply(approved=False, name=GATE)
        versions = {"v1": Version(), "v2": version}
        return Scenario(canary=canary, versions=versions, changes=(deployed,), replies=(closed,), start=now)

    made = Played(Place(name), scenario, SafeWorld)
    made.apply(wanted_canary(fleet_of()), START - BEFORE)
    made.advance(START)
    return made


def release(clusters: list[Cluster], policy: str, dies_at: int = 0) -> DyingHub:
    world = DyingHub(fleet_of(WAVES, onFailure=policy), clusters, START)
    world.dies_at = dies_at
    world.run(2 * DAY)
    return world


@pytest.mark.parametrize("policy", ["hold", "rollbackWave", "rollbackAll"])
@pytest.mark.parametrize("kinds", [("good", "good"), ("bad", "good"), ("good", "bad"), ("turns bad", "good")])
def test_a_release_goes_the_same_way_with_both(policy: str, kinds: tuple[str, str]) -> None:
    """Votes, orders to take back in mid-rollout and in a bake: what the hub writes is heeded as it is meant."""
    pairs = list(zip(names(2), kinds, strict=True))
    real = release([played(name, VERSIONS[kind]) for name, kind in pairs], policy)
    sketched = release([sketch(name, FATES[kind]) for name, kind in pairs], policy)

    assert _ends(real) == _ends(sketched)
    assert [_told(each) for each in events(real)] == [_told(each) for each in events(sketched)]


@pytest.mark.parametrize("dies_at", range(1, 25, 3))
def test_a_hub_that_dies_at_any_moment_is_followed_by_one_that_goes_on(dies_at: int) -> None:
    clusters: list[Cluster] = [played("c001", VERSIONS["good"]), played("c002", VERSIONS["bad"])]
    world = release(clusters, "rollbackAll", dies_at)

    assert (world.fleet.status.phase, world.fleet.status.reason) == (FleetPhase.FAILED, "RolledBack")
    assert [each.canary.status.last_promoted_spec for each in clusters if each.canary] == ["v1", "v1"]


def _ends(world: DyingHub) -> tuple[str, str, list[str], list[str]]:
    status = world.fleet.status
    serving = [each.canary.status.last_promoted_spec for each in world.clusters.values() if each.canary]
    return status.phase.value, status.reason, [each.state.value for each in status.members], serving


def _told(event: str) -> str:
    """An event without what a Canary says in its own words."""
    return event.partition(":")[0]
