"""Where one member stands, by what is seen of it: its Canary's own word counts, read from its phase and revisions.

::

    the Canary is                                              the member is
    not there                                                  Open, its Canary is to be written
    Waiting, EMPTY                                             Open
    Initializing, Progressing … Finalising                     Progressing
    Initialized or Succeeded, with another promoted revision   Passed
    Initialized or Succeeded, with the same                    Open, nothing new has come
    Failed, with a revision that it had not tried before       Failed
    Failed, as it was before                                   Open

What it had promoted and tried before is noted down when it is first seen after it may begin: until then its gate is
closed, so that it can't have changed by this release. A Canary that is made during the release had nothing before, and
passes once it is Initialized. A member that can't be reached stays where it was.
"""

from collections.abc import Mapping
from datetime import datetime

from canary.api.durations import duration_text
from canary.api.fleet import FleetSpec
from canary.api.fleet_status import MemberState, MemberStatus
from canary.api.meta import format_time
from canary.api.status import CanaryStatus, Outcome, Phase
from canary.fleet import joint
from canary.fleet.facts import Reachable, Seen, Unreachable
from canary.fleet.waves import MOVING
from canary.rollout.bake import RESTORING

UNREACHABLE = "Unreachable"
"""Reason of a member that counts as failed, as it could not be reached for so long."""

DEADLINE_EXCEEDED = "MemberDeadlineExceeded"
"""Reason of a member that counts as failed, as it has taken so long."""

UNWRITTEN = "its Canary can't be written"
"""How the message of a member begins that does not take what the hub writes."""

JUDGED = frozenset({MemberState.OPEN, MemberState.PROGRESSING, MemberState.PASSED, MemberState.FAILED})
"""States that follow from what the member's Canary says."""

_IDLE = frozenset({MemberState.PENDING, MemberState.JOINED})
"""States of members that wait for their turn, and have nothing to say themselves."""

UNDER_WAY = frozenset(
    {Phase.INITIALIZING, Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING}
)
_GOOD = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED})
_PROMOTED = frozenset({Outcome.PROMOTED, Outcome.PROMOTED_UNCHECKED})


def stands(member: MemberStatus, seen: Seen, spec: FleetSpec, now: datetime) -> MemberStatus:
    """Where a member stands now that may begin; one in another state keeps it.

    Args:
        member: where it stood.
        seen: what is known of it.
        spec: the fleet's spec.
        now: the time.
    """
    if isinstance(seen, Unreachable):
        return _away(member.replace(unreachable_since=seen.since), seen, spec, now)
    back = member.unreachable_since is not None
    member = member.replace(unreachable_since=None)
    member = _new(member, seen)
    if member.state in _IDLE:
        return member.replace(message=_unwritten(seen))
    if member.state not in JUDGED:
        return member.replace(message="") if back else member
    return _in_time(_by_canary(_noted(member, seen, spec), seen, spec), spec, now)


def is_of_release(images: Mapping[str, str] | None, spec: FleetSpec) -> bool:
    """Whether a rollout with these images is one of the release; where the spec names none, any is."""
    there = images or {}
    return all(there.get(name) == image for name, image in spec.images.items())


def moved(before: MemberStatus, after: MemberStatus, now: datetime) -> MemberStatus:
    """The member, with the time from which on it stands where it does."""
    return after if after.state is before.state and after.since is not None else after.replace(since=now)


def _away(member: MemberStatus, seen: Unreachable, spec: FleetSpec, now: datetime) -> MemberStatus:
    told = _out_of_reach(seen)
    failed_so = member.state is MemberState.FAILED and member.reason in (UNREACHABLE, DEADLINE_EXCEEDED)
    if member.state not in MOVING or failed_so:
        return member.replace(message=told) if member.state is not MemberState.FAILED else member
    deadline, begun = spec.unreachable_deadline, max(seen.since, member.opened or seen.since)
    if deadline is not None and now >= begun + deadline:
        words = f"{told}, for longer than {duration_text(deadline)}"
        return member.replace(state=MemberState.FAILED, reason=UNREACHABLE, message=words)
    return _in_time(member.replace(reason="", message=told), spec, now)


def _out_of_reach(seen: Unreachable) -> str:
    return f"unreachable since {format_time(seen.since)}: {seen.why}"


def _new(member: MemberStatus, seen: Reachable) -> MemberStatus:
    """The member, where its Canary is made during this release: nothing was promoted in it before."""
    is_new = seen.canary is None or seen.canary.status.phase in (Phase.EMPTY, Phase.INITIALIZING)
    return member.replace(before="", applied="") if is_new and member.before is None else member


def _noted(member: MemberStatus, seen: Reachable, spec: FleetSpec) -> MemberStatus:
    """The member with what its Canary had done before, as it is seen for the first time."""
    if member.applied is None and seen.canary is not None and spec.joint_verdict is not None:
        member = joint.noted(member, seen.canary, counts=False)
    status = seen.canary.status if seen.canary is not None else CanaryStatus()
    before = status.last_promoted_spec if member.before is None else member.before
    applied = status.last_applied_spec if member.applied is None else member.applied
    return member.replace(before=before, applied=applied)


def _unwritten(seen: Reachable) -> str:
    """What is not written into a member, in words; empty where nothing is refused."""
    return f"{UNWRITTEN}: {seen.refused}" if seen.refused else ""


