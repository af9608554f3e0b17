"""A gateway that says it is behind is waited for from when it says so no more."""

from datetime import UTC, datetime, timedelta

from canary.controller.observe.caught_up import CaughtUp

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTLE = timedelta(seconds=5)
BEHIND = "gateway public has not yet seen the latest HTTPRoute app"


class Clock:
    """What is remembered, asked second by second."""

    def __init__(self) -> None:
        self.caught_up = CaughtUp()

    def at(self, seconds: float, unsettled: str = "") -> float | None:
        """When the gateway caught up, in seconds, as known then."""
        now = START + timedelta(seconds=seconds)
        since = self.caught_up.at("shop/app", unsettled, now, SETTLE)
        return None if since is None else (since - START).total_seconds()


def test_one_that_was_never_behind_has_not_caught_up() -> None:
    clock = Clock()
    assert [clock.at(0), clock.at(1)] == [None, None]


def test_the_first_look_at_which_it_is_not_behind_counts() -> None:
    clock = Clock()
    assert [clock.at(0, BEHIND), clock.at(20), clock.at(24)] == [None, 20, 20]


def test_it_is_forgotten_once_the_data_plane_has_followed() -> None:
    clock = Clock()
    assert [clock.at(0, BEHIND), clock.at(20), clock.at(25), clock.at(26)] == [None, 20, None, None]


def test_one_that_falls_behind_again_is_waited_for_again() -> None:
    clock = Clock()
    assert [clock.at(0, BEHIND), clock.at(1), clock.at(2, BEHIND), clock.at(3)] == [None, 1, None, 3]


def test_a_canary_that_is_gone_leaves_nothing() -> None:
    clock = Clock()
    clock.at(0, BEHIND)
    clock.caught_up.forget("shop/app")
    assert clock.at(1) is None
