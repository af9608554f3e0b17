"""Gates that people open: what is asked of whom, how it stands, and what it comes to.

What is asked stands in the status from the look on that has come to the gate, with its moment. Votes on it are
annotations of the Canary. So nothing is lost with a controller, and nobody is asked twice: first it is stored how a
gate stands, with who has said what and when, then it is acted on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from canary.api.analysis import HookType, Webhook
from canary.api.durations import duration_text
from canary.api.gates import MOST_APPROVALS, Approval, OnTimeout
from canary.api.meta import format_time, utc
from canary.api.status import ApprovalState, ApprovalStatus, VoteStatus
from canary.rollout.decision import Decision, DropVotes, Event, EventType
from canary.rollout.links import forgettable
from canary.rollout.moments import JUDGED, of_gate, step
from canary.rollout.situation import Situation
from canary.rollout.votes import Vote, votes_in

KEPT: Final = 20
"""Gates that a rollout remembers; the oldest go first."""

MOST_VOTES: Final = 2 * MOST_APPROVALS
"""Votes on one gate that count."""

MOST_NAME: Final = 256
"""Characters of a name, which is cut off behind them."""

REJECTED: Final = "Rejected"
"""Reason of a version that people don't want rolled out."""


def approval_of(hook: Webhook) -> Approval | None:
    """What a webhook wants of people; None where it asks somebody else."""
    return hook.gate.approval if hook.gate is not None else None


def moment_of(s: Situation, hook: Webhook) -> str:
    """What a gate asks now: no vote on anything else counts for it."""
    at = s.starting_moment if hook.type is HookType.CONFIRM_ROLLOUT else step(s.canary)
    return of_gate(s.canary, at, hook.type.value, hook.name)


def known(s: Situation, hook: Webhook) -> ApprovalStatus | None:
    """What the status says of a gate at this moment; None where it was not asked yet."""
    moment = moment_of(s, hook)
    return next((each for each in s.status.approvals if each.moment == moment), None)


def standing(s: Situation, hook: Webhook) -> ApprovalStatus:
    """How a gate stands at this moment, as the status says; one that was not asked yet is asked now."""
    if (found := known(s, hook)) is not None:
        return found
    approval = approval_of(hook) or Approval()
    until = s.now + approval.timeout if approval.timeout is not None else None
    begun = ApprovalStatus(gate=hook.name, type=hook.type.value, moment=moment_of(s, hook), since=s.now, until=until)
    return begun.replace(message=_waits(approval, begun))


def with_entry(s: Situation, entry: ApprovalStatus) -> tuple[ApprovalStatus, ...]:
    """What is remembered of all gates, this one among them."""
    if any(each.moment == entry.moment for each in s.status.approvals):
        return tuple(entry if each.moment == entry.moment else each for each in s.status.approvals)
    return (*s.status.approvals, entry)[-KEPT:]


def news(s: Situation) -> Decision | None:
    """What has come since of a gate that is asked now, to be stored and told; None where nothing has."""
    for hook, approval, before in _asked_now(s):
        after = _standing(s, approval, before)
        if after == before:
            continue
        told = tuple(_told(s, hook, before, after))
        shown = s.status.message.startswith(f"{hook.name}: ")
        message = f"{hook.name}: {after.message}" if shown else s.status.message
        status = s.evolve(approvals=with_entry(s, after), message=message)
        return Decision(status, f"{hook.name}: {after.message}", events=told, wake=s.now)
    return None


def refusal(s: Situation) -> str:
    """Why people don't want this version to go on, in words; empty where nobody has said so."""
    refused = (each for _, _, each in _asked_now(s) if each.state is ApprovalState.REJECTED)
    return next((f"gate {each.gate} {each.message}" for each in refused), "")


def is_refused(s: Situation) -> bool:
    """Whether somebody who counts has said no to what is asked now, stored or not."""
    for _, approval, entry in _asked_now(s):
        said = [each.approves for each in entry.votes] + [each.approves for each in _valid(s, approval, entry).values()]
        if not all(said):
            return True
    return False


def has_opened(s: Situation) -> bool:
    """Whether the gate is open by now that the last look has come to."""
    return any(
        each.state is ApprovalState.APPROVED and s.status.message.startswith(f"{hook.name}: ")
        for hook, _, each in _asked_now(s)
    )


def minded(s: Situation, decision: Decision) -> Decision:
    """The decision with a look when a gate's time is over, and without votes on what is not asked any more."""
    approvals = decision.status.approvals
    waits = [each.until for each in approvals if each.state is ApprovalState.WAITING and each.until is not None]
    ends = [each for each in map(utc, waits) if each > s.now]
    if ends:
        decision = replace(decision, wake=min((*ends, *([decision.wake] if decision.wake is not None else []))))
    moments = {each.moment for each in approvals}
    if approvals and decision.status.phase in JUDGED:
        # Whoever was asked at a step that was left, or by a gate that the spec has no more, is not asked any more.
        after = replace(s, canary=s.canary.replace(status=decision.status))
        asked = {moment_of(after, hook) for hook in s.canary.analysis.webhooks if approval_of(hook) is not None}
        kept = tuple(each for each in approvals if each.state is not ApprovalState.WAITING or each.moment in asked)
        decision = replace(decision, status=decision.status.replace(approvals=kept))
    votes = votes_in(s.canary.metadata.annotations)
    over = tuple(key for key, vote in votes if vote is None or vote.moment not in moments)
    over += tuple(forgettable(s.canary.metadata.annotations, s.now))
    if not over or s.canary.metadata.deletion_timestamp is not None:
        return decision
    return replace(decision, actions=(*decision.actions, DropVotes(over)))


