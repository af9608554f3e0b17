from datetime import UTC, datetime, timedelta

import pytest

from canary.cli.backtest.when import moment, span, written

NOW = datetime(2026, 3, 10, 12, 30, 45, 987_654, tzinfo=UTC)
WHOLE = NOW.replace(microsecond=0)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("now", WHOLE),
        ("7d", WHOLE - timedelta(days=7)),
        ("now-1w2d3h", WHOLE - timedelta(days=9, hours=3)),
        ("90m", WHOLE - timedelta(minutes=90)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01 06:00", datetime(2026, 3, 1, 6, tzinfo=UTC)),
        ("2026-03-01T06:00:00Z", datetime(2026, 3, 1, 6, tzinfo=UTC)),
        ("2026-03-01T06:00:00+02:00", datetime(2026, 3, 1, 4, tzinfo=UTC)),
        ("1772323200", datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_moment_can_be_written_as_people_do(text: str, read: datetime) -> None:
    assert moment(text, NOW) == read


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "7", "7 days", "now+1d", "d", "9999999999999d", "-7d-"]
)
def test_what_is_no_moment_says_what_is(text: str) -> None:
    if text == "":
        assert moment(text, NOW) == WHOLE
        return
    with pytest.raises(ValueError, match="is no moment; write now, 7d"):
        moment(text, NOW)


def test_lengths_are_written_in_their_two_greatest_units() -> None:
    for text in ("3d4h", "1h30m", "45s", "1d", "2m5s"):
        assert written(span(text)) == text
    assert written(span("1d2h3m")) == "1d2h"
    assert written(span("1d5m")) == "1d"
    assert written(timedelta(0)) == "0s"
