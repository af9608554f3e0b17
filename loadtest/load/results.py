"""What loads have shown, read from what they print and told to Prometheus."""

import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from loadtest.limits import Limits
from loadtest.load.histogram import BOUNDS
from loadtest.processes import KEPT_OUTPUT, Output

MARK = "loadtest-report:"
"""What a report begins with, among the lines that a load prints."""

LONGEST_REPORT = 64 * 1024
"""Bytes of a line that is held until it ends."""

MOST_CANARIES = 256
"""Canaries that numbers are kept of: those that had a load last."""

_LABELS = ("canary", "canary_namespace")


@dataclass(slots=True)
class _Numbers:
    """What loads of one Canary have shown."""

    codes: Counter[str] = field(default_factory=Counter)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0
    late: float = 0.0


class Results(Collector):
    """The numbers of all loads, for Prometheus."""

    def __init__(self, most: int = MOST_CANARIES) -> None:
        self._most = most
        self._of: OrderedDict[tuple[str, str], _Numbers] = OrderedDict()

    def add(self, name: str, namespace: str, report: bytes) -> None:
        """Add what a load has printed as a report; what is none changes nothing."""
        try:
            read = json.loads(report)
            codes = {str(code): int(count) for code, count in read["codes"].items()}
            buckets, seconds, late = (
                [int(each) for each in read["buckets"]],
                float(read["seconds"]),
                float(read["late"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        numbers = self._of.pop((name, namespace), None) or _Numbers()
        self._of[name, namespace] = numbers
        numbers.codes.update(codes)
        numbers.buckets = [before + more for before, more in zip(numbers.buckets, buckets, strict=False)]
        numbers.seconds += seconds
        numbers.late = late
        while len(self._of) > self._most:
            self._of.popitem(last=False)

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""
        requests = CounterMetricFamily(
            "loadtest_load_requests",
            "Requests of loads, by the status of their answer; timeout and error where there was none.",
            labels=(*_LABELS, "code"),
        )
        latency = HistogramMetricFamily(
            "loadtest_load_request_duration_seconds",
            "Latency of the requests of loads, from when each was due; those that were given up included.",
            labels=_LABELS,
        )
        late = GaugeMetricFamily(
            "loadtest_load_late_seconds",
            "How long after it was due a request was sent, at most, in the last second of a load.",
            labels=_LABELS,
        )
        for canary, numbers in self._of.items():
            for code, count in sorted(numbers.codes.items()):
                requests.add_metric((*canary, code), count)
            latency.add_metric(canary, _cumulated(numbers.buckets), numbers.seconds)
            late.add_metric(canary, numbers.late)
        return (requests, latency, late)


def _cumulated(buckets: Iterable[int]) -> list[tuple[str, float]]:
    total, found = 0, []
    for bound, count in zip((*BOUNDS, float("inf")), buckets, strict=True):
        total += count
        found.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    return found


class LoadOutput(Output):
    """The output of a load, without the reports in it, which go elsewhere.

    Args:
        report: takes a report.
        limits: says how much may be written.
    """

    def __init__(self, report: Callable[[bytes], None], limits: Limits) -> None:
        super().__init__(KEPT_OUTPUT, limits)
        self._report = report
        self._begun = b""

    def data_received(self, data: bytes) -> None:
        """Take the reports out of what comes, and keep the rest."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            if line.startswith(MARK.encode()):
                self._report(line.removeprefix(MARK.encode()))
            else:
                super().data_received(line + b"\n")
        if len(self._begun) > LONGEST_REPORT:
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep what came last, without an end of line."""
        self._flush()
        super().connection_lost(exc)

    def _flush(self) -> None:
        begun, self._begun = self._begun, b""
        if begun:
            super().data_received(begun)
