"""A write that is refused is tried again and again: the log is told the first time, and then once a minute."""

from structlog.testing import capture_logs

from canary.controller.seldom import APART, Seldom


def logged(seldom: Seldom, canary: str, at: float, event: str = "refused") -> str:
    with capture_logs() as lines:
        seldom.warning(event, canary=canary, reason=f"number {at}", now=at)
    (line,) = lines
    return str(line["log_level"])


def test_the_first_line_is_a_warning_and_then_one_a_minute() -> None:
    seldom = Seldom()
    levels = [logged(seldom, "shop/app", at) for at in range(0, 130, 5)]

    assert [at * 5 for at, level in enumerate(levels) if level == "warning"] == [0, APART, 2 * APART]
    assert set(levels) == {"warning", "debug"}


def test_each_canary_and_each_event_has_lines_of_its_own() -> None:
    seldom = Seldom()
    assert logged(seldom, "shop/app", 0) == "warning"
    assert logged(seldom, "shop/other", 1) == "warning"
    assert logged(seldom, "shop/app", 2, "unavailable") == "warning"


def test_a_canary_that_is_made_anew_begins_anew() -> None:
    seldom = Seldom()
    logged(seldom, "shop/app", 0)
    seldom.forget("shop/app")
    assert logged(seldom, "shop/app", 1) == "warning"
