"""What is refused, can't be seen or is not answered never leaves users on a bad version, and somebody hears of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.decision import Action, Ending
from canary.rollout.messages import CANT
from canary.rollout.simulation import (
    Annotate,
    Blind,
    Delete,
    Deny,
    Deploy,
    Kill,
    Reading,
    Remove,
    SafeWorld,
    Scenario,
    Scheduled,
    Side,
    Timeline,
    Version,
    Window,
)
from canary.rollout.status_conditions import hindered

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]

V2 = (60, Deploy("v2"))
BAD = Version(readings=(Reading(99.5), Reading(50.0, weight=20)))
"""It fails from 20 % on: at 20 % after two minutes of analysis, and is taken back a minute after that."""
LONG = timedelta(minutes=15)


def between(start: float, end: float) -> Window:
    return Window(timedelta(seconds=start), timedelta(seconds=end))


def denied(start: float, end: float, *actions: str, answered: bool = True) -> tuple[Deny, ...]:
    return (Deny(frozenset(actions), between(start, end), answered),)


def told(line: Timeline) -> list[tuple[float, str]]:
    return [(entry.at.total_seconds(), each.message) for entry in line.entries for each in entry.alerts]


class TestRefused:
    """The API server refuses a write."""

    @pytest.mark.parametrize("upkeep", ["KeepVersionServices", "KeepApexService", "KeepAutoscaler", "KeepRevision"])
    def test_upkeep_delays_no_verdict(self, canary: Make, play: Play, upkeep: str) -> None:
        spec = {"autoscalerRef": {"kind": "HorizontalPodAutoscaler", "name": "app"}}
        calm = play(canary(spec=spec), V2, versions={"v2": BAD})
        line = play(canary(spec=spec), V2, versions={"v2": BAD}, denied=denied(150, 4000, upkeep), limit=LONG)

        assert line.weight_changes == calm.weight_changes
        assert line.status.phase is Phase.FAILED

    def test_a_rollback_that_is_refused_is_told_at_once_and_done_as_soon_as_it_can_be(
        self, canary: Make, play: Play
    ) -> None:
        calm = play(canary(), V2, versions={"v2": BAD})
        failed = next(at for at, weight in calm.weight_changes if at > timedelta(minutes=2) and weight == 0)
        line = play(canary(), V2, versions={"v2": BAD}, denied=denied(failed.total_seconds() - 5, 600, "Route"))

        assert line.status.phase is Phase.FAILED
        at, weight = line.weight_changes[-1]
        assert weight == 0
        assert timedelta(seconds=600) <= at <= timedelta(seconds=605)
        at_failure = [message for at, message in told(line) if at == failed.total_seconds()]
        assert any("Failed checks threshold reached" in each for each in at_failure)
        assert any("Canary is stalled while the new version has 20 % of the traffic" in each for each in at_failure)
        assert hindered(line.status) is None

    def test_a_step_that_is_refused_waits_and_is_looked_at_meanwhile(self, canary: Make, play: Play) -> None:
        """A version that turns bad while its next step is refused is taken back by its checks, not by the deadline."""
        bad = Version(readings=(Reading(99.5), Reading(50.0, after=timedelta(seconds=150))))
        spec = {"progressDeadlineSeconds": 3000}
        line = play(canary(spec=spec), V2, versions={"v2": bad}, denied=denied(100, 190, "Route"), limit=LONG)

        assert line.status.phase is Phase.FAILED
        assert line.status.reason == "RolledBack"

    def test_a_step_that_is_refused_for_good_ends_the_rollout(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, denied=denied(61, 3000, "Route"), limit=LONG)

        assert line.status.phase is Phase.FAILED
        assert "progress deadline exceeded denied by policy" in line.status.message

    def test_what_could_be_written_again_goes_on(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, denied=denied(100, 250, "Route"))

        assert line.status.phase is Phase.SUCCEEDED
        assert hindered(line.status) is None

    def test_a_promotion_that_is_refused_keeps_its_share_and_calls_people(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, denied=denied(100, 5000, "CopyToPrimary"), limit=LONG)
        stalled = line.status.condition("Stalled")

        assert line.status.phase is Phase.PROMOTING
        assert stalled is not None
        assert (stalled.reason, stalled.message) == (
            "Refused",
            "can't copy the target to the primary: the API server refuses it: denied by policy",
        )
        assert sum("Canary is stalled" in message for _, message in told(line)) == 1

    def test_it_is_told_once(self, canary: Make, play: Play) -> None:
        spec = {"autoscalerRef": {"kind": "HorizontalPodAutoscaler", "name": "app"}}
        line = play(canary(spec=spec), V2, denied=denied(150, 4000, "KeepAutoscaler"), limit=LONG)

        assert line.status.phase is Phase.SUCCEEDED
        assert sum("can't copy the autoscaler" in each for each in line.events) == 1
        assert sum("can't copy the autoscaler" in message for _, message in told(line)) == 1

    @pytest.mark.parametrize("action", get_args(Action), ids=lambda each: str(each.__name__))
    def test_every_write_has_plain_words(self, action: type[Action]) -> None:
        """No name of a class of ours: an operator has never heard of it."""
        assert CANT[action]
        assert action.__name__ not in CANT[action]

    def test_what_goes_unanswered_for_a_moment_is_not_told(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, denied=denied(150, 170, answered=False))

        assert line.status.phase is Phase.SUCCEEDED
        assert not [each for each in line.events if "does not answer" in each]

    @pytest.mark.parametrize(("answered", "said"), [(True, "refuses it"), (False, "does not answer")])
    def test_what_is_not_done_for_long_is_told_once(
        self, canary: Make, play: Play, *, answered: bool, said: str
    ) -> None:
        """Also where the route as it stands is kept meanwhile, which needs no write."""
        line = play(canary(), V2, denied=denied(150, 700, "Route", answered=answered), limit=LONG)

        assert sum(f"can't route traffic: the API server {said}" in each for each in line.events) == 1


class TestMisled:
    """Somebody has written what the two Services select, and the API server keeps us from mending it."""

    @pytest.mark.parametrize("analysis", [{}, {"stepWeightPromotion": 20}])
    def test_a_promotion_moves_no_traffic_to_a_service_that_may_select_nobody(
        self, canary: Make, story: Story, analysis: dict[str, Any]
    ) -> None:
        world = SafeWorld(story(canary(**analysis), V2, denied=denied(330, 600, "KeepVersionServices"), limit=LONG))
        world.run(timedelta(seconds=330))
        world.cluster.version_services = False
        world.run(timedelta(seconds=590))
        stalled = world.canary.status.condition("Stalled")

        assert world.canary.status.phase is Phase.PROMOTING
        assert world.cluster.split is not None
        assert world.cluster.split.canary == 50
        assert stalled is not None
        assert "can't write the Services of the two versions" in stalled.message
        assert world.run().status.phase is Phase.SUCCEEDED


class TestPodless:
    """Pods that a rollout waits for can't be made."""

    QUOTA = "exceeded quota: pods=3"

    def test_a_quota_is_told_at_once_and_once(self, canary: Make, story: Story) -> None:
        versions = {"v2": Version(ready_after=None, refused=self.QUOTA)}
        world = SafeWorld(story(canary(), V2, versions=versions))
        world.run(timedelta(seconds=61))
        stalled = world.canary.status.condition("Stalled")
        line = world.run()

        assert stalled is not None
        assert (stalled.reason, stalled.message) == (
            "ReplicaFailure",
            f"app.prod does not get its pods: {self.QUOTA}",
        )
        assert sum(self.QUOTA in each for each in line.events) == 1
        assert line.status.phase is Phase.FAILED
        assert hindered(line.status) is None

    def test_a_primary_that_gets_none_is_told_at_initialization(self, canary: Make, story: Story) -> None:
        versions = {"v1": Version(ready_after=None, refused=self.QUOTA)}
        world = SafeWorld(story(canary(), versions=versions))
        line = world.run(timedelta(seconds=5))

        assert f"app-primary.prod does not get its pods: {self.QUOTA}" in line.events

    def test_an_application_that_is_deleted_meanwhile_goes_as_a_whole(self, canary: Make, story: Story) -> None:
        """What was told is the quota, and not that the target is missing."""
        versions = {"v2": Version(ready_after=None, refused=self.QUOTA)}
        revert = canary(spec={"revertOnDeletion": True})
        world = SafeWorld(story(revert, V2, (100, Remove(Side.CANARY)), (100, Delete()), versions=versions))
        world.run()

        assert world.gone
        assert not world.cluster.orphaned


