"""Requests that do not come where their route leads them: named as such, and no fault of the new version."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase, Verdict
from canary.rollout.decision import Decision
from canary.rollout.facts import Answer, Count, Counts, Facts, Question, TrafficAnswer, TrafficQuestion
from canary.rollout.simulation import Deploy, Reading, Reply, SafeWorld, Scenario, Scheduled, Version, Window
from canary.rollout.simulation.timeline import Timeline

Make = Callable[..., Canary]
Hook = Callable[..., dict[str, object]]

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
RATE = 50.0
"""Requests a second: of 10 % and a minute, 300 come to the canary."""
FAIL = {"name": "request-success-rate", "threshold": 99, "noData": "Fail"}
"""A check to which no data is a failure."""
ALWAYS = (Window(timedelta(0), DAY),)
BAD = Version(readings=(Reading(0.0, "request-success-rate"),))
HELD = "TrafficNotArriving"


class Watched(SafeWorld):
    """Keeps every status that is stored, and every question for traffic that is asked."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.statuses: list[CanaryStatus] = []
        self.asked: set[TrafficQuestion] = set()

    def before_store(self, canary: Canary, facts: Facts, decision: Decision) -> None:
        super().before_store(canary, facts, decision)
        self.statuses.append(decision.status)
        self.asked |= {each for each in decision.asks if isinstance(each, TrafficQuestion)}


def watched(canary: Canary, new: Version = Version(), requests: float = RATE, **fields: Any) -> Watched:  # noqa: B008
    """A world in which a new version comes after a minute."""
    changes = (Scheduled(MINUTE, Deploy("v2")),)
    story = Scenario(canary, {"v1": Version(), "v2": new}, changes, requests=requests, **fields)
    return Watched(story)


def rolled_out(canary: Canary, new: Version = Version(), requests: float = RATE, **fields: Any) -> Timeline:  # noqa: B008
    return watched(canary, new, requests, **fields).run()


def told(line: Timeline) -> list[str]:
    return [event.message for entry in line.entries for event in entry.events]


def alerts(line: Timeline) -> list[str]:
    return [alert.message for entry in line.entries for alert in entry.alerts]


def test_where_requests_come_as_asked_nothing_is_held_and_nothing_told(canary: Make) -> None:
    line = rolled_out(canary(metrics=[FAIL]))
    assert line.status.phase is Phase.SUCCEEDED
    assert told(line) == told(rolled_out(canary(metrics=[FAIL]), requests=0.0)), "as where nobody counts"


def test_none_that_arrive_hold_the_analysis_and_no_check_fails(canary: Make) -> None:
    world = watched(canary(metrics=[FAIL]), astray=ALWAYS, limit=5 * MINUTE)
    line = world.run()
    assert (line.status.phase, line.status.reason, line.status.canary_weight) == (Phase.PROGRESSING, HELD, 10)
    assert line.status.message == (
        "none of 2950 requests arrived at the canary in 59s; 295 were expected at weight 10: "
        "is there another route of the same host and path, or one that leads to Service app?"
    )
    assert line.status.failed_checks == 0
    assert [check.verdict for check in line.status.checks] == [Verdict.NO_DATA]


def test_it_is_told_once_and_people_on_call_hear_of_it_once(canary: Make) -> None:
    line = rolled_out(canary(metrics=[FAIL]), astray=ALWAYS, limit=6 * MINUTE)
    assert len([each for each in told(line) if "arrived at the canary" in each]) == 1
    (alert,) = [each for each in alerts(line) if "held" in each]
    assert alert.startswith("Canary analysis is held, requests do not arrive: none of 2900 requests")


def test_the_rollout_goes_on_once_they_arrive(canary: Make) -> None:
    line = rolled_out(canary(metrics=[FAIL]), astray=(Window(timedelta(0), 5 * MINUTE),))
    assert line.status.phase is Phase.SUCCEEDED
    assert max(entry.failed_checks for entry in line.entries) == 0


def test_a_version_that_never_gets_any_is_taken_back_at_the_deadline_with_those_words(canary: Make) -> None:
    line = rolled_out(canary(metrics=[FAIL]), astray=ALWAYS)
    assert line.status.phase is Phase.FAILED
    assert line.status.failed_checks == 0
    assert any("progress deadline exceeded none of" in each for each in told(line))


def test_of_few_requests_none_proves_nothing_and_metrics_decide_as_ever(canary: Make) -> None:
    line = rolled_out(canary(metrics=[FAIL]), requests=1.0, astray=ALWAYS)
    assert HELD not in {status.reason for status in stored(canary(metrics=[FAIL]), requests=1.0, astray=ALWAYS)}
    assert line.status.phase is Phase.FAILED
    assert line.status.failed_checks == 2


def stored(canary: Canary, **fields: Any) -> list[CanaryStatus]:
    world = watched(canary, **fields)
    world.run()
    return world.statuses


FEW = Counts(MINUTE, Count(0, 0), Count(9, 9), 9)


