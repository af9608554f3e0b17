"""When a check that fails counts: failures in a row, and limits of its own; what is counted stands in the status."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TypeVar

from canary.api.analysis import Policies
from canary.api.status import FailureCount
from canary.rollout.situation import Situation

S = TypeVar("S", bound=Situation)


class Counts(Enum):
    """What a failure counts for."""

    NOTHING = auto()
    """It is not the last in a row, or within a limit of its own: the step waits, and nothing else follows."""
    THRESHOLD = auto()
    """For `analysis.threshold`, as most do."""
    ROLLBACK = auto()
    """It is one more than its own limit."""


@dataclass(slots=True)
class Tallies:
    """The failures of one look beside those before.

    Args:
        before: what was counted before, by the check's name.
    """

    before: Mapping[str, FailureCount]
    _after: dict[str, FailureCount] = field(default_factory=dict)

    @property
    def after(self) -> tuple[FailureCount, ...]:
        """What is counted now, of those checks of this look that have failed at all."""
        return tuple(each for each in self._after.values() if each.failed or each.in_a_row)

    def keep(self, check: Policies, name: str) -> None:
        """The check has said nothing: neither good nor bad."""
        if check.is_counted and name in self.before:
            self._after[name] = self.before[name]

    def passed(self, check: Policies, name: str) -> None:
        """The check has passed, which ends failures in a row."""
        if check.is_counted and name in self.before:
            self._after[name] = self.before[name].replace(in_a_row=0)

    def failed(self, check: Policies, name: str) -> tuple[Counts, str]:
        """The check has failed: what that counts for, and in words how far its own counts have come."""
        if not check.is_counted:
            return Counts.THRESHOLD, ""
        before = self.before.get(name) or FailureCount(name=name)
        row = min(before.in_a_row + 1, check.consecutive)
        limit, failed = check.failure_limit, before.failed
        if row == check.consecutive and limit is not None:
            failed += 1
        self._after[name] = FailureCount(name=name, failed=failed, in_a_row=row)
        if row < check.consecutive:
            return Counts.NOTHING, f"{row} of {check.consecutive} looks in a row"
        if limit is None:
            return Counts.THRESHOLD, ""
        return Counts.NOTHING if failed <= limit else Counts.ROLLBACK, f"failed check {failed} where {limit} may fail"


def counting(s: S, failures: tuple[FailureCount, ...]) -> S:
    """The situation in which so many failures are counted, whatever is decided of it."""
    if failures == s.status.failure_counts:
        return s
    return replace(s, canary=s.canary.replace(status=s.evolve(failure_counts=failures)))
