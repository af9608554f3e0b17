"""The model itself: what it takes over from a real cluster and a real loop, and how fast it is."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import Split
from canary.rollout.decision import Action, HandBack, Route, ScaleTarget
from canary.rollout.facts import Question
from canary.rollout.simulation import (
    Delete,
    Deploy,
    Drift,
    Edit,
    Kill,
    NotSettlingError,
    Reading,
    Reply,
    SafeWorld,
    Scale,
    Scenario,
    Side,
    Unavailable,
    UnsafeError,
    Version,
    Window,
    World,
)
from canary.rollout.simulation.cluster import Cluster, Refused

V2 = (60, Deploy("v2"))
SECOND = timedelta(seconds=1)

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]


class TestPods:
    """A modelled Deployment."""

    @pytest.fixture
    def cluster(self, canary: Make, story: Story) -> Cluster:
        versions = {"v2": Version(timedelta(seconds=10)), "v3": Version(None)}
        return Cluster(story(canary(), versions=versions))

    def test_old_pods_serve_until_the_new_ones_are_ready(self, cluster: Cluster) -> None:
        """A rolling update without a gap."""
        target, start = cluster.target, cluster.scenario.start
        assert target is not None
        target.deploy("v2", start)

        assert target.ready_by_revision(start + 9 * SECOND) == {"v1": 2}
        assert target.readiness(start).total == 4
        target.settle(start + 10 * SECOND)
        assert target.ready_by_revision(start + 10 * SECOND) == {"v2": 2}
        assert target.readiness(start + 10 * SECOND).total == 2

    def test_new_pods_that_never_become_ready_leave_the_old_ones_serving(self, cluster: Cluster) -> None:
        target, start = cluster.target, cluster.scenario.start
        assert target is not None
        target.deploy("v3", start)
        later = start + timedelta(days=1)
        target.settle(later)

        assert target.ready_by_revision(later) == {"v1": 2}
        assert not target.observe(later).settled()

    def test_scaling_up_takes_its_time_and_scaling_down_none(self, cluster: Cluster) -> None:
        target, start = cluster.target, cluster.scenario.start
        assert target is not None
        target.scale(3, start)
        assert target.readiness(start).ready == 2
        assert target.readiness(start + 5 * SECOND).ready == 3
        target.scale(1, start)
        assert (target.readiness(start).ready, target.readiness(start).total) == (1, 1)
        target.scale(0, start)
        assert not target.serving(start)

    def test_users_reach_the_target_until_the_service_is_led_to_the_primary(self, cluster: Cluster) -> None:
        assert cluster.served(cluster.scenario.start) == {"v1": 1.0}

    def test_handing_back_needs_a_target(self, cluster: Cluster) -> None:
        cluster.target = None

        with pytest.raises(Refused):
            cluster.do(HandBack(), cluster.scenario.start)

    def test_a_router_without_weights_is_never_given_any(self, canary: Make, story: Story) -> None:
        cluster = Cluster(story(canary(), weighted=False))

        with pytest.raises(ValueError, match="no weights"):
            cluster.do(Route(Split(10)), cluster.scenario.start)


class TestLoop:
    """The rules of the real loop."""

    def test_an_edit_that_takes_a_webhook_out_while_it_is_asked_ends_the_look(self, canary: Make, story: Story) -> None:
        hooks = [{"name": "test", "type": "pre-rollout", "url": "http://hooks.test/"}]
        asked = canary(webhooks=hooks)
        scenario = story(asked, (60, Deploy("v2")), (70, Edit(canary().spec)), latency=30 * SECOND)

        assert World(scenario).run().status.phase is Phase.SUCCEEDED

    def test_answers_are_dropped_with_the_look_that_asked(self, canary: Make, story: Story) -> None:
        """And asked again by the next one."""
        asked: list[Question] = []

        class Counting(World):
            def answer(self, question: Question) -> Any:
                asked.append(question)
                return super().answer(question)

        made = canary(stepWeight=50)
        Counting(story(made, V2, (125.05, Edit(made.spec.replace(progress_deadline_seconds=301))))).run()
        looks = [question.look for question in asked]

        assert len(asked) == 2
        assert len(set(looks)) == 1

    def test_what_is_asked_blocks_nothing(self, canary: Make, story: Story) -> None:
        """A slow metrics server does not keep traffic on pods that have died."""
        world = SafeWorld(story(canary(), V2, (140, Kill(Side.CANARY, None)), latency=timedelta(seconds=50)))
        line = world.run()

        assert (timedelta(seconds=140), 0) in line.weight_changes or line.weights == (0,)
        assert "" not in line.served

    def test_an_action_that_fails_ends_the_pass_with_nothing_stored(self, canary: Make, story: Story) -> None:
        class Failing(SafeWorld):
            def before_action(self, action: Action, index: int) -> None:
                super().before_action(action, index)
                if isinstance(action, Route) and self.now < self.scenario.start + 120 * SECOND and action.split.canary:
                    raise Unavailable("not now")

        line = Failing(story(canary(), V2)).run()
        first = next(at for at, weight in line.weight_changes if weight)

        assert first >= 120 * SECOND
        assert line.events.count("Advance app.prod canary weight 10") == 1
        assert any(each.note.startswith("failed") for each in line.entries)

    def test_a_change_of_the_canary_meanwhile_discards_the_pass(self, canary: Make, story: Story) -> None:
        made = canary()

        class Racing(SafeWorld):
            raced = False

            def before_action(self, action: Action, index: int) -> None:
                if not self.raced and isinstance(action, Route) and action.split.canary == 20:
                    self.raced = True
                    self.change(Edit(made.spec.replace(progress_deadline_seconds=301)))
                super().before_action(action, index)

        line = Racing(story(made, V2)).run()

        assert sum(each.note.startswith("failed") for each in line.entries) == 1
        assert line.events.count("Advance app.prod canary weight 20") == 1
        assert line.status.phase is Phase.SUCCEEDED

    def test_an_outage_of_the_api_server_delays_and_fails_nothing(self, canary: Make, story: Story) -> None:
        down = (Window(timedelta(seconds=100), timedelta(seconds=400)),)
        line = SafeWorld(story(canary(), V2, api_down=down)).run()

        assert line.weights == (0, 10, 20, 30, 40, 50, 0)
        assert line.status.failed_checks == 0

    def test_a_controller_that_never_settles_is_stopped(self, canary: Make, story: Story) -> None:
        class Undone(World):
            def before_store(self, *args: Any) -> None:
                self.cluster.version_services = False

        with pytest.raises(NotSettlingError):
            Undone(story(canary())).run()

    def test_nothing_more_happens_to_a_canary_that_is_gone(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(), (100, Delete()), (200, Deploy("v2"))))
        line = world.run()

        assert world.gone
        assert line.status.phase is Phase.TERMINATING
        assert world.cluster.primary is None

    def test_the_status_is_kept_as_json(self, canary: Make, story: Story) -> None:
        world = World(story(canary(), V2))
        world.run()

        assert CanaryStatus.model_validate(world.canary.status.to_json()) == world.canary.status


class TestSafety:
    """A safe world notices what it is there for."""

    @pytest.mark.parametrize("action", [Route(Split(50)), ScaleTarget(0)])
    def test_it_stops_what_harms_users(self, canary: Make, story: Story, action: Action) -> None:
        world = SafeWorld(story(canary(), V2))
        world.run(timedelta(seconds=100))
        if isinstance(action, Route):
            world.cluster.happen(Kill(Side.CANARY, None), world.now)
            world.cluster.split = Split(0)
        world.before_action(action, 0)
        wrote = world.cluster.do(action, world.now)

        with pytest.raises(UnsafeError):
            world.after_action(action, wrote=wrote)


class TestTimeline:
    """What is told at the end."""

    def test_it_tells_how_long_users_met_each_version(self, canary: Make, story: Story) -> None:
        line = World(story(canary(stepWeight=50), V2, limit=timedelta(seconds=125))).run()

        assert line.served["v2"] == pytest.approx(timedelta(seconds=30), abs=SECOND)
        assert line.share("v2") == pytest.approx(30 / 125, abs=0.01)
        assert not line.over

    def test_chosen_requests_count_by_their_share(self, canary: Make, story: Story) -> None:
        made = canary(iterations=1, match=[{"headers": {"x": {"exact": "y"}}}])
        line = World(story(made, V2, limit=timedelta(seconds=125), matching=20)).run()

        assert line.served["v2"] == pytest.approx(timedelta(seconds=12), abs=SECOND)

    def test_what_nobody_answers_is_told_too(self, canary: Make, story: Story) -> None:
        line = World(story(canary(), (100, Kill(Side.PRIMARY, timedelta(seconds=30))), (200, Drift(None)))).run()

        assert line.served[""] == timedelta(seconds=30)

    def test_the_same_scenario_gives_the_same_timeline(self, canary: Make, story: Story, hook: Hook) -> None:
        scenario = story(
            canary(webhooks=[hook("confirm-promotion")]),
            V2,
            (150, Scale(Side.CANARY, 5)),
            versions={"v2": Version(readings=(Reading(1.0, weight=30, after=timedelta(minutes=3)),))},
            replies=(Reply(approved=False, end=timedelta(minutes=9)),),
        )

        assert World(scenario).run() == World(scenario).run()


def test_a_rollout_of_a_week_takes_some_passes_a_step_and_none_between(canary: Make, story: Story) -> None:
    """A hundred steps of an hour forward, and fifty back: in virtual time only what happens costs anything."""
    weights = [*range(1, 100), 100]
    made = canary(interval="1h", stepWeights=weights, stepWeightPromotion=2)
    line = World(story(made, V2, limit=timedelta(days=30))).run()

    assert line.lasted > timedelta(days=6)
    assert line.status.phase is Phase.SUCCEEDED
    assert line.passes < 150 * 6
