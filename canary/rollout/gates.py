"""Gates: webhooks that people or programs open before a rollout goes on."""

from collections.abc import Mapping
from typing import TypeAlias

from canary.api.analysis import HookType, Severity, Webhook
from canary.api.status import ApprovalState, ApprovalStatus, CheckStatus, Phase
from canary.api.steps import named_gates
from canary.rollout import messages
from canary.rollout.approvals import approval_of, known, standing, with_entry
from canary.rollout.decision import Alert, Decision, Event
from canary.rollout.facts import HookAnswer, HookQuestion, Undecided
from canary.rollout.kept_checks import kept, said_by_run
from canary.rollout.plan import EVERYBODY, Step
from canary.rollout.situation import Situation
from canary.rollout.verdicts import hook_check

WAITING_FOR_APPROVAL = "WaitingForApproval"

GATE_RUNNING = "GateRunning"
"""Reason to wait for the end of what was started for a gate, such as a Job."""

GATE_WAITING = "GateWaiting"
"""Reason to wait for what others do, which a gate looks at."""

AT_GATES = frozenset({WAITING_FOR_APPROVAL, GATE_RUNNING, GATE_WAITING})
"""Reasons of a rollout that is held by one who confirms what comes next."""

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
    asked = asked_outside(gates)
    if s.unanswered(asked):
        return s.stay("asking the gates", asks=asked)
    for question, hook in gates.items():
        answer = said_by(s, question, hook)
        if not answer.approved:
            return _wait_for_gate(s, question, answer, events, checks)
        event = messages.passed(hook, answer.message)
        events = (*events, event) if event is not None else events
    return events


def asked_outside(gates: Mapping[HookQuestion, Webhook]) -> tuple[HookQuestion, ...]:
    """The questions of these that somebody is asked; what people say stands on the Canary."""
    return tuple(question for question, hook in gates.items() if approval_of(hook) is None)


def said_by(s: Situation, question: HookQuestion, hook: Webhook) -> HookAnswer:
    """What a gate says, whoever opens it.

    Raises:
        KeyError: it was asked, and has not answered.
    """
    if approval_of(hook) is None:
        return s.approved(question)
    entry = standing(s, hook)
    return HookAnswer(entry.state is ApprovalState.APPROVED, entry.message)


def first_told(s: Situation, hook: Webhook, *, waits: bool) -> bool:
    """Whether nobody was told yet that a gate is waited for.

    Args:
        s: the Canary and its facts.
        hook: the gate.
        waits: whether the rollout has waited for a gate before.
    """
    if approval_of(hook) is not None:
        return known(s, hook) is None
    # Gates may open one after the other: who opens the next one is called, too.
    return not (waits and s.status.message.startswith(f"{hook.name}: "))


def remembering(s: Situation, hook: Webhook) -> tuple[ApprovalStatus, ...]:
    """What is remembered of gates that people open, where a rollout waits for this one."""
    return s.status.approvals if approval_of(hook) is None else with_entry(s, standing(s, hook))


def reason_of(answer: HookAnswer) -> str:
    """The reason of a rollout that waits for one who has not approved."""
    match answer.undecided:
        case Undecided.RUNNING:
            return GATE_RUNNING
        case Undecided.WAITING:
            return GATE_WAITING
    return WAITING_FOR_APPROVAL


def kept_of(s: Situation, hook: Webhook, answer: HookAnswer) -> tuple[CheckStatus, ...]:
    """What the status keeps of a gate that is not open: what was started for it is found by that."""
    if hook.gate is None or approval_of(hook) is not None:
        return ()
    check = hook_check(s, hook, answer)
    return (kept(check, said_by_run(s, check)),)


def told_of(s: Situation, hook: Webhook, answer: HookAnswer) -> tuple[tuple[Event, ...], tuple[Alert, ...]]:
    """What is told of a gate that is not open, once; people are called where one of them may have to open it."""
    if answer.undecided in (Undecided.RUNNING, Undecided.WAITING):
        return (messages.awaited(s.canary, hook, answer.message),), ()
    alerts = () if hook.mute_alert else (Alert(messages.GATE_ALERTS[hook.type], Severity.WARN),)
    return (messages.refused(s.canary, hook, answer.message),), alerts


def to_step(s: Situation, step: Step, checks: tuple[CheckStatus, ...], *, events: tuple[Event, ...]) -> Passage:
    """Ask the gates on the way to this step.

    To give a version to everybody, as blue/green does before it is copied, is to promote it in the eyes of its users.
    """
    if s.plan.iterations and step.split == EVERYBODY:
        return to_promotion(s, checks, events=events, weights=False)
    return through(s, {} if s.plan.iterations else _increases(s), checks, events=events)


def named(s: Situation, gate: str) -> Mapping[HookQuestion, Webhook]:
    """The gate of this name."""
    hooks = s.hooks(HookType.CONFIRM_TRAFFIC_INCREASE)
    return {question: hook for question, hook in hooks.items() if hook.name == gate}


def _increases(s: Situation) -> Mapping[HookQuestion, Webhook]:
    """Who confirms each increase of traffic: those alone that no step of the spec names."""
    elsewhere = named_gates(s.canary.analysis.steps)
    hooks = s.hooks(HookType.CONFIRM_TRAFFIC_INCREASE)
    return {question: hook for question, hook in hooks.items() if hook.name not in elsewhere}


def to_promotion(s: Situation, checks: tuple[CheckStatus, ...], *, events: tuple[Event, ...], weights: bool) -> Passage:
    """Ask the gates on the way to promotion.

    Where traffic goes by weights, promotion is the largest increase of all, from the last weight to everybody. Whoever
    confirms promotions is asked once it is allowed, and from then on alone.
    """
    if weights and s.status.phase is not Phase.WAITING_PROMOTION:
        allowed = through(s, _increases(s), checks, events=events)
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
    reason = reason_of(answer)
    first = s.status.reason not in AT_GATES or phase != s.status.phase
    told_before = not (first or s.status.reason != reason)
    told, alerts = told_of(s, hook, answer) if first_told(s, hook, waits=told_before) else ((), ())
    return Decision(
        status=s.evolve(
            phase=phase,
            reason=reason,
            message=f"{hook.name}: {answer.message}",
            checks=(*checks, *kept_of(s, hook, answer)),
            last_check_time=s.now,
            last_progress_time=s.now,
            approvals=remembering(s, hook),
        ),
        reason=f"the rollout waits for {hook.name}",
        actions=s.keep_share(),
        events=(*(events if first else ()), *told),
        alerts=alerts,
        wake=s.now + s.canary.analysis_interval,
    )
