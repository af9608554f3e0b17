"""What a Canary waits for, and what must happen next, from its status."""

import shlex
from datetime import datetime
from typing import Final

from canary.cli.cluster.view import View, span, time_of

_HOLDS: Final = {
    "NoData": "data",
    "MetricsUnavailable": "the metrics server",
    "RouteNotTaken": "the gateway",
    "TrafficNotArriving": "requests",
    "PrimaryNotReady": "the primary's pods",
    "RefillingPrimary": "the primary's pods",
    "WaitingForPods": "pods",
    "UpdatingPods": "pods",
    "TooFewPods": "more pods",
    "CheckRunning": "a check that runs",
    "CheckTolerated": "a check that fails",
    "CheckWaiting": "a gate",
    "GateUnavailable": "a gate",
}
"""Reasons to wait, and for what."""

_BEFORE: Final = {
    "Queued": "its turn",
    "Frozen": "the end of a freeze",
    "WaitingForDependency": "another Canary",
    "ErrorBudgetSpent": "an error budget",
    "WaitingForGroup": "its group",
}
"""Reasons to wait that are no matter of the version, and for what."""

_GOES_ON: Final = {
    "Queued": "A rollout that is under way must end; it begins by itself when it is its turn.",
    "WaitingForDependency": "The Canaries that it depends on must be promoted; it begins by itself then.",
    "ErrorBudgetSpent": "There must be an error budget again; it goes on by itself then.",
    "WaitingForGroup": "The others of its group must come as far; it goes on by itself then.",
    "Frozen": "The freeze must end; it goes on by itself then.",
}
"""What must happen before it goes on, by the reason to wait."""

_NEXT: Final = {
    "": "The controller must see it: is one running that looks at this namespace?",
    "Initializing": "The primary must get ready; then it takes the traffic.",
    "Promoting": "The primary must run the new version with all its pods; then it takes the traffic back.",
    "Finalising": "The gateway must have followed; then the canary's pods go, and it has succeeded.",
    "Succeeded": "Nothing: the next change of the target begins a rollout.",
    "Failed": "A new version must be deployed, the target be set back, or another try be asked for (canary retry).",
    "Terminating": "Nothing: it is being deleted.",
    "Terminated": "Nothing: it is being deleted.",
}
"""What must happen, by phase."""


def waits_for(view: View, now: datetime) -> str:
    """What it waits for, in a few words; empty at rest."""
    if (held := _held(view)) is not None:
        return held[0]
    match view.phase:
        case "":
            return "the controller"
        case "Initializing":
            return "the primary's pods"
        case "Progressing":
            return _next_look(view, now)
        case "Promoting":
            return "the primary's pods"
        case "Finalising":
            return "the gateway"
    return ""


def must_happen(view: View, now: datetime) -> str:
    """What must happen for it to go on, in a sentence."""
    if (held := _held(view)) is not None:
        return held[1]
    return _progressing(view, now) if view.phase == "Progressing" else _NEXT.get(view.phase, _NEXT["Succeeded"])


def _held(view: View) -> tuple[str, str] | None:
    """What keeps it where it is: what it waits for, and what must happen; None where it goes on by itself."""
    if view.stalled:
        return f"stalled: {view.stalled}", "What is told above must be mended; it goes on by itself then."
    if view.suspended:
        return "spec.suspend: false", "Somebody must take spec.suspend out, or set it to false."
    if view.reason == "Paused" or view.status.get("paused"):
        waits = f"resume; paused {view.status.get('paused') or ''}".rstrip()
        return waits, f"Somebody must let it go on: canary resume {view.name}."
    if view.reason in _BEFORE and not view.resting:
        anyway = f" To let it go on all the same: canary override {view.name}."
        return _with(_BEFORE[view.reason], view.message), _GOES_ON[view.reason] + anyway
    if view.reason in ("GateRunning", "GateWaiting"):
        return _with("a gate", view.message), "What the gate looks at must be done. There is no deadline."
    if view.reason == "WaitingForApproval" and (entry := view.asks_people):
        end = time_of(entry.get("until"))
        by = f"It is decided without them at {entry['until']}." if end is not None else "There is no deadline."
        say = f"canary approve {view.name} --gate {shlex.quote(str(entry.get('gate')))}"
        return _with("approval", view.message), f"Those who may must approve it, or reject it: {say}. {by}"
    if view.reason == "WaitingForApproval" or view.phase in ("Waiting", "WaitingPromotion"):
        return _with("approval", view.message), "The gate must be opened. There is no deadline."
    if view.reason == "Held":
        decide = "A person must decide: promote, abort, retry, or deploy another version."
        return _with("a person", view.message), decide
    if view.reason in _HOLDS and not view.resting:
        what = _HOLDS[view.reason]
        return _with(what, view.message), f"It waits for {what}; when the deadline is over it is taken back."
    return None


def _with(what: str, message: str) -> str:
    return f"{what}: {message}" if message else what


def _next_look(view: View, now: datetime) -> str:
    due = view.next_look
    if due is None:
        return "pods"
    return f"next look in {span((due - now).total_seconds())}" if due > now else "the next look, which is due"


def _progressing(view: View, now: datetime) -> str:
    due = view.next_look
    if due is None:
        return "The canary's pods must get ready; then its analysis begins."
    when = f"in {span((due - now).total_seconds())}" if due > now else "now"
    left = view.threshold - view.failed
    failures = f"; {left} more failed check{'' if left == 1 else 's'} and it is taken back" if left > 0 else ""
    return f"The checks must pass at the next look, {when}{failures}."
