"""From wave to wave: who may begin, what a wave waits for, and how it all stands in words."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from canary.api.fleet import CanaryFleet, Wave
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState, MemberStatus, WaveState, WaveStatus
from canary.api.meta import ConditionStatus, format_time
from canary.fleet import conditions, joint
from canary.fleet.facts import GateQuestion
from canary.fleet.situation import Situation
from canary.fleet.standing import DEADLINE_EXCEEDED, UNREACHABLE, UNWRITTEN
from canary.fleet.waves import MOVING, Tally, in_wave, named, tally

DEADLINES: Final = frozenset({UNREACHABLE, DEADLINE_EXCEEDED})
"""Reasons of members that have failed by a deadline of the fleet's, and not by their own word."""

ASKED_AGAIN: Final = timedelta(seconds=30)
"""How long after one look at a closed gate it is asked again."""

_ASKED: Final = "it is asked"

READY: Final = "Ready"
_FINAL: Final = frozenset({MemberState.PASSED, MemberState.FAILED})


def opened_all(s: Situation) -> Situation:
    """The situation of a fleet that only watches: every member is judged from the beginning on."""
    members = tuple(_open(each, s.now) if each.state is MemberState.PENDING else each for each in s.members)
    s = replace(s, members=members).with_status(wave=len(s.fleet.spec.waves))
    return _finished(s)


def advanced(s: Situation) -> Situation:
    """The situation once waves that are due have begun, and members whose turn it is may begin."""
    last = len(s.fleet.spec.waves)
    while s.status.wave < last and _may_go_on(s := _counted(s)):
        if (s := _gated(s, s.status.wave + 1)).gated:
            break
        s = _begin(s, s.status.wave + 1)
    s = _counted(_opened(s))
    return _finished(s)


def _begin(s: Situation, number: int) -> Situation:
    wave = s.fleet.spec.waves[number - 1]
    names = [each.name for each in in_wave(s.members, number)]
    told = f"Wave {wave.name} of release {s.status.release} begins: {named(names) or 'it has no members'}"
    return s.with_status(wave=number).telling(told)


def _may_go_on(s: Situation) -> bool:
    """Whether the wave that is under way is over, so that the next one may begin."""
    number = s.status.wave
    if number == 0 or s.status.promoted:
        return True
    return all(each.state is WaveState.PASSED for each in s.status.waves[:number])


def _gated(s: Situation, number: int) -> Situation:
    """The situation with the gates asked that a wave waits for; one without members waits for none."""
    wave = s.fleet.spec.waves[number - 1]
    if s.status.promoted or not in_wave(s.members, number):
        return s
    closed = []
    for gate in wave.gates:
        if not gate.answers:
            closed += [f"{gate.name} (until it is resumed)"] if s.status.resumed < number else []
            continue
        question = GateQuestion(number, gate.name)
        answer = s.facts.gates.get(question)
        if answer is None or not answer.opens:
            s = s.asking(question).waking(s.now + ASKED_AGAIN)
            said = _ASKED if answer is None else answer.message or "it is closed"
            closed.append(f"{gate.name} ({said})")
    return _waits_at_gates(s, number, closed) if closed else s


def _waits_at_gates(s: Situation, number: int, closed: list[str]) -> Situation:
    waits = f"wave {s.fleet.spec.waves[number - 1].name} waits for {', '.join(closed)}"
    stored = s.fleet.status
    known = number <= len(stored.waves) and stored.waves[number - 1].state is WaveState.GATED
    told = known and _ASKED not in stored.message
    s = replace(s, gated=waits)
    # A gate that opens as soon as it is asked holds nothing up that anybody would want to hear of.
    return s if told or all(_ASKED in each for each in closed) else s.telling(f"Release {s.status.release}: {waits}")


def _opened(s: Situation) -> Situation:
    """The situation with the members that may begin, as many of a wave at once as it says."""
    members, without_share = list(s.members), s.status.without_share
    for number, wave in enumerate(s.fleet.spec.waves[: s.status.wave], 1):
        own = in_wave(members, number)
        # One whose share comes back is not done with.
        busy = sum(each.state in MOVING or each.name in without_share for each in own)
        waiting = [each for each in own if each.state is MemberState.PENDING]
        room = len(waiting) if wave.most_at_once is None else max(wave.most_at_once - busy, 0)
        begun = {each.name for each in waiting[:room]}
        members = [_open(each, s.now) if each.name in begun else each for each in members]
    return replace(s, members=tuple(members))


def _open(member: MemberStatus, now: datetime) -> MemberStatus:
    return member.replace(state=MemberState.OPEN, opened=now, since=now, message="it may begin")


def _counted(s: Situation) -> Situation:
    """The situation with how each wave stands."""
    waves, before = [], {each.name: each for each in s.status.waves}
    for at, wave in enumerate(s.fleet.spec.waves, 1):
        known = before.get(wave.name, WaveStatus(name=wave.name))
        standing = _standing(s, at, wave, known)
        waves.append(standing)
        if standing.state is WaveState.SOAKING and standing.passed_since is not None:
            s = s.waking(standing.passed_since + wave.soak)
    return s.with_status(waves=tuple(waves))


def _standing(s: Situation, number: int, wave: Wave, known: WaveStatus) -> WaveStatus:
    found = tally(wave, in_wave(s.members, number), s.status.without_share)
    begun = number <= s.status.wave
    since = (known.passed_since or s.now) if begun and found.has_passed else None
    idle = WaveState.GATED if s.gated and number == s.status.wave + 1 else WaveState.PENDING
    state = _state(s, wave, found, since) if begun else idle
    return WaveStatus(
        name=wave.name,
        state=state,
        members=found.size,
        required=found.required,
        passed=found.passed,
        failed=found.failed,
        passed_since=since,
    )


