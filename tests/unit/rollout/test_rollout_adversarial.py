"""What nobody means to say, and what the world says all the same: NaN, nothing, zero, the clock set back."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import metrics.reading
from canary.api.analysis import HookType
from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY, Readiness, Split
from canary.rollout.decide import decide
from canary.rollout.decision import Decision, ScaleTarget
from canary.rollout.facts import Answer, Facts, HookAnswer, HookQuestion, MetricQuestion, PodsAnswer, Question, Workload
from canary.rollout.simulation import (
    Deploy,
    Edit,
    Kill,
    Reading,
    SafeWorld,
    Scale,
    Scenario,
    SetClock,
    Side,
    Timeline,
    Version,
)
from metrics.question import Number
from metrics.reading import Said

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
V2 = (60, Deploy("v2"))

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]


def pods(count: int, **counts: Any) -> Readiness:
    return replace(Readiness(count, count, count, count, count), **counts)


def facts(**fields: Any) -> Facts:
    given: dict[str, Any] = {
        "now": NOW,
        "target": Workload("v2", pods(2)),
        "primary": Workload("v1", pods(2)),
        "split": ALL_PRIMARY,
        **fields,
    }
    return Facts(**given)


def progressing(canary: Canary, **status: Any) -> Canary:
    given = {
        "phase": Phase.PROGRESSING,
        "observed_generation": 1,
        "last_applied_spec": "v2",
        "last_promoted_spec": "v1",
        "canary_weight": 10,
        "reason": "Analysing",
        "last_check_time": NOW - timedelta(minutes=1),
        "last_progress_time": NOW - timedelta(minutes=1),
        **status,
    }
    return canary.replace(status=CanaryStatus(**given))


def look(canary: Canary, seen: Facts, said: Said) -> Decision:
    """Answer the question of the first decision, and decide again."""
    (asked,) = decide(canary, seen).asks
    return decide(canary, replace(seen, answers={asked: read(said)}))


def read(said: Said) -> metrics.reading.Reading:
    return metrics.reading.Reading(said=said, interval=timedelta(minutes=1), time=NOW)


class TestNumbers:
    """Values that are no values."""

    @pytest.mark.parametrize(("value", "side"), [(math.inf, "above 500 ms"), (-math.inf, "below 0 ms")])
    def test_a_value_that_json_has_no_words_for_is_told_in_words(self, canary: Make, value: float, side: str) -> None:
        made = progressing(canary(metrics=[{"name": "request-duration", "thresholdRange": {"min": 0, "max": 500}}]))
        decision = look(made, facts(split=Split(10)), Number(value))

        assert decision.status.failed_checks == 1
        told = f"Halt app.prod advancement request-duration {value} ms is {side} over 1m"
        assert decision.events[0].message == told
        assert CanaryStatus.model_validate(decision.status.to_json()) == decision.status

    def test_nan_from_a_metrics_server_holds(self, canary: Make, play: Play) -> None:
        """Nothing divided by nothing is no data, not a breach."""
        line = play(canary(), V2, versions={"v2": Version(readings=(Reading(math.nan),))}, limit=timedelta(minutes=5))

        assert line.status.reason == "NoData"
        assert line.status.failed_checks == 0

    @pytest.mark.parametrize(
        ("metric", "value", "said"),
        [
            ({"name": "errors", "query": "x", "threshold": 0}, 0.01, "errors 0.01 > 0"),
            ({"name": "errors", "query": "x"}, 0.01, "errors 0.01 > 0"),
            ({"name": "errors", "query": "x", "thresholdRange": {"max": 0}}, 0.01, "errors 0.01 > 0"),
            ({"name": "errors", "query": "x", "thresholdRange": {"min": 1}}, 0.0, "errors 0.00 < 1"),
            ({"name": "request-success-rate", "threshold": 100}, 99.99, "success rate 99.99% < 100%"),
            ({"name": "request-success-rate", "thresholdRange": {"max": 0}}, 1.0, "success rate 1.00% > 0%"),
            ({"name": "request-duration", "threshold": 0}, 1.0, "request duration 1ms > 0ms"),
        ],
    )
    def test_a_threshold_of_zero_is_a_threshold(
        self, canary: Make, metric: dict[str, Any], value: float, said: str
    ) -> None:
        made = progressing(canary(metrics=[metric]))
        decision = look(made, facts(split=Split(10)), Number(value))

        assert decision.events[0].message == f"Halt app.prod advancement {said}"

    def test_of_several_series_the_worst_is_told(self, canary: Make) -> None:
        made = progressing(canary(metrics=[{"name": "errors", "query": "x", "threshold": 1}]))
        decision = look(made, facts(split=Split(10)), Number(0.5, samples=2, others=(3.0,)))

        assert decision.events[0].message == "Halt app.prod advancement errors 3.00 > 1"
        assert decision.status.checks[0].message == "errors 3 is above 1 over 1m in the worst of 2 series"


class TestNothing:
    """Lists that are empty and things that are not there."""

    def test_an_analysis_without_any_check_takes_its_steps(self, canary: Make, play: Play) -> None:
        line = play(canary(metrics=[]), V2)

        assert line.weights == (0, 10, 20, 30, 40, 50, 0)

    def test_steps_that_are_empty_are_a_bad_spec(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeights=[]), V2)

        assert line.status.phase is Phase.EMPTY
        assert line.status.condition("Stalled") is not None

    def test_a_status_of_nothing_starts_from_the_beginning(self, canary: Make) -> None:
        made = canary().replace(status=CanaryStatus())

        assert decide(made, facts(primary=None, split=None)).status.phase is Phase.INITIALIZING

    @pytest.mark.parametrize("phase", Phase)
    @pytest.mark.parametrize("target", [None, Workload("v2", pods(0)), Workload("v2", pods(2, ready=0, available=0))])
    @pytest.mark.parametrize("primary", [None, Workload("", pods(0)), Workload("v1", pods(2))])
    @pytest.mark.parametrize("split", [None, ALL_PRIMARY, Split(50), Split(100, matched=True)])
    @pytest.mark.parametrize("generation", [None, 1])
    def test_any_phase_bears_anything_missing(
        self,
        canary: Make,
        phase: Phase,
        target: Workload | None,
        primary: Workload | None,
        split: Split | None,
        generation: int | None,
    ) -> None:
        """Something is decided, the same each time, and what is stored survives being stored.

        Of a status that Flagger wrote, too: it names no generation.
        """
        made = canary(iterations=2).replace(status=CanaryStatus(phase=phase, observed_generation=generation))
        seen = facts(target=target, primary=primary, split=split)
        decision = decide(made, seen)

        assert decision == decide(made, seen)
        assert decision.reason
        assert CanaryStatus.model_validate(decision.status.to_json()) == decision.status
        assert target is not None or not any(isinstance(action, ScaleTarget) for action in decision.actions)

    def test_pods_of_which_nothing_is_known_fail_at_the_deadline_all_the_same(self, canary: Make) -> None:
        made = progressing(
            canary(),
            canary_weight=0,
            reason="WaitingForPods",
            last_check_time=None,
            last_progress_time=NOW - timedelta(hours=1),
        )
        seen = facts(target=Workload("v2", pods(2, ready=0, available=0)))
        asked = decide(made, seen).asks
        decision = decide(made, replace(seen, answers={asked[0]: PodsAnswer("")}))

        assert decision.status.phase is Phase.FAILED
        assert decision.status.message.endswith("0 of 2 updated replicas are available")


class TestAnswers:
    """Answers that don't belong to what was asked."""

    def test_an_answer_to_another_look_is_none(self, canary: Make) -> None:
        made = progressing(canary())
        seen = facts(split=Split(10))
        asked = decide(made, seen).asks
        old: dict[Question, Answer] = {
            replace(each, look="another"): WELL for each in asked if isinstance(each, MetricQuestion)
        }
        decision = decide(made, replace(seen, answers=old))

        assert decision.asks == asked
        assert decision.status == decide(made, seen).status

    def test_part_of_the_answers_is_not_enough(self, canary: Make) -> None:
        made = progressing(canary())
        seen = facts(split=Split(10))
        asked = decide(made, seen).asks
        assert isinstance(asked[0], MetricQuestion)
        decision = decide(made, replace(seen, answers={asked[0]: WELL}))

        assert decision.asks == asked

    def test_an_answer_of_the_wrong_kind_is_a_bug_and_said_to_be(self, canary: Make, hook: Hook) -> None:
        made = progressing(canary(metrics=[], webhooks=[hook("rollout")]))
        seen = facts(split=Split(10))
        question = decide(made, seen).asks[0]
        assert isinstance(question, HookQuestion)
        assert question.type is HookType.ROLLOUT

        with pytest.raises(TypeError, match="was answered by"):
            decide(made, replace(seen, answers={question: PodsAnswer("")}))

    def test_an_edit_of_the_spec_makes_older_answers_worthless(self, canary: Make) -> None:
        """What was asked may not be what is meant now."""
        made = progressing(canary())
        seen = facts(split=Split(10))
        asked = decide(made, seen).asks
        answers = {each: HookAnswer(approved=True) for each in asked}
        edited = made.replace(metadata=made.metadata.replace(generation=2))

        assert decide(edited, replace(seen, answers=answers)).asks != asked


