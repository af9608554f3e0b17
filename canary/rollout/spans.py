"""What a rollout was, as spans: one trace of it, with a span for each step that it stood at.

All of it is read from two statuses, that which was traced last and that which is stored now. The ids are digests of
what is stored: whoever goes on after a restart comes to the same trace, and to the same parents in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import chain

from canary.api.canary import Canary
from canary.api.meta import utc
from canary.api.status import CanaryStatus, CheckStatus, Outcome, PastRollout, RolloutStatus, Verdict

TRACE_BYTES, SPAN_BYTES = 16, 8
"""How long ids are (W3C Trace Context)."""

MOST_MOMENTS = 128
"""Moments that are kept of one step; the oldest go first."""

FAILED = frozenset({Outcome.ROLLED_BACK, Outcome.BAKE_FAILED})
"""Ends of a rollout that count as errors."""

Attributes = Mapping[str, str | int | float | bool | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened within a span.

    Args:
        name: what, in words.
        time: when.
        attributes: what else is known of it.
    """

    name: str
    time: datetime
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took a while.

    Args:
        trace: id of the rollout that it belongs to.
        id: its own.
        parent: id of the span that it is part of; 0 for none.
        name: what it was, in words.
        start: when it began.
        end: when it was over.
        attributes: what else is known of it.
        moments: what happened meanwhile.
        error: why it failed, in words; empty where it did not.
        outward: whether it is a request to somebody else.
    """

    trace: int
    id: int
    parent: int
    name: str
    start: datetime
    end: datetime
    attributes: Attributes = field(default_factory=dict)
    moments: tuple[Moment, ...] = ()
    error: str = ""
    outward: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a trace something belongs.

    Args:
        trace: id of the rollout.
        parent: id of the span that it is part of.
    """

    trace: int
    parent: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What was traced of a Canary last.

    Args:
        status: as it was stored.
        since: since when it stands at its step.
        moments: what has happened at that step.
    """

    status: CanaryStatus
    since: datetime
    moments: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class _Step:
    """What tells one step of a rollout from the others; the highest weight tells before from after a rollback."""

    trace: int
    phase: str
    weight: int
    iterations: int
    highest: int

    @property
    def id(self) -> int:
        return _digest(SPAN_BYTES, self.trace, self.phase, self.weight, self.iterations, self.highest)

    @property
    def name(self) -> str:
        weight = f", weight {self.weight}" if self.weight else ""
        return f"{self.phase}{weight}{f', iteration {self.iterations}' if self.iterations else ''}"


def traced(canary: Canary, before: Standing | None, now: datetime) -> tuple[Standing, tuple[Span, ...]]:
    """The spans that are over with what is stored of a Canary now.

    Args:
        canary: the Canary, with the status that is stored now.
        before: what this function returned for the status that was traced last; None where nothing is known of one.
            Then what the outbox still has to tell counts as new.
        now: the time of that change.

    Returns:
        What to give to the next call, and the spans, in the order of their ends.
    """
    status = canary.status
    known = before or Standing(_heard_of(status), _entered(status, now))
    left, here = _step_of(canary, known.status), _step_of(canary, status)
    verdicts, notices = tuple(_verdicts(known.status, status)), tuple(_notices(known.status, status))
    if before is None or left == here:
        return _standing(status, known.since, *known.moments, *verdicts, *notices), tuple(_ended(canary, known.status))
    told = (*verdicts, *notices) if here is None else verdicts
    spans = _of_step(canary, left, _standing(known.status, known.since, *known.moments, *told), now)
    entered = _entered(status, now) if left is None or (here is not None and left.trace != here.trace) else now
    kept = notices if here is not None else ()
    return _standing(status, entered, *kept), (*spans, *_ended(canary, known.status))


def place_of(canary: Canary, at: datetime | None = None) -> Place | None:
    """Where what is done for a Canary belongs: to the step that its status names.

    Args:
        canary: the Canary.
        at: when a notice came up that is told; a rollout that ended with it is its own then.

    Returns:
        The place; None where no rollout is under way.
    """
    step = _step_of(canary, canary.status)
    if step is not None:
        return Place(step.trace, step.id)
    if at is None:
        return None
    past = next((each for each in canary.status.history if utc(each.ended) == utc(at)), None)
    return Place(trace := _trace_of(canary, past), _root_of(trace)) if past is not None else None


def span_id(*what: object) -> int:
    """An id that is a digest of what tells a span from all others."""
    return _digest(SPAN_BYTES, *what)


def _digest(size: int, *what: object) -> int:
    return int.from_bytes(sha256("\0".join(map(str, what)).encode()).digest()[:size], "big") or 1


def _trace_of(canary: Canary, rollout: RolloutStatus | PastRollout) -> int:
    """Of one revision that is rolled out again, another trace."""
    return _digest(TRACE_BYTES, canary.metadata.uid, rollout.revision, utc(rollout.started).isoformat())


def _root_of(trace: int) -> int:
    return _digest(SPAN_BYTES, trace, "rollout")


def _step_of(canary: Canary, status: CanaryStatus) -> _Step | None:
    current = status.rollout
    if current is None:
        return None
    trace = _trace_of(canary, current)
    return _Step(trace, status.phase.value, status.canary_weight, status.iterations, current.highest_weight)


def _heard_of(status: CanaryStatus) -> CanaryStatus:
    """What others have certainly heard of a status: no end of a rollout that is still to be told."""
    told = status.told or 0
    since = min((utc(each.time) for each in status.outbox if each.number > told), default=None)
    heard = tuple(each for each in status.history if since is None or utc(each.ended) < since)
    outbox = tuple(each for each in status.outbox if each.number <= told)
    return status.replace(history=heard, outbox=outbox)


def _entered(status: CanaryStatus, now: datetime) -> datetime:
    """Since when a status stands at its step, as far as it tells."""
    if status.rollout is None:
        return now
    started, moved = utc(status.rollout.started), status.last_transition_time
    return min(now, max(started, utc(moved))) if moved is not None else started


def _standing(status: CanaryStatus, since: datetime, *moments: Moment) -> Standing:
    return Standing(status, since, moments[-MOST_MOMENTS:])


def _of_step(canary: Canary, step: _Step | None, standing: Standing, now: datetime) -> Iterator[Span]:
    """The span of a step that is left."""
    status, current = standing.status, standing.status.rollout
    if step is None or current is None:
        return
    attributes: dict[str, str | int | float | bool | tuple[str, ...]] = {
        **_whose(canary, current.revision),
        "canary.phase": status.phase.value,
        "canary.weight": status.canary_weight,
        "canary.iterations": status.iterations,
        "canary.step": current.step,
        "canary.steps": current.steps,
        "canary.failed_checks": status.failed_checks,
        "canary.message": status.message,
    }
    yield Span(
        trace=step.trace,
        id=step.id,
        parent=_root_of(step.trace),
        name=step.name,
        start=standing.since,
        end=max(now, standing.since),
        attributes=attributes,
        moments=standing.moments,
    )


def _ended(canary: Canary, before: CanaryStatus) -> Iterator[Span]:
    """The spans of rollouts that have ended since, and of what was found out of one that had."""
    known = {_trace_of(canary, each): each for each in before.history}
    for past in reversed(canary.status.history):
        trace = _trace_of(canary, past)
        earlier = known.get(trace)
        if earlier is None:
            yield _of_rollout(canary, past, trace)
        elif (earlier.outcome, earlier.ended) != (past.outcome, past.ended):
            yield _of_bake(canary, earlier, past, trace)


def _of_rollout(canary: Canary, past: PastRollout, trace: int) -> Span:
    attributes: dict[str, str | int | float | bool | tuple[str, ...]] = {
        **_whose(canary, past.revision),
        "canary.uid": canary.metadata.uid,
        "canary.strategy": canary.strategy.value,
        "canary.target": f"{canary.spec.target_ref.kind}/{canary.target_name}",
        "canary.images": tuple(f"{name}={image}" for name, image in sorted((past.images or {}).items())),
        "canary.changes": past.changes,
        "canary.highest_weight": past.highest_weight,
        "canary.outcome": past.outcome.value,
        "canary.cause": past.cause,
    }
    return Span(
        trace=trace,
        id=_root_of(trace),
        parent=0,
        name=f"rollout of {canary.metadata.name}.{canary.namespace}",
        start=utc(past.started),
        end=max(utc(past.started), utc(past.ended)),
        attributes=attributes,
        error=past.cause if past.outcome in FAILED else "",
    )


def _of_bake(canary: Canary, earlier: PastRollout, past: PastRollout, trace: int) -> Span:
    """What a promoted version came to that was checked on."""
    return Span(
        trace=trace,
        id=_digest(SPAN_BYTES, trace, "bake", utc(past.ended).isoformat()),
        parent=_root_of(trace),
        name="bake",
        start=utc(earlier.ended),
        end=max(utc(earlier.ended), utc(past.ended)),
        attributes={**_whose(canary, past.revision), "canary.outcome": past.outcome.value, "canary.cause": past.cause},
        error=past.cause if past.outcome in FAILED else "",
    )


def _whose(canary: Canary, revision: str) -> dict[str, str]:
    name, namespace = canary.metadata.name, canary.namespace
    return {"k8s.namespace.name": namespace, "canary.name": name, "canary.revision": revision}


def _verdicts(before: CanaryStatus, after: CanaryStatus) -> Iterator[Moment]:
    """What checks have said since."""
    asked = {(each.name, each.time) for each in before.checks}
    for check in after.checks:
        if check.time is not None and (check.name, check.time) not in asked:
            yield Moment(f"{check.name}: {check.verdict.value}", utc(check.time), dict(_measured(check)))


def _measured(check: CheckStatus) -> Iterator[tuple[str, str | float | bool]]:
    yield "check.passed", check.verdict is Verdict.PASS
    if check.value is not None:
        yield "check.value", check.value
    texts = (("threshold", check.threshold), ("query", check.query), ("message", check.message))
    yield from ((f"check.{name}", text) for name, text in texts if text)


def _notices(before: CanaryStatus, after: CanaryStatus) -> Iterator[Moment]:
    """The events of what has happened since."""
    last = max((each.number for each in before.outbox), default=before.told or 0)
    told = ((each.time, each.events) for each in after.outbox if each.number > last)
    return chain.from_iterable((Moment(event.message, utc(time)) for event in events) for time, events in told)
