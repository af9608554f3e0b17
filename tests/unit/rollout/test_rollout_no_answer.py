"""No data and no metrics server: neither good nor bad. The rollout is held, for as long as failed checks would take."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.decision import Ending
from canary.rollout.simulation import (
    Deploy,
    Kill,
    Reading,
    SafeWorld,
    Scenario,
    Side,
    Timeline,
    Version,
    Window,
)

V2 = (60, Deploy("v2"))
METRIC = {"name": "request-success-rate", "threshold": 99}
ANSWERS = timedelta(seconds=1)

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Play = Callable[..., Timeline]


def bad(*readings: Reading, **fields: Any) -> dict[str, Version]:
    return {"v2": Version(readings=readings, **fields)}


def assert_rolled_back(line: Timeline) -> None:
    assert line.status.phase is Phase.FAILED
    assert line.weights[-1] == 0
    assert line.endings == (Ending.FAILED,)
    assert line.over


class TestHold:
    """How long it lasts, what is told of it, and what ends it."""

    def test_no_data_holds_and_ends_at_the_deadline(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, versions=bad(Reading(None)))

        assert_rolled_back(line)
        assert line.weights == (0, 10, 0)
        begun, out = (at for at, _ in line.weight_changes[1:])
        assert timedelta(seconds=360) <= out - begun <= timedelta(seconds=360) + 3 * ANSWERS
        assert line.status.failed_checks == 0
        assert line.status.reason == "ProgressDeadlineExceeded"

    def test_the_deadline_ends_a_hold_though_the_interval_is_longer(self, canary: Make, play: Play) -> None:
        """It looks a last time at the deadline, and does not wait for the next interval."""
        spec = {"progressDeadlineSeconds": 5400}
        line = play(canary(interval="1h", threshold=1, spec=spec), V2, versions=bad(Reading(None)))

        begun, out = (at for at, _ in line.weight_changes[1:])
        assert timedelta(seconds=9000) <= out - begun <= timedelta(seconds=9000) + 3 * ANSWERS

    @pytest.mark.parametrize(("threshold", "minutes"), [(5, 6), (1, 2), (0, 2)])
    def test_no_data_ends_no_rollout_sooner_than_failed_checks_would(
        self, canary: Make, play: Play, threshold: int, minutes: int
    ) -> None:
        """The progress deadline is for pods, and often a minute: a hold has the time of threshold looks as well."""
        spec = {"progressDeadlineSeconds": 60}
        line = play(canary(threshold=threshold, spec=spec), V2, versions=bad(Reading(None)))

        assert_rolled_back(line)
        begun, out = (at for at, _ in line.weight_changes[1:])
        assert timedelta(minutes=minutes) <= out - begun <= timedelta(minutes=minutes) + 6 * ANSWERS

    @pytest.mark.parametrize("down", [True, False])
    def test_a_gap_that_flagger_would_survive_ends_no_rollout(self, canary: Make, play: Play, *, down: bool) -> None:
        """First requests, or a metrics server, that come two and a half minutes late."""
        late = Version(readings=(Reading(None), Reading(99.5, after=timedelta(seconds=150))))
        gap = (Window(timedelta(seconds=100), timedelta(seconds=250)),) if down else ()
        line = play(
            canary(threshold=5, spec={"progressDeadlineSeconds": 60}, metrics=[METRIC]),
            V2,
            versions={} if down else {"v2": late},
            metrics_down=gap,
        )

        assert line.status.phase is Phase.SUCCEEDED

    @pytest.mark.field("status.heldSince")
    def test_the_status_tells_since_when_metrics_tell_nothing(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(), V2, metrics_down=(Window(timedelta(seconds=100), timedelta(seconds=330)),)))
        told = [(world.run(timedelta(seconds=at)), world.canary.status.held_since)[1] for at in (120, 200, 300, 400)]

        assert told == [None, *2 * [world.scenario.start + timedelta(seconds=126.1)], None]

    def test_what_a_hold_has_lasted_is_forgotten_once_metrics_tell_again(self, canary: Make, play: Play) -> None:
        """Two gaps of four looks each are no gap of eight."""
        gaps = tuple(Window(timedelta(seconds=at), timedelta(seconds=at + 240)) for at in (100, 370))
        line = play(canary(threshold=5, spec={"progressDeadlineSeconds": 60}), V2, metrics_down=gaps)

        assert line.status.phase is Phase.SUCCEEDED
        assert line.status.held_since is None

    def test_pods_that_are_lost_in_a_hold_have_their_own_deadline(self, canary: Make, play: Play) -> None:
        """What metrics had of it is not taken from the pods, nor do the pods give metrics more."""
        gap = (Window(timedelta(seconds=100), timedelta(seconds=290)),)
        spec = {"progressDeadlineSeconds": 60}
        blip = (280, Kill(Side.CANARY, timedelta(seconds=45)))
        line = play(canary(threshold=5, spec=spec), V2, blip, metrics_down=gap)

        assert line.status.phase is Phase.SUCCEEDED

    def test_no_data_says_that_there_is_no_traffic(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, versions=bad(Reading(None)))

        told = "Halt advancement no values found for metric request-success-rate probably app.prod is not receiving"
        assert f"{told} traffic" in line.events

    def test_an_outage_of_the_metrics_server_holds_and_goes_on_after_it(self, canary: Make, play: Play) -> None:
        down = (Window(timedelta(seconds=100), timedelta(seconds=330)),)
        line = play(canary(), V2, metrics_down=down)

        assert line.weights == (0, 10, 20, 30, 40, 50, 0)
        assert line.status.phase is Phase.SUCCEEDED
        assert line.status.failed_checks == 0

    def test_an_outage_calls_people_once(self, canary: Make, play: Play) -> None:
        down = (Window(timedelta(seconds=100), timedelta(seconds=330)),)
        line = play(canary(), V2, metrics_down=down)

        (alert,) = line.alerts[2:-1]
        assert alert.startswith("Canary analysis is held, metrics are unavailable: ")
        assert alert.endswith("wanted >= 99%: the metrics server can't be reached")

    def test_an_outage_ends_at_the_deadline(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, metrics_down=(Window(timedelta(seconds=100), timedelta(days=1)),))

        assert_rolled_back(line)
        assert line.status.reason == "ProgressDeadlineExceeded"

    def test_going_from_one_hold_to_another_does_not_start_the_deadline_anew(self, canary: Make, play: Play) -> None:
        down = (Window(timedelta(seconds=250), timedelta(days=1)),)
        line = play(canary(), V2, versions=bad(Reading(None)), metrics_down=down)

        begun, out = (at for at, _ in line.weight_changes[1:])
        assert timedelta(seconds=360) <= out - begun <= timedelta(seconds=360) + 3 * ANSWERS

    @pytest.mark.parametrize(
        ("policy", "phase", "weights"),
        [("Fail", Phase.FAILED, (0, 10, 0)), ("Pass", Phase.SUCCEEDED, (0, 10, 20, 30, 40, 50, 0))],
    )
    def test_the_spec_says_what_no_data_is(
        self, canary: Make, play: Play, policy: str, phase: Phase, weights: tuple[int, ...]
    ) -> None:
        metrics = [{"name": "request-success-rate", "threshold": 99, "noData": policy}]
        line = play(canary(metrics=metrics), V2, versions=bad(Reading(None)))

        assert line.status.phase is phase
        assert line.weights == weights
        assert line.status.reason != "ProgressDeadlineExceeded"

    def test_the_spec_may_count_an_outage_as_failed(self, canary: Make, play: Play) -> None:
        metrics = [{"name": "request-success-rate", "threshold": 99, "unavailable": "Fail"}]
        line = play(canary(metrics=metrics), V2, metrics_down=(Window(timedelta(seconds=100), timedelta(days=1)),))

        assert_rolled_back(line)
        assert line.status.failed_checks == 2
        assert line.status.reason == "RolledBack"
