"""Pictures of a rollout as SVG: values over time in panels, stretches of time as bands, moments as numbered marks.

A chart is a value and `svg` a pure function: the same charts give the same text, so that pictures can be compared.
Colours can be told apart with any kind of colour vision, and nothing is said by colour alone.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from html import escape

Point = tuple[float, float | None]
"""A time in seconds and the value from then on; None is a gap."""

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("", "7 3", "2 2", "9 3 2 3", "4 4", "1 3")
TINTS = ("#eef3f8", "#f8f3ec")

FINEST, GREATEST = 1e-12, 1e300  # of a scale: no picture tells apart what is nearer, or reaches as far
WIDTH, LEFT, RIGHT, TOP = 960, 64, 24, 34
PANEL_TITLE, GAP, AXIS = 26, 16, 24
BAND_LABELS, LINE_HEIGHT = 18, 16
CHARACTER = 6.4
"""Width of an average character at the size that labels are written in, in pixels."""

MOST_MARKS = 60
"""Marks that are written out below the picture; the rest are counted."""


class Shape(StrEnum):
    """How a line goes from one point to the next."""

    CURVE = "curve"
    STAIRS = "stairs"
    """A value holds until the next point: weights, counters."""


class Tone(StrEnum):
    """What a mark, or a band, has to say of what it marks."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    NOTE = "note"
    """Something that came from outside."""


TONES = {Tone.PLAIN: "#444444", Tone.GOOD: "#009e73", Tone.BAD: "#b3261e", Tone.NOTE: "#7a5195"}
BANDS = {Tone.GOOD: "#e3f3ec", Tone.BAD: "#fae3e1", Tone.NOTE: "#efe6f3"}


@dataclass(frozen=True, slots=True)
class Line:
    """Values over time.

    Args:
        name: what they are, for the legend.
        points: times ascending.
        shape: how one point leads to the next.
    """

    name: str
    points: tuple[Point, ...]
    shape: Shape = Shape.CURVE


@dataclass(frozen=True, slots=True)
class Limit:
    """A value that must not be crossed, drawn across the whole panel."""

    value: float
    name: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines that share a scale.

    Args:
        title: what is shown.
        lines: the values.
        unit: written after the numbers of the scale.
        limits: thresholds.
        low: least value of the scale; by the values where absent.
        high: greatest value of the scale; by the values where absent.
        height: of the drawing, in pixels.
    """

    title: str
    lines: tuple[Line, ...]
    unit: str = ""
    limits: tuple[Limit, ...] = ()
    low: float | None = None
    high: float | None = None
    height: int = 150


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time with a name, behind all panels: from `start` until `end`, in seconds."""

    start: float
    end: float
    name: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened `at` a second, across all panels, and in words below."""

    at: float
    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture: panels above each other, over the same stretch of time.

    Args:
        title: what is shown.
        panels: from above to below.
        end: the last second; by what is shown where absent.
        bands: stretches of time.
        marks: moments.
        subtitle: a line of words under the title.
        begin: the moment of second 0, where times are told by the calendar (UTC) and not from the start.
    """

    title: str
    panels: tuple[Panel, ...]
    end: float | None = None
    bands: tuple[Band, ...] = ()
    marks: tuple[Mark, ...] = ()
    subtitle: str = ""
    begin: datetime | None = None


def svg(*charts: Chart) -> str:
    """Draw charts as one SVG document, below each other."""
    drawn = [_draw(chart) for chart in charts]
    height = sum(each.height for each in drawn)
    label = escape("; ".join(f"{chart.title}. {chart.subtitle}".strip() for chart in charts), quote=True)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"',
        f'role="img" aria-label="{label}" font-family="system-ui, sans-serif" font-size="12" fill="#222222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    top = 0
    for each in drawn:
        parts += [f'<g transform="translate(0 {top})">', *each.parts, "</g>"] if top else each.parts
        top += each.height
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class _Drawing:
    height: int
    parts: list[str]


def _draw(chart: Chart) -> _Drawing:
    span = _Span(_end_of(chart), chart.begin)
    top = TOP + (LINE_HEIGHT if chart.subtitle else 0) + (BAND_LABELS if chart.bands else 0)
    tops = _tops(chart.panels, top)
    bottom = tops[-1] + chart.panels[-1].height if chart.panels else top
    listed = _listed(chart.marks)
    parts = [f"<title>{escape(chart.title)}</title>", _text(LEFT, 20, chart.title, 'font-size="15" font-weight="600"')]
    if chart.subtitle:
        parts.append(_text(LEFT, 20 + LINE_HEIGHT, chart.subtitle, 'fill="#555555"'))
    parts += _bands(chart.bands, span, top, bottom)
    for panel, panel_top in zip(chart.panels, tops, strict=True):
        parts += _panel(panel, span, panel_top)
    parts += _time_axis(span, bottom)
    parts += _marks(chart.marks, span, tops[0] if tops else top, bottom)
    parts += _list(listed, span, bottom + AXIS + LINE_HEIGHT)
    return _Drawing(int(bottom + AXIS + LINE_HEIGHT * (len(listed) + bool(listed)) + 8), parts)


