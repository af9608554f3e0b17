"""The one decision about a fleet: from its status and what is known of its members to what is written and stored."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from canary.api.fleet import CanaryFleet, OnFleetFailure
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState, MemberStatus
from canary.fleet import joint, outbox, progress, shifts
from canary.fleet.decision import Decision
from canary.fleet.facts import Facts, Reachable
from canary.fleet.orders import HELD, bring_back, new_release, ordered, pauses
from canary.fleet.situation import Situation
from canary.fleet.standing import moved, returned, stands
from canary.fleet.waves import MOVING, Tally, assigned, chosen, in_wave, named, tally
from canary.fleet.writes import order_to_return, writes

INVALID: Final = "Invalid"
"""Reason of a fleet whose spec can't work."""

TAKEN_BACK: Final = "RolledBack"
NOT_ALL_BACK: Final = "NotAllBack"
"""Reason of a release of which some members could not be brought back."""


def decide(fleet: CanaryFleet, facts: Facts) -> Decision:
    """Decide what is next for a fleet.

    A pure function, and level-triggered: what is written follows from what is stored and seen, so that a hub that dies
    between any two of its writes is followed by one that goes on.

    Args:
        fleet: the fleet, with the status that was stored last.
        facts: what is known, the time included.
    """
    if fleet.metadata.deletion_timestamp is not None:
        return Decision(fleet.status)
    if facts.problems:
        return Decision(outbox.posted(fleet, facts, _invalid(fleet, facts), ()))
    s = shifts.shifted(_next(_begun(fleet, facts)))
    summed_up = shifts.with_condition(fleet, progress.summed_up(s), facts)
    status = outbox.posted(fleet, facts, summed_up, s.events)
    written = tuple(writes(fleet, s.known))
    return Decision(status, written, s.asks, min(s.wakes, default=None), tuple(shifts.routed(fleet, facts)))


def _invalid(fleet: CanaryFleet, facts: Facts) -> FleetStatus:
    """The status with what is wrong; of a release that has ended, how it did stays, and only the condition says so."""
    words = "; ".join(map(str, facts.problems[:3]))
    said = progress.with_condition(fleet, fleet.status.replace(reason=INVALID, message=words), facts.now)
    ended = fleet.status.phase in (FleetPhase.SUCCEEDED, FleetPhase.FAILED)
    return said.replace(reason=fleet.status.reason, message=fleet.status.message) if ended else said


def _begun(fleet: CanaryFleet, facts: Facts) -> Situation:
    """The situation at the beginning of the decision: a release with another name begins anew."""
    known = chosen(fleet, facts.members)
    s = Situation(fleet, facts, known, fleet.status)
    if fleet.status.release != fleet.spec.release:
        s = replace(s, status=new_release(s)).telling(f"Release {fleet.spec.release} begins")
        return _with_members(s, ())
    return _with_members(s, fleet.status.members)


def _with_members(s: Situation, before: tuple[MemberStatus, ...]) -> Situation:
    """The situation with the members that there are: who is gone is told of, who is new gets a wave."""
    there = {each.name: each for each in before}
    # A wave that an edit of the spec has taken away is the last one.
    waves = {name: min(each.wave, len(s.fleet.spec.waves)) for name, each in there.items()}
    numbers = assigned(s.fleet, s.known, waves, max(s.status.wave, 1))
    ended = s.status.phase is not FleetPhase.PROGRESSING
    state = MemberState.JOINED if ended else MemberState.PENDING
    members = tuple(
        there[name].replace(wave=number) if name in there else MemberStatus(name=name, wave=number, state=state)
        for name, number in numbers.items()
    )
    s = replace(s, members=members)
    for gone in there.keys() - s.known.keys():
        s = s.telling(f"Member {gone} is gone, and its Canary left as it is", warns=True)
    for name in numbers.keys() - there.keys() if before else ():
        when = "takes part from the next release on" if ended else f"joins wave {numbers[name]}"
        s = s.telling(f"Member {name} is new, and {when}")
    return s


