"""What somebody may say of a gate that waits: the vote that is to be written, or why there is none to write."""

from collections.abc import Iterator

from canary.api.canary import Canary
from canary.api.gates import Approval
from canary.api.status import ApprovalState, ApprovalStatus
from canary.rollout.approvals import approval_of
from canary.rollout.links import Link, check_unused
from canary.rollout.votes import Vote


class VoteRefused(Exception):  # noqa: N818 - reads as what it is where it is caught
    """A vote that would count for nothing; the text says why.

    Args:
        why: the same.
        stranger: whether whoever votes is none of those who may.
    """

    def __init__(self, why: str, *, stranger: bool = False) -> None:
        super().__init__(why)
        self.stranger = stranger


def waiting(canary: Canary) -> tuple[ApprovalStatus, ...]:
    """The gates that wait for people."""
    return tuple(each for each in canary.status.approvals if each.state is ApprovalState.WAITING)


def approval_for(canary: Canary, entry: ApprovalStatus) -> Approval | None:
    """What the spec says of a gate; None where it has none like it any more."""
    hooks = (each for each in canary.analysis.webhooks if (each.name, each.type.value) == (entry.gate, entry.type))
    return next((found for each in hooks if (found := approval_of(each)) is not None), None)


def asked_of(canary: Canary, gate: str, *, moment: str = "") -> ApprovalStatus:
    """The gate that is meant.

    Args:
        canary: the Canary as it stands.
        gate: its name; empty for the only one that waits.
        moment: what it asks; empty for whatever that is now.

    Raises:
        VoteRefused: nothing of the kind waits.
    """
    known = [each for each in waiting(canary) if gate in ("", each.gate)]
    found = [each for each in known if moment in ("", each.moment)]
    names = sorted({each.gate for each in waiting(canary)})
    if not names:
        raise VoteRefused(f"no gate waits for anybody; it is {canary.status.phase.value or 'not seen yet'}")
    if not known:
        raise VoteRefused(f"gate {gate} waits for nobody; {', '.join(names)} does")
    if not found:
        raise VoteRefused(f"gate {gate} asks about another moment of the rollout by now")
    if len({each.gate for each in found}) > 1:
        raise VoteRefused(f"several gates wait; name one of {', '.join(names)}")
    return found[-1]


def vote(canary: Canary, entry: ApprovalStatus, who: str, *, approves: bool, at: str, why: str = "") -> Vote:
    """The vote of somebody on a gate.

    Args:
        canary: the Canary as it stands.
        entry: the gate.
        who: who says it, as the API server knows them.
        approves: whether they approve.
        at: when, as text.
        why: why.

    Raises:
        VoteRefused: it would count for nothing.
    """
    if not who:
        raise VoteRefused("the cluster does not say who votes", stranger=True)
    approval = approval_for(canary, entry)
    if approval is None:
        raise VoteRefused(f"the spec has no gate {entry.gate} that people open any more")
    if approval.approvers and who not in approval.approvers:
        raise VoteRefused(f"{who} is none of the approvers of gate {entry.gate}", stranger=True)
    return Vote(who, approves, entry.gate, entry.moment, at, why)


def by_link(canary: Canary, link: Link, *, at: str, why: str = "") -> Vote:
    """The vote of somebody who has come with a link.

    Args:
        canary: the Canary that the link names, as it stands.
        link: the link.
        at: when, as text.
        why: why.

    Raises:
        LinkRefused: the link was used.
        VoteRefused: the vote would count for nothing.
    """
    check_unused(link, canary.metadata.annotations)
    entry = asked_of(canary, link.gate, moment=link.moment)
    told = f"by a link: {why}" if why else "by a link"
    return vote(canary, entry, link.by, approves=link.approves, at=at, why=told)


def described(canary: Canary) -> Iterator[tuple[str, ...]]:
    """Each gate of the current rollout that people open, as the cells of a row."""
    for entry in canary.status.approvals:
        approval = approval_for(canary, entry)
        given = sum(each.approves for each in entry.votes)
        wanted = approval.min_approvals if approval is not None else given
        people = ", ".join(f"{each.by}: {'yes' if each.approves else 'no'}" for each in entry.votes)
        of = ", ".join(approval.approvers) if approval is not None else ""
        yield (entry.gate, entry.type, entry.state.value, f"{given}/{wanted}", of, people)