class TestUnseen:
    """A kind of object can't be looked at."""

    def test_traffic_leaves_pods_that_are_not_ready(self, canary: Make, play: Play) -> None:
        blind = (Blind("secrets", between(150, 4000)),)
        line = play(canary(), V2, (200, Kill(Side.CANARY, None)), blind=blind, limit=LONG)

        assert line.weight_changes[-1] == (timedelta(seconds=200), 0)

    def test_traffic_leaves_a_version_that_fails(self, canary: Make, play: Play) -> None:
        calm = play(canary(), V2, versions={"v2": BAD})
        for blind in (Blind("secrets", between(200, 4000)), Blind("deployments", between(200, 4000), workload=True)):
            line = play(canary(), V2, versions={"v2": BAD}, blind=(blind,), limit=LONG)

            assert line.weight_changes == calm.weight_changes

    def test_nothing_begins_and_nothing_goes_on(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, blind=(Blind("secrets", between(50, 4000)),), limit=LONG)

        assert line.weights == (0,)
        assert line.status.phase is Phase.INITIALIZED

    def test_it_goes_on_by_itself(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, blind=(Blind("secrets", between(150, 400)),))

        assert line.status.phase is Phase.SUCCEEDED
        assert hindered(line.status) is None

    def test_pods_that_can_not_be_seen_are_not_given_up_by_the_deadline(self, canary: Make, play: Play) -> None:
        blind = (Blind("deployments", between(70, 900), workload=True),)
        line = play(canary(), V2, versions={"v2": Version(ready_after=timedelta(seconds=30))}, blind=blind)

        assert line.status.phase is Phase.SUCCEEDED

    def test_a_right_that_is_gone_is_told_at_once_and_an_outage_after_a_while(self, canary: Make, play: Play) -> None:
        for forbidden, reason, after in ((True, "Forbidden", 0), (False, "Stale", 30)):
            blind = (Blind("secrets", between(150, 4000), forbidden=forbidden),)
            line = play(canary(), V2, (150, Annotate("a", "b")), blind=blind, limit=LONG)
            stalled = line.status.condition("Stalled")

            assert stalled is not None
            assert stalled.reason == reason
            assert [at for at, message in told(line) if "Canary is stalled" in message] == [150 + after]


