"""Waves that shift requests between clusters: what each cluster gets while its member has not passed."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.fleet import CanaryFleet
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState
from canary.api.fleet_traffic import ShareState, Strategy
from canary.api.status import Phase
from canary.fleet.decide import decide
from canary.fleet.decision import Annotate, Decision, SetWeights, Write
from canary.fleet.facts import Facts, RouteSeen
from canary.fleet.orders import ORDER_ANNOTATION, PAUSE_ANNOTATION
from canary.fleet.simulation import AnnotateFleet, EditFleet, Fate, Sketch
from canary.fleet.simulation.world import SETTLE, HubDiedError
from tests.unit.fleet.fleets import DAY, MINUTE, START, SafeFleetWorld, events, fleet_of, names, serve, sketch, states
from tests.unit.fleet.test_fleet_properties import changes, few, members, orders, says_for_whom

ROUTE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "shop"}
STEPS = {"strategy": "cluster", "stepWeights": [10, 50], "stepInterval": "2m"}
BY_CLUSTER = [{"name": "pilot", "count": 1, **STEPS}, {"name": "all", **STEPS}]
OVER = (FleetPhase.SUCCEEDED, FleetPhase.FAILED)


def shared(shares: Iterable[int], **spec: Any) -> CanaryFleet:
    """A fleet whose members have these shares of all requests."""
    own = [{"name": name, "share": share} for name, share in zip(names(9), shares, strict=False)]
    return fleet_of(**{"waves": BY_CLUSTER, "traffic": {"routes": [ROUTE], "members": own}, **spec})


class Routed(SafeFleetWorld):
    """A world that holds the routes, too, against the rules.

    - What they say sums to 100.
    - No gate opens in a member of a wave that shifts requests before none reaches it, since long enough.
    - A version that has not passed gets no requests, where another cluster has its whole share.

    Attributes:
        history: what they have said, and from when on.
        dies_at: before which of its writes and stores the hub dies.
    """

    def __init__(self, *args: Any, dies_at: frozenset[int] = frozenset(), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dies_at, self.moments = dies_at, 0
        self.history: list[tuple[timedelta, dict[str, int]]] = []

    def _step(self) -> None:
        self.moments += 1
        if self.moments in self.dies_at:
            raise HubDiedError

    def before_route(self, write: SetWeights, decision: Decision) -> None:
        if sum(write.weights.values()) != 100 or min(write.weights.values()) < 0:
            self.unsafe(f"{dict(write.weights)} don't sum to 100")
        self._step()
        self.history.append((self.now - self.start, dict(write.weights)))

    def _by_cluster(self, name: str) -> bool:
        member = self.fleet.status.member(name)
        return member is not None and self.fleet.spec.waves[member.wave - 1].strategy is Strategy.CLUSTER

    def before_write(self, write: Write, decision: Decision) -> None:
        super().before_write(write, decision)
        voted = isinstance(write, Annotate) and any(key.startswith("vote.") for key in write.annotations)
        if voted and self._by_cluster(write.member):
            self._must_be_away(write.member)
        self._step()

    def _must_be_away(self, name: str) -> None:
        since = max((at for at, weights in self.history if weights[name] == 0), default=None)
        if self.carried[name] or (since is not None and self.now - self.start < since + SETTLE):
            self.unsafe(f"{name} begins while requests reach it: {self.carried}, since {since}")

    def before_store(self, facts: Facts, decision: Decision) -> None:
        super().before_store(facts, decision)
        for name, each in self.clusters.items():
            canary = each.canary if self._by_cluster(name) else None
            if canary is not None and canary.status.phase is Phase.PROGRESSING and self.carried.get(name):
                self.unsafe(f"{name} gets {self.carried[name]} percent of all requests as it rolls out")
        self._step()


def play(fleet: CanaryFleet, clusters: Iterable[Sketch], limit: timedelta = 30 * DAY, **world: Any) -> Routed:
    """Let a release take place."""
    made = Routed(fleet, clusters, START, **world)
    made.run(limit)
    return made


def said(world: Routed) -> list[dict[str, int]]:
    """What the routes have said, in order."""
    return [weights for _, weights in world.history]


def three(**fates: Fate) -> list[Sketch]:
    """Three members."""
    return [sketch(name, fates.get(name, Fate())) for name in names(3)]


class TestAGoodRelease:
    @pytest.mark.field(
        "CanaryFleet.spec.traffic.members[].name",
        "CanaryFleet.spec.traffic.members[].share",
        "CanaryFleet.spec.waves[].strategy",
        "CanaryFleet.spec.waves[].stepWeights",
        "CanaryFleet.status.traffic[].weight",
    )
    def test_each_member_loses_its_share_before_its_rollout_and_gets_it_back_in_steps(self) -> None:
        world = play(shared([60, 40], waves=[{"name": "all", **STEPS}]), [sketch(name) for name in names(2)])
        assert said(world) == [
            {"c001": 0, "c002": 100},
            {"c001": 6, "c002": 94},
            {"c001": 30, "c002": 70},
            {"c001": 60, "c002": 40},
            {"c001": 100, "c002": 0},
            {"c001": 96, "c002": 4},
            {"c001": 80, "c002": 20},
            {"c001": 60, "c002": 40},
        ]
        assert world.fleet.status.phase is FleetPhase.SUCCEEDED
        assert serve(world) == {"c001", "c002"}

    @pytest.mark.field("CanaryFleet.spec.waves[].stepInterval", "CanaryFleet.status.traffic[].since")
    def test_a_step_holds_for_its_interval_and_the_rollout_begins_once_the_data_plane_has_followed(self) -> None:
        world = play(shared([60, 40], waves=[{"name": "all", **STEPS}]), [sketch(name) for name in names(2)])
        moments = [at for at, _ in world.history[:4]]
        rollout = Fate().takes
        assert moments == [
            timedelta(0),
            SETTLE + rollout,
            SETTLE + rollout + 2 * MINUTE,
            SETTLE + rollout + 4 * MINUTE,
        ]

    def test_one_member_at_a_time_where_nothing_says_how_many(self) -> None:
        world = play(shared([50, 30, 20], waves=[{"name": "all", **STEPS}]), three())
        assert all(sum(weight == 0 for weight in weights.values()) <= 1 for weights in said(world))

    def test_without_steps_the_whole_share_comes_back_at_once(self) -> None:
        world = play(shared([60, 40], waves=[{"name": "all", "strategy": "cluster"}]), [sketch(n) for n in names(2)])
        assert said(world)[:2] == [{"c001": 0, "c002": 100}, {"c001": 60, "c002": 40}]

    def test_a_wave_has_passed_once_its_members_have_their_whole_shares(self) -> None:
        waves = [{"name": "pilot", "count": 1, **STEPS, "soak": "1h"}, {"name": "all"}]
        world = play(shared([60, 40], waves=waves), [sketch(n) for n in names(2)], limit=30 * MINUTE)
        assert world.fleet.status.waves[0].passed_since == START + SETTLE + Fate().takes + 4 * MINUTE

    def test_waves_inside_each_member_leave_the_routes_alone(self) -> None:
        world = play(shared([50, 30, 20], waves=[{"name": "all"}]), three())
        assert world.fleet.status.phase is FleetPhase.SUCCEEDED
        assert said(world) == []

    def test_events_say_what_each_gets_and_when_it_has_all_of_it_again(self) -> None:
        told = events(play(shared([60, 40], waves=[{"name": "all", **STEPS}]), [sketch(n) for n in names(2)]))
        assert [each for each in told if "c001" in each and ("requests" in each or "share" in each)] == [
            "Member c001 is to get no requests: others take its share",
            "Member c001 gets no requests",
            "Member c001 gets requests again: 6 of its 60 percent",
            "Member c001 gets requests again: 30 of its 60 percent",
            "Member c001 has its share again: 60 percent",
        ]


class TestABadRelease:
    def test_it_stops_in_the_first_wave_and_no_request_has_reached_it(self) -> None:
        """The share is back once the member serves again what it did before, and all of it at once."""
        bad = Fate(fails=9)
        world = play(shared([50, 30, 20]), three(c001=bad, c002=bad, c003=bad))
        assert said(world) == [{"c001": 0, "c002": 60, "c003": 40}, {"c001": 50, "c002": 30, "c003": 20}]
        assert states(world) == {"c001": "Failed", "c002": "Pending", "c003": "Pending"}

    def test_a_version_that_turns_bad_after_its_promotion_gets_no_more_requests_until_it_is_back(self) -> None:
        waves = [{"name": "all", **STEPS, "soak": "1h"}]
        late = Fate(turns_bad_after=3 * MINUTE)
        world = play(shared([50, 30, 20], waves=waves), three(c001=late), limit=20 * MINUTE)
        assert states(world)["c001"] == "Failed"
        assert world.carried["c001"] == 50, "it serves again what it did before"
        assert {"c001": 25, "c002": 45, "c003": 30} in said(world)

    def test_what_fails_and_is_held_gets_nothing(self) -> None:
        """Its Canary has taken nothing back, and still serves what has failed."""
        fleet, clusters = shared([50, 30, 20]), three()
        world = play(fleet, clusters, limit=30 * MINUTE)
        canary = clusters[0].canary
        assert canary is not None
        clusters[0]._canary = canary.replace(
            status=canary.status.replace(phase=Phase.FAILED, reason="Held", message="it is bad")
        )
        world._settle()
        assert world.carried["c001"] == 0

    def test_a_member_that_fails_while_no_other_has_its_whole_share_keeps_what_it_has(self) -> None:
        """Requests go somewhere; its own controller has them go to what was good."""
        waves = [{"name": "all", "maxParallel": 2, **STEPS}]
        world = play(shared([60, 40], waves=waves), [sketch(n) for n in names(2)], limit=MINUTE)
        assert said(world) == [{"c001": 0, "c002": 100}]
        assert "no other cluster that can be reached" in str(world.fleet.status.member("c002"))
        assert any("Member c002 keeps its share" in each for each in events(world))


class TestWhoCannotBeReached:
    @pytest.mark.field("CanaryFleet.status.traffic[].message")
    def test_it_gets_no_more_than_it_did(self) -> None:
        clusters = three()
        clusters[1] = sketch("c002", away=[(timedelta(0), None)])
        world = play(shared([50, 30, 20]), clusters, limit=4 * MINUTE)
        assert world.carried == {"c001": 0, "c002": 30, "c003": 70}
        share = world.fleet.status.share("c002")
        assert share is not None
        assert share.message == "it can't be reached, and gets no more than it did"

    @pytest.mark.field(
        "CanaryFleet.status.traffic[].step", "CanaryFleet.status.traffic[].state", "CanaryFleet.status.traffic[].name"
    )
    def test_one_that_goes_away_as_it_comes_back_stays_at_its_step(self) -> None:
        clusters = three()
        clusters[0] = sketch("c001", away=[(6 * MINUTE, 60 * MINUTE)])
        world = play(shared([50, 30, 20]), clusters, limit=59 * MINUTE)
        share = world.fleet.status.share("c001")
        assert share is not None
        assert (share.name, share.state, share.step, world.carried["c001"]) == ("c001", ShareState.RETURNING, 1, 5)
        assert play(shared([50, 30, 20]), [sketch("c001", away=[(6 * MINUTE, 60 * MINUTE)]), *three()[1:]]).carried == {
            "c001": 50,
            "c002": 30,
            "c003": 20,
        }

    def test_a_share_is_not_taken_away_where_no_other_cluster_can_be_told_to_be_well(self) -> None:
        clusters = [sketch("c001"), sketch("c002", away=[(timedelta(0), None)])]
        world = play(shared([60, 40]), clusters, limit=10 * MINUTE)
        assert said(world) == []
        member = world.fleet.status.member("c001")
        assert member is not None
        assert member.message == (
            "its share can't be taken away: no other cluster that can be reached has the whole of its own"
        )


def route(**seen: Any) -> Callable[[], tuple[RouteSeen, ...]]:
    """A route of which that is known."""
    return lambda: (RouteSeen("HTTPRoute shop", settle=SETTLE, **seen),)


class TestRoutes:
    def test_an_edit_of_somebody_else_is_put_back(self) -> None:
        world = play(shared([50, 30, 20], waves=[{"name": "all"}]), three())
        world.carried = {"c001": 1, "c002": 1, "c003": 98}
        world._settle()
        assert world.carried == {"c001": 50, "c002": 30, "c003": 20}

    def test_nothing_begins_while_a_route_is_not_there(self) -> None:
        world = Routed(shared([50, 30, 20]), three(), START)
        world.routes = route(problem="it does not exist in prod")  # type: ignore[method-assign]
        status = world.run(30 * MINUTE)
        assert {each.state for each in status.members} == {MemberState.OPEN, MemberState.PENDING}
        assert {each.type: each.reason for each in status.conditions} == {"Ready": "Rolling", "Routed": "NotRouted"}
        assert status.members[0].message == ("its share can't be taken away: HTTPRoute shop: it does not exist in prod")

    def test_nothing_begins_before_the_gateway_has_taken_the_route(self) -> None:
        world = Routed(shared([50, 30, 20]), three(), START)
        away: dict[str, int] = {"c001": 0, "c002": 60, "c003": 40}
        world.routes = route(weights=(away,), behind="edge has not accepted it")  # type: ignore[method-assign]
        status = world.run(30 * MINUTE)
        assert status.members[0].state is MemberState.OPEN
        assert status.members[0].message == "HTTPRoute shop: edge has not accepted it"

    def test_of_several_the_slowest_counts(self) -> None:
        world = Routed(shared([50, 30, 20]), three(), START)
        there = world.routes
        world.routes = lambda: (*there(), RouteSeen("b", there()[0].weights, settle=MINUTE))  # type: ignore[method-assign]
        world.run(20 * MINUTE)
        assert world.history[2][0] == MINUTE + Fate().takes

    @pytest.mark.field("CanaryFleet.spec.traffic.settle")
    def test_a_fleet_may_say_how_long_requests_go_on_as_before(self) -> None:
        fleet = shared([60, 40], waves=[{"name": "all", "strategy": "cluster"}])
        assert fleet.spec.traffic is not None
        slow = fleet.spec.traffic.replace(settle=3 * MINUTE)
        world = play(fleet.replace(spec=fleet.spec.replace(traffic=slow)), [sketch(n) for n in names(2)])
        assert world.history[1][0] == 3 * MINUTE + Fate().takes

    def test_a_fleet_that_only_watches_writes_none(self) -> None:
        world = play(shared([50, 30, 20], mode="watch", waves=[{"name": "all"}]), three())
        assert said(world) == []
        assert world.fleet.status.traffic == ()

    def test_a_member_that_no_route_leads_to_does_not_begin(self) -> None:
        fleet = shared([60, 40])
        world = play(fleet, [sketch("a000"), *[sketch(n) for n in names(2)]], limit=30 * MINUTE)
        member = world.fleet.status.member("a000")
        assert member is not None
        assert member.message == "spec.traffic.members does not name it, so that its share can't be taken away"


class TestOrders:
    def test_a_pause_leaves_each_share_as_it_is(self) -> None:
        paused = [(START + 6 * MINUTE, AnnotateFleet(PAUSE_ANNOTATION, "by mia"))]
        world = play(shared([50, 30, 20]), three(), changes=paused)
        assert world.carried["c001"] == 5
        share = world.fleet.status.share("c001")
        assert share is not None
        assert share.message == "the release stands still"

    def test_an_abort_gives_each_its_share_once_it_is_back(self) -> None:
        aborted = [(START + 3 * MINUTE, AnnotateFleet(ORDER_ANNOTATION, "abort by=mia"))]
        world = play(shared([50, 30, 20]), three(), changes=aborted)
        assert world.carried == {"c001": 50, "c002": 30, "c003": 20}
        assert serve(world) == set()

    def test_another_release_goes_on_with_the_shares_of_the_one_before(self) -> None:
        fleet = shared([50, 30, 20])
        later = fleet.spec.replace(release="r3")
        world = play(fleet, three(), changes=[(START + 6 * MINUTE, EditFleet(later))], limit=9 * MINUTE)
        assert world.fleet.status.release == "r3"
        assert world.fleet.status.share("c001") is not None
        assert [weights["c001"] for weights in said(world)] == [0, 5, 25]


def test_the_same_facts_lead_to_the_same_weights_whoever_decides() -> None:
    world = play(shared([50, 30, 20]), three(), limit=6 * MINUTE)
    facts = world.facts()
    assert decide(world.fleet, facts) == decide(world.fleet, facts)


shares_of = st.lists(st.integers(0, 100), min_size=6, max_size=6).map(
    lambda cuts: [high - low for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), 100], strict=True)]
)
by_cluster = st.sampled_from(
    [
        [{"name": "all", **STEPS}],
        [{"name": "pilot", "count": 1, **STEPS, "soak": "5m"}, {"name": "all", **STEPS, "maxParallel": 3}],
        [{"name": "pilot", "count": 2, "strategy": "cluster", "quorum": 50}, {"name": "all"}],
    ]
)


@st.composite
def fleets(draw: st.DrawFn) -> CanaryFleet:
    """A fleet that shifts requests between clusters, of any shares."""
    on_failure = draw(st.sampled_from(["hold", "rollbackWave", "rollbackAll"]))
    return shared(draw(shares_of), waves=draw(by_cluster), onFailure=on_failure)


@few
@given(fleets(), members(), orders, st.frozensets(st.integers(1, 80), max_size=4))
def test_whatever_becomes_of_members_no_unproven_version_gets_requests(
    fleet: CanaryFleet,
    clusters: list[Sketch],
    drawn: list[tuple[timedelta, tuple[str, str | None]]],
    dies_at: frozenset[int],
) -> None:
    """And what routes say sums to 100; every release ends, or says for whom it waits."""
    world = Routed(fleet, clusters, START, changes(drawn), dies_at=dies_at)
    status = world.run(30 * DAY)
    assert status.phase in OVER or status.reason == "Shifting" or says_for_whom(status), status.message


@few
@given(fleets(), st.frozensets(st.integers(1, 80), max_size=6))
def test_a_hub_that_dies_anywhere_ends_where_it_would_have_ended(fleet: CanaryFleet, dies_at: frozenset[int]) -> None:
    def clusters() -> list[Sketch]:
        return [sketch(name, Fate(fails=name == "c003")) for name in names(5)]

    alive, mortal = Routed(fleet, clusters(), START), Routed(fleet, clusters(), START, dies_at=dies_at)
    assert ends(alive.run(30 * DAY)) == ends(mortal.run(30 * DAY))
    assert alive.carried == mortal.carried


def ends(status: FleetStatus) -> tuple[Any, ...]:
    """Where a release has ended, but for when."""
    shares = [(each.name, each.state, each.weight) for each in status.traffic]
    return status.phase, status.reason, [(each.name, each.state) for each in status.members], shares


@few
@given(fleets(), members(good=True))
def test_what_is_taken_away_is_given_back(fleet: CanaryFleet, clusters: list[Sketch]) -> None:
    """Where all is well in the end, and every member can be reached."""
    world = play(fleet, clusters)
    gone = {each.name for each in world.fleet.status.traffic if each.state is not ShareState.WHOLE}
    assert world.fleet.status.phase is not FleetPhase.SUCCEEDED or not gone
