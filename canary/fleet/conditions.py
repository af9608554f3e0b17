"""Conditions of a CanaryFleet, with the times at which they came to be as they are."""

from datetime import datetime

from canary.api.fleet_status import FleetStatus
from canary.api.meta import Condition, ConditionStatus


def standing(
    stored: FleetStatus, type_: str, held: ConditionStatus, reason: str, message: str, now: datetime
) -> Condition:
    """A condition as it is to be stored; the one that is stored where it says the same.

    Args:
        stored: the status that is stored.
        type_: the condition's type.
        held: whether it holds.
        reason: why, in a word.
        message: why, in words.
        now: the time.
    """
    said = {"status": held.value, "reason": reason, "message": message}
    before = stored.condition(type_)
    if before is not None and before == before.replace(**said):
        return before
    changed = now if before is None or before.status != held else before.last_transition_time
    return Condition(type=type_, last_update_time=now, last_transition_time=changed, **said)
