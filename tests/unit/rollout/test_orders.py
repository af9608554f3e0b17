"""What people order by annotation: done once, whatever crashes; told with who and when; never about another version."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.status import Phase
from canary.rollout.decision import Ending
from canary.rollout.orders import Order, order_in
from canary.rollout.simulation import (
    Annotate,
    Deploy,
    Edit,
    Reading,
    Reply,
    SafeWorld,
    Scenario,
    Side,
    Timeline,
    Version,
)

V2 = (60, Deploy("v2"))
ORDER, PAUSE = "flagger.app/order", "flagger.app/pause"
SIGNED = "revision=v2 by=mia at=2026-01-01T00:03:20Z"
FAILING = {"v2": Version(readings=(Reading(90.0, weight=20),))}
DAY = timedelta(days=1)

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]


def order(text: str) -> Annotate:
    return Annotate(ORDER, text)


def events(line: Timeline) -> list[str]:
    return [event.message for entry in line.entries for event in entry.events]


class TestAbort:
    """The version under way is taken back."""

    @pytest.mark.parametrize("at", [62, 100, 200, 340])
    def test_the_version_is_taken_back_at_once(self, canary: Make, play: Play, at: float) -> None:
        line = play(canary(), V2, (at, order(f"abort {SIGNED} too slow")))

        assert line.status.phase is Phase.FAILED
        assert line.status.message == "aborted by mia at 2026-01-01T00:03:20Z: too slow"
        assert line.endings == (Ending.FAILED,)
        assert "Rolling back app.prod aborted by mia at 2026-01-01T00:03:20Z: too slow" in events(line)
        assert line.weights[-1] == 0

    def test_it_is_not_rolled_out_again_before_somebody_asks(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, order(f"abort {SIGNED}")), (2000, Annotate("flagger.app/retry", "1")))
        assert line.endings == (Ending.FAILED, Ending.PROMOTED)

    def test_the_next_version_is_not_aborted(self, canary: Make, play: Play) -> None:
        versions = {"v2": Version(), "v3": Version()}
        line = play(canary(), V2, (200, order("abort by=mia")), (1000, Deploy("v3")), versions=versions)
        assert line.endings == (Ending.FAILED, Ending.PROMOTED)

    def test_a_promoted_version_that_bakes_makes_way_for_the_last_good_one(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeight=50, maxWeight=50, bake="10m"), V2, (300, order(f"abort {SIGNED}")))

        assert (line.status.phase, line.status.reason) == (Phase.FAILED, "BakeFailed")
        assert line.status.message == "aborted by mia at 2026-01-01T00:03:20Z"
        assert line.status.last_promoted_spec == "v1"
        assert line.endings == (Ending.PROMOTED, Ending.FAILED)
        assert line.events[-1] == "app-primary.prod is back at the last good version"

    def test_one_that_is_held_as_its_bake_failed_makes_way_too(self, canary: Make, play: Play) -> None:
        bad = {"v2": Version(readings=(Reading(90.0, side=Side.PRIMARY, after=timedelta(seconds=180)),))}
        baking = canary(stepWeight=50, maxWeight=50, bake="10m", onFailure="hold")
        line = play(baking, V2, (1500, order(f"abort {SIGNED}")), versions=bad)

        assert (line.status.last_promoted_spec, line.status.reason) == ("v1", "BakeFailed")

    @pytest.mark.parametrize(("at", "text"), [(300, "abort revision=v3"), (2000, f"abort {SIGNED}")])
    def test_not_so_another_version_or_once_the_bake_is_over(
        self, canary: Make, play: Play, at: float, text: str
    ) -> None:
        line = play(canary(stepWeight=50, maxWeight=50, bake="10m"), V2, (at, order(text)))

        assert line.status.last_promoted_spec == "v2"
        assert any("Order to abort app.prod is not heeded" in each for each in events(line))

    def test_a_version_that_is_held_after_it_failed_goes(self, canary: Make, play: Play) -> None:
        line = play(canary(onFailure="hold"), V2, (1500, order(f"abort {SIGNED}")), versions=FAILING)
        assert line.status.phase is Phase.FAILED
        assert line.weights == (0, 10, 20, 0)

    def test_one_that_waits_for_its_approval_is_not_begun(self, canary: Make, play: Play, hook: Hook) -> None:
        closed = (Reply(False),)
        line = play(canary(webhooks=[hook("confirm-rollout")]), V2, (200, order(f"abort {SIGNED}")), replies=closed)
        assert (line.status.phase, line.status.reason) == (Phase.FAILED, "Aborted")
        assert line.weights == (0,)
        assert any(each.startswith("app.prod is not rolled out, aborted by mia") for each in events(line))

    def test_it_works_where_the_spec_does_not(self, canary: Make, story: Story) -> None:
        made = canary()
        line = SafeWorld(story(made, V2, (150, Edit(made.spec.replace(suspend=True))), (200, order("abort")))).run()
        assert (line.status.phase, line.status.message) == (Phase.FAILED, "aborted")

    def test_it_works_while_paused(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (150, Annotate(PAUSE, "by mia")), (200, order(f"abort {SIGNED}")))
        assert line.status.phase is Phase.FAILED
        assert line.status.canary_weight == 0


class TestPromote:
    """The version is given to everybody, whatever is left of its analysis."""

    @pytest.mark.parametrize("at", [70, 150, 300])
    def test_steps_that_are_left_are_skipped(self, canary: Make, play: Play, at: float) -> None:
        line = play(canary(), V2, (at, order(f"promote {SIGNED}")))
        assert line.status.phase is Phase.SUCCEEDED
        assert line.status.last_promoted_spec == "v2"
        assert "Promotion ordered for app.prod by mia at 2026-01-01T00:03:20Z" in events(line)
        whole = play(canary(), V2)
        assert len(line.weights) < len(whole.weights)

    def test_gates_are_passed(self, canary: Make, play: Play, hook: Hook) -> None:
        closed = (Reply(False),)
        made = canary(stepWeight=50, webhooks=[hook("confirm-promotion")])
        assert play(made, V2, replies=closed).status.phase is Phase.WAITING_PROMOTION
        line = play(made, V2, (900, order(f"promote {SIGNED}")), replies=closed)
        assert line.status.phase is Phase.SUCCEEDED

    def test_a_version_that_is_held_after_it_failed_is_promoted(self, canary: Make, play: Play) -> None:
        line = play(canary(onFailure="hold"), V2, (1500, order(f"promote {SIGNED}")), versions=FAILING)
        assert line.status.phase is Phase.SUCCEEDED

    def test_pods_that_are_not_ready_are_waited_for(self, canary: Make, play: Play) -> None:
        slow = {"v2": Version(ready_after=timedelta(seconds=90))}
        line = play(canary(), V2, (70, order(f"promote {SIGNED}")), versions=slow)
        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights == (0,)

    def test_while_paused_it_waits_for_the_end_of_the_pause(self, canary: Make, story: Story) -> None:
        changes = (V2, (150, Annotate(PAUSE, "by mia")), (200, order("promote")), (900, Annotate(PAUSE, "")))
        world = SafeWorld(story(canary(), *changes))
        world.run(timedelta(seconds=800))
        assert world.canary.status.phase is Phase.PROGRESSING
        assert world.run().status.phase is Phase.SUCCEEDED


STRATEGIES = [
    {"iterations": 5},
    {"iterations": 5, "mirror": True},
    {"iterations": 5, "match": [{"headers": {"x-canary": {"exact": "yes"}}}]},
    {"stepWeights": [1, 50, 100]},
    {"stepWeight": 10, "mirror": True},
    {"stepWeight": 10, "bake": "5m"},
    {"stepWeight": 10, "stepWeightPromotion": 5},
]


@pytest.mark.parametrize("analysis", STRATEGIES)
@pytest.mark.parametrize("at", [62, 100, 200])
class TestStrategies:
    """Whatever the strategy, and wherever it stands."""

    def test_it_is_promoted(self, canary: Make, play: Play, analysis: dict[str, Any], at: float) -> None:
        line = play(canary(**analysis), V2, (at, order(f"promote {SIGNED}")))
        assert (line.status.phase, line.status.last_promoted_spec) == (Phase.SUCCEEDED, "v2")
        assert sum("Promotion ordered" in each for each in events(line)) == 1

    def test_it_is_taken_back(self, canary: Make, play: Play, analysis: dict[str, Any], at: float) -> None:
        line = play(canary(**analysis), V2, (at, order(f"abort {SIGNED}")))
        assert (line.status.phase, line.status.last_promoted_spec) == (Phase.FAILED, "v1")
        assert line.weights[-1] == 0


class TestRestart:
    """The analysis begins anew."""

    def test_it_goes_back_to_the_first_step(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, order(f"restart {SIGNED}")))
        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights == (0, 10, 20, 30, 0, 10, 20, 30, 40, 50, 0)
        assert "Restart ordered for app.prod by mia at 2026-01-01T00:03:20Z" in events(line)

    def test_a_held_version_is_looked_at_anew(self, canary: Make, play: Play) -> None:
        line = play(canary(onFailure="hold"), V2, (1500, order("restart")), versions=FAILING)
        assert line.weights == (0, 10, 20, 0, 10, 20)


class TestNotHeeded:
    """What can't be done is said once, and is never done later."""

    @pytest.mark.parametrize(
        ("text", "at", "why"),
        [
            ("abort", 30, "no version is rolled out"),
            ("promote", 30, "no version is rolled out"),
            ("abort", 367.5, "the version is being promoted already"),
            ("abort revision=v3 by=mia", 200, "it is about revision v3, and v2 is rolled out by mia"),
            ("promote revision=v1", 200, "it is about revision v1, and v2 is rolled out"),
            ("explode", 200, "it is none of promote, abort, restart and resume"),
        ],
    )
    def test_it_is_said_once(self, canary: Make, play: Play, text: str, at: float, why: str) -> None:
        line = play(canary(), V2, (at, order(text)))
        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights == (0, 10, 20, 30, 40, 50, 0)
        told = [each for each in events(line) if "is not heeded" in each]
        assert told == [f"Order to {text.split(maxsplit=1)[0]} app.prod is not heeded, {why}"]

    def test_a_newer_version_is_not_promoted_in_the_place_of_the_one_that_was_seen(
        self, canary: Make, play: Play
    ) -> None:
        versions = {"v2": Version(), "v3": Version(readings=(Reading(50.0),))}
        line = play(canary(), V2, (200, Deploy("v3")), (200, order(f"promote {SIGNED}")), versions=versions)
        assert line.status.last_promoted_spec == "v1"
        assert line.endings == (Ending.FAILED,)

    def test_an_order_that_comes_with_a_new_canary_is_none(self, canary: Make, play: Play) -> None:
        made = canary()
        metadata = made.metadata.replace(annotations={ORDER: "abort"})
        line = play(made.replace(metadata=metadata), V2)
        assert line.status.phase is Phase.SUCCEEDED