def _state(s: Situation, wave: Wave, found: Tally, since: datetime | None) -> WaveState:
    if since is None:
        return WaveState.FAILED if found.has_failed else WaveState.OPEN
    soaks = found.size and not s.status.promoted and not s.fleet.watches
    return WaveState.SOAKING if soaks and s.now < since + wave.soak else WaveState.PASSED


def _finished(s: Situation) -> Situation:
    """The situation of a release that is over, where it is."""
    s = _counted(s)
    if s.status.wave < len(s.fleet.spec.waves) or not s.members:
        return s
    passed = all(each.state is WaveState.PASSED for each in s.status.waves)
    counted = [each for each in s.members if each.state is not MemberState.JOINED]
    without_share = s.status.without_share
    judged = all(each.state in _FINAL and each.name not in without_share for each in counted)
    if not (judged if s.status.promoted else passed):
        return s
    failed = [each.name for each in s.members if each.state is MemberState.FAILED]
    message = f"released, but for {named(failed)}, failed" if failed else "released"
    told = f"Release {s.status.release} is done: {message}"
    return s.with_status(phase=FleetPhase.SUCCEEDED, reason="Passed", message=message, ended=s.now).telling(told)


def told_of_members(s: Situation) -> Situation:
    """The situation with what there is to tell of members: how they stand newly, who can't be reached, who is back."""
    before = {each.name: each for each in s.fleet.status.members} if s.fleet.status.release == s.status.release else {}
    for each in s.members:
        known = before.get(each.name)
        state = known.state if known is not None else MemberState.PENDING
        if each.state is not state and each.state in _TOLD:
            why = f": {each.message}" if each.state in _EXPLAINED else ""
            s = s.telling(f"Member {each.name} {_TOLD[each.state]}{why}", warns=each.state in _WARNS)
        if (known is None or known.unreachable_since is None) and each.unreachable_since is not None:
            s = s.telling(f"Member {each.name} is unreachable since {format_time(each.unreachable_since)}", warns=True)
        if known is not None and known.unreachable_since is not None and each.unreachable_since is None:
            s = s.telling(f"Member {each.name} can be reached again")
    return s


_TOLD: Final = {
    MemberState.PROGRESSING: "rolls out",
    MemberState.PASSED: "has passed",
    MemberState.FAILED: "has failed",
    MemberState.ROLLED_BACK: "is back",
    MemberState.NOT_BACK: "can't be brought back",
}
_EXPLAINED: Final = frozenset({MemberState.FAILED, MemberState.ROLLED_BACK, MemberState.NOT_BACK})
_WARNS: Final = frozenset({MemberState.FAILED, MemberState.NOT_BACK})


def summed_up(s: Situation) -> FleetStatus:
    """The status that is to be stored, with its words."""
    s = _counted(s) if s.status.phase is not FleetPhase.EMPTY else s
    counted = [each for each in s.members if each.state is not MemberState.JOINED]
    passed = sum(each.state is MemberState.PASSED for each in counted)
    said = joint.standing(s.fleet, s.joint)
    status = s.status.replace(members=s.members, joint=said, progress=f"{passed}/{len(counted)}")
    if status.phase in (FleetPhase.PROGRESSING, FleetPhase.ROLLING_BACK):
        status = _worded(s, status)
    return with_condition(s.fleet, status, s.now)


def _worded(s: Situation, status: FleetStatus) -> FleetStatus:
    """The status with for whom, or for what, the release waits."""
    if status.phase is FleetPhase.ROLLING_BACK:
        left = [_named(each) for each in s.members if each.state is MemberState.ROLLING_BACK]
        return status.replace(message=f"{status.cause}; waits for {named(left)}" if left else status.cause)
    if status.paused:
        return status.replace(reason="Paused", message=f"paused {status.paused}")
    if not s.members:
        return status.replace(reason="NoMembers", message="no cluster is a member")
    moving = [_named(each) for each in s.members if each.state in MOVING]
    if moving:
        return status.replace(reason="Rolling", message=f"waits for {named(moving)}")
    if status.without_share:
        waits = f"waits for the share of {named(sorted(status.without_share))}"
        return status.replace(reason="Shifting", message=waits)
    if s.gated:
        return status.replace(reason="WaitingForGate", message=s.gated)
    soaking = [each for each in status.waves if each.state is WaveState.SOAKING and each.passed_since is not None]
    if soaking:
        wave = next(each for each in s.fleet.spec.waves if each.name == soaking[-1].name)
        until = (soaking[-1].passed_since or s.now) + wave.soak
        return status.replace(reason="Soaking", message=f"wave {wave.name} soaks until {format_time(until)}")
    return status.replace(reason="Rolling", message="the next wave begins")


def _named(member: MemberStatus) -> str:
    if member.unreachable_since is not None:
        return f"{member.name} (unreachable since {format_time(member.unreachable_since)})"
    return f"{member.name} ({member.message})" if member.message.startswith(UNWRITTEN) else member.name


_READY: Final = {FleetPhase.SUCCEEDED: ConditionStatus.TRUE, FleetPhase.FAILED: ConditionStatus.FALSE}


def with_condition(fleet: CanaryFleet, status: FleetStatus, now: datetime) -> FleetStatus:
    """The status with its condition, and the generation that it speaks of."""
    held = _READY.get(status.phase, ConditionStatus.UNKNOWN)
    ready = conditions.standing(fleet.status, READY, held, status.reason or "Unknown", status.message, now)
    return status.replace(observed_generation=fleet.metadata.generation or None, conditions=(ready,))
