"""Expressions over several metrics: true passes, false fails, and where neither can be told the policies decide."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import CheckStatus, Phase, Verdict
from canary.rollout.decision import Ending
from canary.rollout.simulation import Deploy, Reading, SafeWorld, Scenario, Side, Timeline, Version, Window

V2 = (60, Deploy("v2"))
FEW = 'metrics["error-rate"].value < 1 || metrics["requests"].value < 50'

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]


def own(name: str, **fields: Any) -> dict[str, Any]:
    """A metric that is there for its number alone."""
    return {"name": name, "templateRef": {"name": name}, "dryRun": True, **fields}


def analysis(expression: str = FEW, **fields: Any) -> dict[str, Any]:
    conditions = [{"name": "errors-or-few", "expression": expression, **fields}]
    return {"metrics": [own("error-rate"), own("requests")], "conditions": conditions}


def saying(errors: float | None, requests: float | None, **fields: Any) -> dict[str, Version]:
    return {"v2": Version(readings=(Reading(errors, "error-rate", **fields), Reading(requests, "requests", **fields)))}


def check(line: Timeline) -> CheckStatus:
    return next(each for each in line.status.checks if each.name == "errors-or-few")


@pytest.mark.parametrize(("errors", "requests"), [(0.5, 1000.0), (20.0, 10.0)])
def test_a_version_for_which_it_is_true_is_promoted(canary: Make, play: Play, errors: float, requests: float) -> None:
    line = play(canary(**analysis()), V2, versions=saying(errors, requests))

    assert line.endings == (Ending.PROMOTED,)
    assert (check(line).verdict, check(line).query, check(line).threshold) == (Verdict.PASS, FEW, "true")


def test_each_look_at_which_it_is_false_is_a_failed_check(canary: Make, play: Play) -> None:
    line = play(canary(**analysis(), threshold=3), V2, versions=saying(20.0, 1000.0))

    assert (line.endings, line.status.failed_checks) == ((Ending.FAILED,), 3)
    assert check(line).verdict is Verdict.FAIL
    told = "Halt app.prod advancement condition errors-or-few is false: error-rate is 20, requests is 1000"
    assert line.events.count(told) == 3


@pytest.mark.parametrize(
    ("fields", "failed"), [({"critical": True}, 1), ({"failureLimit": 1}, 1), ({"consecutive": 2}, 3)]
)
def test_it_has_the_policies_of_a_metric(canary: Make, play: Play, fields: dict[str, Any], failed: int) -> None:
    line = play(canary(**analysis(**fields), threshold=3), V2, versions=saying(20.0, 1000.0))

    assert (line.endings, line.status.failed_checks) == ((Ending.FAILED,), failed)


def test_of_a_dry_run_nothing_follows_but_the_status_has_it(canary: Make, play: Play) -> None:
    line = play(canary(**analysis(dryRun=True)), V2, versions=saying(20.0, 1000.0))

    assert line.endings == (Ending.PROMOTED,)
    assert check(line).verdict is Verdict.FAIL


@pytest.mark.parametrize(("errors", "requests"), [(None, 10.0), (0.5, None)])
def test_what_is_true_without_the_missing_number_passes(
    canary: Make, play: Play, errors: float | None, requests: float | None
) -> None:
    line = play(canary(**analysis()), V2, versions=saying(errors, requests))

    assert line.endings == (Ending.PROMOTED,)


@pytest.mark.parametrize(("policy", "failed"), [("Hold", 0), ("Fail", 2), ("Pass", None)])
def test_what_hangs_on_a_missing_number_is_without_data(
    canary: Make, play: Play, policy: str, failed: int | None
) -> None:
    line = play(canary(**analysis(noData=policy)), V2, versions=saying(20.0, None))

    assert line.endings == ((Ending.PROMOTED,) if failed is None else (Ending.FAILED,))
    assert failed in (None, line.status.failed_checks)
    assert check(line).verdict is Verdict.NO_DATA
    assert check(line).message == "errors-or-few can't be told: requests has no data"


@pytest.mark.parametrize(("policy", "ending"), [("Hold", Ending.PROMOTED), ("Fail", Ending.FAILED)])
def test_a_server_that_can_not_be_asked_is_not_the_same(
    canary: Make, story: Story, policy: str, ending: Ending
) -> None:
    down = (Window(timedelta(seconds=100), timedelta(seconds=230)),)
    world = SafeWorld(story(canary(**analysis(unavailable=policy)), V2, metrics_down=down))
    line = world.run()

    assert line.endings == (ending,)
    assert any("can't be told: error-rate, requests can't be asked for" in each for each in line.events)


def test_an_infinite_number_is_judged(canary: Make, play: Play) -> None:
    line = play(canary(**analysis()), V2, versions=saying(float("inf"), 1000.0))

    assert line.endings == (Ending.FAILED,)
    assert check(line).message == "errors-or-few is false: error-rate is inf, requests is 1000"


def test_it_is_judged_after_promotion_as_well(canary: Make, play: Play) -> None:
    bad = saying(20.0, 1000.0, side=Side.PRIMARY, after=timedelta(seconds=60))
    line = play(canary(**analysis(), bake="10m"), V2, versions=bad)

    assert line.status.phase is Phase.FAILED
    assert any("Halt bake of app.prod condition errors-or-few is false" in each for each in line.events)


def test_what_names_a_comparison_is_not_judged_after_promotion_where_nothing_is_compared(
    canary: Make, play: Play
) -> None:
    compared = {"name": "request-success-rate", "compareTo": "primary", "tolerance": 1}
    never = [{"name": "never", "expression": 'metrics["request-success-rate"].value < 1 || 1 < 2'}]
    line = play(canary(metrics=[compared], conditions=never, bake="10m"), V2)

    assert (line.status.phase, line.status.reason) == (Phase.SUCCEEDED, "Succeeded")


def test_where_no_request_arrives_it_is_no_fault_of_the_canary(canary: Make, story: Story) -> None:
    """Requests that go astray hold the analysis, whatever numbers say meanwhile."""
    rate = {"name": "request-success-rate", "threshold": 99}
    given = analysis()
    spec = canary(**{**given, "metrics": [rate, *given["metrics"]]}, threshold=1)
    lost = Window(timedelta(0), timedelta(seconds=400))
    bad = Version(readings=(Reading(20.0, "error-rate", weight=10), Reading(1000.0, "requests")))
    world = SafeWorld(
        story(spec, V2, requests=50.0, astray=(lost,), versions={"v2": bad}, limit=timedelta(seconds=300))
    )

    assert world.run().status.failed_checks == 0


def test_the_same_answers_lead_to_the_same_verdict_a_thousand_times(canary: Make, play: Play) -> None:
    """`SafeWorld` decides twice at every pass; a rollout of a thousand looks keeps to that."""
    line = play(canary(**analysis(), iterations=300), V2, versions=saying(0.5, 1000.0))

    assert line.endings == (Ending.PROMOTED,)
