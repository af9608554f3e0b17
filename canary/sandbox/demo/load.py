"""What requests came to: counts, success rate and latency, as those who sent them saw it."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from canary.sandbox.traffic import Answer

_SLOWEST_ANSWER = 6.0
"""Seconds: no request is open for longer."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a number of requests came to.

    Attributes:
        served: requests that were answered, and not with a 5xx.
        failed: the others.
        p99: 99th percentile of the time to the answer, in seconds; None without an answer.
    """

    served: int = 0
    failed: int = 0
    p99: float | None = None

    @property
    def requests(self) -> int:
        """All requests."""
        return self.served + self.failed

    @property
    def success(self) -> float | None:
        """Percentage of requests served; None without a request."""
        return 100 * self.served / self.requests if self.requests else None


def load_of(answers: Iterable[Answer]) -> Load:
    """Sum up answers."""
    kept = list(answers)
    failed = sum(answer.lost for answer in kept)
    return Load(len(kept) - failed, failed, _percentile([answer.seconds for answer in kept if answer.status], 0.99))


def _percentile(values: Sequence[float], part: float) -> float | None:
    """The least value that so many of the values do not exceed."""
    return sorted(values)[math.ceil(part * len(values)) - 1] if values else None


def by_version(answers: Iterable[Answer]) -> dict[str, Load]:
    """Sum up answers for each version; those of nobody are under the empty name."""
    kept: dict[str, list[Answer]] = {}
    for answer in answers:
        kept.setdefault(answer.version, []).append(answer)
    return {version: load_of(own) for version, own in kept.items()}


def recent(answers: Sequence[Answer], since: float) -> Iterator[Answer]:
    """The answers to requests sent since then, latest first; the answers are in the order in which they came."""
    for answer in reversed(answers):
        if answer.at >= since:
            yield answer
        elif answer.at + answer.seconds < since - _SLOWEST_ANSWER:
            return
