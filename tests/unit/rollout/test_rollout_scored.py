"""Metrics whose values are compared as Kayenta compares them, and the score that says what follows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Verdict
from canary.rollout.decision import Ending
from canary.rollout.simulation import Deploy, PodWorld, Reading, Scenario, Timeline, Version, Window

V2 = (60, Deploy("v2"))
RATE, DURATION, QUEUE = "request-success-rate", "request-duration", "queue"
SECOND = timedelta(seconds=1)

Make = Callable[..., Canary]
Play = Callable[..., Timeline]


def metric(name: str, **fields: Any) -> dict[str, Any]:
    """A value each 10 s: six a look."""
    query = {"query": "sum(queue)"} if name == QUEUE else {}
    made = {"name": name, "compareTo": "primary", "method": "mannWhitney", "interval": "10s", **query}
    return made | fields


def scored(*metrics: dict[str, Any], **scores: Any) -> dict[str, Any]:
    given = metrics or (metric(RATE), metric(DURATION), metric(QUEUE))
    return {"metrics": list(given), **({"scores": scores} if scores else {})}


def reading(**values: float | None) -> dict[str, Version]:
    named = {"rate": RATE, "duration": DURATION, "queue": QUEUE}
    return {"v2": Version(readings=tuple(Reading(value, named[name]) for name, value in values.items()))}


def test_a_version_without_a_difference_takes_its_steps(canary: Make, play: Play) -> None:
    line = play(canary(**scored()), V2)

    assert line.endings == (Ending.PROMOTED,)
    assert line.weights == (0, 10, 20, 30, 40, 50, 0)
    assert {(each.verdict, each.threshold) for each in line.status.checks} == {(Verdict.PASS, "primary by mannWhitney")}


def test_below_the_marginal_score_it_goes_at_the_first_look_that_can_tell(canary: Make, play: Play) -> None:
    """Two of three metrics are worse: 33 of 100."""
    line = play(canary(**scored()), V2, versions=reading(rate=90, queue=7))

    assert line.endings == (Ending.FAILED,)
    assert line.weights == (0, 10, 0)
    assert "score 33.33 is less than 75 (marginal)" in line.status.message
    assert f"{RATE} is low: 90 against 100" in line.status.message
    assert [(each.name, each.verdict, each.value) for each in line.status.checks] == [
        (RATE, Verdict.FAIL, 0.9),
        (DURATION, Verdict.PASS, 1.0),
        (QUEUE, Verdict.FAIL, None),
    ]


def test_between_marginal_and_pass_it_goes_on_and_is_taken_back_at_the_last_look(canary: Make, play: Play) -> None:
    line = play(canary(**scored(marginal=60)), V2, versions=reading(queue=7))

    assert line.endings == (Ending.FAILED,)
    assert line.weights == (0, 10, 20, 30, 40, 50, 0)
    assert "score 66.67 is less than 95 (pass)" in line.status.message


def test_the_weights_of_groups_say_what_counts(canary: Make, play: Play) -> None:
    metrics = metric(RATE, mannWhitney={"groups": ["errors"]}), metric(QUEUE, mannWhitney={"groups": ["load"]})
    queueing = reading(queue=7)

    for weight, ending in ((96, Ending.PROMOTED), (80, Ending.FAILED)):
        made = canary(**scored(*metrics, weights={"errors": weight}))
        assert play(made, V2, versions=queueing).endings == (ending,), weight


@pytest.mark.parametrize(
    ("fields", "ending"),
    [
        ({}, Ending.FAILED),
        ({"mannWhitney": {"direction": "increase"}}, Ending.PROMOTED),
        ({"mannWhitney": {"direction": "decrease"}}, Ending.FAILED),
        ({"mannWhitney": {"effectSize": {"allowedDecrease": 0.9}}}, Ending.PROMOTED),
        ({"mannWhitney": {"effectSize": {"allowedDecrease": 0.97}}}, Ending.FAILED),
        ({"mannWhitney": {"effectSize": {"measure": "cles", "allowedDecrease": 0.2}}}, Ending.FAILED),
        ({"dryRun": True}, Ending.FAILED),
    ],
)
def test_which_difference_counts_is_as_kayenta_has_it(
    canary: Make, play: Play, fields: dict[str, Any], ending: Ending
) -> None:
    """95 % where 100 are usual; of muted metrics alone nothing can be said for a version."""
    assert play(canary(**scored(metric(RATE, **fields))), V2, versions=reading(rate=95)).endings == (ending,)


def test_a_muted_metric_is_shown_and_counts_nowhere(canary: Make, play: Play) -> None:
    line = play(canary(**scored(metric(RATE), metric(QUEUE, dryRun=True))), V2, versions=reading(queue=7))

    assert line.endings == (Ending.PROMOTED,)
    assert [each.verdict for each in line.status.checks] == [Verdict.PASS, Verdict.FAIL]


@pytest.mark.parametrize(("size", "ending"), [(0.99, Ending.FAILED), (0.5, Ending.PROMOTED)])
def test_a_critical_metric_fails_the_version_from_its_own_size_on(
    canary: Make, play: Play, size: float, ending: Ending
) -> None:
    ways = {"effectSize": {"criticalDecrease": size}, "groups": ["errors"]}
    metrics = metric(RATE, critical=True, mannWhitney=ways), *(metric(QUEUE) for _ in range(3))
    made = canary(**scored(*metrics, marginal=0, weights={"errors": 1}))
    assert play(made, V2, versions=reading(rate=95)).endings == (ending,)


def test_a_critical_metric_makes_the_score_nothing(canary: Make, play: Play) -> None:
    line = play(canary(**scored(metric(RATE, critical=True), metric(QUEUE))), V2, versions=reading(rate=50))

    assert "score 0 is less than 75 (marginal): critical: " in line.status.message


@pytest.mark.parametrize(
    ("fields", "ending", "reason"),
    [
        ({}, None, "NoData"),
        ({"noData": "Fail"}, Ending.FAILED, "RolledBack"),
        ({"noData": "Pass"}, Ending.PROMOTED, "Succeeded"),
        ({"mannWhitney": {"nanStrategy": "replace"}}, Ending.PROMOTED, "Succeeded"),
    ],
)
def test_without_values_the_metric_s_policy_decides(
    canary: Make, play: Play, fields: dict[str, Any], ending: Ending | None, reason: str
) -> None:
    line = play(
        canary(**scored(metric(RATE), metric(DURATION), metric(QUEUE, **fields))),
        V2,
        versions=reading(queue=None),
        limit=timedelta(minutes=4) if ending is None else timedelta(minutes=20),
    )
    assert line.endings == (() if ending is None else (ending,))
    assert line.status.reason == reason


def test_too_few_values_say_nothing_and_hold_the_last_look(canary: Make, play: Play) -> None:
    """Of fewer than five no difference is significant; a value each two minutes comes too seldom for five steps."""
    made = canary(**scored(metric(RATE, interval="2m")))
    line = play(made, V2, versions=reading(rate=10), limit=timedelta(minutes=7))

    assert line.weights == (0, 10, 20, 30, 40, 50)
    assert line.status.reason == "NoData"
    assert "can't be told yet: 2 of 5 values" in line.status.message


def test_an_outage_of_the_metrics_server_is_no_fault_of_the_version(canary: Make, play: Play) -> None:
    down = (Window(100 * SECOND, 200 * SECOND),)
    assert play(canary(**scored()), V2, metrics_down=down).endings == (Ending.PROMOTED,)


def test_counts_and_values_are_compared_side_by_side(canary: Make, play: Play) -> None:
    both = [{"name": DURATION, "compareTo": "primary"}, metric(RATE)]
    slow = {"v2": Version(readings=(Reading(300.0, DURATION),))}

    assert play(canary(metrics=both), V2).endings == (Ending.PROMOTED,)
    assert play(canary(metrics=both), V2, versions=slow).weights == (0, 10, 0)


@pytest.mark.parametrize(("value", "ending"), [(100, Ending.PROMOTED), (50, Ending.FAILED)])
def test_in_place_values_are_compared_with_the_time_before(
    canary: Make, story: Callable[..., Scenario], value: float, ending: Ending
) -> None:
    spec = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}}
    made = canary(**scored(metric(RATE, compareTo="previous")), spec=spec, stepWeights=[50, 100])
    world = PodWorld(story(made, V2, in_place=True, replicas=4, versions=reading(rate=value)))

    assert world.run().endings == (ending,)