@dataclass(frozen=True, slots=True)
class _Span:
    """The stretch of time that is shown, and where its seconds are on the page."""

    end: float
    begin: datetime | None = None

    def x(self, at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(at / self.end, 0.0), 1.0)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """The marks of the axis, at round times, and what is written there."""
        step = next((each for each in _TIME_STEPS if self.end / each <= 10), math.ceil(self.end / 10 / DAY) * DAY)
        if self.begin is None:
            yield from ((tick, elapsed(tick)) for tick in _multiples(0.0, self.end, step))
            return
        form = (
            "%a %m-%d"
            if step >= DAY
            else "%m-%d %H:%M"
            if self.end > DAY
            else "%H:%M"
            if step >= MINUTE
            else "%H:%M:%S"
        )
        zero = self.begin.timestamp()
        for tick in _multiples(zero, zero + self.end, step):
            yield tick - zero, datetime.fromtimestamp(tick, UTC).strftime(form)

    def written(self, at: float) -> str:
        """A time in words."""
        if self.begin is None:
            return elapsed(at)
        return (self.begin.astimezone(UTC) + timedelta(seconds=at)).strftime("%m-%d %H:%M")


@dataclass(frozen=True, slots=True)
class _Scale:
    """The values of a panel, and where they are on the page."""

    low: float
    high: float
    top: float
    height: float

    def y(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return self.top + self.height * (1 - min(max(part, 0.0), 1.0))


def _end_of(chart: Chart) -> float:
    times = [band.end for band in chart.bands] + [mark.at for mark in chart.marks]
    times += [at for panel in chart.panels for line in panel.lines for at, _ in line.points]
    return max(chart.end if chart.end is not None else max(times, default=1.0), 1e-3)


def _tops(panels: Sequence[Panel], top: float) -> list[float]:
    tops = []
    for panel in panels:
        tops.append(top + PANEL_TITLE)
        top += PANEL_TITLE + panel.height + GAP
    return tops


def _panel(panel: Panel, span: _Span, top: float) -> Iterator[str]:
    low, high, step = _range(panel)
    scale = _Scale(low, high, top, panel.height)
    right = WIDTH - RIGHT
    yield _text(LEFT, top - 8, panel.title, 'font-weight="600"')
    yield from _legend(panel, top - 8)
    for tick in _multiples(low, high, step):
        y = scale.y(tick)
        yield f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d8d8d8"/>'
        yield _text(LEFT - 6, y + 4, f"{tick:g}{panel.unit}", 'text-anchor="end" fill="#555555"')
    for limit in (each for each in panel.limits if abs(each.value) <= GREATEST):
        y = scale.y(limit.value)
        yield (
            f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{TONES[Tone.BAD]}" '
            f'stroke-dasharray="6 4"><title>{escape(limit.name)}</title></line>'
        )
        # Under the line where there is no room above it.
        label = y - 4 if y - top > LINE_HEIGHT else y + LINE_HEIGHT - 4
        yield _text(right - 4, label, limit.name, f'text-anchor="end" fill="{TONES[Tone.BAD]}" font-size="11"')
    for index, line in enumerate(panel.lines):
        for path in _paths(line, span, scale):
            yield f'<path d="{path}" fill="none" {_stroke(index)}><title>{escape(line.name)}</title></path>'


def _legend(panel: Panel, y: float) -> Iterator[str]:
    """Which line is which; one alone is told by the panel's title."""
    x = WIDTH - RIGHT - sum(40 + CHARACTER * len(line.name) for line in panel.lines)
    for index, line in enumerate(panel.lines if len(panel.lines) > 1 else ()):
        yield f'<line x1="{x:.1f}" x2="{x + 22:.1f}" y1="{y - 4:.1f}" y2="{y - 4:.1f}" {_stroke(index)}/>'
        yield _text(x + 27, y, line.name, "")
        x += 40 + CHARACTER * len(line.name)


def _stroke(index: int) -> str:
    dash = DASHES[index % len(DASHES)]
    return f'stroke="{PALETTE[index % len(PALETTE)]}" stroke-width="2"' + (
        f' stroke-dasharray="{dash}"' if dash else ""
    )


def _paths(line: Line, span: _Span, scale: _Scale) -> Iterator[str]:
    """One path for every stretch without a gap; stairs go on until the end of the picture."""
    path: list[str] = []
    for at, value in line.points:
        if value is not None and abs(value) <= GREATEST:
            x, y = span.x(at), scale.y(value)
            if not path:
                path = [f"M{x:.1f} {y:.1f}"]
            else:
                path.append(f"H{x:.1f}V{y:.1f}" if line.shape is Shape.STAIRS else f"L{x:.1f} {y:.1f}")
        elif path:
            yield "".join([*path, f"H{span.x(at):.1f}" if line.shape is Shape.STAIRS else ""])
            path = []
    if path:
        yield "".join([*path, f"H{span.x(span.end):.1f}" if line.shape is Shape.STAIRS else ""])


def _bands(bands: Sequence[Band], span: _Span, top: float, bottom: float) -> Iterator[str]:
    for index, band in enumerate(bands):
        left, right = span.x(band.start), span.x(band.end)
        fill = BANDS.get(band.tone, TINTS[index % 2])
        yield (
            f'<rect x="{left:.1f}" y="{top - BAND_LABELS:.1f}" width="{max(right - left, 0.5):.1f}" '
            f'height="{bottom - top + BAND_LABELS:.1f}" fill="{fill}"><title>{escape(band.name)}</title></rect>'
        )
        if right - left > CHARACTER * len(band.name) + 6:
            yield _text(left + 4, top - 5, band.name, 'fill="#555555" font-size="11"')


def _time_axis(span: _Span, bottom: float) -> Iterator[str]:
    for tick, words in span.ticks():
        x = span.x(tick)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:.1f}" y2="{bottom + 4:.1f}" stroke="#555555"/>'
        yield _text(x, bottom + 18, words, 'text-anchor="middle" fill="#555555"')