def _next(s: Situation) -> Situation:
    s = pauses(s)
    s = progress.told_of_members(_seen(s))
    s = ordered(s)
    s = replace(s, joint=joint.judged(s.fleet, s.members))
    match s.status.phase:
        case FleetPhase.ROLLING_BACK:
            return _back(s)
        case FleetPhase.PROGRESSING if s.fleet.watches:
            return _judged(progress.opened_all(s))
        case FleetPhase.PROGRESSING if not s.status.paused:
            stopped = _failed(s) is not None and not s.status.promoted
            return _judged(s) if stopped else _judged(progress.advanced(s))
        case _:
            return _due(s)


def _seen(s: Situation) -> Situation:
    return replace(s, members=tuple(_look(s, each) for each in s.members))


def _look(s: Situation, member: MemberStatus) -> MemberStatus:
    seen = s.known[member.name].seen
    if member.state is MemberState.ROLLING_BACK:
        canary = seen.canary if isinstance(seen, Reachable) else None
        order = order_to_return(s.fleet, s.status, member, canary) if canary is not None else ""
        return moved(member, returned(member, seen, order), s.now)
    judged = stands(member, seen, s.fleet.spec, s.now)
    if s.status.paused and judged.state is MemberState.FAILED and member.state in MOVING and not _by_itself(judged):
        return member
    return moved(member, judged, s.now)


def _by_itself(member: MemberStatus) -> bool:
    """Whether its Canary says that it has failed, and not a deadline, which does not count in a pause."""
    return member.reason not in progress.DEADLINES


def _judged(s: Situation) -> Situation:
    """What follows where a wave has failed, unless a person has ordered the release to go on."""
    failed = _failed(s)
    if not failed or s.status.promoted:
        return _due(s)
    number, why = failed
    on_failure = s.fleet.spec.on_failure
    if on_failure is OnFleetFailure.HOLD or s.fleet.watches:
        status = {"phase": FleetPhase.FAILED, "reason": HELD, "cause": why, "message": why, "ended": s.now}
        return s.with_status(**status).telling(f"Holding release {s.status.release}: {why}", warns=True)
    first = number if on_failure is OnFleetFailure.ROLLBACK_WAVE else 1
    return bring_back(s, first, "WaveFailed", why)


def _failed(s: Situation) -> tuple[int, str] | None:
    """The first wave that has failed, where one has, and why: by its members' own words, or by all numbers together."""
    for number, wave in enumerate(s.fleet.spec.waves[: s.status.wave], 1):
        found = tally(wave, in_wave(s.members, number))
        if found.has_failed:
            return number, _why(s, number, found)
    together = joint.failed(s.fleet, s.joint)
    if together is None:
        return None
    name = s.fleet.spec.waves[together.wave - 1].name
    return together.wave, f"wave {name} fails by the numbers of all together: {together.why}"


def _why(s: Situation, number: int, found: Tally) -> str:
    failed = [each for each in in_wave(s.members, number) if each.state is MemberState.FAILED]
    name = s.fleet.spec.waves[number - 1].name
    first = f": {failed[0].message}" if failed[0].message else ""
    return (
        f"wave {name} can't pass, {found.failed} of {found.size} failed and {found.required} must pass: "
        f"{named([each.name for each in failed])}{first}"
    )


def _back(s: Situation) -> Situation:
    """Members are on their way back; it is over once all are, or can't be brought back."""
    left = [each for each in s.members if each.state is MemberState.ROLLING_BACK]
    if left:
        return _due(s)
    lost = [each.name for each in s.members if each.state is MemberState.NOT_BACK]
    reason = NOT_ALL_BACK if lost else TAKEN_BACK
    message = f"{s.status.cause}; {named(lost)} can't be brought back" if lost else s.status.cause
    told = f"Release {s.status.release} is rolled back: {message}"
    return s.with_status(phase=FleetPhase.FAILED, reason=reason, message=message, ended=s.now).telling(told, warns=True)


def _due(s: Situation) -> Situation:
    """The situation with the moments at which deadlines end."""
    for moment in _deadlines(s):
        s = s.waking(moment)
    return s


def _deadlines(s: Situation) -> Iterator[datetime]:
    spec = s.fleet.spec
    for each in s.members:
        if each.state not in MOVING or each.opened is None:
            continue
        if spec.member_deadline is not None:
            yield each.opened + spec.member_deadline
        if spec.unreachable_deadline is not None and each.unreachable_since is not None:
            yield max(each.unreachable_since, each.opened) + spec.unreachable_deadline
