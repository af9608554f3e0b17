"""What the API server did not do of what was decided, until it is done or nobody wants it any more."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from canary.rollout.decision import Action
from canary.rollout.facts import Refusal

FIRST = timedelta(seconds=1)
"""How long an action that was not done is left alone at first; twice as long each time after that."""

MOST, MOST_URGENT = timedelta(seconds=60), timedelta(seconds=5)
"""The longest wait: for upkeep, and for what protects users."""

SHORT = timedelta(seconds=30)
"""For how long what is not answered is simply tried again: an API server that restarts is away for seconds."""


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

    def remove(self, action: Action) -> None:
        """An action was done."""
        self._tried = {each: tried for each, tried in self._tried.items() if each != action}

    def keep(self, wanted: Iterable[Action]) -> None:
        """Forget all that nobody wants any more."""
        kept = set(wanted)
        self._tried = {action: tried for action, tried in self._tried.items() if action in kept}

    def facts(self, now: datetime) -> dict[Action, Refusal]:
        """What a decision has to know of them."""
        return {
            action: Refusal(each.words, each.since, each.answered, due=self._due(each, now))
            for action, each in self._tried.items()
        }

    def next_due(self) -> datetime | None:
        """When the next of them is to be tried again; None where there is none."""
        return min((each.next for each in self._tried.values()), default=None)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._tried)

    def _due(self, tried: _Tried, now: datetime) -> bool:
        return now >= tried.next or (not tried.answered and now < tried.since + SHORT)
