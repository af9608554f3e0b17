"""Freeze windows: when they are in force, by the clocks of their zone, and which can't be."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api import freezes
from canary.api.freezes import FreezeWindow, frozen, problems


def window(**fields: Any) -> FreezeWindow:
    return FreezeWindow.model_validate({"name": "w", "start": "2026-01-02T18:00", "duration": "62h", **fields})


WEEKENDS = window(name="weekends", rrule="FREQ=WEEKLY;BYDAY=FR", timeZone="Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def until(*windows: FreezeWindow, at: str, steps: bool = False) -> str:
    found = frozen(windows, utc(at), steps=steps)
    return "" if found is None else found.until.strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-02T16:59:59", ""),
        ("2026-01-02T17:00", "2026-01-05T07:00"),
        ("2026-01-05T06:59:59", "2026-01-05T07:00"),
        ("2026-01-05T07:00", ""),
        ("2025-12-27T12:00", ""),  # before the first one
        ("2026-03-27T17:00", "2026-03-30T06:00"),  # clocks are set in between, and it is Monday at 8 all the same
        ("2026-10-23T16:00", "2026-10-26T07:00"),
        ("2199-01-04T20:00", "2199-01-07T07:00"),
    ],
)
def test_weekends_begin_and_end_at_the_hour_of_their_zone(at: str, expected: str) -> None:
    assert until(WEEKENDS, at=at) == expected


def test_a_window_without_a_rule_is_in_force_once() -> None:
    once = window(start="2026-12-23T18:00:30", duration="24h")
    times = ("2026-12-23T18:00:29", "2026-12-23T18:00:30", "2027-12-23T19:00")
    assert [until(once, at=at) for at in times] == ["", "2026-12-24T18:00", ""]


def test_windows_that_follow_on_one_another_end_with_the_last_one_and_all_in_force_are_named() -> None:
    days = window(name="holidays", start="2026-01-04T00:00", duration="72h")
    assert until(WEEKENDS, days, at="2026-01-03T12:00") == "2026-01-07T00:00"
    found = frozen((WEEKENDS, days), utc("2026-01-04T12:00"))
    assert found is not None
    assert str(found) == "weekends, holidays until 2026-01-07T00:00:00Z"


def test_what_stops_only_starts_stops_no_step() -> None:
    hard = window(name="hard", start="2026-01-03T00:00", duration="1h", stops="steps")
    at = "2026-01-03T00:30"
    assert until(WEEKENDS, at=at, steps=True) == ""
    assert until(WEEKENDS, hard, at=at, steps=True) == "2026-01-03T01:00"


@pytest.mark.parametrize(
    ("rule", "at", "begun"),
    [
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2026-02-27T18:30", True),  # the last working day
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2028-02-29T18:30", True),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2027-03-01T18:30", False),
        ("FREQ=DAILY;UNTIL=20260105T235959", "2026-01-05T18:30", True),
        ("FREQ=DAILY;UNTIL=20260105T235959", "2026-01-06T18:30", False),
        ("FREQ=DAILY;COUNT=3;INTERVAL=2", "2026-01-06T18:30", True),
        ("FREQ=DAILY;COUNT=3;INTERVAL=2", "2026-01-08T18:30", False),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=WE", "2026-01-14T18:30", True),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=WE", "2026-01-07T18:30", False),
    ],
)
def test_rules_are_read_as_rfc_5545_writes_them(rule: str, at: str, begun: bool) -> None:
    assert bool(until(window(rrule=rule, duration="1h"), at=at)) is begun


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"start": "2026-13-01T00:00"}, "w[0].start", "month must be in 1..12"),
        ({"start": "2026-01-02T18:00Z"}, "w[0].start", "no time without a zone"),
        ({"start": "tomorrow"}, "w[0].start", "no time without a zone"),
        ({"duration": "0s"}, "w[0].duration", "no time"),
        ({"timeZone": "Europe/Berlinn"}, "w[0].timeZone", "no time zone"),
        ({"timeZone": "../../etc/passwd"}, "w[0].timeZone", "no time zone"),
        ({"timeZone": "America"}, "w[0].timeZone", "no time zone"),
        ({"rrule": "every friday"}, "w[0].rrule", "NAME=VALUE"),
        ({"rrule": "FREQ=SECONDLY"}, "w[0].rrule", "FREQ is none of"),
        ({"rrule": "BYDAY=FR"}, "w[0].rrule", "FREQ is none of"),
        ({"rrule": "FREQ=DAILY;BYHOUR=1"}, "w[0].rrule", "BYHOUR is none of"),
        ({"rrule": "FREQ=WEEKLY;BYDAY=XX"}, "w[0].rrule", "can't be read"),
        ({"rrule": "FREQ=MONTHLY;BYDAY=MO,6SU"}, "w[0].rrule", "BYDAY=6SU has a number that is not 1 to 5"),
        ({"rrule": "FREQ=MONTHLY;BYDAY=-6SU"}, "w[0].rrule", "BYDAY=-6SU has a number that is not 1 to 5"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYDAY=6SU"}, "w[0].rrule", "BYDAY=6SU has a number that is not 1 to 5"),
        ({"rrule": "FREQ=YEARLY;BYDAY=54SU"}, "w[0].rrule", "BYDAY=54SU has a number that is not 1 to 53"),
        ({"rrule": "FREQ=WEEKLY;BYDAY=1SU"}, "w[0].rrule", "BYDAY=1SU counts days"),
        ({"rrule": "FREQ=MONTHLY;BYDAY=0SU"}, "w[0].rrule", "BYDAY=0SU has a number"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=0"}, "w[0].rrule", "BYMONTH=0 is not 1 to 12"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=1,13"}, "w[0].rrule", "BYMONTH=13 is not 1 to 12"),
        ({"rrule": "FREQ=MONTHLY;BYMONTHDAY=-32"}, "w[0].rrule", "BYMONTHDAY=-32 is not 1 to 31, or -1 to -31"),
        ({"rrule": "FREQ=MONTHLY;BYSETPOS=0;BYDAY=MO"}, "w[0].rrule", "BYSETPOS=0 is not 1 to 366"),
        ({"rrule": "FREQ=DAILY;FREQ=WEEKLY"}, "w[0].rrule", "twice"),
        ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "w[0].rrule", "INTERVAL is not 1 to 9999"),
        ({"rrule": "FREQ=DAILY;UNTIL=20260101T000000Z"}, "w[0].rrule", "can't be read"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "w[0].rrule", "is never"),
        ({"rrule": "FREQ=DAILY;UNTIL=20250101T000000"}, "w[0].rrule", "is never"),
    ],
)
def test_what_can_not_be_is_refused_by_field_and_is_never_in_force(fields: Any, path: str, words: str) -> None:
    (found,) = problems((window(**fields),), "w")
    assert (found.field, words in found.message) == (path, True), found
    assert frozen((window(**fields),), utc("2020-01-01T00:00")) is None


def test_a_rule_that_can_not_be_worked_out_is_refused_each_time_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dateutil 2.9.0: a rule that has raised once keeps its lock, and whoever asks it again waits for ever."""
    monkeypatch.setattr(freezes, "_rule", lru_cache(lambda *_: Unworkable()))
    for _ in range(2):
        assert frozen((WEEKENDS,), utc("2026-01-03T00:00")) is None
        (found,) = problems((WEEKENDS,), "w")
        assert (found.field, "can't be worked out" in found.message) == ("w[0].rrule", True)


