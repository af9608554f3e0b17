"""Gates: webhooks that people or programs open before a rollout goes on."""

from collections.abc import Mapping
from typing import TypeAlias

from canary.api.analysis import HookType, Severity, Webhook
from canary.api.status import CheckStatus, Phase
from canary.rollout import messages
from canary.rollout.decision import Alert, Decision, Event
from canary.rollout.facts import HookAnswer, HookQuestion
from canary.rollout.plan import EVERYBODY, Step
from canary.rollout.situation import Situation

WAITING_FOR_APPROVAL = "WaitingForApproval"

Passage: TypeAlias = Decision | tuple[Event, ...]
"""The decision to wait for a gate, or what is told when all are open."""


def through(
    s: Situation,
    gates: Mapping[HookQuestion, Webhook],
    checks: tuple[CheckStatus, ...],
    *,
    events: tuple[Event, ...],
) -> Passage:
    """Ask these gates."""
    if s.unanswered(gates):
        return s.stay("asking the gates", asks=tuple(gates))
    for question, hook in gates.items():
        answer = s.approved(question)
        if not answer.approved:
            return _wait_for_gate(s, question, answer, events, checks)
        event = messages.passed(hook)
        events = (*events, event) if event is not None else events
    return events


def to_step(s: Situation, step: Step, checks: tuple[CheckStatus, ...], *, events: tuple[Event, ...]) -> Passage:
    """Ask the gates on the way to this step.

    To give a version to everybody, as blue/green does before it is copied, is to promote it in the eyes of its users.
    """
    if s.plan.iterations and step.split == EVERYBODY:
        return to_promotion(s, checks, events=events, weights=False)
    return through(s, {} if s.plan.iterations else s.hooks(HookType.CONFIRM_TRAFFIC_INCREASE), checks, events=events)


def to_promotion(s: Situation, checks: tuple[CheckStatus, ...], *, events: tuple[Event, ...], weights: bool) -> Passage:
    """Ask the gates on the way to promotion.

    Where traffic goes by weights, promotion is the largest increase of all, from the last weight to everybody. Whoever
    confirms promotions is asked once it is allowed, and from then on alone.
    """
    if weights and s.status.phase is not Phase.WAITING_PROMOTION:
        allowed = through(s, s.hooks(HookType.CONFIRM_TRAFFIC_INCREASE), checks, events=events)
        if isinstance(allowed, Decision):
            return allowed
        events = allowed
    return through(s, s.hooks(HookType.CONFIRM_PROMOTION), checks, events=events)


def _wait_for_gate(
    s: Situation, question: HookQuestion, answer: HookAnswer, events: tuple[Event, ...], checks: tuple[CheckStatus, ...]
) -> Decision:
    """A gate is closed: stay, without a deadline, for people decide."""
    hook = s.canary.analysis.webhooks[question.index]
    phase = Phase.WAITING_PROMOTION if hook.type is HookType.CONFIRM_PROMOTION else s.status.phase
    first = s.status.reason != WAITING_FOR_APPROVAL or phase != s.status.phase
    if first:
        events = (*events, messages.refused(s.canary, hook, answer.message))
    alert = Alert(messages.GATE_ALERTS[hook.type], Severity.WARN)
    return Decision(
        status=s.evolve(
            phase=phase,
            reason=WAITING_FOR_APPROVAL,
            message=f"{hook.name}: {answer.message}",
            checks=checks,
            last_check_time=s.now,
            last_progress_time=s.now,
        ),
        reason=f"the rollout waits for {hook.name}",
        actions=s.keep_share(),
        events=events if first else (),
        alerts=(alert,) if first and not hook.mute_alert else (),
        wake=s.now + s.canary.analysis_interval,
    )
