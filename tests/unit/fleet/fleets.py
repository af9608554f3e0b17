"""Fleets and members for tests, and a world that stops where a hub does what no hub may."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from canary.api.canary import parse_canary
from canary.api.fleet import CanaryFleet, parse_fleet
from canary.api.fleet_rules import canary_in
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState
from canary.api.status import Phase
from canary.fleet.decide import decide
from canary.fleet.decision import Annotate, Apply, Decision, Write
from canary.fleet.facts import Facts, Reachable
from canary.fleet.simulation import Away, Cluster, Fate, FleetWorld, Sketch
from canary.fleet.simulation.clusters import Place
from canary.fleet.simulation.sketch import NEW

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

THREE_WAVES: list[dict[str, Any]] = [{"name": "pilot", "count": 1}, {"name": "some", "percent": 40}, {"name": "all"}]
BAKE = "48h"


def fleet_of(waves: Sequence[Mapping[str, Any]] = THREE_WAVES, *, bake: str = BAKE, **spec: Any) -> CanaryFleet:
    """A fleet: keyword arguments are fields of its spec."""
    analysis = {"interval": "1m", "threshold": 2, "stepWeight": 50, "maxWeight": 50, **({"bake": bake} if bake else {})}
    analysis["metrics"] = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    canary = {"provider": "traefik", "targetRef": target, "service": {"port": 80}, "analysis": analysis}
    return parse_fleet(
        {
            "apiVersion": "fleet.canary.dev/v1alpha1",
            "kind": "CanaryFleet",
            "metadata": {"name": "shop", "namespace": "prod", "generation": 1},
            "spec": {
                "release": "r2",
                "template": {"metadata": {"name": "shop"}, "spec": canary},
                "waves": list(waves),
                **spec,
            },
        }
    )


GOOD = Fate()


def sketch(
    name: str, fate: Fate = GOOD, away: Iterable[tuple[timedelta, timedelta | None]] = (), **place: Any
) -> Sketch:
    """A member: how long it is away since the start, and what else a hub knows of it."""
    gone = [Away(START + start, None if end is None else START + end) for start, end in away]
    moments = {key: START + value for key, value in place.items() if isinstance(value, timedelta)}
    there = parse_canary(canary_in(fleet_of())) if place.get("has_canary", True) else None
    return Sketch(Place(name, place.get("labels", {}), away=gone, **moments), fate, START, there, place.get("images"))


def names(count: int) -> list[str]:
    """Names of members, in their order."""
    return [f"c{number:03}" for number in range(1, count + 1)]


class UnsafeError(AssertionError):
    """A rule that always holds was broken."""


class SafeFleetWorld(FleetWorld):
    """A world that holds every pass of a hub against the rules.

    - The same facts lead to the same decision.
    - Only a member that can be reached is written to, and only Canaries.
    - A vote goes to members of waves that have begun.
    - A wave begins only where enough members of each wave before it serve the release, or a person has promoted it.
    """

    def before_store(self, facts: Facts, decision: Decision) -> None:
        if decide(self.fleet, facts) != decision:
            self.unsafe("the same facts lead to another decision")

    def before_write(self, write: Write, decision: Decision) -> None:
        status, cluster = self.fleet.status, self.clusters[write.member]
        if cluster.place.away_since(self.now) is not None or not cluster.place.is_there(self.now):
            self.unsafe(f"{write.member} can't be written to")
        if self.fleet.watches:
            self.unsafe("a fleet that watches writes")
        member = status.member(write.member)
        voted = isinstance(write, Annotate) and any(key.startswith("vote.") for key in write.annotations)
        if voted and (member is None or member.opened is None or member.wave > status.wave):
            self.unsafe(f"{write.member} begins before its wave {status.wave}")
        if isinstance(write, Apply) and write.canary["kind"] != "Canary":
            self.unsafe("something else than a Canary is written")

    def after_store(self, before: FleetStatus, decision: Decision) -> None:
        now = self.fleet.status
        begun = range(before.wave + 1 if before.release == now.release else 1, now.wave + 1)
        if (
            now.promoted
            or now.phase is not FleetPhase.PROGRESSING
            or self.fleet.watches
            or now.attempt > before.attempt
        ):
            return
        for wave in begun:
            for earlier in range(1, wave):
                self._must_have_passed(earlier)

    def _must_have_passed(self, wave: int) -> None:
        own = [each for each in self.fleet.status.members if each.wave == wave and each.state is not MemberState.JOINED]
        serving = sum(self._serves(self.clusters[each.name], each.before) for each in own)
        needed = -(-len(own) * self.fleet.spec.waves[wave - 1].quorum // 100)
        if serving < needed:
            self.unsafe(f"only {serving} of {needed} members of wave {wave} serve the release")

    def _serves(self, cluster: Cluster, before: str | None) -> bool:
        canary = cluster.canary
        there = canary is not None and canary.status.phase in (Phase.SUCCEEDED, Phase.INITIALIZED, Phase.WAITING)
        # What is not seen is as it was seen last.
        away = cluster.place.away_since(self.now) is not None
        return away or (there and canary is not None and canary.status.last_promoted_spec not in ("", before))

    def unsafe(self, what: str) -> None:
        """Stop, as a rule was broken."""
        msg = f"after {self.now - self.start}, {self.fleet.status.phase} at wave {self.fleet.status.wave}: {what}"
        raise UnsafeError(msg)


def play(fleet: CanaryFleet, clusters: Iterable[Cluster], limit: timedelta = 30 * DAY, **world: Any) -> SafeFleetWorld:
    """Let a release take place."""
    made = SafeFleetWorld(fleet, clusters, START, **world)
    made.run(limit)
    return made


def states(world: FleetWorld) -> dict[str, str]:
    """The state of each member."""
    return {each.name: each.state.value for each in world.fleet.status.members}


def events(world: FleetWorld) -> list[str]:
    """What was told, in order."""
    return [event for entry in world.entries for event in entry.events]


def serve(world: FleetWorld) -> set[str]:
    """The members that serve the release, of those that there are."""
    there = [each for each in world.clusters.values() if each.place.is_there(world.now)]
    return {each.place.name for each in there if isinstance(each, Sketch) and each.promoted == NEW}


def reachable(world: FleetWorld, name: str) -> bool:
    """Whether a hub can see a member."""
    return isinstance(world.clusters[name].seen(world.now).seen, Reachable)
