"""What events and alerts say: the wording that dashboards and scripts look for, in one place."""

from collections.abc import Iterator

from canary.api.analysis import HookType, Metric, Webhook
from canary.api.canary import Canary
from canary.api.durations import duration_text
from canary.api.meta import format_time
from canary.api.status import CheckStatus, Phase, Verdict
from canary.api.traffic import Readiness
from canary.rollout.decision import (
    Action,
    Adopt,
    CopyToPrimary,
    DeletePod,
    DropBaseline,
    DropFinalizer,
    DropVotes,
    EndRuns,
    Event,
    EventType,
    HandBack,
    HoldFinalizer,
    KeepApexService,
    KeepAutoscaler,
    KeepBaseline,
    KeepRevision,
    KeepVersionServices,
    LeaveRoutes,
    Orphan,
    RestAutoscaler,
    RestorePrimary,
    RollPrimary,
    Route,
    ScalePrimary,
    ScaleTarget,
    SetPartition,
    WakeAutoscaler,
)
from canary.rollout.plan import Plan

PROMOTED_MESSAGES = {
    Phase.INITIALIZING: "New {kind} detected, starting initialization.",
    Phase.INITIALIZED: "{kind} initialization completed.",
    Phase.WAITING: "Waiting for approval.",
    Phase.WAITING_PROMOTION: "Waiting for approval.",
    Phase.PROGRESSING: "New revision detected, progressing canary analysis.",
    Phase.PROMOTING: "Canary analysis completed, starting primary rolling update.",
    Phase.FINALISING: "Canary analysis completed, routing all traffic to primary.",
    Phase.SUCCEEDED: "Canary analysis completed successfully, promotion finished.",
    Phase.FAILED: "Canary analysis failed, {kind} scaled to zero.",
}
"""The message of the Promoted condition in each phase."""

IN_PLACE = {
    Phase.PROMOTING: "Canary analysis completed, updating the remaining pods.",
    Phase.FAILED: "Canary analysis failed, {kind} set back.",
}
"""The same where the target has no primary."""

PASSED = {
    HookType.CONFIRM_ROLLOUT: "Confirm-rollout check {name} passed",
    HookType.PRE_ROLLOUT: "Pre-rollout check {name} passed",
    HookType.CONFIRM_TRAFFIC_INCREASE: "Confirm-traffic-increase check {name} passed",
    HookType.CONFIRM_PROMOTION: "Confirm-promotion check {name} passed",
    HookType.ROLLBACK: "Rollback check {name} passed",
    HookType.POST_ROLLOUT: "Post-rollout check {name} passed",
}

REFUSED = {
    HookType.CONFIRM_ROLLOUT: "Halt {canary} advancement waiting for approval {name}",
    HookType.PRE_ROLLOUT: "Halt {canary} advancement pre-rollout check {name} failed {message}",
    HookType.ROLLOUT: "Halt {canary} advancement external check {name} failed {message}",
    HookType.CONFIRM_TRAFFIC_INCREASE: "Halt {canary} advancement waiting for traffic increase approval {name}",
    HookType.CONFIRM_PROMOTION: "Halt {canary} advancement waiting for promotion approval {name}",
    HookType.POST_ROLLOUT: "Post-rollout hook {name} failed {message}",
}

GATE_ALERTS = {
    HookType.CONFIRM_ROLLOUT: "Canary is waiting for approval.",
    HookType.CONFIRM_TRAFFIC_INCREASE: "Canary traffic increase is waiting for approval.",
    HookType.CONFIRM_PROMOTION: "Canary promotion is waiting for approval.",
}

MOST_QUERY = 300
"""Characters of a query that are told in an event."""

THRESHOLD_REACHED = "failed checks threshold reached"
"""Why a version is taken back whose checks have failed as often as they may."""

CANT: dict[type[Action], str] = {
    HoldFinalizer: "put the finalizer on the Canary",
    DropFinalizer: "take the finalizer off the Canary",
    KeepVersionServices: "write the Services of the two versions",
    KeepApexService: "write the Service that users call",
    CopyToPrimary: "copy the target to the primary",
    RollPrimary: "restart the primary's pods",
    KeepRevision: "keep the promoted version as a ControllerRevision",
    RestorePrimary: "set the primary back to the promoted version",
    ScalePrimary: "scale the primary",
    ScaleTarget: "scale the target",
    KeepBaseline: "make the baseline",
    DropBaseline: "delete the baseline",
    KeepAutoscaler: "copy the autoscaler for the primary",
    RestAutoscaler: "pause the target's autoscaler",
    WakeAutoscaler: "resume the target's autoscaler",
    Route: "route traffic",
    LeaveRoutes: "lead earlier routes to the primary",
    Adopt: "take over what Flagger wrote",
    HandBack: "lead the users' Service and route to the target",
    Orphan: "let the primary and its routes outlive the Canary",
    SetPartition: "set the partition of the target",
    DeletePod: "delete a pod of the target",
    EndRuns: "end the Jobs of an earlier step",
    DropVotes: "take votes of an earlier rollout off the Canary",
}
"""What can't be done where an action is refused; without numbers that change, so that it is told once."""


def promoted(phase: Phase, kind: str, *, in_place: bool) -> str | None:
    """The message of the Promoted condition; None in a phase that says nothing of it.

    Args:
        phase: the phase.
        kind: the target's kind.
        in_place: whether the target is rolled out without a primary.
    """
    text = IN_PLACE.get(phase) if in_place else None
    text = text or PROMOTED_MESSAGES.get(phase)
    return text.format(kind=kind) if text is not None else None


