"""Failures that count only in a row, or against a limit of their own; the counts stand in the status."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.api.analysis import Metric
from canary.api.canary import Canary
from canary.api.status import CanaryStatus, FailureCount, Phase
from canary.rollout.decision import Ending
from canary.rollout.simulation import (
    Deploy,
    Edit,
    PodWorld,
    Reading,
    SafeWorld,
    Scenario,
    Side,
    Timeline,
    Version,
    Window,
)
from canary.rollout.tallies import Counts, Tallies

V2 = (60, Deploy("v2"))
RATE = {"name": "request-success-rate", "threshold": 99}
GOOD, BAD = 100.0, 900.0

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]


def metrics(**fields: Any) -> list[dict[str, Any]]:
    return [RATE, {"name": "request-duration", "threshold": 500, **fields}]


def durations(*values: float | None) -> dict[str, Version]:
    """What v2 says at its looks, one a minute from its first step on; the last value stays."""
    readings = (
        Reading(each, "request-duration", after=timedelta(seconds=60 * n + 30)) for n, each in enumerate(values)
    )
    return {"v2": Version(readings=tuple(readings))}


def test_so_many_looks_in_a_row_must_fail_before_one_counts(canary: Make, play: Play) -> None:
    line = play(canary(metrics=metrics(consecutive=3), threshold=1), V2, versions=durations(BAD))

    assert line.endings == (Ending.FAILED,)
    halts = [each for each in line.events if each.startswith("Halt")]
    assert halts == [
        "Halt app.prod advancement request duration 900ms > 500ms (1 of 3 looks in a row)",
        "Halt app.prod advancement request duration 900ms > 500ms (2 of 3 looks in a row)",
        "Halt app.prod advancement request duration 900ms > 500ms",
    ]


def test_each_further_one_in_the_row_counts_as_well(canary: Make, play: Play) -> None:
    line = play(canary(metrics=metrics(consecutive=3), threshold=2), V2, versions=durations(BAD))

    assert line.status.failed_checks == 2
    assert len([each for each in line.events if each.startswith("Halt")]) == 4


def test_a_step_does_not_end_with_a_look_that_fails_though_that_counts_for_nothing(canary: Make, play: Play) -> None:
    blip = play(canary(metrics=metrics(consecutive=2), threshold=1), V2, versions=durations(GOOD, BAD, GOOD))
    smooth = play(canary(metrics=metrics(), threshold=1), V2)

    assert blip.endings == smooth.endings == (Ending.PROMOTED,)
    assert blip.weights == smooth.weights
    late = blip.when(Phase.PROMOTING) - smooth.when(Phase.PROMOTING)  # type: ignore[operator]
    assert round(late / timedelta(minutes=1)) == 1


def test_a_look_that_passes_begins_the_row_anew(canary: Make, play: Play) -> None:
    line = play(
        canary(metrics=metrics(consecutive=2), threshold=1), V2, versions=durations(BAD, GOOD, BAD, GOOD, BAD, GOOD)
    )

    assert line.endings == (Ending.PROMOTED,)
    assert line.status.failed_checks == 0


def test_a_look_that_says_nothing_neither_ends_the_row_nor_makes_it_longer(canary: Make, play: Play) -> None:
    line = play(canary(metrics=metrics(consecutive=2), threshold=1), V2, versions=durations(BAD, None, None, BAD))

    assert line.endings == (Ending.FAILED,)


def test_what_says_so_by_its_policy_fails_in_a_row_too(canary: Make, play: Play) -> None:
    silent = durations(None)
    line = play(canary(metrics=metrics(consecutive=3, noData="Fail"), threshold=1), V2, versions=silent)

    assert line.endings == (Ending.FAILED,)
    assert len([each for each in line.events if each.startswith("Halt")]) == 3


def test_a_critical_metric_rolls_back_once_its_failures_count(canary: Make, play: Play) -> None:
    line = play(canary(metrics=metrics(consecutive=2, critical=True), threshold=5), V2, versions=durations(BAD))

    assert line.status.failed_checks == 1
    assert len([each for each in line.events if each.startswith("Halt")]) == 2


def test_one_failed_check_more_than_its_own_limit_rolls_back(canary: Make, play: Play) -> None:
    line = play(canary(metrics=metrics(failureLimit=2), threshold=9), V2, versions=durations(BAD))

    assert line.endings == (Ending.FAILED,)
    assert line.events[-2] == (
        "Rolling back app.prod request-duration 900 ms is above 500 ms over 1m (failed check 3 where 2 may fail)"
    )


def test_none_is_allowed_where_the_limit_is_0(canary: Make, play: Play) -> None:
    line = play(canary(metrics=metrics(failureLimit=0), threshold=9), V2, versions=durations(BAD))

    assert len([each for each in line.events if each.startswith("Halt")]) == 1


def test_what_has_a_limit_of_its_own_does_not_count_for_the_threshold(canary: Make, play: Play) -> None:
    line = play(canary(metrics=metrics(failureLimit=5), threshold=1), V2, versions=durations(BAD, BAD, BAD, GOOD))

    assert line.endings == (Ending.PROMOTED,)
    assert line.status.failed_checks == 0
    assert line.status.failure_counts == (FailureCount(name="request-duration", failed=3),)


def test_a_limit_is_for_all_of_a_rollout_and_not_for_a_row(canary: Make, play: Play) -> None:
    line = play(canary(metrics=metrics(failureLimit=2), threshold=9), V2, versions=durations(BAD, GOOD, BAD, GOOD, BAD))

    assert line.endings == (Ending.FAILED,)


def test_with_both_only_what_ends_a_row_counts_for_the_limit(canary: Make, play: Play) -> None:
    line = play(canary(metrics=metrics(consecutive=2, failureLimit=1), threshold=9), V2, versions=durations(BAD))

    assert line.endings == (Ending.FAILED,)
    assert len([each for each in line.events if each.startswith("Halt")]) == 3


def test_other_checks_count_as_ever(canary: Make, play: Play) -> None:
    bad = Version(readings=(Reading(10.0, "request-success-rate"), Reading(BAD, "request-duration")))
    line = play(canary(metrics=metrics(failureLimit=9), threshold=2), V2, versions={"v2": bad})

    assert line.endings == (Ending.FAILED,)
    assert line.status.failed_checks == 2


def test_the_next_rollout_counts_from_nothing(canary: Make, play: Play) -> None:
    versions = {**durations(BAD, GOOD), "v3": durations(BAD, GOOD)["v2"]}
    line = play(canary(metrics=metrics(failureLimit=1), threshold=9), V2, (1200, Deploy("v3")), versions=versions)

    assert line.endings == (Ending.PROMOTED, Ending.PROMOTED)


def test_a_bake_counts_from_nothing_too_and_by_the_same_rules(canary: Make, play: Play) -> None:
    late = (
        Reading(BAD, "request-duration", side=Side.CANARY, after=timedelta(seconds=30)),
        Reading(GOOD, "request-duration", side=Side.CANARY, after=timedelta(seconds=90)),
    )
    once = Version(
        readings=(
            *late,
            Reading(BAD, "request-duration", side=Side.PRIMARY, after=timedelta(seconds=90)),
            Reading(GOOD, "request-duration", side=Side.PRIMARY, after=timedelta(seconds=150)),
        )
    )
    always = Version(readings=(*late, Reading(BAD, "request-duration", side=Side.PRIMARY, after=timedelta(seconds=90))))
    spec = canary(metrics=metrics(failureLimit=1), threshold=9, bake="10m")

    assert play(spec, V2, versions={"v2": once}).status.phase is Phase.SUCCEEDED
    failed = play(spec, V2, versions={"v2": always})
    assert failed.status.phase is Phase.FAILED
    assert any("(failed check 2 where 1 may fail)" in each for each in failed.events)


def test_a_bake_that_is_held_by_one_check_is_told_once(canary: Make, play: Play) -> None:
    always = Version(readings=(Reading(BAD, "request-duration", side=Side.PRIMARY, after=timedelta(seconds=90)),))
    line = play(
        canary(metrics=metrics(critical=True), threshold=9, bake="10m", onFailure="hold"), V2, versions={"v2": always}
    )

    assert len([each for each in line.alerts if each.startswith("Bake failed")]) == 1


def test_what_the_spec_counts_no_more_is_forgotten(canary: Make, play: Play) -> None:
    counted, plain = (canary(metrics=metrics(**fields), threshold=9) for fields in ({"failureLimit": 5}, {}))
    line = play(counted, V2, (200, Edit(plain.spec)), versions=durations(BAD, BAD, GOOD))

    assert line.status.failure_counts == ()
    assert line.endings == (Ending.PROMOTED,)


def test_checks_that_fail_by_turns_end_the_rollout_by_its_deadline(canary: Make, play: Play) -> None:
    """None of them fails in a row, and no look passes."""
    turns = (
        Reading(10.0 if n % 2 else 100.0, "request-success-rate", after=timedelta(seconds=60 * n + 30))
        for n in range(60)
    )
    others = (
        Reading(GOOD if n % 2 else BAD, "request-duration", after=timedelta(seconds=60 * n + 30)) for n in range(60)
    )
    both = [{**RATE, "consecutive": 2}, *metrics(consecutive=2)[1:]]
    line = play(canary(metrics=both, threshold=9), V2, versions={"v2": Version(readings=(*turns, *others))})

    assert (line.endings, line.status.failed_checks) == ((Ending.FAILED,), 0)
    assert line.status.message.startswith("progress deadline exceeded request-")


def test_a_long_row_is_not_cut_off_by_the_deadline(canary: Make, play: Play) -> None:
    line = play(canary(metrics=metrics(consecutive=20), threshold=1), V2, versions=durations(BAD))

    assert line.status.message == "failed checks threshold reached 1"


def test_comparisons_are_glanced_at_meanwhile(canary: Make, play: Play) -> None:
    compared = {"name": "request-success-rate", "compareTo": "primary", "tolerance": 1}
    worse = Reading(50.0, "request-success-rate", after=timedelta(seconds=80))
    bad = {"v2": Version(readings=(Reading(BAD, "request-duration"), worse))}
    line = play(canary(metrics=[compared, *metrics(consecutive=9)[1:]], threshold=9), V2, versions=bad)

    assert "request-success-rate" in line.status.message
    assert line.weights == (0, 10, 0)


def test_pods_that_are_replaced_in_place_are_judged_so_too(canary: Make, story: Story) -> None:
    target = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}}
    bad = {"v2": Version(readings=(Reading(BAD, "request-duration"),))}
    for fields, looks in (({"consecutive": 3}, 3), ({"failureLimit": 1}, 2)):
        spec = canary(spec=target, metrics=metrics(**fields), threshold=1)
        line = PodWorld(story(spec, V2, versions=bad, in_place=True)).run()

        assert line.endings == (Ending.FAILED,)
        assert len([each for each in line.events if each.startswith("Halt")]) == looks


LOOKS = st.lists(st.sampled_from("+-?"), max_size=40)


@given(LOOKS, st.integers(1, 4), st.none() | st.integers(0, 5))
def test_counts_are_those_of_all_looks_whatever_forgets_the_process(
    looks: list[str], consecutive: int, limit: int | None
) -> None:
    """Each look sees what the status has, and nothing else; what counts is what one finds in all looks at once."""
    check = Metric(name="m", consecutive=consecutive, failure_limit=limit)
    stored: tuple[FailureCount, ...] = ()
    said = []
    for look in looks:
        status = CanaryStatus.model_validate(CanaryStatus(failure_counts=stored).to_json())
        tallies = Tallies({each.name: each for each in status.failure_counts})
        match look:
            case "+":
                tallies.passed(check, "m")
            case "?":
                tallies.keep(check, "m")
            case _:
                said.append(tallies.failed(check, "m")[0])
        stored = tallies.after
    assert said == list(expected(looks, consecutive, limit))


def expected(looks: list[str], consecutive: int, limit: int | None) -> Iterator[Counts]:
    """The same, by looking back from each failure."""
    counted = 0
    for index, look in enumerate(looks):
        if look != "-":
            continue
        told = [each for each in looks[: index + 1] if each != "?"]
        row = len(told) - next((n + 1 for n in reversed(range(len(told))) if told[n] == "+"), 0)
        counted += row >= consecutive
        if row < consecutive:
            yield Counts.NOTHING
        elif limit is None:
            yield Counts.THRESHOLD
        else:
            yield Counts.NOTHING if counted <= limit else Counts.ROLLBACK


@settings(max_examples=40)
@given(
    values=st.lists(st.sampled_from([GOOD, BAD, None]), min_size=1, max_size=12),
    consecutive=st.integers(1, 3),
    limit=st.none() | st.integers(0, 3),
    down=st.integers(0, 900),
)
def test_no_step_follows_a_failing_look_and_every_rollout_ends(
    canary: Make, story: Story, values: list[float | None], consecutive: int, limit: int | None, down: int
) -> None:
    spec = canary(metrics=metrics(consecutive=consecutive, failureLimit=limit), threshold=3)
    outage = (Window(timedelta(seconds=down), timedelta(seconds=down + 90)),)
    world = SafeWorld(story(spec, V2, versions=durations(*values), metrics_down=outage, limit=timedelta(hours=6)))
    line = world.run()

    assert line.endings
    for before, after in zip(line.entries, line.entries[1:], strict=False):
        advanced = after.weight > before.weight > 0
        assert not (advanced and any(each.message.startswith("Halt") for each in after.events))


@pytest.mark.field("status.failureCounts[].name", "status.failureCounts[].failed", "status.failureCounts[].inARow")
@pytest.mark.parametrize("fields", [{"failureLimit": 3}, {"consecutive": 3}])
def test_what_was_counted_is_part_of_the_status(canary: Make, story: Story, fields: dict[str, int]) -> None:
    spec = canary(metrics=metrics(**fields), threshold=9)
    world = SafeWorld(story(spec, V2, versions=durations(BAD), limit=timedelta(seconds=200)))
    (count,) = world.run().status.to_json()["failureCounts"]

    assert count == {
        "name": "request-duration",
        "failed": 2 if "failureLimit" in fields else 0,
        "inARow": 1 if "failureLimit" in fields else 2,
    }


@pytest.mark.field(
    "status.bake.failureCounts[].name", "status.bake.failureCounts[].failed", "status.bake.failureCounts[].inARow"
)
def test_so_is_what_is_counted_of_a_promoted_version(canary: Make, story: Story) -> None:
    spec = canary(metrics=metrics(consecutive=2, failureLimit=3), threshold=9, bake="10m")
    always = Version(readings=(Reading(BAD, "request-duration", side=Side.PRIMARY, after=timedelta(seconds=90)),))
    world = SafeWorld(story(spec, V2, versions={"v2": always}, limit=timedelta(seconds=600)))
    (count,) = world.run().status.to_json()["bake"]["failureCounts"]

    assert (count["name"], count["inARow"]) == ("request-duration", 2)
    assert count["failed"] > 0
