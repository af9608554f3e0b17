"""Curves as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import log10

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 170, 24, 48
_COLOURS = ("#1a7f37", "#0969da", "#bc4c00", "#8250df", "#57606a")


@dataclass(frozen=True)
class Curve:
    """One line.

    Args:
        name: what stands beside its end.
        points: x and y.
    """

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """One direction.

    Args:
        name: what it measures.
        ticks: where a number stands; the first and the last are its ends.
        logarithmic: whether equal distances are equal ratios.
    """

    name: str
    ticks: Sequence[float]
    logarithmic: bool = False

    def part(self, value: float) -> float:
        """How far along the axis a value lies, from 0 to 1."""
        low, high = self.ticks[0], self.ticks[-1]
        if self.logarithmic:
            return (log10(max(value, low)) - log10(low)) / (log10(high) - log10(low))
        return (value - low) / (high - low)


def drawn(title: str, x: Axis, y: Axis, curves: Sequence[Curve]) -> str:
    """The picture."""

    def at(point: tuple[float, float]) -> tuple[float, float]:
        across = _LEFT + x.part(point[0]) * (_WIDTH - _LEFT - _RIGHT)
        return round(across, 1), round(_HEIGHT - _BOTTOM - y.part(point[1]) * (_HEIGHT - _TOP - _BOTTOM), 1)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">',
        '<g font-family="sans-serif" font-size="12" fill="#57606a">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    bottom, end = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for tick in x.ticks:
        across, _ = at((tick, y.ticks[0]))
        lines.append(f'<text x="{across}" y="{bottom + 18}" text-anchor="middle">{tick:,g}</text>')
    for tick in y.ticks:
        _, up = at((x.ticks[0], tick))
        lines.append(f'<path d="M{_LEFT} {up}H{end}" stroke="#d0d7de"/>')
        lines.append(f'<text x="{_LEFT - 8}" y="{up + 4}" text-anchor="end">{tick:,g}</text>')
    middle = (_LEFT + end) / 2
    lines.append(f'<text x="{middle}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(x.name)}</text>')
    lines.append(f'<text x="{_LEFT - 8}" y="14" text-anchor="start">{escape(y.name)}</text>')
    taken: list[float] = []
    for curve, colour in zip(curves, _COLOURS, strict=False):
        points = [at(point) for point in curve.points]
        path = "L".join(f"{across} {up}" for across, up in points)
        lines.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines += [f'<circle cx="{across}" cy="{up}" r="3" fill="{colour}"/>' for across, up in points]
        up = points[-1][1]
        while any(abs(up - other) < 14 for other in taken):
            up -= 2
        taken.append(up)
        lines.append(f'<text x="{points[-1][0] + 8}" y="{up + 4}" fill="{colour}">{escape(curve.name)}</text>')
    return "\n".join([*lines, "</g>", "</svg>", ""])
