import functools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.status import Phase
from canary.cli.backtest.policy import FAIL, NO_DATA, PASS, UNAVAILABLE, VERDICTS, End, Looks, Played, Policy
from canary.cli.backtest.replay import replay
from canary.rollout.simulation import Deploy, Reading, Scenario, Scheduled, Version, World

INTERVAL = timedelta(minutes=1)
STEPS, CHECKS = 5, 3


@functools.cache
def canary(no_data: str = "Hold", unavailable: str = "Hold", strategy: str = "weights") -> Canary:
    steps: dict[str, Any] = {"stepWeight": 10, "maxWeight": 10 * STEPS} if strategy == "weights" else {"iterations": 4}
    metrics = [
        {"name": name, "query": name, "thresholdRange": {"max": 1}, "noData": no_data, "unavailable": unavailable}
        for name in ("errors", "lag")
    ]
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": "test"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
                "service": {"port": 80},
                "progressDeadlineSeconds": 300,
                "analysis": {
                    "interval": "1m",
                    "threshold": CHECKS,
                    "metrics": metrics,
                    "webhooks": [{"name": "gate", "type": "confirm-promotion", "url": "http://gate.test/"}],
                    **steps,
                },
            },
        }
    )


@functools.cache
def policy(no_data: str = "Hold", unavailable: str = "Hold", strategy: str = "weights") -> Policy:
    return Policy(canary(no_data, unavailable, strategy), weighted=True)


def played(errors: Sequence[int], lag: Sequence[int] = (), **spec: str) -> Played:
    """The rollout that begins at the first look; what is not said passes."""
    looks = max(len(errors), len(lag), 40)
    said = [bytearray([*each, *[PASS] * (looks - len(each))]) for each in (errors, lag)]
    return policy(**spec).play(Looks(said), 0)


def test_a_rollout_is_promoted_after_as_many_good_looks_as_it_has_steps() -> None:
    assert policy().steps == STEPS
    assert played([]) == Played(End.PROMOTED, STEPS)


def test_blue_green_looks_once_more_with_everybody_on_the_new_version() -> None:
    assert played([], strategy="iterations") == Played(End.PROMOTED, 5)


def test_the_look_at_which_it_begins_asks_no_metric() -> None:
    assert played([FAIL]).end is End.PROMOTED


def test_the_last_failed_check_rolls_it_back_at_once() -> None:
    assert played([PASS, FAIL, PASS, FAIL, FAIL]) == Played(End.FAILED_CHECKS, 4, 0b01)


def test_fewer_failed_checks_cost_a_look_each() -> None:
    assert played([PASS, FAIL, FAIL]) == Played(End.PROMOTED, STEPS + 2, 0b01)


def test_two_metrics_that_fail_together_are_one_failed_check_and_both_are_blamed() -> None:
    bad = [PASS, FAIL, FAIL, FAIL]
    assert played(bad, bad) == Played(End.FAILED_CHECKS, 3, 0b11)
    assert played([PASS, FAIL, PASS, PASS], [PASS, PASS, FAIL, FAIL]) == Played(End.FAILED_CHECKS, 3, 0b11)


def test_without_data_it_is_held_and_goes_on_or_is_rolled_back_at_the_deadline() -> None:
    assert played([PASS, *[NO_DATA] * 4]) == Played(End.PROMOTED, STEPS + 4)
    assert played([PASS, *[NO_DATA] * 9]) == Played(End.DEADLINE, 6, 0b01)


def test_no_data_can_pass_or_fail_by_the_spec() -> None:
    missing = [NO_DATA] * 9
    assert played(missing, no_data="Pass") == Played(End.PROMOTED, STEPS)
    assert played(missing, no_data="Fail") == Played(End.FAILED_CHECKS, 3, 0b01)


@pytest.mark.parametrize(("unavailable", "end"), [("Hold", End.DEADLINE), ("Fail", End.FAILED_CHECKS)])
def test_a_time_without_any_record_is_no_metric_s_fault(unavailable: str, end: End) -> None:
    out = [UNAVAILABLE] * 20
    found = played(out, out, unavailable=unavailable)
    assert (found.end, found.blamed) == (end, 0)


def test_a_rollout_that_the_window_ends_is_not_finished() -> None:
    assert policy().play(Looks([bytearray(4), bytearray(4)]), 0).end is End.UNFINISHED


