"""What is written into members: Canaries and nothing else. Each write follows from the status that is stored.

A member's rollouts wait at a gate of their Canary, `fleet`, a webhook of the type confirm-rollout that people open; it
opens by the hub's vote once the member's wave has begun. So a member decides alone in everything but when it begins,
and one whose hub is away serves what it serves.
"""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

from canary.api.analysis import HookType
from canary.api.canary import Canary
from canary.api.fleet import CanaryFleet
from canary.api.fleet_rules import GATE, canary_in
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState, MemberStatus
from canary.api.meta import JsonObject, format_time
from canary.api.status import ApprovalState, Phase
from canary.fleet.decision import Annotate, Apply, Write
from canary.fleet.facts import Member, Reachable
from canary.fleet.shifts import is_awaited, may_begin
from canary.fleet.waves import MOVING
from canary.rollout.orders import ORDER_ANNOTATION, PAUSE_ANNOTATION, as_read
from canary.rollout.situation import HELD, RETRY_ANNOTATION
from canary.rollout.votes import Vote

TEMPLATE_ANNOTATION: Final = "fleet.canary.dev/template"
"""On a Canary: a digest of what the hub has written."""

FLEET_ANNOTATION: Final = "fleet.canary.dev/fleet"
"""On a Canary: the fleet that writes it."""

_BEFORE_PROMOTION: Final = frozenset({Phase.WAITING, Phase.PROGRESSING, Phase.WAITING_PROMOTION})


def writes(fleet: CanaryFleet, members: Mapping[str, Member]) -> Iterator[Write]:
    """What is to be written now.

    Args:
        fleet: the fleet, with the status that is stored.
        members: its members, as they are seen.
    """
    if fleet.watches or fleet.status.release != fleet.spec.release:
        return  # a release that is not stored yet has opened nothing
    wanted = wanted_canary(fleet)
    for status in fleet.status.members:
        seen = members[status.name].seen if status.name in members else None
        if isinstance(seen, Reachable):
            yield from _into(fleet, status, seen, wanted)


def by(fleet: CanaryFleet) -> str:
    """Who the hub says it is, in what it writes."""
    return f"fleet/{fleet.namespace}/{fleet.name}"


def wanted_canary(fleet: CanaryFleet) -> JsonObject:
    """The Canary that every member has."""
    canary = canary_in(fleet)
    spec = canary["spec"]
    field = "canaryAnalysis" if "canaryAnalysis" in spec and "analysis" not in spec else "analysis"
    # One that is skipped may be absent; the gate's place is in it, and what is there has an interval and a threshold.
    analysis = dict(spec.get(field) or {"interval": "1m", "threshold": 1})
    gate = {"name": GATE, "type": HookType.CONFIRM_ROLLOUT.value, "gate": {"approval": {}}}
    analysis["webhooks"] = [*(analysis.get("webhooks") or ()), gate]
    canary["spec"] = {**spec, field: analysis}
    digest = sha256(json.dumps(canary, sort_keys=True).encode()).hexdigest()[:16]
    ours = {FLEET_ANNOTATION: by(fleet), TEMPLATE_ANNOTATION: digest}
    annotations = {**canary["metadata"].get("annotations", {}), **ours}
    canary["metadata"] = {**canary["metadata"], "annotations": annotations}
    return canary


def _into(fleet: CanaryFleet, member: MemberStatus, seen: Reachable, wanted: JsonObject) -> Iterator[Write]:
    canary = seen.canary
    if _is_to_be_written(fleet, member, canary, wanted):
        yield Apply(member.name, wanted)
    if canary is not None and (annotations := _annotations(fleet, member, canary, seen.user)):
        yield Annotate(member.name, annotations)


def _is_to_be_written(fleet: CanaryFleet, member: MemberStatus, canary: Canary | None, wanted: JsonObject) -> bool:
    """A Canary is made at once, and changed with its wave: what a release changes of it is part of the release."""
    if canary is None:
        return member.before is not None  # that it is new is noted down first
    there = canary.metadata.annotations
    if TEMPLATE_ANNOTATION not in there or there.get(FLEET_ANNOTATION) != by(fleet):
        return True
    begun = member.opened is not None and member.state not in (MemberState.ROLLING_BACK, MemberState.ROLLED_BACK)
    return begun and there[TEMPLATE_ANNOTATION] != wanted["metadata"]["annotations"][TEMPLATE_ANNOTATION]


def _annotations(fleet: CanaryFleet, member: MemberStatus, canary: Canary, user: str) -> dict[str, str | None]:
    wanted = {**_vote(fleet, member, canary, user), **_retry(member, canary), **_pause(fleet, member, canary)}
    if order := order_to_return(fleet, fleet.status, member, canary):
        wanted[ORDER_ANNOTATION] = order
    there = canary.metadata.annotations
    return {key: value for key, value in wanted.items() if there.get(key) != value}


def _vote(fleet: CanaryFleet, member: MemberStatus, canary: Canary, user: str) -> dict[str, str | None]:
    """The vote that opens the gate, for the revision that waits there.

    It is by whom the member's API server knows the hub as: a policy there may hold each vote against who writes it.
    """
    status = fleet.status
    if status.paused or not (is_awaited(fleet, status, member, canary.status) and may_begin(fleet, member)):
        return {}
    asked = [each for each in canary.status.approvals if each.gate == GATE and each.state is ApprovalState.WAITING]
    why = f"release {status.release}, wave {member.wave}"
    why = f"{by(fleet)}: {why}" if user else why
    votes = [Vote(user or by(fleet), approves=True, gate=GATE, moment=each.moment, why=why) for each in asked]
    return {each.key: each.text() for each in votes}


def _retry(member: MemberStatus, canary: Canary) -> dict[str, str | None]:
    again = member.retry and member.state is MemberState.OPEN and canary.status.phase is Phase.FAILED
    return {RETRY_ANNOTATION: member.retry} if again else {}


def _pause(fleet: CanaryFleet, member: MemberStatus, canary: Canary) -> dict[str, str | None]:
    """A release that stands still has its members stand still; one that a person has paused is left to that person."""
    there = canary.metadata.annotations.get(PAUSE_ANNOTATION)
    if fleet.status.paused and member.state in MOVING and fleet.status.phase is FleetPhase.PROGRESSING:
        return {PAUSE_ANNOTATION: as_read(f"by {by(fleet)}: {fleet.status.paused}")} if not there else {}
    return {PAUSE_ANNOTATION: None} if there and there.startswith(f"by {by(fleet)}") else {}


def order_to_return(fleet: CanaryFleet, status: FleetStatus, member: MemberStatus, canary: Canary) -> str:
    """The order by which a member's Canary takes its version back; empty where it can't be given now.

    It names what the Canary does: one that came too late for that is followed by another.
    """
    seen = canary.status
    baking = seen.is_baking and (seen.phase is Phase.SUCCEEDED or (seen.phase, seen.reason) == (Phase.FAILED, HELD))
    may = seen.phase in _BEFORE_PROMOTION or (baking and seen.last_promoted_spec != member.before)
    if member.state is not MemberState.ROLLING_BACK or member.before is None or not may:
        return ""
    doing = "bakes" if baking else f"is {seen.phase.value}"
    at = format_time(status.started) if status.started is not None else ""
    return as_read(f"abort by={by(fleet)} at={at} release {status.release}, attempt {status.attempt}: it {doing}")
