"""What people order of a fleet, by annotations, as of a Canary: whoever may write those decides.

`fleet.canary.dev/pause` holds for as long as it stands there. `fleet.canary.dev/order` says one thing that is to be
done once, in the words of a Canary's orders:

::

    promote | abort | retry | resume   revision=RELEASE by=WHO at=WHEN why it is ordered

promote   the waves that are left begin at once, without soaks, gates and joint verdicts; each member still judges
abort     every member that has begun is brought back
retry     members that have failed, or were brought back, try again
resume    the gates that wait for a person are open; with the end of a pause, it says who has ended that
"""

from dataclasses import replace
from typing import Final

from canary.api.fleet import CanaryFleet
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState, MemberStatus, WaveState
from canary.api.meta import format_time
from canary.fleet.joint import set_aside
from canary.fleet.situation import Situation
from canary.rollout.orders import Order, as_read, order_in

ORDER_ANNOTATION: Final = "fleet.canary.dev/order"
"""On a CanaryFleet: any new value is an order."""

PAUSE_ANNOTATION: Final = "fleet.canary.dev/pause"
"""On a CanaryFleet: as long as it says anything, such as who has set it, nothing further begins."""

_AGAIN: Final = frozenset({MemberState.FAILED, MemberState.ROLLED_BACK, MemberState.NOT_BACK, MemberState.JOINED})


def order_of(fleet: CanaryFleet) -> str:
    """The order that was given last; empty where none was."""
    return as_read(fleet.metadata.annotations.get(ORDER_ANNOTATION, ""))


def pause_of(fleet: CanaryFleet) -> str:
    """What says that the release stands still, and who does; empty where nothing says so."""
    return as_read(fleet.metadata.annotations.get(PAUSE_ANNOTATION, ""))


def ordered(s: Situation) -> Situation:
    """The situation once the order is heeded that was given last; the same where none is new."""
    text = order_of(s.fleet)
    if not text or text == s.status.last_order:
        return s
    order = order_in(text)
    s = s.with_status(last_order=text)
    if why := impossible(s.fleet, s.status, order):
        return s.telling(f"Order to {order.verb} is not heeded, {why} {order.signature}".rstrip(), warns=True)
    return _HEEDED[order.verb](s, order).telling(f"Release {s.status.release}: {order.verb} ordered {order.signature}")


def impossible(fleet: CanaryFleet, status: FleetStatus, order: Order) -> str:
    """Why an order can't be done; empty where it can.

    Args:
        fleet: the fleet.
        status: where it stands.
        order: what is ordered.
    """
    if order.verb not in _HEEDED:
        return f"it is none of {', '.join(_HEEDED)}"
    if order.revision not in ("", status.release):
        return f"it is about release {order.revision}, and {status.release} is under way"
    if fleet.watches:
        return "the fleet only watches"
    if order.verb == "retry":
        return "" if status.phase is FleetPhase.FAILED else "the release has not failed"
    held = status.phase is FleetPhase.FAILED and status.reason == HELD
    if order.verb == "abort" and (held or status.phase is FleetPhase.SUCCEEDED):
        return ""
    return "" if status.phase is FleetPhase.PROGRESSING else f"the release is {status.phase.value}"


HELD: Final = "Held"
"""Reason of a release that has failed, and stands as it is."""


def _promote(s: Situation, order: Order) -> Situation:
    return s.with_status(promoted=s.status.last_order)


def _abort(s: Situation, order: Order) -> Situation:
    why = f"aborted {order.signature}".rstrip()
    return bring_back(s, 1, "Aborted", why)


def _resume(s: Situation, order: Order) -> Situation:
    if s.fleet.status.paused and not s.status.paused:
        return s  # who ends a pause has not said that a wave may begin, too
    gated = [number for number, wave in enumerate(s.status.waves, 1) if wave.state is WaveState.GATED]
    return s.with_status(resumed=max(gated, default=s.status.wave))


def _retry(s: Situation, order: Order) -> Situation:
    attempt = s.status.attempt + 1
    token = f"{s.status.release}-{attempt}-{format_time(s.now)}"
    members = tuple(_again(each, token) if each.state in _AGAIN else each for each in map(set_aside, s.members))
    first = min((each.wave for each in s.members if each.state in _AGAIN), default=s.status.wave)
    wave = max([first, *(each.wave for each in members if each.state is not MemberState.PENDING)])
    changes = {"phase": FleetPhase.PROGRESSING, "reason": "", "cause": "", "ended": None, "promoted": ""}
    return replace(s, members=members).with_status(attempt=attempt, wave=wave, **changes)


def _again(member: MemberStatus, token: str) -> MemberStatus:
    """The member as it awaits its turn once more; what it served before this release is known already."""
    asked = member.opened is not None
    fresh = {"state": MemberState.PENDING, "reason": "", "message": "", "since": None, "opened": None, "applied": None}
    return member.replace(retry=token if asked else "", **fresh)


def bring_back(s: Situation, first: int, reason: str, why: str) -> Situation:
    """The situation once members are to be brought back.

    Args:
        s: the situation.
        first: the first wave whose members are; those of later ones are, too.
        reason: why, in one CamelCase word.
        why: why, in words.
    """
    members = tuple(
        each.replace(state=MemberState.ROLLING_BACK, reason="", message="", since=None)
        if each.wave >= first and each.opened is not None and each.state is not MemberState.JOINED
        else each
        for each in s.members
    )
    changes = {"phase": FleetPhase.ROLLING_BACK, "reason": reason, "cause": why, "ended": None}
    s = replace(s, members=members).with_status(**changes)
    return s.telling(f"Rolling back release {s.status.release}: {why}", warns=True)


_HEEDED: Final = {"promote": _promote, "abort": _abort, "retry": _retry, "resume": _resume}


def pauses(s: Situation) -> Situation:
    """The situation with what newly stops the release, or does no more; deadlines don't count the time in between."""
    now, before = pause_of(s.fleet), s.status.paused
    if now == before:
        return s
    s = s.with_status(paused=now)
    if now:
        return s.telling(f"Paused release {s.status.release} {now}", warns=True)
    members = tuple(each.replace(opened=s.now) if each.opened is not None else each for each in s.members)
    return replace(s, members=members).telling(f"The pause of release {s.status.release} has ended")


def new_release(s: Situation) -> FleetStatus:
    """The status at the beginning of a release: an order that was given before is about none of it."""
    before = s.fleet.status
    return FleetStatus(
        phase=FleetPhase.PROGRESSING,
        release=s.fleet.spec.release,
        started=s.now,
        last_order=order_of(s.fleet),
        outbox=before.outbox,
        told=before.told,
        conditions=before.conditions,
        traffic=before.traffic,
    )