@pytest.mark.parametrize("counts", [None, FEW])
def test_once_it_is_known_few_requests_or_no_answer_do_not_make_it_unknown(canary: Make, counts: Counts | None) -> None:
    """Nothing has come since: a look at which that can't be proven anew is no failed check either."""

    class Fading(Watched):
        def answer(self, question: Question) -> Answer:
            fades = isinstance(question, TrafficQuestion) and self.now - self.scenario.start > 4 * MINUTE
            return TrafficAnswer(counts) if fades else super().answer(question)

    line = Fading(watched(canary(metrics=[FAIL]), astray=ALWAYS, limit=7 * MINUTE).scenario).run()
    assert (line.status.reason, line.status.failed_checks) == (HELD, 0)
    assert line.status.message.startswith("none of 29")


def test_a_check_that_speaks_of_the_version_fails_all_the_same(canary: Make, hook: Hook) -> None:
    made = canary(metrics=[FAIL], webhooks=[hook("rollout", "acceptance")])
    reply = Reply(approved=False, name="acceptance", start=2 * MINUTE)
    line = rolled_out(made, astray=ALWAYS, replies=(reply,))
    assert line.status.phase is Phase.FAILED
    assert line.status.failed_checks == 2
    assert len([each for each in told(line) if "arrived at the canary" in each]) == 1


def test_who_goes_on_without_data_is_told_and_not_held(canary: Make) -> None:
    line = rolled_out(canary(metrics=[{**FAIL, "noData": "Pass"}]), astray=ALWAYS)
    assert line.status.phase is Phase.SUCCEEDED
    words = [each for each in told(line) if "arrived at the canary" in each]
    assert len(words) == 5, "once a step"
    assert words[0].startswith("Traffic of app.prod is not divided as asked: none of ")


@pytest.mark.field("status.offShareWeight")
def test_too_small_a_share_is_told_once_a_step_and_holds_nothing_up(canary: Make) -> None:
    """Half of the time the requests go astray: 5 % come in place of 10."""
    half = tuple(Window(timedelta(seconds=at), timedelta(seconds=at + 1)) for at in range(0, 1200, 2))
    made = canary(metrics=[FAIL])
    world = watched(made, astray=half, requests=1000.0)
    line = world.run()
    assert line.status.phase is Phase.SUCCEEDED
    words = [each for each in told(line) if "is not divided as asked" in each]
    assert len(words) == 5
    assert "the canary got 5 % of 58000 requests in 58s, its weight is 10: " in words[0]
    assert words[0].split(": ", 1)[1] in {status.message for status in world.statuses}
    assert line.status.off_share_weight == 50, "so that it is told once"


def test_too_small_a_share_that_follows_on_none_is_told_too(canary: Make) -> None:
    half = (Window(timedelta(seconds=at), timedelta(seconds=at + 1)) for at in range(240, 1200, 2))
    line = rolled_out(canary(metrics=[FAIL]), astray=(Window(timedelta(0), 4 * MINUTE), *half), requests=1000.0)
    assert line.status.phase is Phase.SUCCEEDED
    assert len([each for each in told(line) if "its weight is 10: " in each]) == 1


def test_a_bad_version_is_taken_back_as_ever(canary: Make) -> None:
    line = rolled_out(canary(metrics=[FAIL]), BAD)
    assert line.status.phase is Phase.FAILED
    assert any("failed checks threshold reached" in each for each in told(line))


@pytest.mark.parametrize(
    "analysis",
    [
        {"iterations": 2, "match": [{"headers": {"x-canary": {"exact": "yes"}}}]},
        {"iterations": 2},
        {"mirror": True},
        {"sessionAffinity": {"cookieName": "version"}},
        {"stepWeights": [100]},
    ],
)
def test_nobody_is_asked_where_no_weight_decides(canary: Make, analysis: dict[str, Any]) -> None:
    world = watched(canary(metrics=[], **analysis))
    assert world.run().status.phase is Phase.SUCCEEDED
    assert world.asked == set()


def test_one_question_a_look(canary: Make) -> None:
    world = watched(canary(metrics=[FAIL]))
    world.run()
    assert len(world.asked) == 5
    assert len({each.look for each in world.asked}) == 5


def test_a_data_plane_that_needs_as_long_as_an_interval_is_not_asked_about(canary: Make) -> None:
    """All that could be counted may still be of the weight before."""
    world = watched(canary(metrics=[FAIL]), settle=MINUTE)
    world.run()
    assert world.asked == set()


windows = st.lists(
    st.tuples(st.integers(0, 15), st.integers(1, 6)).map(
        lambda each: Window(each[0] * MINUTE, (each[0] + each[1]) * MINUTE)
    ),
    max_size=3,
).map(tuple)


@given(windows, st.sampled_from(["Fail", "Hold"]), st.sampled_from([20.0, 200.0]), st.integers(0, 59))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whenever_requests_go_astray_no_check_fails_of_a_good_version(
    canary: Make, astray: tuple[Window, ...], policy: str, requests: float, shift: int
) -> None:
    moved = tuple(Window(each.start + timedelta(seconds=shift), each.end + timedelta(seconds=shift)) for each in astray)
    made = canary(metrics=[{**FAIL, "noData": policy}], spec={"progressDeadlineSeconds": 7200})
    line = rolled_out(made, requests=requests, astray=moved)
    assert line.status.phase is Phase.SUCCEEDED
    assert max(entry.failed_checks for entry in line.entries) == 0
    calls = [each for each in alerts(line) if "held" in each]
    assert len(calls) <= len(moved), "each time is told once"