WELL = read(Number(100.0))


class TestClock:
    """Time that is not what it was."""

    def test_a_time_without_zone_is_refused_where_it_comes_in(self) -> None:
        """It would be compared with times that have one, somewhere deep inside, one day."""
        with pytest.raises(ValueError, match="time zone"):
            facts(now=datetime(2026, 1, 1, 12))  # noqa: DTZ001 - that is the point

    def test_a_time_of_another_zone_is_the_same_time(self, canary: Make) -> None:
        made = progressing(canary())
        there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))

        assert decide(made, facts(split=Split(10), now=there)).asks == decide(made, facts(split=Split(10))).asks

    def test_times_stored_without_zone_are_read_as_utc(self, canary: Make) -> None:
        stored = CanaryStatus.model_validate({"phase": "Progressing", "lastCheckTime": "2026-01-01T11:59:00"})
        made = progressing(canary(), last_check_time=stored.last_check_time)

        assert decide(made, facts(split=Split(10))).asks

    @pytest.mark.parametrize(
        ("hours", "at"),
        [(hours, at) for hours in (-24, -1, 1, 24) for at in (3, 62, 150, 367.5, 373) if hours < 0 or at != 62],
    )
    def test_a_clock_that_jumps_delays_a_rollout_by_no_more_than_a_look(
        self, canary: Make, play: Play, hours: int, at: float
    ) -> None:
        """Whatever it waits for; save that pods whose deadline is jumped over are given up."""
        line = play(canary(), V2, (at, SetClock(timedelta(hours=hours))))

        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights == (0, 10, 20, 30, 40, 50, 0)
        assert line.lasted <= timedelta(seconds=372 + 62)

    def test_a_clock_that_is_a_little_behind_cuts_no_step_short(self, canary: Make, play: Play) -> None:
        """Another controller takes over, and its clock is 20 s behind."""
        line = play(canary(), V2, (66, SetClock(timedelta(seconds=-20))))
        steps = {weight: at for at, weight in line.weight_changes}

        assert steps[20] - steps[10] >= timedelta(minutes=1)

    def test_a_clock_set_back_does_not_end_a_hold_before_its_deadline(self, canary: Make, play: Play) -> None:
        versions = {"v2": Version(ready_after=None)}
        line = play(canary(), V2, (100, SetClock(timedelta(hours=-1))), versions=versions)
        failed = line.when(Phase.FAILED)

        assert failed is not None
        assert failed >= timedelta(seconds=360)

    def test_no_decision_wakes_in_the_past(self, canary: Make, story: Story) -> None:
        """Which would keep the controller busy for nothing."""

        class Watching(SafeWorld):
            def before_store(self, canary: Canary, facts: Facts, decision: Decision) -> None:
                super().before_store(canary, facts, decision)
                late = decision.wake is not None and decision.wake < facts.now
                assert not late, decision
                idle = decision.status == canary.status and not decision.asks
                assert decision.wake != facts.now or not idle or decision.actions, decision

        made = canary(interval="1s", spec={"progressDeadlineSeconds": 1})
        Watching(story(made, V2, (70, Kill(Side.CANARY, timedelta(seconds=1))))).run()
        Watching(story(canary(), V2, (62, SetClock(timedelta(hours=-1))), (150, Edit(canary(threshold=9).spec)))).run()


