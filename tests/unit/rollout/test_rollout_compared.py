"""A metric that is compared with the primary's: judged between the looks too, without rolling back what is as good."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase, Verdict
from canary.rollout.decision import Ending
from canary.rollout.simulation import Deploy, Kill, Reading, SafeWorld, Scenario, Side, Timeline, Version, Window

V2 = (60, Deploy("v2"))
RATE, DURATION = "request-success-rate", "request-duration"
SECOND = timedelta(seconds=1)

Make = Callable[..., Canary]
Play = Callable[..., Timeline]


def compared(**fields: Any) -> dict[str, Any]:
    return {"metrics": [{"name": RATE, "compareTo": "primary", **fields}]}


def failing(percent: float) -> dict[str, Version]:
    return {"v2": Version(readings=(Reading(100.0 - percent, RATE),))}


def took(line: Timeline) -> timedelta:
    """From the first request of the canary to its last."""
    (begun, _), *_, (out, _) = line.weight_changes[1:]
    return out - begun


def test_a_version_that_is_as_good_takes_its_steps(canary: Make, play: Play) -> None:
    line = play(canary(**compared()), V2)

    assert line.endings == (Ending.PROMOTED,)
    assert line.weights == (0, 10, 20, 30, 40, 50, 0)


@pytest.mark.parametrize(("percent", "within"), [(100, 12), (50, 12), (5, 30)])
def test_a_version_that_is_worse_goes_at_once(canary: Make, play: Play, percent: float, within: int) -> None:
    """It waits neither for the next look nor for further failed checks."""
    line = play(canary(**compared(), threshold=5), V2, versions=failing(percent))

    assert line.endings == (Ending.FAILED,)
    assert line.weights == (0, 10, 0)
    assert took(line) <= within * SECOND
    assert f"{RATE} {percent} % (" in line.events[-2]
    assert "is worse" in line.events[-2]
    assert [(each.verdict, each.value) for each in line.status.checks] == [(Verdict.FAIL, 100 - percent)]


def test_what_is_tolerated_is_no_fault(canary: Make, play: Play) -> None:
    assert play(canary(**compared(tolerance=2)), V2, versions=failing(1)).endings == (Ending.PROMOTED,)
    assert play(canary(**compared()), V2, versions=failing(1)).endings == (Ending.FAILED,)


@pytest.mark.parametrize("latency", [timedelta(0), SECOND])
def test_on_evidence_a_step_ends_as_soon_as_it_is_there(canary: Make, play: Play, latency: timedelta) -> None:
    by_clock = play(canary(**compared(tolerance=1)), V2)
    sooner = play(canary(**compared(tolerance=1), advance="onEvidence"), V2, latency=latency)

    assert sooner.weights == by_clock.weights
    assert sooner.endings == (Ending.PROMOTED,)
    assert took(sooner) <= 0.3 * took(by_clock)


@pytest.mark.parametrize("latency", [timedelta(0), SECOND])
def test_a_version_that_fails_at_a_later_step_goes_at_once_too(canary: Make, play: Play, latency: timedelta) -> None:
    versions = {"v2": Version(readings=(Reading(50.0, RATE, weight=30),))}
    line = play(canary(**compared()), V2, versions=versions, latency=latency)

    assert line.weights == (0, 10, 20, 30, 0)
    (failing, _), (out, _) = line.weight_changes[3:]
    assert out - failing <= 12 * SECOND


def test_too_few_requests_are_waited_for_and_said(canary: Make, play: Play) -> None:
    line = play(canary(**compared(minSamples=20_000)), V2, limit=timedelta(minutes=4))

    assert line.weights == (0, 10)
    assert line.status.reason == "NoData"
    assert "more requests" in line.status.message
    assert "at today's rate" in line.status.message


def test_a_hold_for_requests_ends_when_they_have_come(canary: Make, play: Play) -> None:
    line = play(canary(**compared(minSamples=5_000)), V2)

    assert line.endings == (Ending.PROMOTED,)
    assert took(line) > took(play(canary(**compared()), V2))


def test_an_outage_of_the_metrics_server_proves_nothing(canary: Make, play: Play) -> None:
    down = (Window(100 * SECOND, 200 * SECOND),)

    assert play(canary(**compared()), V2, metrics_down=down).endings == (Ending.PROMOTED,)
    assert play(canary(**compared()), V2, metrics_down=down, versions=failing(50)).endings == (Ending.FAILED,)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"metrics_down": (Window(70 * SECOND, 1000 * SECOND),)}, "MetricsUnavailable"),
        ({"versions": {"v2": Version(readings=(Reading(None, RATE),))}}, "NoData"),
    ],
)
def test_what_can_t_be_compared_is_held_and_says_why(
    canary: Make, play: Play, fields: dict[str, Any], reason: str
) -> None:
    line = play(canary(**compared()), V2, limit=timedelta(minutes=4), **fields)

    assert (line.weights, line.status.reason) == ((0, 10), reason)
    assert line.status.message.startswith(f"{RATE} can't be compared: ")


def test_other_metrics_are_judged_beside(canary: Make, play: Play) -> None:
    """Evidence for the one ends no step before the other is looked at."""
    both = [*compared(tolerance=1)["metrics"], {"name": "request-duration", "threshold": 500}]
    slow = {"v2": Version(readings=(Reading(900.0, "request-duration"),))}
    line = play(canary(metrics=both, advance="onEvidence"), V2, versions=slow)

    assert line.endings == (Ending.FAILED,)
    assert line.weights == (0, 10, 0)


def timed(**fields: Any) -> dict[str, Any]:
    return {"metrics": [{"name": DURATION, "compareTo": "primary", **fields}]}


@pytest.mark.parametrize(
    ("fields", "milliseconds", "ending"),
    [
        ({}, 90, Ending.PROMOTED),
        ({}, 300, Ending.FAILED),
        ({"thresholdRange": {"max": 500}}, 300, Ending.PROMOTED),
        ({"thresholdRange": {"max": 500}}, 600, Ending.FAILED),
    ],
)
def test_a_version_that_is_slower_goes_at_once_and_is_told_with_the_bound(
    canary: Make, play: Play, fields: dict[str, Any], milliseconds: float, ending: Ending
) -> None:
    slow = {"v2": Version(readings=(Reading(milliseconds, DURATION),))}
    line = play(canary(**timed(**fields)), V2, versions=slow)

    assert line.endings == (ending,)
    (check,) = line.status.checks
    assert (check.name, check.value) == (DURATION, 100.0 if ending is Ending.FAILED else 0.0)
    assert check.threshold == "primary 0 and 0.1"
    bound = 500 if fields else 100
    assert f"{DURATION} above {bound} ms {check.value:g} % (" in check.message


def test_errors_and_latency_share_one_promise(canary: Make, play: Play) -> None:
    both = [*compared(tolerance=1)["metrics"], *timed(tolerance=1)["metrics"]]
    line = play(canary(metrics=both, advance="onEvidence"), V2)

    assert line.endings == (Ending.PROMOTED,)
    assert {(each.name, each.verdict) for each in line.status.checks} == {
        (RATE, Verdict.PASS),
        (DURATION, Verdict.PASS),
    }


def test_a_promoted_version_has_nobody_to_be_compared_with(canary: Make, play: Play) -> None:
    line = play(canary(**compared(), bake="5m"), V2)

    assert line.endings[0] is Ending.PROMOTED
    assert line.status.phase is Phase.SUCCEEDED


@pytest.mark.parametrize("advance", ["onInterval", "onEvidence"])
@pytest.mark.parametrize("percent", [0.0, 5.0])
def test_controllers_that_end_all_the_time_come_to_the_same_end(
    canary: Make, story: Callable[..., Scenario], percent: float, advance: str
) -> None:
    """Nothing of a comparison is in memory: a restart loses none of its evidence."""
    made = canary(**compared(tolerance=1), advance=advance)
    world = SafeWorld(story(made, V2, versions=failing(percent)))
    for second in range(60, 900, 3):
        line = world.run(second * SECOND)
        world.restart()

    assert line.endings == ((Ending.FAILED,) if percent else (Ending.PROMOTED,))


def test_lost_pods_are_waited_for_and_not_compared(canary: Make, play: Play) -> None:
    line = play(canary(**compared()), V2, (90, Kill(Side.CANARY, timedelta(seconds=20))))

    assert line.endings == (Ending.PROMOTED,)