class TestPause:
    """Nothing is done while it stands there, and then it goes on."""

    @pytest.mark.parametrize(
        ("phase", "at"), [(Phase.INITIALIZED, 30), (Phase.PROGRESSING, 200), (Phase.PROMOTING, 367.5)]
    )
    def test_it_stops_in_every_phase_and_goes_on_where_it_was(
        self, canary: Make, story: Story, phase: Phase, at: float
    ) -> None:
        changes = (V2, (at, Annotate(PAUSE, "by mia at noon")), (5000, Annotate(PAUSE, "")))
        world = SafeWorld(story(canary(), *changes, versions={"v2": Version()}))
        world.run(timedelta(seconds=4990))
        stopped = world.canary.status
        assert stopped.phase is phase
        assert stopped.paused == "by mia at noon"

        line = world.run()
        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights == (0, 10, 20, 30, 40, 50, 0)
        assert line.status.paused == ""
        told = events(line)
        assert told.count("Paused app.prod by mia at noon") == 1
        assert told.count("The pause of app.prod has ended") == 1

    def test_its_reason_is_told(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, Annotate(PAUSE, "by mia")))
        assert (line.status.reason, line.status.message) == ("Paused", "paused by mia")

    def test_whoever_ends_it_by_an_order_is_told_of(self, canary: Make, story: Story) -> None:
        changes = (V2, (200, Annotate(PAUSE, "by mia")), (900, Annotate(PAUSE, "")), (900, order("resume by=joe")))
        line = SafeWorld(story(canary(), *changes)).run()
        assert line.status.phase is Phase.SUCCEEDED
        assert "Resumed app.prod by joe" in events(line)

    def test_a_version_that_is_being_taken_back_goes_on_being_so(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeightRollback=5), V2, (310, Annotate(PAUSE, "by mia")), versions=FAILING)
        assert line.weights == (0, 10, 20, 15, 10, 5, 0)
        assert line.status.phase is Phase.FAILED