class TestNoPods:
    """A canary that somebody, or something, keeps from having any pods."""

    @pytest.mark.parametrize(
        ("seen", "why"), [(pods(0), "app.prod is kept at 0 replicas"), (pods(0, total=2), "2 former pods don't go")]
    )
    def test_it_is_taken_back_at_the_deadline_with_words(self, canary: Make, seen: Readiness, why: str) -> None:
        waiting = progressing(
            canary(), reason="WaitingForPods", canary_weight=0, last_check_time=None, last_progress_time=NOW
        )
        for later, phase in ((MINUTE, Phase.PROGRESSING), (timedelta(days=9), Phase.FAILED)):
            decision = decide(waiting, facts(now=NOW + later, target=Workload("v2", seen)))
            assert decision.status.phase is phase
            assert phase is Phase.FAILED or decision.wake == NOW + 5 * MINUTE

        assert decision.status.message == f"progress deadline exceeded {why}"
        assert [alert.message for alert in decision.alerts] == [f"Progress deadline exceeded {why}"]

    def test_one_that_loses_them_late_has_all_of_the_deadline(self, canary: Make) -> None:
        """However long ago its last step was."""
        made = progressing(canary(iterations=3), canary_weight=0, iterations=2, last_progress_time=NOW - 60 * MINUTE)
        decision = decide(made, facts(target=Workload("v2", pods(0))))

        assert decision.status.phase is Phase.PROGRESSING
        assert ScaleTarget(2) in decision.actions
        assert decision.wake == NOW + 5 * MINUTE
        assert decision.status.last_progress_time == NOW

    def test_one_that_is_given_some_goes_on(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=3), V2, (130, Scale(Side.CANARY, 0)))

        assert line.status.phase is Phase.SUCCEEDED

    def test_pods_are_waited_for_whatever_was_waited_for_before(self, canary: Make) -> None:
        """A revision that came while the primary could not serve, and was set back: the pods have a deadline still."""
        made = progressing(canary(), reason="PrimaryNotReady", canary_weight=0, last_check_time=None)
        unready = facts(target=Workload("v2", pods(2, ready=0, available=0)))

        assert decide(made, unready).wake == NOW + 4 * MINUTE
        assert decide(made, replace(unready, now=NOW + timedelta(hours=1))).asks


