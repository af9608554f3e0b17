"""Numbers that Prometheus reads; a client library would take longer to import than a sample takes to start."""

from collections import Counter
from collections.abc import Iterable

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """How long things took, by label."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._rows: dict[tuple[tuple[str, str], ...], list[float]] = {}

    def observe(self, seconds: float, **labels: str) -> None:
        """Count one of them. All observations have the same labels, in the same order."""
        row = self._rows.setdefault(tuple(labels.items()), [0.0] * (len(_BUCKETS) + 2))
        for index, bound in enumerate(_BUCKETS):
            if seconds <= bound:
                row[index] += 1
        row[-2] += 1
        row[-1] += seconds

    def lines(self) -> list[str]:
        """The histogram as Prometheus reads it."""
        lines = [f"# TYPE {self.name} histogram"]
        for labels, row in self._rows.items():
            text = _text(labels)
            for bound, value in zip((*map(str, _BUCKETS), "+Inf"), row, strict=False):
                lines.append(f'{self.name}_bucket{{{text},le="{bound}"}} {value:g}')
            lines.append(f"{self.name}_sum{{{text}}} {row[-1]}")
            lines.append(f"{self.name}_count{{{text}}} {row[-2]:.0f}")
        return lines

    def totals(self, name: str, *by: str) -> list[str]:
        """A counter `name` of what was observed, by some of the labels."""
        totals: Counter[tuple[tuple[str, str], ...]] = Counter()
        for labels, row in self._rows.items():
            totals[tuple(item for item in labels if item[0] in by)] += int(row[-2])
        return [f"# TYPE {name} counter", *(f"{name}{{{_text(labels)}}} {count}" for labels, count in totals.items())]


def _text(labels: Iterable[tuple[str, str]]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels)