def decided(before: tuple[ApprovalStatus, ...]) -> tuple[ApprovalStatus, ...]:
    """What a rollout that has ended keeps of its gates."""
    return tuple(each for each in before if each.votes or each.state is not ApprovalState.WAITING)


def _asked_now(s: Situation) -> Iterator[tuple[Webhook, Approval, ApprovalStatus]]:
    if not s.status.approvals:
        return
    for hook in s.canary.analysis.webhooks:
        approval = approval_of(hook)
        if approval is not None and (entry := known(s, hook)) is not None:
            yield hook, approval, entry


def _standing(s: Situation, approval: Approval, before: ApprovalStatus) -> ApprovalStatus:
    """How a gate stands now. That it was refused, or nobody has answered in time, is not taken back."""
    if before.state is ApprovalState.REJECTED:
        return before
    votes = tuple(sorted(_counted(s, approval, before), key=lambda each: (each.time, each.by)))
    refused = next((each for each in votes if not each.approves), None)
    approving = [each for each in votes if each.approves]
    # The spec may be edited while people are asked.
    until = utc(before.since) + approval.timeout if approval.timeout is not None else None
    after = before.replace(votes=votes, until=until)
    if refused is not None:
        return _decided(s, after, ApprovalState.REJECTED, f"was rejected by {_signed(refused)}")
    if len(approving) >= approval.min_approvals:
        words = f"was approved by {', '.join(map(_signed, approving))}"
        return _decided(s, after, ApprovalState.APPROVED, words)
    if approval.timeout is not None and s.now >= s.due(utc(before.since), approval.timeout):
        state = ApprovalState.APPROVED if approval.on_timeout is OnTimeout.APPROVE else ApprovalState.REJECTED
        said = f"has {len(approving)} of {approval.min_approvals} approvals after {duration_text(approval.timeout)}"
        return _decided(s, after, state, f"{said}: {state.value.lower()}, as its onTimeout says")
    return after.replace(state=ApprovalState.WAITING, decided=None, message=_waits(approval, after))


def _decided(s: Situation, after: ApprovalStatus, state: ApprovalState, words: str) -> ApprovalStatus:
    when = after.decided if after.state is state else s.now
    return after.replace(state=state, decided=when, message=words)


def _counted(s: Situation, approval: Approval, before: ApprovalStatus) -> Iterator[VoteStatus]:
    """The votes that count, one of each, the latest; each with the time at which it was first seen."""
    seen = {each.by: each for each in before.votes}
    for by, vote in list(_valid(s, approval, before).items())[:MOST_VOTES]:
        made = VoteStatus(by=by[:MOST_NAME], approves=vote.approves, time=s.now, message=vote.why)
        old = seen.get(made.by)
        yield old if old is not None and (old.approves, old.message) == (made.approves, made.message) else made


def _valid(s: Situation, approval: Approval, asked_: ApprovalStatus) -> Mapping[str, Vote]:
    found: dict[str, Vote] = {}
    for _, vote in votes_in(s.canary.metadata.annotations):
        if vote is None or (vote.moment, vote.gate) != (asked_.moment, asked_.gate):
            continue
        if approval.approvers and vote.by not in approval.approvers:
            continue
        if vote.by not in found or vote.at >= found[vote.by].at:
            found[vote.by] = vote
    return found


def _waits(approval: Approval, entry: ApprovalStatus) -> str:
    given = sum(each.approves for each in entry.votes)
    words = f"has {given} of {approval.min_approvals} approvals"
    words += f", of {', '.join(approval.approvers)}" if approval.approvers else ""
    if approval.timeout is None or entry.until is None:
        return words
    result = "approved" if approval.on_timeout is OnTimeout.APPROVE else "rejected"
    return f"{words}; {result} at {format_time(entry.until)} without"


def _signed(vote: VoteStatus) -> str:
    return f"{vote.by} at {format_time(vote.time)}{f' ({vote.message})' if vote.message else ''}"


def _told(s: Situation, hook: Webhook, before: ApprovalStatus, after: ApprovalStatus) -> Iterator[Event]:
    """Each vote, as it is seen, and what all come to."""
    where = f"{hook.type.value} gate {hook.name} of {s.full_name}"
    for vote in after.votes:
        if vote not in before.votes:
            said = "approves" if vote.approves else "rejects"
            yield Event(f"{vote.by} {said} {where}{f': {vote.message}' if vote.message else ''}")
    gone = {each.by for each in before.votes} - {each.by for each in after.votes}
    for by in sorted(gone):
        yield Event(f"{by} has taken back what they said of {where}")
    if after.state is not before.state and after.state is not ApprovalState.WAITING:
        type_ = EventType.WARNING if after.state is ApprovalState.REJECTED else EventType.NORMAL
        yield Event(f"{where[:1].upper()}{where[1:]} {after.message}", type_)
