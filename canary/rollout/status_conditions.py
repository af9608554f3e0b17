"""The conditions of a Canary: Flagger's `Promoted`, and those by which Flux, Helm and kubectl wait.

These three read them by the rules of kstatus: one that is `Reconciling` is in progress, one that is `Stalled` has
failed, else `Ready` tells. So at most one of the first two is there, and is gone where it is not true.

::

    what is so                         Ready    Reconciling   Stalled
    initialized, promoted              True
    a rollout, initialization, a gate  False    True
    something stands in the way        False                  True, with what it is
    the rollout has failed             False                  True, RolloutFailed
"""

from collections.abc import Iterator
from datetime import datetime

from canary.api.meta import Condition, ConditionStatus
from canary.api.status import CanaryStatus, Phase
from canary.rollout import messages
from canary.rollout.hindrances import STALLED, Hindrance
from canary.rollout.holds import HOLDS
from canary.rollout.situation import HELD, Situation

READY, RECONCILING = "Ready", "Reconciling"

FOR_KSTATUS = frozenset({READY, RECONCILING, STALLED})
"""The conditions that kstatus knows."""

FAILED = "RolloutFailed"
"""Reason of a Canary that is stalled as its last rollout has failed: nothing goes on before somebody does something."""

PROMOTED = {
    Phase.INITIALIZED: ConditionStatus.TRUE,
    Phase.SUCCEEDED: ConditionStatus.TRUE,
    Phase.FAILED: ConditionStatus.FALSE,
}
"""Whether the target is promoted, in the phases in which that is known."""


GOES_ON = "a rollout is under way"
HELD_BACK = "a new revision waits to begin"
WAITS_TO_BEGIN = "Waiting to begin."
"""Message of the Promoted condition of a rollout that waits for no approval."""

UNDER_WAY = {
    Phase.EMPTY: "it is being initialized",
    Phase.INITIALIZING: "it is being initialized",
    Phase.WAITING: "a new revision waits for its approval",
    Phase.WAITING_PROMOTION: "a promotion waits for its approval",
    Phase.TERMINATING: "it is being deleted",
    Phase.TERMINATED: "it is being deleted",
}
"""What goes on, in words."""


def hindered(status: CanaryStatus) -> Condition | None:
    """The condition that tells what stands in the way; None where nothing does, also after a rollout that failed."""
    stalled = status.condition(STALLED)
    return stalled if stalled is not None and stalled.reason != FAILED else None


def conditions(s: Situation, status: CanaryStatus, found: Hindrance | None) -> tuple[Condition, ...]:
    """The conditions of a status that is to be stored.

    Args:
        s: the Canary and its facts.
        status: all else of it.
        found: what stands in the way.
    """
    told = (_promoted(s, status), *_for_kstatus(status, found))
    return tuple(_timed(s.status, each, s.now) for each in told if each is not None)


def _promoted(s: Situation, status: CanaryStatus) -> Condition | None:
    in_place = s.facts.partitions is not None
    message = messages.promoted(status.phase, s.canary.spec.target_ref.kind, in_place=in_place)
    if message is None:
        return status.condition("Promoted")
    if status.phase is Phase.WAITING and status.reason in HOLDS:
        message = WAITS_TO_BEGIN
    known = PROMOTED.get(status.phase, ConditionStatus.UNKNOWN)
    return Condition(type="Promoted", status=known, reason=status.phase.value, message=message)


def _for_kstatus(status: CanaryStatus, found: Hindrance | None) -> tuple[Condition, ...]:
    if found is not None:
        return stalled(found.reason, found.message)
    if status.phase is Phase.FAILED or status.reason == HELD:
        return stalled(FAILED, status.message or "the last rollout has failed")
    if status.phase in (Phase.INITIALIZED, Phase.SUCCEEDED):
        message = "the promoted version serves"
        return (Condition(type=READY, status=ConditionStatus.TRUE, reason=status.phase.value, message=message),)
    reason, words = status.phase.value or Phase.INITIALIZING.value, "; ".join(_progress(status))
    return (
        Condition(type=READY, status=ConditionStatus.FALSE, reason=reason, message=_going_on(status)),
        Condition(type=RECONCILING, status=ConditionStatus.TRUE, reason=reason, message=words or status.reason),
    )


def _going_on(status: CanaryStatus) -> str:
    held_back = status.phase is Phase.WAITING and status.reason in HOLDS
    return HELD_BACK if held_back else UNDER_WAY.get(status.phase, GOES_ON)


def stalled(reason: str, message: str) -> tuple[Condition, ...]:
    """What is said where nothing goes on before somebody does something.

    Args:
        reason: why, in one CamelCase word.
        message: why, in words.
    """
    return (
        Condition(type=READY, status=ConditionStatus.FALSE, reason=reason, message=message),
        Condition(type=STALLED, status=ConditionStatus.TRUE, reason=reason, message=message),
    )


def _progress(status: CanaryStatus) -> Iterator[str]:
    rollout = status.rollout
    if rollout is not None and rollout.step:
        yield f"step {rollout.step} of {rollout.steps}"
    if status.message:
        yield status.message


def _timed(before: CanaryStatus, said: Condition, now: datetime) -> Condition:
    """What is said now, with the times of before where it was said before."""
    old = before.condition(said.type)
    if old is not None and (old.status, old.reason, old.message) == (said.status, said.reason, said.message):
        return old
    second = now.replace(microsecond=0)
    # That a rollout has failed is another thing than what stands in the way, of which it is asked since when it does.
    same = old is not None and old.status == said.status and FAILED not in {old.reason, said.reason}
    kept = old.last_transition_time if old is not None and same else second
    return said.replace(last_update_time=second, last_transition_time=kept)