def counted(plan: Plan) -> tuple[Event, ...]:
    """What is told of weights that go by the numbers of pods, where not all are what was asked for."""
    counts = [step.count for step in plan.steps if step.count is not None]
    if all(count.exact for count in counts):
        return ()
    return (Event(f"Weights by the numbers of pods: {'; '.join(str(count) for count in counts)}"),)


def passed(hook: Webhook, report: str = "") -> Event | None:
    """What is told of a hook that approved; rollout hooks approve at every look and are not told.

    Args:
        hook: the hook.
        report: what its gate has to report; of what a service at a url says nothing is told, as in Flagger.
    """
    text = PASSED.get(hook.type)
    evidence = shortened(report, MOST_QUERY) if hook.gate is not None else ""
    return Event(text.format(name=hook.name), evidence=evidence) if text else None


def awaited(canary: Canary, hook: Webhook, message: str) -> Event:
    """What is told of a gate that has yet to answer."""
    return Event(f"Waiting for {hook.type.value} check {hook.name} of {canary.name}.{canary.namespace}: {message}")


def refused(canary: Canary, hook: Webhook, message: str) -> Event:
    """What is told of a hook that did not approve."""
    name = f"{canary.name}.{canary.namespace}"
    text = REFUSED[hook.type].format(canary=name, name=hook.name, message=message)
    return Event(text.rstrip(), EventType.WARNING)


def halt(canary: Canary, *, primary: bool = False) -> str:
    """How what is told of a look begins that was not good.

    Args:
        canary: the Canary.
        primary: whether the promoted version was looked at, not the canary.
    """
    name = f"{canary.name}.{canary.namespace}"
    return f"Halt bake of {name}" if primary else f"Halt {name} advancement"


def halted(canary: Canary, metric: Metric, check: CheckStatus, *, primary: bool = False) -> Event:
    """What is told of a metric that did not pass: its value against its threshold, or why there is no value.

    Args:
        canary: the Canary.
        metric: the metric.
        check: its verdict.
        primary: whether the promoted version was looked at, not the canary.
    """
    name = halt(canary, primary=primary)
    match check.verdict:
        case Verdict.NO_DATA if metric.compare_to is None:
            workload = canary.primary_name if primary else canary.target_name
            text = (
                f"{name if primary else 'Halt advancement'} no values found for metric {metric.name} "
                f"probably {workload}.{canary.namespace} is not receiving traffic"
            )
        case Verdict.UNAVAILABLE:
            text = f"{name} metric {metric.name} is unavailable: {check.message}"
        case _:
            text = f"{name} {_against(metric, check)}"
    evidence = ", ".join(_evidence(metric, check))
    return Event(text, EventType.WARNING, evidence)


def _evidence(metric: Metric, check: CheckStatus) -> Iterator[str]:
    """What a verdict rests on: the same at each look that says the same, so that events of one kind are one event."""
    if metric.compare_to is None and check.verdict is Verdict.FAIL:
        yield f"over {duration_text(metric.interval)}"
        if check.samples is not None and check.samples > 1:
            yield f"the worst of {check.samples} series"
    if check.query and check.verdict is not Verdict.UNAVAILABLE:
        yield f"query {shortened(' '.join(check.query.split()), MOST_QUERY)}"


def _against(metric: Metric, check: CheckStatus) -> str:
    """The value beside the bound that it broke."""
    value = check.value
    if value is None or metric.compare_to is not None or not check.threshold:
        return check.message
    low, high = metric.limits.min, metric.limits.max
    sign, bound = ("<", low) if low is not None and value < low else (">", high)
    if bound is None:
        return check.message
    match metric.name:
        case "request-success-rate":
            return f"success rate {value:.2f}% {sign} {bound:g}%"
        case "request-duration":
            return f"request duration {value:.0f}ms {sign} {bound:g}ms"
        case "request-rate":
            return f"request rate {value:.2f}/s {sign} {bound:g}/s"
        case _:
            return f"{metric.name} {value:.2f} {sign} {bound:g}"


def measured(check: CheckStatus) -> str:
    """A verdict in words, and since when it has been this where that is longer than one look."""
    words = check.message or check.verdict.value
    named = words if check.name in words else f"{check.name}: {words}"
    return f"{named} ({before})" if (before := since(check)) else named


def since(check: CheckStatus) -> str:
    """Since when a verdict has been what it is; empty where this is the first look that says so."""
    if check.since is None or check.time is None or check.since >= check.time:
        return ""
    return f"since {format_time(check.since)}"


def shortened(words: str, most: int) -> str:
    """Words of at most so many characters."""
    return words if len(words) <= most else f"{words[: most - 3]}..."


def pending(readiness: Readiness) -> str:
    """Why a workload is not settled yet, from its own counts."""
    if not readiness.observed:
        return "waiting for rollout to finish: observed generation less than desired generation"
    if readiness.updated < readiness.desired:
        return (
            f"waiting for rollout to finish: {readiness.updated} out of {readiness.desired} "
            "new replicas have been updated"
        )
    if readiness.total > readiness.updated:
        return (
            f"waiting for rollout to finish: {readiness.total - readiness.updated} old replicas are pending termination"
        )
    return f"waiting for rollout to finish: {readiness.available} of {readiness.desired} updated replicas are available"


def not_done(action: Action, words: str, *, answered: bool) -> str:
    """What is told of a write that was tried and not done.

    Args:
        action: what was to be done.
        words: the API server's own.
        answered: whether it refused the write; without an answer nobody knows whether it was done.
    """
    said = "refuses it" if answered else "does not answer"
    return f"can't {CANT[type(action)]}: the API server {said}: {words}"