def _listed(marks: Sequence[Mark]) -> list[Mark]:
    """The marks in the order of time, as many as are written out."""
    ordered = sorted(marks, key=lambda mark: mark.at)
    if len(ordered) <= MOST_MARKS:
        return ordered
    rest = len(ordered) - MOST_MARKS + 1
    return [*ordered[: MOST_MARKS - 1], Mark(ordered[-1].at, f"and {rest} more")]


def _marks(marks: Sequence[Mark], span: _Span, top: float, bottom: float) -> Iterator[str]:
    """A line through all panels and a number; numbers that would cover each other climb."""
    taken: list[float] = []
    for number, mark in enumerate(sorted(marks, key=lambda mark: mark.at), 1):
        x, colour = span.x(mark.at), TONES[mark.tone]
        row = next((row for row, last in enumerate(taken) if x - last > 8 + CHARACTER * len(str(number))), len(taken))
        taken[row : row + 1] = [x]
        yield (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" stroke="{colour}" '
            f'stroke-opacity="0.45" stroke-dasharray="2 3"><title>{escape(mark.text)}</title></line>'
        )
        if number <= MOST_MARKS:
            y = top + 12 + row % 8 * 13
            yield _text(x + 2, y, str(number), f'fill="{colour}" font-size="11" font-weight="600"')


def _list(marks: Sequence[Mark], span: _Span, y: float) -> Iterator[str]:
    after = LEFT + (62 if span.begin is None else 84)
    for number, mark in enumerate(marks, 1):
        yield _text(LEFT - 8, y, str(number), f'text-anchor="end" font-weight="600" fill="{TONES[mark.tone]}"')
        yield _text(after, y, span.written(mark.at), 'text-anchor="end" fill="#555555"')
        room = int((WIDTH - RIGHT - after - 12) / CHARACTER)
        yield _text(after + 12, y, mark.text if len(mark.text) <= room else f"{mark.text[: room - 1]}…", "")
        y += LINE_HEIGHT


def _text(x: float, y: float, words: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{" " if style else ""}{style}>{escape(words)}</text>'


def _range(panel: Panel) -> tuple[float, float, float]:
    """Least and greatest value of a panel's scale, and the step between its lines."""
    values = [value for line in panel.lines for _, value in line.points if value is not None and abs(value) <= GREATEST]
    values += [limit.value for limit in panel.limits if abs(limit.value) <= GREATEST]
    low = panel.low if panel.low is not None else min(values, default=0.0)
    high = panel.high if panel.high is not None else max(values, default=1.0)
    if high - low <= max(max(abs(low), abs(high)) * 1e-9, FINEST):
        room = max(abs(low) / 10, 1.0)
        low, high = (low - room, low + room) if panel.low is None else (low, low + room)
    step = _nice((high - low) / 5)
    low = low if panel.low is not None else math.floor(low / step) * step
    high = high if panel.high is not None else math.ceil(high / step) * step
    return low, high, step


def _nice(rough: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _multiples(low: float, high: float, step: float) -> Iterable[float]:
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [round(number * step, 12) for number in numbers]


MINUTE, HOUR, DAY = 60, 3_600, 86_400
_TIME_STEPS = (1, 2, 5, 10, 15, 30, *(MINUTE * each for each in (1, 2, 5, 10, 15, 30)),
               *(HOUR * each for each in (1, 2, 3, 6, 12)), DAY)  # fmt: skip


def elapsed(seconds: float) -> str:
    """A time since the start in its two greatest units: `45s`, `1m30s`, `2h5m`, `3d4h`."""
    whole = round(seconds)
    for unit, name, part, part_name in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "m"), (MINUTE, "m", 1, "s")):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit}{name}" + (f"{rest}{part_name}" if rest else "")
    return f"{seconds:.1f}".rstrip("0").rstrip(".") + "s"