VERDICT = st.sampled_from([PASS, PASS, PASS, FAIL, NO_DATA, UNAVAILABLE])
SPECS = st.sampled_from([("Hold", "Hold"), ("Fail", "Hold"), ("Pass", "Fail")])


@settings(max_examples=60, deadline=None)
@given(errors=st.lists(VERDICT, max_size=25), lag=st.lists(VERDICT, max_size=25), spec=SPECS)
def test_it_ends_as_in_the_simulated_cluster(errors: list[int], lag: list[int], spec: tuple[str, str]) -> None:
    """Every look is put in front of a whole controller in virtual time, its pods and route included."""
    mine = played([PASS, *errors], [PASS, *lag], no_data=spec[0], unavailable=spec[1])
    phase, looks = simulated(canary(*spec), errors, lag)
    assert {End.PROMOTED: Phase.SUCCEEDED}.get(mine.end, Phase.FAILED) is phase
    assert mine.last == looks


def simulated(subject: Canary, errors: Sequence[int], lag: Sequence[int]) -> tuple[Phase, int]:
    """How the rollout ends, and after how many intervals from its first step."""
    half = INTERVAL / 2
    readings = tuple(
        Reading(verdict=VERDICTS[verdict], metric=name, after=INTERVAL * (look + 1) - half)
        for name, said in (("errors", errors), ("lag", lag))
        for look, verdict in enumerate([*said, *[PASS] * (25 - len(said))])
    )
    versions = {"old": Version(), "new": Version(ready_after=timedelta(0), readings=readings)}
    change = Scheduled(timedelta(minutes=5), Deploy("new"))
    scenario = Scenario(canary=subject, versions=versions, changes=(change,), limit=timedelta(hours=3))
    timeline = World(scenario).run()
    began = next(each.at for each in timeline.entries if any("canary weight 10" in told for told in _told(each)))
    ended = next(
        each.at
        for each in timeline.entries
        if any(told.startswith(("Rolling back", "Copying")) for told in _told(each)) and each.at > began
    )
    return timeline.status.phase, round((ended - began) / INTERVAL)


def _told(entry: Any) -> list[str]:
    return [event.message for event in entry.events]


@given(bad=st.lists(st.booleans(), min_size=STEPS + CHECKS - 1, max_size=20))
def test_one_metric_rolls_back_exactly_if_so_many_of_the_first_looks_fail(bad: list[bool]) -> None:
    """What the thresholds that the data supports rest on."""
    found = played([PASS, *(FAIL if each else PASS for each in bad)])
    rolled_back = sum(bad[: STEPS + CHECKS - 1]) >= CHECKS
    assert found.end is (End.FAILED_CHECKS if rolled_back else End.PROMOTED)


def test_sliding_counts_every_start_and_gathers_those_rolled_back_into_stretches() -> None:
    errors = bytearray(200)
    errors[50:60] = bytes([FAIL]) * 10
    lag = bytearray(200)
    lag[120:150] = bytes([NO_DATA]) * 30
    found = replay(policy(), Looks([errors, lag]), 2, offset=1000)
    assert found.told + found.ends[End.UNFINISHED] == 200
    assert found.ends[End.UNFINISHED] == STEPS + CHECKS - 1
    first, second = found.episodes
    # Of the first STEPS + CHECKS - 1 looks after its start, three must be bad: 52 for the first, 57 to 59 for the last.
    assert (first.first, first.last, first.until) == (1052 - (STEPS + CHECKS - 1), 1056, 1059)
    assert first.blamed == 0b01
    assert second.blamed == 0b10
    assert found.blame[0].alone == first.starts == found.failed
    assert found.blame[1].part == second.starts == found.ends[End.DEADLINE]
    assert found.rolled_back == first.starts + second.starts


def test_where_a_rollout_stands_does_not_hang_on_how_it_came_there() -> None:
    """What is told and remembered on the way is no part of it: a week of looks needs few decisions.

    There are as many as steps, by failed checks, and by whether the last look failed.
    """
    made = Policy(canary(), weighted=True)
    for failing in range(2**8):
        state = made._first.state
        for look in range(8):
            verdicts = (FAIL if failing >> look & 1 else PASS, PASS)
            step = made._steps.get((state, verdicts)) or made._learn(state, verdicts)
            if step.end is not None:
                break
            state = step.state
    assert len(made._known) <= 2 * made.steps * (made.longest - made.steps + 1)
