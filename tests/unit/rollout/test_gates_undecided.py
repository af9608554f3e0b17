"""Gates that say neither yes nor no: one that runs is waited for, one that can't be asked speaks against nobody."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.analysis import Webhook
from canary.api.canary import Canary
from canary.api.status import Phase, Verdict
from canary.rollout import messages
from canary.rollout.decision import Event
from canary.rollout.facts import HookQuestion, Undecided
from canary.rollout.simulation import Deploy, Reply, SafeWorld, Scenario, Timeline

V2 = (60, Deploy("v2"))
JOB = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}}
TESTS = ["pre-rollout", "rollout"]
CONFIRMS = ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion"]

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]


def gate(kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": "hook", "type": kind, "gate": {"job": JOB}, **fields}


def said(undecided: Undecided, end: float | None = None, start: float = 0) -> tuple[Reply, ...]:
    since, until = timedelta(seconds=start), None if end is None else timedelta(seconds=end)
    return (Reply(approved=False, message="Job x to end", undecided=undecided, start=since, end=until),)


@pytest.mark.parametrize("undecided", [Undecided.RUNNING, Undecided.WAITING])
@pytest.mark.parametrize("kind", [*TESTS, *CONFIRMS])
def test_what_is_under_way_holds_and_is_told_once_a_step(
    canary: Make, play: Play, kind: str, undecided: Undecided
) -> None:
    waiting = said(undecided, end=500)
    line = play(canary(stepWeight=25, webhooks=[gate(kind, timeout="1h")]), V2, replies=waiting)

    assert line.status.phase is Phase.SUCCEEDED
    assert line.weights == (0, 25, 50, 0)
    assert line.status.failed_checks == 0
    assert sum(event.startswith(f"Waiting for {kind} check hook of app.prod") for event in line.events) == 1
    assert line.events.count("Starting canary analysis for app.prod") == 1
    assert not any("waiting" in alert for alert in line.alerts), "nobody is called to open what opens by itself"


@pytest.mark.parametrize("kind", TESTS)
def test_a_test_that_takes_longer_than_its_timeout_is_a_failed_check(canary: Make, play: Play, kind: str) -> None:
    line = play(canary(webhooks=[gate(kind, timeout="5m")]), V2, replies=said(Undecided.WAITING))

    assert line.status.phase is Phase.FAILED
    assert line.status.reason == "RolledBack"
    (check,) = [each for each in line.status.checks if each.name == "hook"]
    assert (check.verdict, check.message) == (Verdict.FAIL, "not within 5m: Job x to end")
    failed = line.when(Phase.FAILED)
    begun = next(each.at for each in line.entries if any("Waiting for" in event.message for event in each.events))
    assert failed is not None
    assert failed - begun >= timedelta(minutes=5)


def test_without_a_timeout_a_gate_has_the_progress_deadline(canary: Make) -> None:
    made = canary(webhooks=[gate("rollout"), gate("rollout", timeout="7s", name="other")])
    assert [made.time_for(each).total_seconds() for each in made.analysis.webhooks] == [300, 7]


@pytest.mark.parametrize("kind", CONFIRMS)
def test_who_confirms_waits_however_long_it_takes(canary: Make, play: Play, kind: str) -> None:
    hook = gate(kind, timeout="1m")
    line = play(canary(stepWeight=25, webhooks=[hook]), V2, replies=said(Undecided.WAITING), limit=timedelta(hours=3))

    assert line.lasted == timedelta(hours=3)
    assert (line.status.reason, line.status.message) == ("GateWaiting", "hook: Job x to end")


@pytest.mark.parametrize("kind", TESTS)
def test_one_that_cant_be_asked_holds_as_long_as_metrics_would_and_people_are_called(
    canary: Make, play: Play, kind: str
) -> None:
    short = play(canary(webhooks=[gate(kind)]), V2, replies=said(Undecided.UNAVAILABLE, end=240))
    assert short.status.phase is Phase.SUCCEEDED
    assert short.status.failed_checks == 0
    assert short.alerts.count("Canary analysis is held, a gate can't be asked: hook: Job x to end") == 1

    long = play(canary(webhooks=[gate(kind)]), V2, replies=said(Undecided.UNAVAILABLE))
    assert (long.status.phase, long.status.reason) == (Phase.FAILED, "ProgressDeadlineExceeded")
    assert long.status.failed_checks == 0


@pytest.mark.parametrize("kind", CONFIRMS)
def test_people_are_called_where_one_who_confirms_cant_be_asked(canary: Make, play: Play, kind: str) -> None:
    replies = (*said(Undecided.RUNNING, end=300), *said(Undecided.UNAVAILABLE, start=300, end=900))
    line = play(canary(stepWeight=25, webhooks=[gate(kind)]), V2, replies=replies)

    assert line.status.phase is Phase.SUCCEEDED
    assert sum("is waiting for approval." in alert for alert in line.alerts) == 1


@pytest.mark.parametrize("kind", [*TESTS, *CONFIRMS])
def test_the_moment_is_the_same_for_as_long_as_it_is_waited(canary: Make, story: Story, kind: str) -> None:
    """What is started is started once a step, whatever the looks at it are."""
    asked: dict[tuple[int, int], set[str]] = {}

    class Counting(SafeWorld):
        def answer(self, question: Any) -> Any:
            if isinstance(question, HookQuestion):
                step = (self.canary.status.canary_weight, self.canary.status.iterations)
                asked.setdefault(step, set()).add(question.run)
            return super().answer(question)

    waiting = said(Undecided.WAITING, end=700)
    Counting(story(canary(stepWeight=25, webhooks=[gate(kind, timeout="1h")]), V2, replies=waiting)).run()

    assert asked
    assert all(len(each) == 1 and "" not in each for each in asked.values())
    assert len(set.union(*asked.values())) == len(asked), "each step has its own"


def test_a_gate_brings_no_load_before_the_first_step(canary: Make, story: Story) -> None:
    asked: list[int] = []

    class Counting(SafeWorld):
        def answer(self, question: Any) -> Any:
            if isinstance(question, HookQuestion):
                asked.append(self.canary.status.canary_weight)
            return super().answer(question)

    Counting(story(canary(stepWeight=25, webhooks=[gate("rollout")]), V2)).run()
    assert asked
    assert 0 not in asked


def test_of_a_gate_its_report_is_told_and_of_a_service_that_it_has_passed_as_flagger_does() -> None:
    """Scripts look for these very words."""
    service = Webhook.model_validate({"name": "load", "type": "pre-rollout", "url": "http://a/"})

    assert messages.passed(service, "approved with 200") == Event("Pre-rollout check load passed")
    of_gate = messages.passed(Webhook.model_validate(gate("pre-rollout")), "7 pages")
    assert of_gate == Event("Pre-rollout check hook passed", evidence="7 pages")