class Unworkable:
    """A rule that raises, and must not be asked again."""

    def __init__(self) -> None:
        self._asked = False

    def before(self, moment: datetime, *, inc: bool) -> datetime:
        assert not self._asked
        self._asked = True
        raise IndexError

    def __iter__(self) -> Iterator[datetime]:
        yield self.before(utc("2026-01-01T00:00"), inc=True)


def test_two_windows_of_one_name_are_refused() -> None:
    assert [each.field for each in problems((WEEKENDS, WEEKENDS), "w")] == ["w[1].name"]


PART = st.one_of(
    st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY", "WKST=SU", "COUNT=3"]),
    st.builds("INTERVAL={}".format, st.integers(-1, 400)),
    st.builds("BYMONTHDAY={}".format, st.integers(-40, 40)),
    st.builds("BYMONTH={}".format, st.integers(-1, 14)),
    st.builds("BYSETPOS={}".format, st.integers(-400, 400)),
    st.builds("BYDAY={}".format, st.sampled_from(["MO", "-1FR", "5MO", "6SU", "MO,TU", ""])),
    st.text("FREQ=;,A1-", max_size=8),
)


@given(st.lists(PART, min_size=1, max_size=5), st.integers(0, 100))
def test_whatever_is_written_there_ends_in_an_answer(parts: list[str], days: int) -> None:
    """The library looks for a day that never comes until the year 9999: that is kept short."""
    odd = window(rrule=";".join(parts), duration="24h")
    moment = utc("2026-01-01T00:00") + timedelta(days=days)
    began = time.process_time()
    found, wrong = frozen((odd,), moment), list(problems((odd,), "w"))
    assert time.process_time() - began < 20
    assert found is None or found.until > moment
    assert len(wrong) <= 1
