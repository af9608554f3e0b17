import copy
import pickle
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.durations import (
    LONGEST_TEXT,
    PATTERN,
    REMEDY,
    Duration,
    GoDuration,
    duration_text,
    format_duration,
    parse_duration,
)
from canary.api.meta import Model

SPANS = st.timedeltas(min_value=timedelta(days=-90_000), max_value=timedelta(days=90_000))


class Holder(Model):
    span: GoDuration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("1h0m0s", 3600),
        ("0", 0),
        ("0s", 0),
        ("-1m", -60),
        ("+10s", 10),
        (".5s", 0.5),
        ("1.s", 1),
        ("100us", 0.0001),
        ("100µs", 0.0001),
        ("100μs", 0.0001),
        ("1500ns", 0.000001),
        ("2s1m", 62),
    ],
)
def test_reads_what_go_reads(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "1", "1min", "m", "1m ", " 1m", "1 m", "1d", "one", ".s", "--1s", "1s-1s", "٣s", "3000000h"]
)
def test_refuses_what_go_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(microseconds=7), "7µs"),
        (timedelta(milliseconds=500), "500ms"),
        (timedelta(microseconds=1_500), "1.5ms"),
        (timedelta(seconds=1.5), "1.5s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=1), "1h0m0s"),
        (timedelta(days=1, seconds=0.25), "24h0m0.25s"),
        (timedelta(seconds=-90), "-1m30s"),
    ],
)
def test_writes_as_go_writes(span: timedelta, text: str) -> None:
    assert format_duration(span) == text


@given(SPANS)
def test_what_is_written_reads_back_the_same(span: timedelta) -> None:
    assert parse_duration(format_duration(span)) == span


NUMBERS = st.one_of(st.integers(0, 99).map(str), st.from_regex(r"[0-9]\.[0-9]{0,3}|\.[0-9]{1,3}", fullmatch=True))
UNITS = st.sampled_from(["ns", "us", "µs", "μs", "ms", "s", "m", "h"])


@given(st.lists(st.tuples(NUMBERS, UNITS).map("".join), min_size=1, max_size=4).map("".join))
def test_the_crds_pattern_lets_every_duration_through(text: str) -> None:
    assert re.fullmatch(PATTERN, text, re.ASCII)
    assert parse_duration(text) >= timedelta(0)


LONG = st.lists(st.tuples(st.integers(0, 10**18).map(str), UNITS).map("".join), min_size=1, max_size=30).map("".join)


@given(st.one_of(LONG, st.sampled_from(["9999999h", "999999999s" * 6, "99999h" * 10, "9999999m" * 8])))
def test_what_the_crds_take_is_no_longer_than_a_duration_can_be(text: str) -> None:
    if len(text) <= LONGEST_TEXT and re.fullmatch(PATTERN, text, re.ASCII):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1min", "1m\n", "-1m", "m", "", "1m 30s", "soon"])
def test_the_crds_pattern_lets_nothing_else_through(text: str) -> None:
    assert re.fullmatch(PATTERN, text, re.ASCII) is None


def test_a_duration_keeps_the_words_it_was_written_in() -> None:
    """A query template gets `90s` where the spec says `90s`, not Go's `1m30s`."""
    assert duration_text(parse_duration("90s")) == "90s"
    assert duration_text(timedelta(seconds=90)) == "1m30s"
    assert Holder.model_validate({"span": "90s"}).to_json() == {"span": "90s"}
    assert Holder(span=timedelta(seconds=90)).to_json() == {"span": "1m30s"}


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda span: pickle.loads(pickle.dumps(span))])  # noqa: S301 - ours
def test_the_words_survive_copying(clone: Callable[[Duration], Duration]) -> None:
    assert duration_text(clone(parse_duration("90s"))) == "90s"


def test_the_remedy_is_an_example_that_works() -> None:
    examples = [word.strip(",") for word in REMEDY.split() if word[0].isdigit()]
    assert [parse_duration(example) for example in examples] == [
        timedelta(seconds=30),
        timedelta(seconds=90),
        timedelta(milliseconds=500),
        timedelta(minutes=90),
    ]
