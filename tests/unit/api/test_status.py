from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from canary.api.canary import Canary
from canary.api.meta import Condition
from canary.api.status import CanaryStatus, CheckStatus, Phase, Verdict

NOON = datetime(2025, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)


class Make(Protocol):
    def __call__(self, changes: Mapping[str, object] | None = None, without: tuple[str, ...] = ()) -> Canary: ...


FLAGGERS = {
    "phase": "Progressing",
    "failedChecks": 1,
    "canaryWeight": 20,
    "iterations": 0,
    "trackedConfigs": {"configmap/settings": "5d1f", "secret/token": "77aa"},
    "lastAppliedSpec": "7b6d5cc7",
    "lastPromotedSpec": "6f9fcb9d",
    "lastTransitionTime": "2025-01-31T12:00:00Z",
    "sessionAffinityCookie": "canary=AbC",
    "conditions": [
        {
            "type": "Promoted",
            "status": "Unknown",
            "lastUpdateTime": "2025-01-31T12:00:00Z",
            "lastTransitionTime": "2025-01-31T11:00:00Z",
            "reason": "Progressing",
            "message": "New revision detected.",
        }
    ],
}


def test_a_status_written_by_flagger_is_read_and_written_back_as_it_was(make: Make) -> None:
    assert make({"status": FLAGGERS}).status.to_json() == FLAGGERS


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"phase": ""},
        {"phase": None, "lastTransitionTime": None, "trackedConfigs": None, "conditions": None},
        {"failedChecks": 0, "canaryWeight": 0.0, "iterations": 0},
        {"unknownField": {"a": [1]}},
    ],
)
def test_a_status_with_gaps_is_read(make: Make, written: dict[str, Any]) -> None:
    status = make({"status": written}).status
    assert status == CanaryStatus()
    assert status.to_json() == {"phase": "", "failedChecks": 0, "canaryWeight": 0, "iterations": 0}


def test_a_condition_with_gaps_is_read(make: Make) -> None:
    written = {"type": "Promoted", "status": "True", "lastUpdateTime": None}
    (condition,) = make({"status": {"conditions": [written]}}).status.conditions
    assert condition == Condition(type="Promoted", status="True")
    assert condition.to_json() == {"type": "Promoted", "status": "True", "reason": "", "message": ""}


def test_flaggers_times_are_whole_seconds_and_ours_microseconds() -> None:
    status = CanaryStatus(
        last_transition_time=NOON,
        last_check_time=NOON,
        last_progress_time=NOON,
        traffic_removed_time=NOON,
        checks=(CheckStatus(name="x", verdict=Verdict.PASS, time=NOON),),
        conditions=(Condition(type="Promoted", last_update_time=NOON),),
    ).to_json()
    assert status["lastTransitionTime"] == "2025-01-31T12:00:00Z"
    assert status["conditions"][0]["lastUpdateTime"] == "2025-01-31T12:00:00Z"
    for name in ("lastCheckTime", "lastProgressTime", "trafficRemovedTime"):
        assert status[name] == "2025-01-31T12:00:00.250000Z"
    assert status["checks"][0]["time"] == "2025-01-31T12:00:00.250000Z"


@given(
    st.datetimes(
        min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - the zone is drawn beside it
        max_value=datetime(2100, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))]),
    )
)
def test_the_same_instant_comes_back(instant: datetime) -> None:
    written = CanaryStatus(last_check_time=instant).to_json()
    again = CanaryStatus.model_validate(written)
    assert again.last_check_time == instant
    assert again.last_check_time is not None
    assert again.last_check_time.tzinfo is UTC


def test_the_first_year_is_written_in_four_digits() -> None:
    """Go's word for no time at all."""
    status = CanaryStatus.model_validate({"lastTransitionTime": "0001-01-01T00:00:00Z", "lastCheckTime": "0001-01-01"})
    assert status.to_json()["lastTransitionTime"] == "0001-01-01T00:00:00Z"
    assert status.to_json()["lastCheckTime"] == "0001-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00"])
def test_a_time_beyond_the_calendar_is_none(make: Make, time: str) -> None:
    with pytest.raises(ValidationError, match=r"is no time"):
        CanaryStatus.model_validate({"lastCheckTime": time})
    assert make({"status": {"lastCheckTime": time, "canaryWeight": 5}}).status == CanaryStatus(canary_weight=5)


def test_a_check_keeps_number_threshold_query_and_time() -> None:
    check = CheckStatus(
        name="request-duration",
        verdict=Verdict.FAIL,
        value=812.5,
        threshold="<= 500",
        query="histogram_quantile(0.99, x)",
        time=NOON,
        samples=12,
        message="812 ms, over 500 ms",
    )
    assert CanaryStatus(checks=(check,)).to_json()["checks"] == [
        {
            "name": "request-duration",
            "verdict": "Fail",
            "value": 812.5,
            "threshold": "<= 500",
            "query": "histogram_quantile(0.99, x)",
            "time": "2025-01-31T12:00:00.250000Z",
            "samples": 12,
            "message": "812 ms, over 500 ms",
        }
    ]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_json_cant_say_is_left_out(value: float) -> None:
    assert CheckStatus(name="x", verdict=Verdict.FAIL, value=value).value is None


def test_a_zero_is_kept() -> None:
    check = CheckStatus(name="x", verdict=Verdict.FAIL, value=0.0, samples=0)
    written = CanaryStatus(checks=(check,), observed_generation=1).to_json()
    assert written["checks"][0]["value"] == 0.0
    assert written["checks"][0]["samples"] == 0
    assert written["observedGeneration"] == 1


def test_there_are_twelve_phases() -> None:
    assert len(Phase) == 12
    assert Phase("") is Phase.EMPTY


def test_a_condition_is_found_by_type() -> None:
    promoted = Condition(type="Promoted", status="True", reason="Succeeded")
    status = CanaryStatus(conditions=(Condition(type="Ready"), promoted))
    assert status.condition("Promoted") is promoted
    assert status.condition("Gone") is None