class TestUnheard:
    """The answer to a write of the status is lost."""

    def test_what_was_stored_is_told_all_the_same(self, canary: Make, play: Play) -> None:
        calm = play(canary(), V2, versions={"v2": BAD})
        failed = next(at for at, weight in calm.weight_changes if at > timedelta(minutes=2) and weight == 0)
        at = failed.total_seconds()
        line = play(canary(), V2, versions={"v2": BAD}, answers_lost=(between(at - 0.5, at + 5),))

        assert list(line.events) == list(calm.events)
        assert [message for _, message in told(line)] == [message for _, message in told(calm)]
        assert sum(entry.ending is Ending.FAILED for entry in line.entries) == 1


ACTIONS = (
    "Route",
    "KeepVersionServices",
    "KeepApexService",
    "KeepRevision",
    "CopyToPrimary",
    "ScaleTarget",
    "ScalePrimary",
    "WakeAutoscaler",
    "HoldFinalizer",
    "",
)
TROUBLE, AFTER = 1200, timedelta(hours=2)
windows = st.tuples(st.integers(61, TROUBLE - 1), st.integers(1, 400)).map(
    lambda each: between(each[0], min(each[0] + each[1], TROUBLE))
)
denials = st.builds(
    Deny,
    st.sets(st.sampled_from(ACTIONS), min_size=1, max_size=4).map(lambda names: frozenset(names - {""})),
    windows,
    st.booleans(),
)
blindness = st.builds(Blind, st.sampled_from(["deployments", "secrets"]), windows, st.booleans(), st.booleans())
delays = st.integers(0, 10).map(lambda value: timedelta(seconds=value))
QUICKLY = (Stage.explicit, Stage.generate, Stage.shrink)