class TestInPlace:
    """Pods that are replaced one by one are ordered about in the same way."""

    def canary(self) -> Canary:
        analysis = {"interval": "1m", "threshold": 2}
        target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}
        metadata = {"name": "app", "namespace": "prod", "generation": 1}
        return parse_canary({"metadata": metadata, "spec": {"targetRef": target, "analysis": analysis}})

    def play(self, story: Story, *changes: Any) -> Timeline:
        return SafeWorld(story(self.canary(), *changes, replicas=4, in_place=True)).run()

    def test_it_is_taken_back(self, story: Story) -> None:
        line = self.play(story, V2, (120, order("abort by=mia")))
        assert (line.status.phase, line.status.message) == (Phase.FAILED, "aborted by mia")

    def test_the_remaining_pods_are_replaced(self, story: Story) -> None:
        line = self.play(story, V2, (120, order("promote by=mia")))
        assert line.status.phase is Phase.SUCCEEDED
        assert "Promotion ordered for app.prod by mia" in events(line)

    def test_to_begin_anew_is_refused_with_the_way_round(self, story: Story) -> None:
        line = self.play(story, V2, (120, order("restart by=mia")))
        assert any("its pods are replaced in place; abort it, and retry it" in each for each in events(line))


@settings(max_examples=60, deadline=None)
@given(
    verbs=st.lists(st.sampled_from(["abort", "promote", "restart", "resume", "pause", "go on"]), max_size=5),
    times=st.lists(st.integers(10, 900), min_size=5, max_size=5),
    healthy=st.booleans(),
)
def test_whatever_is_ordered_nobody_is_harmed_and_it_comes_to_rest(
    canary: Make, story: Story, verbs: list[str], times: list[int], healthy: bool
) -> None:
    """Every pass is held against the rules of safety, and once nothing is paused the rollout ends."""
    made = {"pause": Annotate(PAUSE, "by mia"), "go on": Annotate(PAUSE, "")}
    changes = [(at, made.get(verb) or order(f"{verb} at={at}")) for verb, at in zip(verbs, times, strict=False)]
    versions = {"v2": Version()} if healthy else FAILING
    scenario = story(canary(), V2, *changes, (1500, Annotate(PAUSE, "")), versions=versions, limit=DAY)
    status = SafeWorld(scenario).run().status
    assert status.phase in (Phase.SUCCEEDED, Phase.FAILED)
    assert status.canary_weight == 0
    assert status.paused == ""


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("abort", Order("abort")),
        ("promote by=mia", Order("promote", by="mia")),
        (f"abort {SIGNED} it is slow", Order("abort", "v2", "mia", "2026-01-01T00:03:20Z", "it is slow")),
        ("abort why=not", Order("abort", why="why=not")),
    ],
)
def test_an_order_is_read_as_far_as_it_goes(text: str, read: Order) -> None:
    assert order_in(text) == read
