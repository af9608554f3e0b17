"""An override: somebody lets one rollout begin, and go on, in spite of what holds it.

`flagger.app/override` on a Canary says so, and why: any new value counts for one rollout, the one that waits or goes on
or else the next one to come, so that it can come with the change that it is for. Who, when and why stand in its events
and in its history. Gates are asked all the same.
"""

from dataclasses import replace
from typing import Final

from canary.api.status import Phase
from canary.rollout.decision import Decision, Event
from canary.rollout.situation import Situation

OVERRIDE_ANNOTATION: Final = "flagger.app/override"
"""On a Canary: any new value lets one rollout pass by what holds it."""

_BEGUN: Final = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING})
"""Phases of a rollout that takes an override for itself."""

_AT_REST: Final = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED})
"""Phases of a Canary whose rollout has ended; of one that was not begun, its override ends with it."""

_LONGEST: Final = 512
"""Characters at most; more are cut off, as they come to stand in the status."""


def given(s: Situation) -> str:
    """The override that no rollout has taken yet; empty where there is none."""
    text = " ".join(s.canary.metadata.annotations.get(OVERRIDE_ANNOTATION, "")[:_LONGEST].split())
    return text if text != s.status.last_override else ""


def in_force(s: Situation) -> bool:
    """Whether there is one for the rollout that is under way."""
    rollout = s.status.rollout
    return bool(given(s)) or (rollout is not None and bool(rollout.override))


def taken(s: Situation, decision: Decision, held: str) -> Decision:
    """The decision with the override that its rollout takes for itself, told before all else.

    Args:
        s: the Canary and its facts.
        decision: what is decided.
        held: what has held the rollout so far, in words; empty where nothing has.
    """
    text = given(s)
    if text and s.status.phase is Phase.WAITING and decision.status.phase in _AT_REST:
        return replace(decision, status=decision.status.replace(last_override=text))
    if not text or decision.status.phase not in _BEGUN:
        return decision
    in_spite = f", it goes on in spite of this: {held}" if held else ""
    told = Event(f"Override for {s.full_name} {text}{in_spite}")
    return replace(decision, status=decision.status.replace(last_override=text), events=(told, *decision.events))
