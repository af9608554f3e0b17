"""A verdict carries what it rests on: to the status, to the event, and to what is remembered of a rollout."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase, Verdict
from canary.api.traffic import Readiness, Split
from canary.rollout.decide import decide
from canary.rollout.decision import Decision
from canary.rollout.facts import Facts, HookAnswer, HookQuestion, MetricQuestion, Question, Workload
from canary.rollout.kept_checks import MOST_QUERY, MOST_WORDS
from canary.rollout.simulation import Deploy, Reading, SafeWorld, Scenario, Timeline, Version, Window
from metrics import reading
from metrics.question import Empty, Number

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PODS = Readiness(desired=1, updated=1, ready=1, available=1, total=1)
FACTS = Facts(now=NOW, target=Workload("v2", PODS), primary=Workload("v1", PODS), split=Split(10))
ERRORS = {"name": "errors", "query": "x", "threshold": 1, "interval": "30s"}
QUERY = "sum(\n  rate(errors[30s])\n)"


def progressing(canary: Canary) -> Canary:
    return canary.replace(
        status=CanaryStatus(
            phase=Phase.PROGRESSING,
            observed_generation=1,
            last_applied_spec="v2",
            last_promoted_spec="v1",
            canary_weight=10,
            reason="Analysing",
            last_check_time=NOW - MINUTE,
            last_progress_time=NOW - MINUTE,
        )
    )


def look(canary: Canary, now: datetime, said: reading.Said, query: str = QUERY, hook: str = "no") -> Decision:
    """One look, at which every metric says this, and no webhook approves."""
    seen = replace(FACTS, now=now)

    def answer(question: Question) -> Any:
        if isinstance(question, HookQuestion):
            return HookAnswer(approved=False, message=hook)
        assert isinstance(question, MetricQuestion)
        return reading.Reading(said=said, interval=timedelta(seconds=30), time=now, query=query)

    answers = {each: answer(each) for each in decide(canary, seen).asks}
    return decide(canary, replace(seen, answers=answers))


def looks(canary: Canary, *said: reading.Said) -> list[Decision]:
    """One look after the other, a minute apart."""
    found = []
    for number, each in enumerate(said):
        found.append(look(canary, NOW + number * MINUTE, each))
        canary = canary.replace(status=found[-1].status)
    return found


def test_a_check_knows_since_which_look_it_has_said_the_same(canary: Make) -> None:
    """One that passes in between begins anew, and so does one that has no data."""
    made = progressing(canary(metrics=[ERRORS], threshold=9, stepWeights=[10, 10, 10, 10, 10, 10, 10, 10]))
    said = (Number(5.0), Number(6.0), Empty(), Empty(), Number(7.0))
    checks = [each.status.checks[0] for each in looks(made, *said)]

    assert [(each.verdict, each.since) for each in checks] == [
        (Verdict.FAIL, NOW),
        (Verdict.FAIL, NOW),
        (Verdict.NO_DATA, NOW + 2 * MINUTE),
        (Verdict.NO_DATA, NOW + 2 * MINUTE),
        (Verdict.FAIL, NOW + 4 * MINUTE),
    ]


@pytest.mark.field("status.outbox[].events[].evidence")
def test_an_event_says_what_a_failed_check_rests_on(canary: Make) -> None:
    """Its interval, how many series, and the query. The words before that are Flagger's."""
    made = progressing(canary(metrics=[ERRORS], threshold=9))
    first, second = looks(made, Number(5.0, samples=2, others=(6.0,)), Number(5.0))

    assert first.events[0].message == second.events[0].message.replace("5.00", "6.00")
    halted = "Halt app.prod advancement errors"
    rests_on = "over 30s, the worst of 2 series, query sum( rate(errors[30s]) )"
    assert first.events[0].told == f"{halted} 6.00 > 1 ({rests_on})"
    assert second.events[0].told == f"{halted} 5.00 > 1 (over 30s, query sum( rate(errors[30s]) ))"
    (event,) = first.status.to_json()["outbox"][0]["events"]
    assert event["evidence"] == rests_on
    assert second.status.message == "Halt app.prod advancement errors 5.00 > 1"


def test_what_is_kept_of_a_check_is_bounded(canary: Make, hook: Hook) -> None:
    """Whatever somebody has written as a query, and whatever a webhook answers."""
    made = progressing(canary(metrics=[ERRORS], webhooks=[hook("rollout")], threshold=9))
    decision = look(made, NOW, Number(5.0), query="x" * 100_000, hook="y" * 100_000)
    errors, answer = decision.status.checks

    assert (len(errors.query), len(answer.message)) == (MOST_QUERY, MOST_WORDS)
    assert len(decision.events[1].evidence) < 400


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@hooks.test:8080/check?token=secret#secret", "http://hooks.test:8080/check"),
        ("https://hooks.test/", "https://hooks.test/"),
        ("http://[secret/", ""),
    ],
)
def test_the_address_of_a_webhook_is_kept_without_what_may_be_a_password(
    canary: Make, hook: Hook, url: str, shown: str
) -> None:
    made = progressing(canary(metrics=[], webhooks=[hook("rollout", url=url)], threshold=9))
    decision = look(made, NOW, Number(1.0))

    assert decision.status.checks[0].query == shown
    assert "secret" not in str(decision)


def test_what_was_said_of_a_version_as_the_canary_is_not_what_is_said_of_it_in_its_bake(
    canary: Make, story: Story
) -> None:
    made = canary(stepWeight=50, maxWeight=50, bake="5m", metrics=[ERRORS])
    line = SafeWorld(story(made, (60, Deploy("v2")))).run(timedelta(seconds=400))
    assert line.status.bake is not None
    assert line.status.bake.start_time is not None
    assert line.status.checks[0].since is not None
    assert line.status.checks[0].since > line.status.bake.start_time


def test_a_hold_that_ends_a_rollout_is_remembered_with_the_time_since_when_nothing_was_said(
    canary: Make, play: Play
) -> None:
    version = Version(readings=(Reading(None),))
    line = play(canary(metrics=[ERRORS]), (60, Deploy("v2")), versions={"v2": version})
    (entry,) = line.status.history
    (check,) = entry.checks

    assert entry.cause.startswith("progress deadline exceeded errors has no data over 30s")
    assert (check.verdict, check.since) == (Verdict.NO_DATA, NOW + timedelta(seconds=126, milliseconds=100))


@pytest.mark.field("status.history[].checks[].samples")
def test_a_comparison_that_ends_a_rollout_is_remembered_with_its_requests(canary: Make, play: Play) -> None:
    made = canary(metrics=[{"name": "request-success-rate", "compareTo": "primary"}])
    line = play(made, (60, Deploy("v2")), versions={"v2": Version(readings=(Reading(50.0),))})
    (entry,) = line.status.history
    (check,) = entry.checks

    assert "is worse" in entry.cause
    assert (check.value, check.threshold) == (50.0, "primary 100 less 0.1")
    assert check.samples is not None
    assert check.samples > 10


def test_a_server_that_is_down_is_remembered_as_that(canary: Make, play: Play) -> None:
    down = (Window(timedelta(seconds=100), timedelta(days=1)),)
    line = play(canary(metrics=[ERRORS]), (60, Deploy("v2")), metrics_down=down)
    assert [each.verdict for each in line.status.history[0].checks] == [Verdict.UNAVAILABLE]