class TestBlindness:
    """The API server was away, and with it what nodes had to tell of the pods."""

    @pytest.mark.parametrize(
        ("seeing_for", "given_up"),
        [(None, True), (timedelta(0), False), (timedelta(seconds=59), False), (MINUTE, True)],
    )
    def test_a_deadline_that_passed_unseen_leaves_time_to_see(
        self, canary: Make, seeing_for: timedelta | None, given_up: bool
    ) -> None:
        waiting = progressing(canary(), reason="WaitingForPods", canary_weight=0, last_progress_time=NOW - 6 * MINUTE)
        blind_until = None if seeing_for is None else NOW - seeing_for
        seen = facts(target=Workload("v2", pods(2, ready=0, available=0)), blind_until=blind_until)
        decision = decide(waiting, seen)

        assert bool(decision.asks) is given_up
        assert given_up or decision.wake == NOW - (seeing_for or timedelta(0)) + MINUTE

    def test_a_short_deadline_gets_as_much_time_again_and_no_more(self, canary: Make) -> None:
        made = canary(spec={"progressDeadlineSeconds": 5})
        waiting = progressing(made, reason="WaitingForPods", canary_weight=0, last_progress_time=NOW - MINUTE)
        seen = facts(target=Workload("v2", pods(2, ready=0, available=0)), blind_until=NOW)

        assert decide(waiting, seen).wake == NOW + timedelta(seconds=5)