class HearingWorld(SafeWorld):
    """A world in which whoever is left on a version that has failed is known to somebody."""

    alerted: timedelta = timedelta(0)

    def pass_once(self) -> bool:
        again = super().pass_once()
        status, split = self.canary.status, self.cluster.split
        stalled = hindered(status) is not None
        if stalled:
            message = hindered(status)
            assert message is not None
            events = [each.message for entry in self.entries for each in entry.events]
            pending = [each.message for notice in status.outbox for each in notice.events]
            assert message.message in (*events, *pending), "a condition without its event"
            if split is not None and split.canary and status.canary_weight:
                alerts = [each.message for entry in self.entries for each in entry.alerts]
                alerts += [each.message for notice in status.outbox for each in notice.alerts]
                assert any(message.message in each for each in alerts), "traffic on a canary that stands, and no alert"
        return again


@settings(max_examples=150, phases=QUICKLY, suppress_health_check=[HealthCheck.too_slow])
@given(
    bad=st.booleans(),
    refused=st.lists(denials, max_size=3),
    unseen=st.lists(blindness, max_size=2),
    lost=st.lists(windows, max_size=2),
    latency=delays,
    plan=st.sampled_from([{}, {"iterations": 2}, {"stepWeights": [10, 60]}, {"stepWeightRollback": 10}]),
)
@example(bad=True, refused=[Deny(frozenset(), between(190, 191))], unseen=[], lost=[], latency=timedelta(0), plan={})
def test_whatever_is_refused_unseen_or_lost_ends_as_it_would_have(
    canary: Make,
    bad: bool,
    refused: list[Deny],
    unseen: list[Blind],
    lost: list[Window],
    latency: timedelta,
    plan: dict[str, Any],
) -> None:
    """A bad version ends at weight 0, a good one promoted or taken back for a reason that is told; all is told once."""
    made = canary(**plan)
    version = Version(readings=(Reading(99.5), Reading(50.0, after=timedelta(seconds=90)))) if bad else Version()
    scenario = Scenario(
        canary=made,
        versions={"v1": Version(), "v2": version},
        changes=(Scheduled(timedelta(seconds=60), Deploy("v2")),),
        denied=tuple(refused),
        blind=tuple(unseen),
        answers_lost=tuple(lost),
        latency=latency,
        limit=AFTER,
    )
    world = HearingWorld(scenario)
    line = world.run()

    assert line.status.phase in (Phase.SUCCEEDED, Phase.FAILED)
    assert line.status.canary_weight == 0
    assert world.cluster.split is not None
    assert world.cluster.split.canary == 0
    assert hindered(line.status) is None
    if bad:
        assert line.status.phase is Phase.FAILED
    endings = [entry.ending for entry in line.entries if entry.ending is not None]
    assert len(endings) == 1, "each end is told once"
    assert not line.status.outbox or world.audience.told == line.status.outbox[-1].number
