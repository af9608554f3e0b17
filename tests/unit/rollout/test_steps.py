"""Steps that are written out: what each does, how it ends, and what is undone where the version fails in it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.status import CanaryStatus, Phase
from canary.api.step_rules import problems
from canary.api.traffic import ALL_PRIMARY, Split
from canary.rollout.plan import NO_STEP, plan_of
from canary.rollout.simulation import (
    Annotate,
    Deploy,
    Edit,
    Reading,
    Reply,
    SafeWorld,
    Scenario,
    Scheduled,
    Side,
    Timeline,
    Version,
    Window,
)

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]

V2 = (60, Deploy("v2"))
BAD = {"v2": Version(readings=(Reading(1.0),))}
TESTERS: dict[str, Any] = {"header": {"match": [{"headers": {"x-tester": {"exact": "yes"}}}]}}
NOBODY: dict[str, Any] = {"header": {}}
FOREVER: dict[str, Any] = {"pause": {}}
TEN_MINUTES: dict[str, Any] = {"pause": {"duration": "10m"}}
RESUME = "resume revision=v2 by=mia at=2026-01-01T00:10:00Z"
HOUR = timedelta(hours=1)


def splits(line: Timeline) -> list[Split]:
    """How requests are divided, each time that this changes."""
    found = [each.split or ALL_PRIMARY for each in line.entries]
    return [each for at, each in enumerate(found) if not at or found[at - 1] != each]


def told(line: Timeline, words: str) -> timedelta:
    """When it was told first, in whole seconds: answers take a part of one."""
    at = next(each.at for each in line.entries for event in each.events if words in event.message)
    return timedelta(seconds=at // timedelta(seconds=1))


class TestThePlan:
    """It says where a rollout stands."""

    def test_what_follows_on_one_another_is_set_together_before_the_wait(self, canary: Make) -> None:
        steps = [{"scale": {"replicas": 2}}, TESTERS, FOREVER, {"weight": 10}, TEN_MINUTES, {"weight": 50}]
        plan = plan_of(canary(steps=steps), weighted=True, replicas=4)

        assert [(each.iteration, each.split, each.pods) for each in plan.steps] == [
            (3, Split(100, matched=True, header=2), 2),
            (5, Split(10, header=2), 2),
            (6, Split(50, header=2), 2),
        ]
        assert plan.count == 6

    def test_the_same_thing_is_set_anew_once_the_one_before_was_looked_at(self, canary: Make) -> None:
        plan = plan_of(canary(steps=[{"weight": 10}, TESTERS, {"weight": 50}, NOBODY, TESTERS]), weighted=True)

        assert [(each.iteration, each.split) for each in plan.steps] == [
            (2, Split(10, header=2)),
            (4, Split(50)),
            (5, Split(50, header=5)),
        ]

    @pytest.mark.parametrize(
        ("scale", "pods"),
        [({"replicas": 1}, 8), ({"replicas": 9}, 9), ({"weight": 5}, 8), ({"matchTraffic": True}, 8)],
    )
    def test_a_canary_has_never_fewer_pods_than_its_share_takes(
        self, canary: Make, scale: dict[str, Any], pods: int
    ) -> None:
        plan = plan_of(canary(steps=[{"scale": scale}, {"weight": 80}]), weighted=True, replicas=10)

        assert plan.steps[0].pods == pods

    @pytest.mark.field("spec.analysis.steps[].analysis.checks", "spec.analysis.steps[].analysis.onwards")
    def test_checks_that_a_step_names_are_looked_at_there_alone_or_from_there_on(self, canary: Make) -> None:
        here = {"analysis": {"checks": ["request-duration"]}}
        onwards = {"analysis": {"checks": ["request-success-rate"], "onwards": True}}
        plan = plan_of(canary(steps=[{"weight": 10}, here, onwards, {"weight": 50}]), weighted=True)

        assert [sorted(each.off) for each in plan.steps] == [
            ["request-success-rate"],
            ["request-duration"],
            ["request-duration"],
        ]

    def test_of_a_canary_without_requests_no_check_is_looked_at_that_no_step_names(self, canary: Make) -> None:
        plan = plan_of(canary(steps=[TEN_MINUTES, {"weight": 10}]), weighted=True)

        assert [sorted(each.off) for each in plan.steps] == [["request-duration", "request-success-rate"], []]

    def test_an_edit_gives_nobody_more_than_was_reached(self, canary: Make) -> None:
        plan = plan_of(canary(steps=[{"weight": 5}, TEN_MINUTES, {"weight": 90}, TEN_MINUTES]), weighted=True)

        assert plan.current(CanaryStatus(iterations=4, canary_weight=20)).split == Split(5)

    def test_steps_of_another_strategy_are_not_gone_on_with(self, canary: Make) -> None:
        written = CanaryStatus(iterations=3, canary_weight=30)

        assert plan_of(canary(), weighted=True).current(written) == NO_STEP
        assert plan_of(canary(steps=[TEN_MINUTES, {"weight": 10}]), weighted=True).position(CanaryStatus()) == 0


class TestSettings:
    """What is set stands from its step on."""

    @pytest.mark.field("spec.analysis.steps[].weight")
    def test_testers_come_first_then_some_users_then_everybody(self, canary: Make, play: Play) -> None:
        steps = [TESTERS, TEN_MINUTES, {"weight": 20}, TEN_MINUTES, NOBODY, {"weight": 60}]
        line = play(canary(steps=steps), V2)

        assert line.status.phase is Phase.SUCCEEDED
        assert splits(line) == [
            ALL_PRIMARY,
            Split(100, matched=True, header=1),
            Split(20, header=1),
            Split(60),
            ALL_PRIMARY,
        ]

    @pytest.mark.field("spec.analysis.steps[].mirror.weight")
    def test_requests_are_mirrored_until_the_first_weight(self, canary: Make, play: Play) -> None:
        line = play(canary(steps=[{"mirror": {"weight": 40}}, TEN_MINUTES, {"weight": 20}]), V2)

        assert splits(line) == [ALL_PRIMARY, Split(0, mirror=40), Split(20), ALL_PRIMARY]

    @pytest.mark.parametrize(
        ("scale", "pods"), [({"replicas": 3}, 3), ({"weight": 30}, 3), ({"matchTraffic": True}, 1)]
    )
    @pytest.mark.field(
        "spec.analysis.steps[].scale.replicas",
        "spec.analysis.steps[].scale.weight",
        "spec.analysis.steps[].scale.matchTraffic",
    )
    def test_the_canary_starts_with_the_pods_of_its_first_step(
        self, canary: Make, story: Story, scale: dict[str, Any], pods: int
    ) -> None:
        world = SafeWorld(story(canary(steps=[{"scale": scale}, {"weight": 10}, FOREVER]), V2, replicas=10, limit=HOUR))
        world.run()

        target = world.cluster.side(Side.CANARY)
        assert target is not None
        assert target.desired == pods

    def test_pods_grow_before_requests_come_and_go_after_them(self, canary: Make, story: Story) -> None:
        """SafeWorld sees that no requests are left without the pods that answer them."""
        weights = [{"weight": 10}, TEN_MINUTES, {"weight": 70}, {"weight": 20}, FOREVER]
        steps = [{"scale": {"matchTraffic": True}}, *weights]
        world = SafeWorld(story(canary(steps=steps), V2, replicas=10, limit=HOUR))
        line = world.run()

        assert [each.split for each in line.entries if each.split][-1] == Split(20)
        target = world.cluster.side(Side.CANARY)
        assert target is not None
        assert target.desired == 2
        assert told(line, "Scaling app.prod to 7 pods") < told(line, "Advance app.prod canary weight 70")

    def test_weights_by_the_numbers_of_pods_are_those_that_can_be_had(self, canary: Make, play: Play) -> None:
        made = canary(
            steps=[{"weight": 25}, TEN_MINUTES, {"weight": 50}], replicaRatio=True, spec={"provider": "kubernetes"}
        )

        assert play(made, V2, replicas=3).weights == (0, 25, 50, 0)


class TestWaits:
    """A rollout stays at a step until what it waits for has come, and is looked at meanwhile."""

    @pytest.mark.field("spec.analysis.steps[].pause.duration")
    def test_a_pause_lasts_as_long_as_it_says(self, canary: Make, play: Play) -> None:
        line = play(canary(steps=[{"weight": 10}, {"pause": {"duration": "150s"}}, {"weight": 20}]), V2)

        assert told(line, "canary weight 20") - told(line, "canary weight 10") == timedelta(seconds=150)

    def test_a_version_that_fails_in_a_pause_is_taken_back_in_it(self, canary: Make, play: Play) -> None:
        line = play(canary(steps=[{"weight": 10}, TEN_MINUTES], threshold=1), V2, versions=BAD)

        assert line.status.phase is Phase.FAILED
        assert splits(line)[-1] == ALL_PRIMARY
        assert told(line, "Rolling back") - told(line, "canary weight 10") < timedelta(minutes=2)

    def test_a_pause_without_an_end_waits_for_a_person(self, canary: Make, play: Play) -> None:
        steps = [{"weight": 10}, FOREVER, {"weight": 20}]
        waits = play(canary(steps=steps), V2, limit=5 * HOUR)
        goes_on = play(canary(steps=steps), V2, (7200, Annotate("flagger.app/order", RESUME)))

        assert (waits.status.phase, waits.status.reason) == (Phase.PROGRESSING, "WaitingToBeResumed")
        assert waits.status.message == "step 2 of 3 waits for a person: canary resume app"
        assert goes_on.status.phase is Phase.SUCCEEDED
        assert told(goes_on, "canary weight 20") == timedelta(seconds=7200)

    def test_whoever_has_resumed_one_pause_has_not_resumed_the_next(self, canary: Make, play: Play) -> None:
        steps = [{"weight": 10}, FOREVER, {"weight": 20}, FOREVER]
        line = play(canary(steps=steps), V2, (1800, Annotate("flagger.app/order", RESUME)), limit=HOUR)

        assert (line.status.phase, line.weights[-1]) == (Phase.PROGRESSING, 20)

    def test_nobody_resumes_another_version_than_the_one_they_have_seen(self, canary: Make, play: Play) -> None:
        other = Annotate("flagger.app/order", RESUME.replace("v2", "v1"))
        line = play(canary(steps=[{"weight": 10}, FOREVER]), V2, (1800, other), limit=HOUR)

        assert line.status.reason == "WaitingToBeResumed"

    def test_whoever_ends_a_pause_by_annotation_has_not_resumed_the_step(self, canary: Make, play: Play) -> None:
        pause = "flagger.app/pause"
        changes = [
            (600, Annotate(pause, "by mia")),
            (900, Annotate("flagger.app/order", RESUME)),
            (900, Annotate(pause, "")),
        ]
        line = play(canary(steps=[{"weight": 10}, FOREVER]), V2, *changes, limit=HOUR)

        assert (line.status.paused, line.status.reason) == ("", "WaitingToBeResumed")

    def test_a_new_version_waits_anew(self, canary: Make, play: Play) -> None:
        steps = [{"weight": 10}, FOREVER, {"weight": 20}, TEN_MINUTES]
        line = play(
            canary(steps=steps),
            V2,
            (1800, Annotate("flagger.app/order", RESUME)),
            (1900, Deploy("v3")),
            versions={"v3": Version()},
            limit=2 * HOUR,
        )

        assert (line.weights, line.status.reason) == ((0, 10, 20, 0, 10), "WaitingToBeResumed")

    @pytest.mark.field("spec.analysis.steps[].analysis.looks")
    def test_an_analysis_takes_so_many_good_looks(self, canary: Make, play: Play) -> None:
        good = {"analysis": {"checks": ["request-duration"], "looks": 4}}
        line = play(canary(steps=[{"weight": 10}, good, {"weight": 20}]), V2)

        assert told(line, "canary weight 20") - told(line, "canary weight 10") == timedelta(minutes=4)

    def test_a_check_that_only_a_later_step_names_fails_nobody_before_it(self, canary: Make, play: Play) -> None:
        failing = {"v2": Version(readings=(Reading(900.0, metric="request-duration"),))}
        late = {"analysis": {"checks": ["request-duration"]}}
        line = play(canary(steps=[{"weight": 10}, TEN_MINUTES, {"weight": 20}, late]), V2, versions=failing)

        assert line.status.phase is Phase.FAILED
        assert line.weights == (0, 10, 20, 0)

    @pytest.mark.field("spec.analysis.steps[].gate.name")
    def test_a_gate_is_asked_at_its_step_alone(self, canary: Make, play: Play, hook: Callable[..., Any]) -> None:
        gate = hook("confirm-traffic-increase", name="qa")
        steps = [{"weight": 10}, {"gate": {"name": "qa"}}, {"weight": 20}, {"weight": 30}]
        shut = Reply(approved=False, name="qa", end=timedelta(minutes=30))
        line = play(canary(steps=steps, webhooks=[gate]), V2, replies=(shut,))

        assert line.status.phase is Phase.SUCCEEDED
        assert told(line, "canary weight 10") < timedelta(minutes=5)
        assert told(line, "canary weight 20") >= timedelta(minutes=30)

    def test_a_metrics_server_that_is_down_at_the_end_of_a_pause_does_not_end_it(
        self, canary: Make, play: Play
    ) -> None:
        down = Window(timedelta(minutes=8), timedelta(minutes=20))
        line = play(canary(steps=[{"weight": 10}, TEN_MINUTES, {"weight": 20}], threshold=30), V2, metrics_down=(down,))

        assert told(line, "canary weight 20") >= timedelta(minutes=20)
        assert line.status.phase is Phase.SUCCEEDED


class TestStatus:
    """It says which step of how many, and when the last one ends at the earliest."""

    def test_steps_are_counted_as_they_are_written(self, canary: Make, play: Play) -> None:
        steps = [{"scale": {"replicas": 1}}, {"weight": 10}, FOREVER, {"weight": 20}, TEN_MINUTES]
        line = play(canary(steps=steps), V2, limit=HOUR)

        assert line.status.rollout is not None
        assert (line.status.rollout.step, line.status.rollout.steps) == (3, 5)

    def test_the_earliest_end_reckons_with_pauses(self, canary: Make, play: Play) -> None:
        line = play(canary(steps=[{"weight": 10}, FOREVER, {"weight": 20}, TEN_MINUTES]), V2, limit=HOUR)

        rollout, looked = line.status.rollout, line.status.last_check_time
        assert rollout is not None
        assert rollout.earliest_end is not None
        assert looked is not None
        assert rollout.earliest_end - looked == timedelta(minutes=10)

    @pytest.mark.field("status.stepSince", "status.stepLooks")
    def test_since_when_it_is_at_its_step_and_its_good_looks_are_kept(self, canary: Make, play: Play) -> None:
        steps = [{"weight": 10}, {"analysis": {"looks": 9}}]
        status = play(canary(steps=steps), V2, limit=timedelta(seconds=250)).status.to_json()

        assert (status["stepSince"], status["stepLooks"]) == ("2026-01-01T00:01:06.000000Z", 3)

    @pytest.mark.field("status.stepResumed")
    def test_that_somebody_has_resumed_it_is_kept_until_the_step_ends(self, canary: Make, play: Play) -> None:
        steps, resumed = [{"weight": 10}, FOREVER, {"weight": 20}], (1800, Annotate("flagger.app/order", RESUME))
        during = play(canary(steps=steps), V2, resumed, limit=timedelta(seconds=1800.05)).status.to_json()
        after = play(canary(steps=steps), V2, resumed, limit=timedelta(seconds=1850)).status.to_json()

        assert during["stepResumed"] is True
        assert "stepResumed" not in after

    def test_nothing_of_it_is_left_at_rest(self, canary: Make, play: Play) -> None:
        line = play(canary(steps=[{"weight": 10}, TEN_MINUTES]), V2)

        assert {"stepSince", "stepLooks", "stepResumed"} & line.status.to_json().keys() == set()


SETTING = st.one_of(
    st.integers(0, 100).map(lambda weight: {"weight": weight}),
    st.sampled_from([TESTERS, NOBODY, {"scale": {"replicas": 2}}, {"scale": {"matchTraffic": True}}]),
)
WAIT = st.sampled_from(
    [
        {"pause": {"duration": "30s"}},
        TEN_MINUTES,
        {"analysis": {"looks": 2}},
        {"analysis": {"checks": ["request-duration"], "looks": 2, "onwards": True}},
    ]
)
STEPS = st.lists(SETTING | WAIT, min_size=1, max_size=6).filter(lambda steps: not any(problems(_made(steps), "istio")))


@given(STEPS)
@settings(max_examples=30, deadline=None)
def test_whatever_is_written_is_done_in_its_order_and_a_good_version_is_promoted(steps: list[dict[str, Any]]) -> None:
    """And no request goes to pods that are not ready, whatever pods come and go: SafeWorld looks."""
    line = SafeWorld(_story(steps)).run()

    assert line.status.phase is Phase.SUCCEEDED
    expected = [each.split for each in plan_of(_made(steps), weighted=True, replicas=4).steps]
    routed = [ALL_PRIMARY, *expected, ALL_PRIMARY]
    assert splits(line) == [each for at, each in enumerate(routed) if not at or routed[at - 1] != each]


@given(STEPS, st.integers(61, 2400), st.sampled_from([Deploy("v1"), Annotate("flagger.app/order", "abort by=mia")]))
@settings(max_examples=30, deadline=None)
def test_whenever_it_is_taken_back_the_primary_has_everything(steps: list[dict[str, Any]], at: int, end: Any) -> None:
    line = SafeWorld(_story([*steps, FOREVER], (at, end))).run()

    assert line.status.phase in (Phase.SUCCEEDED, Phase.FAILED)
    assert splits(line)[-1] == ALL_PRIMARY
    assert line.status.canary_weight == 0


@given(STEPS, STEPS, st.integers(61, 2400))
@settings(max_examples=30, deadline=None)
def test_steps_that_are_edited_on_the_way_come_to_their_end(
    before: list[dict[str, Any]], after: list[dict[str, Any]], at: int
) -> None:
    line = SafeWorld(_story(before, (at, Edit(_made(after).spec)))).run()

    assert line.status.phase is Phase.SUCCEEDED


def _analysis(steps: list[dict[str, Any]]) -> dict[str, Any]:
    metrics = [{"name": "request-success-rate", "threshold": 99}, {"name": "request-duration", "threshold": 500}]
    return {"interval": "1m", "threshold": 2, "metrics": metrics, "steps": steps}


def _made(steps: list[dict[str, Any]]) -> Canary:
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "app", "namespace": "prod", "uid": "0-1", "generation": 1},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
                "service": {"port": 80},
                "analysis": _analysis(steps),
            },
        }
    )


def _story(steps: list[dict[str, Any]], *changes: tuple[float, Any]) -> Scenario:
    return Scenario(
        canary=_made(steps),
        versions={"v1": Version(), "v2": Version()},
        changes=tuple(Scheduled(timedelta(seconds=at), change) for at, change in ((60, Deploy("v2")), *changes)),
        replicas=4,
        limit=timedelta(days=1),
    )
