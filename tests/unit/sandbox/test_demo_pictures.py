"""What the demonstration's pictures show."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.charts import Point, Tone, svg
from canary.sandbox.demo.pictures import Record, Rollout, chart, shares
from canary.sandbox.demo.story import Told
from canary.sandbox.traffic import Answer

GOOD, BAD = Rollout("1.1.0", 10.0, 30.0, promoted=True), Rollout("1.2.0", 40.0, 60.0, promoted=False)
WEIGHTS = ((0.0, 0), (12.0, 10), (15.0, 50), (28.0, 0), (42.0, 10), (45.0, 20), (58.0, 0))
ANSWERS = (
    *(Answer(number / 10, 0.01, 200, "1.0.0") for number in range(280)),
    *(Answer(number / 10, 0.02, 200, "1.1.0") for number in range(120, 700)),
    *(Answer(number / 10, 0.2, 500 if number % 2 else 200, "1.2.0") for number in range(420, 580)),
)
EVENTS = (
    Told(12.0, "Advance app.test canary weight 10"),
    Told(28.0, "Routing all traffic to primary"),
    Told(58.0, "Rolling back app.test failed checks threshold reached 2", warning=True),
)
RECORD = Record("1.0.0", (GOOD, BAD), WEIGHTS, ANSWERS, EVENTS)


def at(points: tuple[Point, ...], time: float) -> float:
    """What stairs show at a time; nothing is 0."""
    return next((value or 0.0 for when, value in reversed(points) if when <= time), 0.0)


def test_a_promoted_version_takes_all_requests_and_a_bad_one_gives_them_back() -> None:
    found = shares(RECORD)
    assert [[at(found[version], time) for version in RECORD.versions] for time in (5, 13, 20, 29, 43, 50, 59)] == [
        [100, 0, 0],
        [90, 10, 0],
        [50, 50, 0],
        [0, 100, 0],
        [0, 90, 10],
        [0, 80, 20],
        [0, 100, 0],
    ]


def test_a_version_without_a_share_leaves_the_picture_when_its_rollout_is_over() -> None:
    found = shares(RECORD)
    assert found["1.0.0"][-1] == (30.0, None)
    assert found["1.2.0"][-1] == (60.0, None)
    assert found["1.1.0"][-1] == (58.0, 100.0)


rising = st.lists(st.integers(1, 100), max_size=12)


@given(rising, rising)
def test_all_requests_are_somebodys_at_every_time(good: list[int], bad: list[int]) -> None:
    seen = [(0.0, 0), *((11.0 + n, weight) for n, weight in enumerate([*good, 0]))]
    seen += [(41.0 + n, weight) for n, weight in enumerate([*bad, 0])]
    found = shares(Record("1.0.0", (GOOD, BAD), tuple(seen), ()))
    assert {sum(at(found[version], time) for version in RECORD.versions) for time, _ in seen} == {100.0}


def test_a_picture_has_weights_success_and_latency_of_the_same_versions() -> None:
    picture = chart(RECORD, "All", 0.0, 70.0)
    assert [panel.title for panel in picture.panels] == [
        "Share of the requests", "Requests served", "99th percentile of latency",
    ]  # fmt: skip
    assert {tuple(line.name for line in panel.lines) for panel in picture.panels} == {("1.0.0", "1.1.0", "1.2.0")}
    assert [(band.name, band.tone) for band in picture.bands] == [
        ("1.1.0 promoted", Tone.GOOD), ("1.2.0 rolled back", Tone.BAD),
    ]  # fmt: skip
    success, latency = ({line.name: dict(line.points) for line in panel.lines} for panel in picture.panels[1:])
    assert (success["1.1.0"][50.0], success["1.2.0"][50.0]) == (100.0, 50.0)
    assert (latency["1.1.0"][50.0], latency["1.2.0"][50.0]) == (20.0, 200.0)


def test_a_stretch_begins_at_0_with_the_versions_and_marks_that_are_in_it() -> None:
    picture = chart(RECORD, "Bad", 38.0, 62.0)
    assert picture.end == 24.0
    assert [line.name for line in picture.panels[0].lines] == ["1.1.0", "1.2.0"]
    assert picture.panels[0].lines[0].points[0] == (0.0, 100.0), "what holds at the start is shown from the start"
    assert [(mark.at, mark.tone) for mark in picture.marks] == [(20.0, Tone.BAD)]


def test_there_is_no_point_where_a_version_was_asked_next_to_nothing() -> None:
    first, _, bad = chart(RECORD, "All", 0.0, 70.0).panels[1].lines
    assert dict(first.points)[60.0] is None
    assert dict(bad.points)[42.0] is None
    assert dict(bad.points)[58.0] == pytest.approx(50, abs=5)
    assert dict(bad.points)[59.0] is None, "the last few requests say nothing"


def test_what_the_lines_show_anyway_is_no_mark() -> None:
    assert [mark.text for mark in chart(RECORD, "All", 0.0, 70.0).marks] == [
        "Routing all traffic to primary",
        "Rolling back app.test failed checks threshold reached 2",
    ]


def test_a_picture_is_a_document_of_its_own() -> None:
    text = svg(chart(RECORD, "A <good> & a bad version", 0.0, 70.0))
    assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314 - our own
