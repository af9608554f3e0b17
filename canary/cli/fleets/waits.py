"""What a fleet waits for, and what must happen next, from its status."""

from typing import Final

from canary.api.durations import duration_text
from canary.api.fleet import CanaryFleet
from canary.api.fleet_status import FleetPhase, MemberState, MemberStatus
from canary.cli.fleets.orders import waits_for_person
from canary.fleet.decide import INVALID, NOT_ALL_BACK
from canary.fleet.progress import READY
from canary.fleet.shifts import GONE
from canary.fleet.standing import UNWRITTEN
from canary.fleet.waves import awaited, named

_ENDED: Final = frozenset({FleetPhase.SUCCEEDED, FleetPhase.FAILED})


def invalid(fleet: CanaryFleet) -> str:
    """What is wrong with its spec, as its hub says; empty where nothing is."""
    ready = fleet.status.condition(READY)
    return ready.message if ready is not None and ready.reason == INVALID else ""


def waits_for(fleet: CanaryFleet) -> str:
    """What it waits for, in words; empty where it waits for nothing."""
    status = fleet.status
    if status.phase is FleetPhase.EMPTY:
        return "a hub that looks at this namespace"
    if wrong := invalid(fleet):
        return f"its spec: {wrong}"
    if status.phase in _ENDED:
        return f"release {fleet.spec.release} to begin" if status.release != fleet.spec.release else ""
    return status.message


def must_happen(fleet: CanaryFleet) -> str:
    """What must happen before it goes on, or ends."""
    status, say = fleet.status, f"fleet/{fleet.name} -n {fleet.namespace}"
    if status.phase is FleetPhase.EMPTY:
        return "A hub must see it: is one running that looks at this namespace?"
    if wrong := invalid(fleet):
        return f"Its spec must be put right: {wrong}."
    match status.phase:
        case FleetPhase.SUCCEEDED:
            return f"{_gone(fleet) or 'Nothing.'} Another name in spec.release begins the next release."
        case FleetPhase.FAILED:
            return f"{_gone(fleet)} {_after_failure(fleet, say)}".strip()
        case FleetPhase.ROLLING_BACK:
            left = [each.name for each in status.members if each.state is MemberState.ROLLING_BACK]
            return _in_the_way(fleet) or f"{named(left) or 'Its members'} must come back; then the release has failed."
    return _before_the_end(fleet, say)


def _gone(fleet: CanaryFleet) -> str:
    """Which clusters have gone without their share; empty where none has."""
    gone = [each.name for each in fleet.status.traffic if each.message == GONE]
    what = "be members again to get their shares" if len(gone) > 1 else "be a member again to get its share"
    return f"{named(gone)} must {what} of requests back." if gone else ""


def _in_the_way(fleet: CanaryFleet) -> str:
    """What keeps the hub from a member that the release waits for; empty where nothing does."""
    waited = set(awaited(fleet.status))
    for each in (each for each in fleet.status.members if each.name in waited):
        if each.unreachable_since is not None:
            return f"{each.name} must be reached again ({_why(each)}). {_meanwhile(fleet)}"
        if each.message.startswith(UNWRITTEN):
            return f"{each.name} must take what the hub writes ({_why(each)}). It is tried again by itself."
    return ""


def _why(member: MemberStatus) -> str:
    """Why a member can't be reached, or written to."""
    return member.message.partition(": ")[2] or member.message or "its API server does not answer"


def _meanwhile(fleet: CanaryFleet) -> str:
    """What becomes of a member that can't be reached."""
    if (deadline := fleet.spec.unreachable_deadline) is not None:
        return f"It is tried by itself, and counts as failed after {duration_text(deadline)}."
    return "It is tried by itself; with spec.unreachableDeadline it would count as failed one day."


def _after_failure(fleet: CanaryFleet, say: str) -> str:
    lost = [each.name for each in fleet.status.members if each.state is MemberState.NOT_BACK]
    first = f"In {named(lost)} the target must be set back. " if fleet.status.reason == NOT_ALL_BACK and lost else ""
    return f"{first}Try it again by: canary retry {say}. Another name in spec.release begins another release."


def _before_the_end(fleet: CanaryFleet, say: str) -> str:
    status = fleet.status
    match status.reason:
        case "Paused":
            return f"It must be resumed: canary resume {say}."
        case "NoMembers":
            return "A cluster must come that spec.members.selector chooses."
        case "WaitingForGate" if waits_for_person(fleet):
            return f"A person must open the gate: canary resume {say}."
        case "WaitingForGate":
            return "The gates must open; they are asked again every 30 seconds."
        case "Soaking":
            return "The wave must stay good until its soak ends; then the next one begins, or the release is done."
    if said := _in_the_way(fleet):
        return said
    return "The members that roll out must pass; then the next wave begins, or the release is done."
