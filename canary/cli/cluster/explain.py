"""Why a Canary stands where it does, what must happen next, and what was measured: all of it from its own status."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from canary.cli.cluster import tables
from canary.cli.cluster.view import Check, View, number, span, time_of
from canary.cli.cluster.waits import must_happen, waits_for

Json = dict[str, Any]


def explain(view: View, now: datetime) -> Iterator[str]:
    """Everything, in lines for people."""
    yield f"{view.namespace}/{view.name} ({view.target})"
    yield f"  {_where(view, now)}"
    if under_way := _version(view, now):
        yield f"  {under_way}"
    yield ""
    yield "Why"
    yield from (f"  {line}" for line in _why(view))
    yield ""
    yield "What must happen next"
    yield f"  {must_happen(view, now)}"
    yield ""
    yield "What was measured"
    yield from (f"  {line}" for line in (tables.checks(view, now) if view.checks else ["nothing yet"]))
    for each in view.history[:1]:
        yield ""
        yield "The rollout before"
        ended = f" {span((now - each.ended).total_seconds())} ago" if each.ended else ""
        yield f"  {each.outcome}{ended}{': ' + each.cause if each.cause else ''}"


def _where(view: View, now: datetime) -> str:
    words = [view.phase or "not seen by a controller yet"]
    if view.weight or not view.resting:
        words.append(f"{view.weight} % of the requests go to the new version")
    if view.steps and not view.resting:
        words.append(f"step {view.step} of {view.steps}")
    if view.failed:
        words.append(f"{tables.failed(view)} failed checks")
    if view.since:
        words.append(f"for {span((now - view.since).total_seconds())}")
    return ", ".join(words)


def _version(view: View, now: datetime) -> str:
    """What is rolled out, and when that ends at the earliest; empty where the status has nothing of it."""
    rollout = view.rollout
    changes = rollout.get("changes")
    words = [f"revision {rollout['revision']}"] if rollout.get("revision") else []
    words += [f"changed: {', '.join(map(str, changes))}"] if isinstance(changes, list) and changes else []
    end = time_of(rollout.get("earliestEnd"))
    words += [f"ends in {span((end - now).total_seconds())} at the earliest"] if end is not None and end > now else []
    return "; ".join(words)


def _why(view: View) -> Iterator[str]:
    if view.stalled:
        yield f"Stalled: {view.stalled}"
    if view.suspended:
        yield "The spec has spec.suspend: true"
    if view.pending_order:
        yield f"Ordered, and not done yet: {view.pending_order}"
    if view.reason or view.message:
        yield ": ".join(part for part in (view.reason, view.message) if part)
    yield from view.said_of_gates
    failing = [each for each in view.checks if each.verdict not in ("", "Pass")]
    for each in failing:
        yield f"{each.verdict}: {_in_words(each)}"
    if not (view.stalled or view.suspended or view.reason or view.message or failing):
        yield "its status says no more than that"


def _in_words(check: Check) -> str:
    if check.message:
        return check.message if check.name in check.message else f"{check.name}: {check.message}"
    value = number(check.value) if check.value is not None else "no value"
    return f"{check.name} {value}, wanted {check.threshold or '-'}"


def data(view: View, now: datetime) -> Json:
    """The same for programs."""
    return {
        "namespace": view.namespace,
        "name": view.name,
        "target": view.target,
        "phase": view.phase,
        "weight": view.weight,
        "step": view.step,
        "steps": view.steps,
        "failedChecks": view.failed,
        "threshold": view.threshold,
        "since": view.since.isoformat() if view.since else None,
        "rollout": view.rollout or None,
        "reason": view.reason,
        "message": view.message,
        "stalled": view.stalled,
        "suspended": view.suspended,
        "paused": str(view.status.get("paused") or ""),
        "ordered": view.pending_order,
        "waitsFor": waits_for(view, now),
        "next": must_happen(view, now),
        "nextLook": view.next_look.isoformat() if view.next_look and not view.resting else None,
        "checks": view.status.get("checks") or [],
        "conditions": [*view.conditions],
    }
