"""Pictures: any chart becomes well-formed SVG that stays within its frame."""

import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.charts import MOST_MARKS, WIDTH, Band, Chart, Limit, Line, Mark, Panel, Shape, Tone, elapsed, svg

SVG = "{http://www.w3.org/2000/svg}"
seconds = st.floats(0, 1e7)
values = st.one_of(st.none(), st.just(math.nan), st.just(math.inf), st.floats(-1e15, 1e15))
text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn"]), max_size=40)
lines = st.builds(
    lambda name, points, shape: Line(name, tuple(sorted(points, key=lambda point: point[0])), shape),
    text,
    st.lists(st.tuples(seconds, values), max_size=8),
    st.sampled_from(Shape),
)
limits = st.builds(Limit, st.floats(-1e9, 1e9), text)
panels = st.builds(
    Panel,
    text,
    st.lists(lines, max_size=3).map(tuple),
    unit=text,
    limits=st.lists(limits, max_size=2).map(tuple),
    low=st.sampled_from([None, 0.0]),
    high=st.sampled_from([None, 100.0]),
)
charts = st.builds(
    Chart,
    text,
    st.lists(panels, max_size=3).map(tuple),
    bands=st.lists(st.builds(Band, seconds, seconds, text, st.sampled_from(Tone)), max_size=4).map(tuple),
    marks=st.lists(st.builds(Mark, seconds, text, st.sampled_from(Tone)), max_size=8).map(tuple),
    subtitle=text,
)


@given(drawn=st.lists(charts, min_size=1, max_size=2))
def test_any_chart_becomes_a_picture_within_its_frame(drawn: list[Chart]) -> None:
    root = ET.fromstring(svg(*drawn))  # noqa: S314 - our own

    assert root.tag == f"{SVG}svg"
    for line in root.iter(f"{SVG}line"):
        assert all(0 <= float(line.attrib[name]) <= WIDTH for name in ("x1", "x2"))
    for path in root.iter(f"{SVG}path"):
        assert all(math.isfinite(float(number)) for number in re.findall(r"-?[\d.]+", path.attrib["d"]))


def test_the_same_chart_gives_the_same_text() -> None:
    chart = Chart("c", (Panel("p", (Line("l", ((0, 1.0), (2, 3.0))),)),), marks=(Mark(1, "m"),))

    assert svg(chart) == svg(chart)


def test_words_are_shown_as_they_are() -> None:
    root = ET.fromstring(svg(Chart("a < b & c", (), marks=(Mark(1, 'success "rate" < 99%'),))))  # noqa: S314 - our own
    words = [each.text for each in root.iter(f"{SVG}text")]

    assert "a < b & c" in words
    assert 'success "rate" < 99%' in words


def _paths(line: Line) -> list[str]:
    root = ET.fromstring(svg(Chart("c", (Panel("p", (line,), low=0, high=100),), end=100.0)))  # noqa: S314 - our own
    return [path.attrib["d"] for path in root.iter(f"{SVG}path")]


def test_a_gap_is_left_open() -> None:
    assert len(_paths(Line("l", ((0, 1.0), (10, 2.0), (20, None), (30, 3.0), (40, 4.0))))) == 2


def test_stairs_hold_a_value_until_the_next_and_the_last_until_the_end() -> None:
    (path,) = _paths(Line("l", ((0, 0.0), (50, 100.0)), Shape.STAIRS))

    assert re.fullmatch(r"M64\.0 (\S+)H500\.0V(\S+)H936\.0", path)


def test_many_marks_are_counted_and_not_written_out() -> None:
    marks = tuple(Mark(at, f"mark {at}") for at in range(MOST_MARKS + 5))
    drawn = svg(Chart("c", (), marks=marks))

    assert "and 6 more" in drawn
    assert f">mark {MOST_MARKS}</text>" not in drawn


def test_charts_stand_below_each_other() -> None:
    """As high together as each alone."""
    one = Chart("one", (Panel("p", ()),))
    heights = [int(ET.fromstring(each).attrib["height"]) for each in (svg(one), svg(one, one))]  # noqa: S314 - our own

    assert heights[1] == 2 * heights[0]


@pytest.mark.parametrize(
    ("span", "words"),
    [(0, "0s"), (0.25, "0.2s"), (45, "45s"), (90, "1m30s"), (120, "2m"), (7500, "2h5m"), (273_600, "3d4h")],
)
def test_times_are_told_in_two_units(span: float, words: str) -> None:
    assert elapsed(span) == words
