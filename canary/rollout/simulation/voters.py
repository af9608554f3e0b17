"""People who are asked to open gates: they approve where the scenario lets their webhook approve, one by one."""

from datetime import timedelta

from canary.api.analysis import HookType
from canary.api.canary import Canary
from canary.api.status import ApprovalState
from canary.rollout.decision import Action, DropVotes
from canary.rollout.orders import ORDER_ANNOTATION
from canary.rollout.simulation.responders import reply
from canary.rollout.simulation.scenario import Scenario
from canary.rollout.steps import TO_BE_RESUMED
from canary.rollout.votes import Vote
from canary.rollout.voting import approval_for


def voted(scenario: Scenario, canary: Canary, at: timedelta) -> Canary:
    """The Canary with one vote more, where one is waited for and given; or with the order to go on."""
    for entry in canary.status.approvals:
        asked = entry.state is ApprovalState.WAITING
        if not asked or not reply(scenario, entry.gate, HookType(entry.type), at).approved:
            continue
        approval = approval_for(canary, entry)
        if approval is None:
            continue
        people = approval.approvers or tuple(f"person-{number}" for number in range(1, approval.min_approvals + 1))
        for person in people[: approval.min_approvals]:
            vote = Vote(person, approves=True, gate=entry.gate, moment=entry.moment)
            if canary.metadata.annotations.get(vote.key) != vote.text():
                return annotated(canary, {**canary.metadata.annotations, vote.key: vote.text()})
    return _resumed(scenario, canary)


def _resumed(scenario: Scenario, canary: Canary) -> Canary:
    """The Canary with the order of a person who lets it go on, where it waits for one and the scenario has one."""
    status = canary.status
    if not scenario.resumes or status.reason != TO_BE_RESUMED or status.step_resumed:
        return canary
    order = f"resume revision={status.last_applied_spec} by=person-1 at=step-{status.iterations}"
    return annotated(canary, {**canary.metadata.annotations, ORDER_ANNOTATION: order})


def cleared(canary: Canary, action: Action) -> Canary:
    """The Canary without what an action takes off it."""
    if not isinstance(action, DropVotes):
        return canary
    kept = {key: value for key, value in canary.metadata.annotations.items() if key not in action.keys}
    return annotated(canary, kept)


def annotated(canary: Canary, annotations: dict[str, str]) -> Canary:
    """The Canary with these annotations alone."""
    return canary.replace(metadata=canary.metadata.replace(annotations=annotations))
