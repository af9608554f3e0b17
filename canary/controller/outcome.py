"""What a pass over one Canary came to, and the one place that says what follows from it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from canary.kube.errors import Conflict, NotLeading, Retryable, ServerError, Terminal, Throttled


class Kind(StrEnum):
    """What a pass came to, as the metric names it."""

    DONE = "done"
    """All is as it should be for now."""
    MOVED = "moved"
    """Something was written: look again at once."""
    CONTESTED = "contested"
    """The same was written again and again: somebody undoes it. Look again after a rest."""
    CONFLICT = "conflict"
    """Somebody else was quicker: look again at once."""
    RETRY = "retry"
    """The API server could not be had: try again, later each time."""
    WITHHELD = "withheld"
    """The API server refused an action, or long has not answered: the next decision goes by that. Look at once."""
    REFUSED = "refused"
    """The API server refuses what we ask; only people can mend that. Try again, slowly."""
    BUG = "bug"
    """An error of ours, which must not stop the other Canaries."""
    NOT_LEADING = "not_leading"
    """Another controller acts now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass came to.

    Args:
        kind: what it came to.
        reason: why, in words.
        wake: when to look again if nothing happens before.
        retry_after: seconds that the API server asked to wait.
    """

    kind: Kind
    reason: str = ""
    wake: datetime | None = None
    retry_after: float = 0.0


def outcome_of(error: Exception) -> Outcome:
    """What an error means for the next pass."""
    match error:
        case NotLeading():
            return Outcome(Kind.NOT_LEADING, str(error))
        case Conflict():
            return Outcome(Kind.CONFLICT, str(error))
        case Throttled() | ServerError():
            return Outcome(Kind.RETRY, str(error), retry_after=error.retry_after or 0.0)
        case Retryable():
            return Outcome(Kind.RETRY, str(error))
        case Terminal():
            return Outcome(Kind.REFUSED, str(error))
        case _:
            return Outcome(Kind.BUG, f"{type(error).__name__}: {error}")
