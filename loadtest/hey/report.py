"""What came of a load, counted and told in the form of `hey`."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

MOST_TIMES = 1_000_000
"""Response times that are kept; later ones are counted, but not in the distribution."""

MOST_ERRORS = 100
"""Different errors that are told apart."""

PERCENTILES = (10, 25, 50, 75, 90, 95, 99)
BUCKETS = 10
WIDEST_BAR = 40


class Tally:
    """Counts answers and errors as they come."""

    def __init__(self) -> None:
        self.times = array("d")
        self.statuses: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.size = 0

    def answer(self, status: int, seconds: float, size: int) -> None:
        """Count an answer.

        Args:
            status: its HTTP status.
            seconds: from the request to the answer's end.
            size: bytes of its body.
        """
        self.statuses[status] += 1
        self.size += size
        if len(self.times) < MOST_TIMES:
            self.times.append(seconds)

    def error(self, words: str) -> None:
        """Count a request that got no answer."""
        known = words in self.errors or len(self.errors) < MOST_ERRORS
        self.errors[words if known else "other errors"] += 1


def report(tally: Tally, seconds: float) -> str:
    """Return the report on a load that took so many seconds."""
    times = sorted(tally.times)
    answers = tally.statuses.total()
    parts = [_summary(times, answers, tally.size, seconds)]
    if times:
        parts += [_histogram(times), _distribution(times)]
    if tally.statuses:
        parts.append(_statuses(tally.statuses))
    if tally.errors:
        parts.append(_errors(tally.errors))
    return "\n" + "\n\n".join(parts) + "\n"


def _summary(times: Sequence[float], answers: int, size: int, seconds: float) -> str:
    slowest, fastest = (times[-1], times[0]) if times else (0.0, 0.0)
    average = sum(times) / len(times) if times else 0.0
    lines = [
        "Summary:",
        f"  Total:\t{seconds:.4f} secs",
        f"  Slowest:\t{slowest:.4f} secs",
        f"  Fastest:\t{fastest:.4f} secs",
        f"  Average:\t{average:.4f} secs",
        f"  Requests/sec:\t{answers / seconds if seconds else 0.0:.4f}",
    ]
    if size:
        lines += ["", f"  Total data:\t{size} bytes", f"  Size/request:\t{size // answers} bytes"]
    return "\n".join(lines)


def _histogram(times: Sequence[float]) -> str:
    """Count times into equal stretches from the fastest to the slowest."""
    step = (times[-1] - times[0]) / BUCKETS
    marks = [times[0] + step * index for index in range(BUCKETS)] + [times[-1]]
    counts: Counter[int] = Counter()
    for time in times:
        counts[min(bisect_left(marks, time), BUCKETS)] += 1
    longest = max(counts.values())
    lines = [
        f"  {mark:.3f} [{counts[index]}]\t|{'■' * (counts[index] * WIDEST_BAR // longest)}"
        for index, mark in enumerate(marks)
    ]
    return "\n".join(["Response time histogram:", *lines])


def _distribution(times: Sequence[float]) -> str:
    at = {percent: times[min(len(times) * percent // 100, len(times) - 1)] for percent in PERCENTILES}
    return "\n".join(["Latency distribution:", *(f"  {percent}% in {time:.4f} secs" for percent, time in at.items())])


def _statuses(statuses: Counter[int]) -> str:
    lines = (f"  [{status}]\t{count} responses" for status, count in sorted(statuses.items()))
    return "\n".join(["Status code distribution:", *lines])


def _errors(errors: Counter[str]) -> str:
    return "\n".join(["Error distribution:", *(f"  [{count}]\t{words}" for words, count in errors.most_common())])
