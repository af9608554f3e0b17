"""What was measured: a number for each lane, printed side by side with their ratio, and kept as JSON."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Figures:
    """Numbers by name and by lane.

    Args:
        labels: the lanes; the ratio is that of the first to the second.
    """

    labels: Sequence[str]
    found: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, name: str, label: str, value: float) -> None:
        """Take in a number, and print the row once each lane has one."""
        row = self.found.setdefault(name, {})
        row[label] = round(value, 4)
        if len(row) == len(self.labels):
            print(self._row(name), flush=True)

    def quantiles(self, name: str, label: str, values: Sequence[float]) -> None:
        """Take in median, 99th percentile and greatest of some numbers."""
        ordered = sorted(values)
        self.add(f"{name}, p50", label, statistics.median(ordered))
        self.add(f"{name}, p99", label, ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))])
        self.add(f"{name}, max", label, ordered[-1])

    def counts(self, name: str, counts: dict[str, dict[str, float]]) -> None:
        """Take in how often each of some things happened, by lane, most first; what is missing is 0."""
        total = {what: sum(each.get(what, 0) for each in counts.values()) for each in counts.values() for what in each}
        for what in sorted(total, key=lambda each: -total[each]):
            for label in self.labels:
                self.add(f"{name}: {what}", label, counts.get(label, {}).get(what, 0.0))

    def heading(self) -> None:
        """Print what the columns are."""
        ratio = ["ratio"] if len(self.labels) > 1 else []
        print(f"{'':58}" + "".join(f"{each[:12]:>13}" for each in [*self.labels, *ratio]), flush=True)

    def _row(self, name: str) -> str:
        values = [self.found[name][label] for label in self.labels]
        text = f"{name:58}" + "".join(f"{value:13.3f}" for value in values)
        if len(values) > 1:
            text += f"{values[0] / values[1]:13.2f}" if values[1] else f"{'-':>13}"
        return text

    def write(self, path: Path) -> None:
        """Keep them as JSON."""
        path.write_text(json.dumps(self.found, indent=1) + "\n")
