"""A Canary that Flagger ran until now: in every phase, what runs goes on running, and the rollout goes on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY, Split
from canary.rollout.adoption import is_foreign
from canary.rollout.decision import Adopt, Decision, HoldFinalizer
from canary.rollout.facts import Facts
from canary.rollout.simulation import (
    Delete,
    Deploy,
    Reading,
    Reply,
    SafeWorld,
    Scenario,
    TakenOver,
    Version,
)

Make = Callable[..., Canary]
Story = Callable[..., Scenario]

V2 = (60, Deploy("v2"))
MATCH = [{"headers": {"x-canary": {"exact": "yes"}}}]
GATED = {"webhooks": [{"name": "gate", "type": "confirm-promotion", "url": "http://hooks.test/"}]}
AT_FIRST = [{"name": "gate", "type": "confirm-rollout", "url": "http://hooks.test/"}]


def take_over(scenario: Scenario, at: float, **lacks: Any) -> TakenOver:
    world = TakenOver(scenario, at, **lacks)
    world.run()
    return world


def phase_of(world: SafeWorld) -> Phase:
    """The phase as it is now."""
    return world.canary.status.phase


def weights(world: SafeWorld) -> list[int]:
    """The shares of the canary since it was taken over, each once."""
    found: list[int] = []
    for entry in world.entries:
        share = (entry.split or ALL_PRIMARY).canary
        if not found or found[-1] != share:
            found.append(share)
    return found


def test_a_status_without_a_generation_is_anothers(canary: Make) -> None:
    """Ours names it always; before the primary serves there is nothing in a status that is not seen anyway."""
    assert is_foreign(CanaryStatus(phase=Phase.SUCCEEDED))
    assert not is_foreign(CanaryStatus(phase=Phase.SUCCEEDED, observed_generation=1))
    assert not is_foreign(CanaryStatus())
    assert not is_foreign(CanaryStatus(phase=Phase.INITIALIZING))


@pytest.mark.parametrize("at", [30, 2000], ids=["initialized", "succeeded"])
def test_at_rest_nothing_happens(canary: Make, story: Story, at: float) -> None:
    world = take_over(story(canary(), V2), at) if at > 60 else take_over(story(canary()), at)

    assert world.adoptions == 1
    assert world.told == []
    assert weights(world) == [0]
    status = world.canary.status
    assert status.phase is world.before.phase
    assert status.last_applied_spec == status.last_promoted_spec == ("v2" if at > 60 else "v1")
    assert status.tracked_configs == world.before.tracked_configs
    assert status.conditions == world.before.conditions
    assert (status.reason, status.message) == ("TakenOver", "taken over from Flagger")
    assert world.cluster.finalizer


def test_then_a_new_version_is_rolled_out(canary: Make, story: Story) -> None:
    world = take_over(story(canary(), V2, (3000, Deploy("v3"))), 2000)

    assert weights(world) == [0, 10, 20, 30, 40, 50, 0]
    assert world.canary.status.phase is Phase.SUCCEEDED
    assert world.canary.status.last_promoted_spec == "v3"


def test_one_that_came_while_nobody_looked_is_rolled_out(canary: Make, story: Story) -> None:
    """At rest the primary is what was promoted; a target that differs from it is new."""
    world = TakenOver(story(canary()), 30)
    world.change(Deploy("v2"))
    world.run()

    assert world.told[0] == "New revision detected! Scaling up app.prod"
    assert world.canary.status.last_promoted_spec == "v2"


def test_one_that_has_failed_is_left_alone(canary: Make, story: Story) -> None:
    """Until it changes."""
    bad = {"v2": Version(readings=(Reading(0.0),))}
    world = take_over(story(canary(), V2, versions=bad), 2000)

    assert world.canary.status.phase is Phase.FAILED
    assert (world.told, weights(world)) == ([], [0])
    assert world.cluster.primary is not None
    assert world.cluster.primary.revision == "v1"

    world = take_over(story(canary(), V2, (3000, Deploy("v3")), versions=bad), 2000)
    assert world.canary.status.last_promoted_spec == "v3"


def test_one_that_has_failed_can_be_set_back(canary: Make, story: Story) -> None:
    bad = {"v2": Version(readings=(Reading(0.0),))}
    world = take_over(story(canary(), V2, (3000, Deploy("v1")), versions=bad), 2000)

    assert world.canary.status.phase is Phase.SUCCEEDED
    assert world.told == ["app.prod is back at the promoted revision"]


@pytest.mark.parametrize(
    ("at", "rest"),
    [
        (61, [0, 10, 20, 30, 40, 50, 0]),
        (200, [30, 40, 50, 0]),
        (330, [50, 0]),
        (367.05, [50, 0]),
        (370, [50, 0]),
        (373, [0]),
    ],
)
def test_in_mid_rollout_it_goes_on_from_its_weight(canary: Make, story: Story, at: float, rest: list[int]) -> None:
    world = take_over(story(canary(), V2), at)

    assert weights(world) == rest
    assert world.canary.status.phase is Phase.SUCCEEDED
    assert world.canary.status.last_promoted_spec == "v2"
    assert "" not in world.served
    assert not any("New revision" in message for message in world.told)


def test_the_step_that_was_begun_elsewhere_lasts_a_whole_interval(canary: Make, story: Story) -> None:
    """It is judged by what is seen of it here."""
    world = TakenOver(story(canary(), V2), 200)
    world.run(timedelta(seconds=259))
    assert weights(world) == [30]
    world.run(timedelta(seconds=261))
    assert weights(world) == [30, 40]


def test_a_bad_one_is_taken_back(canary: Make, story: Story) -> None:
    bad = {"v2": Version(readings=(Reading(0.0, weight=30),))}
    world = take_over(story(canary(threshold=1), V2, versions=bad), 200)

    assert weights(world) == [30, 0]
    assert world.canary.status.phase is Phase.FAILED


def test_failed_checks_count_on(canary: Make, story: Story) -> None:
    bad = {"v2": Version(readings=(Reading(0.0, weight=30),))}
    world = take_over(story(canary(threshold=5), V2, versions=bad), 200, failed_checks=4)

    assert world.canary.status.failed_checks == 5
    assert sum("advancement success rate" in message for message in world.told) == 1


def test_the_route_tells_the_weight_where_the_status_lags(canary: Make, story: Story) -> None:
    """Flagger moves the weight first, and may be stopped before it is stored."""
    assert weights(take_over(story(canary(), V2), 200, canary_weight=20)) == [30, 40, 50, 0]


@pytest.mark.parametrize("analysis", [{"iterations": 3}, {"iterations": 3, "match": MATCH}], ids=["blue/green", "a/b"])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("at", range(62, 400, 20))
def test_iterations_go_on_too(canary: Make, story: Story, analysis: dict[str, Any], weighted: bool, at: float) -> None:
    made = canary(**analysis)
    plain = SafeWorld(story(made, V2, weighted=weighted))
    plain.run()
    world = take_over(story(made, V2, weighted=weighted), at)

    assert world.canary.status.phase is Phase.SUCCEEDED
    assert world.canary.status.last_promoted_spec == "v2"
    assert world.cluster.primary is not None
    assert world.cluster.primary.revision == "v2"
    before = [entry.split for entry in plain.entries]
    assert {entry.split for entry in world.entries} <= set(before), "no division that the plan does not have"


@pytest.mark.parametrize("analysis", [{}, {"iterations": 2}, {"iterations": 2, "match": MATCH}])
def test_what_waits_for_the_promotions_approval_goes_on_waiting(
    canary: Make, story: Story, analysis: dict[str, Any]
) -> None:
    """Flagger forgets the weight in that phase; the route has it."""
    closed = Reply(approved=False, name="gate", end=timedelta(seconds=3000))
    world = TakenOver(story(canary(**analysis, **GATED), V2, replies=(closed,)), 1000)
    assert world.before.phase is Phase.WAITING_PROMOTION
    world.run(timedelta(seconds=2900))
    assert phase_of(world) is Phase.WAITING_PROMOTION
    assert len(weights(world)) == 1
    world.run()

    assert world.canary.status.phase is Phase.SUCCEEDED


def test_what_waits_for_approval_goes_on_waiting(canary: Make, story: Story) -> None:
    closed = Reply(approved=False, name="gate", end=timedelta(seconds=3000))
    world = TakenOver(story(canary(webhooks=AT_FIRST), V2, replies=(closed,)), 1000)
    assert world.before.phase is Phase.WAITING
    world.run(timedelta(seconds=2900))
    assert phase_of(world) is Phase.WAITING
    world.run()

    assert world.canary.status.phase is Phase.SUCCEEDED
    assert world.canary.status.last_promoted_spec == "v2"


def test_what_waited_and_was_set_back_is_at_rest(canary: Make, story: Story) -> None:
    closed = Reply(approved=False, name="gate")
    world = TakenOver(story(canary(webhooks=AT_FIRST), V2, replies=(closed,)), 1000)
    world.change(Deploy("v1"))
    world.run()

    assert world.canary.status.phase is Phase.SUCCEEDED


@pytest.mark.parametrize("at", [371, 373], ids=["promoting", "finalising"])
def test_a_version_that_came_after_the_copy_is_rolled_out_by_itself(canary: Make, story: Story, at: float) -> None:
    """The primary has been made what was promoted; what the target is now, nobody has looked at."""
    world = TakenOver(story(canary(), V2), at)
    world.change(Deploy("v3"))
    world.run()

    assert world.canary.status.last_promoted_spec == "v3"
    assert any("New revision detected! " in message for message in world.told)
    assert weights(world)[-7:] == [0, 10, 20, 30, 40, 50, 0]


def test_a_promotion_that_is_called_failed_with_all_traffic_on_the_canary_goes_on(canary: Make, story: Story) -> None:
    """So Flagger leaves one whose primary did not become ready in time."""
    stuck = {"v2": Version(fits_primary=False)}
    world = TakenOver(
        story(canary(), V2, (3000, Deploy("v3")), versions=stuck), 1500, phase=Phase.FAILED, canary_weight=100
    )
    world.cluster.split = Split(100)
    world.weight = 100
    world.run(timedelta(seconds=2900))
    assert weights(world) == [100]
    assert phase_of(world) is Phase.PROMOTING
    world.run()

    assert world.canary.status.last_promoted_spec == "v3"
    assert "" not in world.served


def test_a_target_that_is_missing_is_looked_at_when_it_is_back(canary: Make, story: Story) -> None:
    """What the primary serves needs no rollout, whatever else does."""
    for revision, told in [("v1", 0), ("v2", 1)]:
        world = TakenOver(story(canary(), (3000, Deploy(revision))), 30)
        world.cluster.target = None
        world.run()

        assert world.canary.status.last_promoted_spec == revision
        assert sum("New revision" in message for message in world.told) == told


def test_one_that_is_being_deleted_gets_no_finalizer_and_goes(canary: Make, story: Story) -> None:
    """Nothing may be added to what is deleted; what Flagger has begun is ended, with a deadline of its own."""
    never = {"v1": Version(), "v2": Version(ready_after=None)}
    made = canary(spec={"revertOnDeletion": True})
    world = TakenOver(story(made, V2, (100, Delete()), versions=never), 110)
    assert world.before.phase is Phase.TERMINATING
    world.run()

    assert world.gone
    assert world.cluster.orphaned
    assert world.entries[-1].at <= timedelta(seconds=111 + 300)


def test_users_keep_their_cookies(canary: Make, story: Story) -> None:
    """Those that Flagger gave them, until the rollout is over; then ours takes them back."""
    affinity = {"cookieName": "to-canary", "primaryCookieName": "to-primary"}
    given = {"session_affinity_cookie": "to-canary=LpsIaLdoNZ", "primary_session_affinity_cookie": "to-primary=xyz"}
    world = TakenOver(story(canary(sessionAffinity=affinity), V2, (3000, Deploy("v3"))), 200, **given)
    world.run(timedelta(seconds=300))
    status = world.canary.status
    assert status.canary_weight == 40
    assert status.session_affinity_cookie == "to-canary=LpsIaLdoNZ"
    assert status.primary_session_affinity_cookie == "to-primary=xyz"

    world.run(timedelta(seconds=2900))
    status = world.canary.status
    assert (status.session_affinity_cookie, status.previous_session_affinity_cookie) == ("", "to-canary=LpsIaLdoNZ")
    world.run(timedelta(seconds=3200))
    cookie = world.canary.status.session_affinity_cookie
    assert cookie.startswith("to-canary=")
    assert cookie != "to-canary=LpsIaLdoNZ"


def test_a_suspended_one_is_taken_over_and_stays_where_it_is(canary: Make, story: Story) -> None:
    made = canary()
    world = TakenOver(story(made, V2), 200)
    world.canary = world.canary.replace(spec=made.spec.replace(suspend=True))
    world.run()
    assert weights(world) == [30]
    assert world.canary.status.canary_weight == 30


def test_adoption_holds_the_canary_before_anything_else(canary: Make, story: Story) -> None:
    """Its deletion must find us, for its primary serves."""

    class Watched(TakenOver):
        first: tuple[Any, ...] = ()

        def before_store(self, canary: Canary, facts: Facts, decision: Decision) -> None:
            super().before_store(canary, facts, decision)
            self.first = self.first or (decision.actions if hasattr(self, "adoptions") else ())

    world = Watched(story(canary()), 30)
    world.run()

    assert world.first == (Adopt(), HoldFinalizer())


PLANS: list[dict[str, Any]] = [
    {},
    {"stepWeights": [1, 50, 100]},
    {"stepWeight": 30, "maxWeight": 80, "stepWeightPromotion": 20},
    {"iterations": 2},
    {"iterations": 2, "match": MATCH},
    {"stepWeight": 25, "maxWeight": 50, "mirror": True},
]
LAGS: list[dict[str, Any]] = [{}, {"canary_weight": 0}, {"iterations": 0}, {"iterations": -1}]


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_whenever_it_is_taken_over_it_ends_well(canary: Make, story: Story, data: st.DataObject) -> None:
    """At any moment, with a status that may lag behind the route: users are served, and the version is promoted."""
    analysis: dict[str, Any] = data.draw(st.sampled_from(PLANS))
    at = data.draw(st.integers(60, 900).map(lambda value: value + 0.05))
    lag: dict[str, Any] = data.draw(st.sampled_from(LAGS))
    world = take_over(story(canary(**analysis), V2), at, **lag)

    assert world.adoptions == 1
    assert world.canary.status.phase is Phase.SUCCEEDED
    assert world.canary.status.last_promoted_spec == "v2"
    assert world.cluster.served(world.now) == {"v2": 1}
    assert "" not in world.served
