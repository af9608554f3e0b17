"""Nothing waits shorter, and nothing fails, only because somebody has set the clock."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.status import Phase
from canary.controller.clock import Clock
from canary.rollout.facts import Facts
from canary.rollout.simulation import Deploy, Reading, Reply, SafeWorld, Scenario, Scheduled, SetClock, Version, Window

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@dataclass
class Time:
    """Time that passes when it is told to, and a clock that can be set."""

    passed: timedelta = timedelta(0)
    ahead: timedelta = timedelta(0)

    def wall(self) -> datetime:
        return START + self.passed + self.ahead

    def steady(self) -> float:
        return 1000 + self.passed.total_seconds()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def clock(time: Time) -> Clock:
    return Clock(time.wall, time.steady)


def test_it_tells_the_time_of_the_wall(time: Time, clock: Clock) -> None:
    time.passed, time.ahead = 5 * SECOND, HOUR
    assert clock() == START + 5 * SECOND + HOUR


@pytest.mark.parametrize("by", [HOUR, -HOUR, 6 * SECOND])
def test_it_is_noticed_when_it_is_set_and_remembered_in_its_own_time(time: Time, clock: Clock, by: timedelta) -> None:
    assert clock.set_at(clock()) is None
    time.ahead = by
    assert clock.set_at(clock()) == START + by
    time.passed = 30 * SECOND
    assert clock.set_at(clock()) == START + by
    time.ahead -= by
    time.passed = 31 * SECOND
    assert clock.set_at(clock()) == START + 31 * SECOND


@pytest.mark.parametrize("step", [SECOND, 60 * SECOND, HOUR])
def test_a_clock_that_is_put_right_little_by_little_was_not_set(time: Time, clock: Clock, step: timedelta) -> None:
    for _ in range(100):
        clock()
        time.passed += step
        time.ahead += step / 12
    assert clock.set_at(clock()) is None


def test_a_machine_that_rests_for_an_hour_has_its_clock_set(time: Time, clock: Clock) -> None:
    """The time of the event loop stands still meanwhile."""
    clock()
    time.passed, time.ahead = SECOND, HOUR
    assert clock.set_at(clock()) == START + SECOND + HOUR


class ClockedWorld(SafeWorld):
    """A world whose controller reads its clock as the real one does."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.reading = Clock(self.wall, self.steady)

    def wall(self) -> datetime:
        return self.now + self.clock

    def steady(self) -> float:
        return (self.now - self.scenario.start).total_seconds()

    def facts(self) -> Facts:
        now = self.reading()
        return replace(super().facts(), clock_set=self.reading.set_at(now))


def canary(**spec: Any) -> Canary:
    metrics = [{"name": "request-success-rate", "threshold": 99}]
    analysis = {"interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50, "metrics": metrics}
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "app", "namespace": "prod", "uid": "0-1", "generation": 1},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
                "service": {"port": 80},
                "progressDeadlineSeconds": 300,
                "analysis": analysis,
                **spec,
            },
        }
    )


def story(v2: Version, *jumps: tuple[timedelta, timedelta], down: tuple[Window, ...] = ()) -> Scenario:
    changes = (Scheduled(60 * SECOND, Deploy("v2")), *(Scheduled(at, SetClock(by)) for at, by in jumps))
    return Scenario(canary(), {"v1": Version(), "v2": v2}, changes, metrics_down=down)


SLOW = Version(ready_after=280 * SECOND)
NEVER = Version(ready_after=None)
SILENT = Version(readings=(Reading(None),))
GAP = (Window(100 * SECOND, 390 * SECOND),)

jumps = st.lists(
    st.tuples(st.integers(60, 700).map(lambda at: at * SECOND), st.sampled_from([HOUR, -HOUR, 9 * HOUR, 90 * SECOND])),
    max_size=3,
)


@given(jumps=jumps, v2=st.sampled_from([SLOW, Version()]), down=st.sampled_from([(), GAP]))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_version_that_would_be_promoted_is_promoted_however_the_clock_is_set(
    jumps: list[tuple[timedelta, timedelta]], v2: Version, down: tuple[Window, ...]
) -> None:
    """Pods that need most of their deadline, and metrics that are away for most of what a rollout is held."""
    line = ClockedWorld(story(v2, *jumps, down=down)).run()

    assert line.status.phase is Phase.SUCCEEDED
    assert line.status.failed_checks == 0


@given(jumps=jumps, v2=st.sampled_from([NEVER, SILENT]))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_version_that_would_be_taken_back_has_its_time_at_most_once_more_for_each_time_that_it_is_set(
    jumps: list[tuple[timedelta, timedelta]], v2: Version
) -> None:
    line = ClockedWorld(story(v2, *jumps)).run()
    failed = line.when(Phase.FAILED)

    assert line.status.phase is Phase.FAILED
    assert failed is not None
    assert failed >= 360 * SECOND
    assert failed <= 500 * SECOND + len(jumps) * 430 * SECOND


@pytest.mark.parametrize("by", [HOUR, -HOUR])
@pytest.mark.parametrize("kind", ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion"])
def test_people_have_the_time_that_they_were_given_however_the_clock_is_set(kind: str, by: timedelta) -> None:
    gate = {"name": "qa", "type": kind, "gate": {"approval": {"timeout": "30m"}}}
    asked = canary(analysis={"interval": "1m", "threshold": 5, "stepWeight": 50, "webhooks": [gate]})
    nobody = (Reply(approved=False),)
    world = ClockedWorld(replace(story(Version(), (600 * SECOND, by)), canary=asked, replies=nobody))
    for minutes in (9, 29):
        world.run(minutes * MINUTE)
        assert world.canary.status.reason == "WaitingForApproval"
    world.run(42 * MINUTE)
    assert world.canary.status.reason != "WaitingForApproval"