def _by_canary(member: MemberStatus, seen: Reachable, spec: FleetSpec) -> MemberStatus:
    if seen.canary is None:
        words = _unwritten(seen) or "its Canary is to be written"
        return member.replace(state=MemberState.OPEN, reason="", message=words)
    status = seen.canary.status
    state = _state(member, status, spec)
    rolled = status.rollout.revision if status.rollout is not None else status.last_applied_spec
    words = status.message or status.reason
    if state is MemberState.OPEN:
        words = _unwritten(seen) or _waits_for(member, status, spec)
    elif spec.joint_verdict is not None:
        member = joint.noted(member, seen.canary, counts=True)
    return member.replace(state=state, reason=status.reason, message=words, revision=rolled)


def _state(member: MemberStatus, status: CanaryStatus, spec: FleetSpec) -> MemberState:
    if status.phase in UNDER_WAY:
        return MemberState.PROGRESSING
    if status.phase in _GOOD:
        return MemberState.PASSED if has_release(member, status, spec) else MemberState.OPEN
    if status.phase is Phase.WAITING:
        done = has_release(member, status, spec) and not awaits_release(member, status, spec)
        return MemberState.PASSED if done else MemberState.OPEN
    return MemberState.FAILED if _has_tried(member, status) else MemberState.OPEN


def has_release(member: MemberStatus, status: CanaryStatus, spec: FleetSpec) -> bool:
    """Whether the promoted version of a member's Canary is the release."""
    last = next((each for each in status.history if each.revision == status.last_promoted_spec), None)
    known = last is not None and last.outcome in _PROMOTED
    if known and last is not None and spec.images:
        return is_of_release(last.images, spec)
    return status.last_promoted_spec not in ("", member.before)


def awaits_release(member: MemberStatus, status: CanaryStatus, spec: FleetSpec) -> bool:
    """Whether a rollout of the release waits in a member.

    Without images nothing tells a further revision from the release: each member gets one.
    """
    return waits_with_release(status, spec) and (bool(spec.images) or not has_release(member, status, spec))


def waits_with_release(status: CanaryStatus, spec: FleetSpec) -> bool:
    """Whether a Canary waits with a rollout that is one of the release."""
    rollout = status.rollout
    return status.phase is Phase.WAITING and rollout is not None and is_of_release(rollout.images, spec)


def _has_tried(member: MemberStatus, status: CanaryStatus) -> bool:
    """Whether what has failed was tried since the member might begin, or was under way by then."""
    if member.retry and status.last_retry == member.retry:
        return True
    return status.last_applied_spec != member.applied or _has_ended(member, status)


def _has_ended(member: MemberStatus, status: CanaryStatus) -> bool:
    """Whether a rollout has ended since the member might begin, that no retry is to follow."""
    if member.retry or member.opened is None:
        return False
    return any(each.ended >= member.opened for each in status.history)


def _waits_for(member: MemberStatus, status: CanaryStatus, spec: FleetSpec) -> str:
    if waits_with_release(status, spec):
        return "its new revision may begin"
    if status.phase is Phase.WAITING:
        return "another revision waits in it than the release's images say"
    if status.phase is Phase.FAILED and member.retry:
        return "it is asked to try again"
    return "no new revision has come to it" if status.phase is not Phase.EMPTY else "its Canary is new"


def _in_time(member: MemberStatus, spec: FleetSpec, now: datetime) -> MemberStatus:
    deadline = spec.member_deadline
    if member.state not in MOVING or deadline is None or member.opened is None or now < member.opened + deadline:
        return member
    words = f"not passed within {duration_text(deadline)}: {member.message}"
    return member.replace(state=MemberState.FAILED, reason=DEADLINE_EXCEEDED, message=words)


def returned(member: MemberStatus, seen: Seen, order: str) -> MemberStatus:
    """Where a member stands that is to be brought back to what it served before.

    Args:
        member: where it stood.
        seen: what is known of it.
        order: the order to take its version back, if it can be given now; empty where it can't.
    """
    if isinstance(seen, Unreachable):
        return member.replace(unreachable_since=seen.since, message=_out_of_reach(seen))
    member = member.replace(unreachable_since=None)
    if seen.canary is None or member.before is None:
        return member.replace(state=MemberState.ROLLED_BACK, reason="", message="nothing had begun in it")
    after = _returned(member, seen.canary.status, order)
    waits = bool(seen.refused) and after.state is MemberState.ROLLING_BACK
    return after.replace(message=_unwritten(seen)) if waits else after


def _returned(member: MemberStatus, status: CanaryStatus, order: str) -> MemberStatus:
    words = status.message or status.reason
    if status.phase in UNDER_WAY or status.phase is Phase.WAITING or status.reason == RESTORING:
        return member.replace(reason=status.reason, message=words)
    if status.last_promoted_spec == member.before:
        back = MemberState.ROLLED_BACK
        return member.replace(state=back, reason=status.reason, message="it serves what it did before")
    if order and status.last_order != order:
        return member.replace(reason=status.reason, message="its promoted version is to be taken back")
    return member.replace(state=MemberState.NOT_BACK, reason=status.reason, message=_why_not_back(member, status))


def _why_not_back(member: MemberStatus, status: CanaryStatus) -> str:
    if not member.before:
        return "nothing was promoted in it before"
    over = "its bake is over, so that its Canary" if not status.is_baking else "its Canary"
    return f"{over} can't take the version back; set its target back"
