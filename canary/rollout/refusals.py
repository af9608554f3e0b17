"""What the API server did not do of what was decided, until it is done or nobody wants it any more."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from canary.api.canary import Canary
from canary.api.status import CanaryStatus
from canary.rollout.decision import Action, Decision
from canary.rollout.facts import Refusal

FIRST = timedelta(seconds=1)
"""How long an action that was not done is left alone at first; twice as long each time after that."""

MOST, MOST_URGENT = timedelta(seconds=60), timedelta(seconds=5)
"""The longest wait: for upkeep, and for what protects users."""

SHORT = timedelta(seconds=30)
"""For how long, at the most, what is not answered is simply tried again, and nothing is told of it: an API server that
restarts is away for seconds."""

FORGOTTEN = timedelta(minutes=5)
"""An action that is due for so long, and for two intervals, is wanted by nobody."""


def quiet(canary: Canary) -> timedelta:
    """How long what may be a short outage is not told: an interval of the analysis at the most."""
    return min(SHORT, canary.analysis_interval)


def moves(before: CanaryStatus, after: CanaryStatus) -> bool:
    """Whether a status says that the rollout has moved, so that it must not be stored before it has."""
    return _position(after) != _position(before)


def _position(status: CanaryStatus) -> tuple[object, ...]:
    return (
        status.phase,
        status.canary_weight,
        status.iterations,
        status.last_applied_spec,
        status.last_promoted_spec,
        status.traffic_removed_time is None,
        status.partition,
    )


@dataclass(frozen=True, slots=True)
class _Tried:
    words: str
    since: datetime
    answered: bool
    tries: int
    next: datetime


class Refusals:
    """The actions of one Canary that were tried and not done."""

    def __init__(self) -> None:
        self._tried: dict[Action, _Tried] = {}

    def add(self, action: Action, words: str, now: datetime, *, answered: bool, urgent: bool) -> None:
        """An action was not done.

        Args:
            action: what was tried.
            words: what the API server said, or what happened in place of an answer. The first ones stay, so that
                nothing is told anew for a number that changes in them.
            now: the time.
            answered: whether that was an answer.
            urgent: whether users may hang on it.
        """
        before = self._tried.get(action)
        tries = before.tries + 1 if before is not None else 1
        if before is None or before.answered != answered:
            before = _Tried(words, before.since if before is not None else now, answered, tries, now)
        most = MOST_URGENT if urgent else MOST
        wait = min(FIRST * 2 ** min(tries - 1, 10), most)
        self._tried = {**self._tried, action: _Tried(before.words, before.since, answered, tries, now + wait)}

    def remove(self, action: Action, *, wrote: bool) -> None:
        """An action was done, in place of any other of its type.

        Args:
            action: what was done.
            wrote: whether there was anything to write: that all is so already says nothing of the others.
        """
        done = type(action) if wrote else None
        self._tried = {each: tried for each, tried in self._tried.items() if each != action and type(each) is not done}

    def heed(self, canary: Canary, decision: Decision, now: datetime) -> None:
        """Forget what nobody wants any more: the rollout moves on without it, or nobody has tried it for long.

        A decision that waits for the next look wants nothing, and says nothing of that.
        """
        if moves(canary.status, decision.status):
            wanted = set(decision.wanted)
            self._tried = {action: tried for action, tried in self._tried.items() if action in wanted}
        oldest = now - max(FORGOTTEN, 2 * canary.analysis_interval)
        self._tried = {action: tried for action, tried in self._tried.items() if tried.next >= oldest}

    def facts(self, canary: Canary, now: datetime) -> dict[Action, Refusal]:
        """What a decision on the Canary has to know of them."""
        return {
            action: Refusal(each.words, each.since, each.answered, due=self._due(canary, each, now))
            for action, each in self._tried.items()
        }

    def quiet_until(self, canary: Canary) -> datetime | None:
        """When it is time to tell of what is not answered; None where all was.

        From then on the status is stored without it, in between two tries.
        """
        since = min((each.since for each in self._tried.values() if not each.answered), default=None)
        return None if since is None else since + quiet(canary)

    def next_due(self, now: datetime) -> datetime | None:
        """When the next of them may be tried again that may not be now; None where there is none."""
        return min((each.next for each in self._tried.values() if each.next > now), default=None)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._tried)

    def _due(self, canary: Canary, tried: _Tried, now: datetime) -> bool:
        return now >= tried.next or (not tried.answered and now < tried.since + quiet(canary))
