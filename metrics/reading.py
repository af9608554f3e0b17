"""What a metrics server said when it was asked, before anybody has judged it: values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from metrics.judge import Counts, Look
from metrics.question import Empty, Number, Question


class Cause(StrEnum):
    """Why no answer could be had."""

    UNREACHABLE = "Unreachable"
    """No connection, or one that broke."""
    TIMEOUT = "Timeout"
    """No answer before the deadline, ours or the server's own."""
    SERVER_ERROR = "ServerError"
    """The server answered that it is in trouble or overloaded."""
    UNAUTHORIZED = "Unauthorized"
    """The server doesn't accept the credentials."""
    BAD_QUERY = "BadQuery"
    """The server understands the request and refuses the query."""
    UNREADABLE = "Unreadable"
    """What answers isn't the API that the provider's type promises."""
    MISCONFIGURED = "Misconfigured"
    """The question can't be put at all: a wrong address, a missing credential, an unsupported provider."""


@dataclass(frozen=True, slots=True)
class Unread:
    """The server could not be asked, or gave no usable answer.

    Args:
        cause: the kind of trouble.
        reason: the trouble in words that follow a colon.
    """

    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class Compared:
    """The requests of two versions.

    Args:
        looks: what was counted of both, look by look.
        usual: what was counted of the promoted version before.
        since: when the first look began.
        bound: of latencies, the milliseconds beyond which a request is bad; None of failures.
    """

    looks: tuple[Look, ...]
    usual: tuple[Counts, ...]
    since: datetime
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """The values of a metric of two versions, in order of time; NaN where there is none.

    Args:
        canary: those of the new version.
        promoted: those of the version that it is compared with.
    """

    canary: tuple[float, ...]
    promoted: tuple[float, ...]


class Ran(StrEnum):
    """How far something has come that answers by itself."""

    PENDING = "Pending"
    PASSED = "Passed"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Run:
    """What was run to answer, and says itself whether that is good.

    Args:
        ran: how far it has come.
        words: the same in words, such as why it failed.
    """

    ran: Ran
    words: str


Said: TypeAlias = Number | Empty | Unread | Compared | Sampled | Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was said of one metric at one moment.

    Args:
        said: the number or numbers, the counts or values of two versions, that there are none, what was run to answer,
            or why nobody could be asked.
        interval: the time window that the query looks at.
        time: when it was asked.
        query: the query that was asked; empty where it could not be made.
        requests: how many requests the number was taken over; None where nobody has counted them.
    """

    said: Said
    interval: timedelta
    time: datetime
    query: str = ""
    requests: float | None = None

    @classmethod
    def of(cls, question: Question, said: Said, now: datetime) -> Reading:
        """What was said to a question that was asked now."""
        return cls(said=said, query=question.query, interval=question.interval, time=now)
