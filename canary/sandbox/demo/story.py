"""How the demonstration stands at a moment, as a value that can be shown. No I/O, no clock."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from canary.kube.types import Json
from canary.sandbox.demo.load import Load, by_version, load_of, recent
from canary.sandbox.harness import phase_of, weight_of
from canary.sandbox.scenario import image_of
from canary.sandbox.traffic import Answer

WINDOW_SECONDS = 3.0
"""What "now" means for rates, success and latency."""
EVENTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Act:
    """One part of the demonstration.

    Attributes:
        title: what is done.
        began: seconds from the start; None before it.
        ended: likewise.
        note: how it goes, or how it ended.
        well: whether it ended as it should.
    """

    title: str
    began: float | None = None
    ended: float | None = None
    note: str = ""
    well: bool = True


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the Canary, and when it came, in seconds from the start."""

    at: float
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A version of the application.

    Attributes:
        version: its image's tag.
        role: `primary`, `canary`, or `leaving` where it only ends what it began.
        weight: percent of the requests that the gateway's own object gives it.
        rate: requests a second, of late.
        lately: what requests came to, of late.
        overall: what requests came to since the start.
    """

    version: str
    role: str
    weight: int
    rate: float
    lately: Load
    overall: Load


def brief(message: str) -> str:
    """What an event tells, without the interval, query and time that stand behind it: there is one line for it."""
    return re.sub(r" \((over|since|query) [^\n]*\)$", "", message)


@dataclass(frozen=True, slots=True)
class Check:
    """What the Canary's status says of a check."""

    name: str
    verdict: str
    value: float | None
    threshold: str
    message: str


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything that is shown at a moment.

    Attributes:
        elapsed: seconds from the start.
        acts: the parts of the demonstration.
        phase: the Canary's.
        message: why it stands there, in the status's words.
        rows: the versions that are there.
        checks: the last verdicts.
        failed_checks: of the rollout that is on.
        threshold: how many of them end it.
        events: the last ones, oldest first.
        total: what all requests came to.
    """

    elapsed: float
    acts: tuple[Act, ...]
    phase: str = ""
    message: str = ""
    rows: tuple[Row, ...] = ()
    checks: tuple[Check, ...] = ()
    failed_checks: int = 0
    threshold: int = 0
    events: tuple[Told, ...] = ()
    total: Load = field(default_factory=Load)


@dataclass(frozen=True, slots=True)
class Objects:
    """The cluster's objects as they are; empty where they aren't there."""

    canary: Json = field(default_factory=dict)
    route: Json = field(default_factory=dict)
    target: Json = field(default_factory=dict)
    primary: Json = field(default_factory=dict)


def frame(
    elapsed: float, acts: Sequence[Act], objects: Objects, answers: Sequence[Answer], events: Sequence[Told]
) -> Frame:
    """Put together what is shown.

    Args:
        elapsed: seconds from the start, on the clock of all the others.
        acts: the parts of the demonstration.
        objects: the cluster's objects.
        answers: to all requests so far.
        events: all that was told so far.
    """
    status = objects.canary.get("status") or {}
    analysis = (objects.canary.get("spec") or {}).get("analysis") or {}
    return Frame(
        elapsed=elapsed,
        acts=tuple(acts),
        phase=phase_of(objects.canary),
        message=str(status.get("message", "")),
        rows=rows(objects, answers, elapsed),
        checks=tuple(_check(each) for each in status.get("checks") or ()),
        failed_checks=int(status.get("failedChecks", 0)),
        threshold=int(analysis.get("threshold", 0)),
        events=tuple(events[-EVENTS_SHOWN:]),
        total=load_of(answers),
    )


def rows(objects: Objects, answers: Sequence[Answer], now: float) -> tuple[Row, ...]:
    """The versions that serve, or are about to, the primary first; none before there is a primary."""
    primary, canary = version_of(objects.primary), version_of(objects.target)
    if not primary:
        return ()
    lately, overall = by_version(recent(answers, now - WINDOW_SECONDS)), by_version(answers)
    share = 0 if primary == canary else weight_of(objects.route) or 0
    weights = {canary: share, primary: 100 - share}
    roles = {canary: "canary", primary: "primary"}
    none = Load()
    return tuple(
        Row(
            version=each,
            role=roles.get(each, "leaving"),
            weight=weights.get(each, 0),
            rate=lately.get(each, none).requests / WINDOW_SECONDS,
            lately=lately.get(each, none),
            overall=overall.get(each, none),
        )
        for each in dict.fromkeys((primary, canary, *sorted(lately)))
        if each
    )


def version_of(deployment: Json) -> str:
    """The tag of a Deployment's image; empty where it isn't there."""
    return image_of(deployment).rpartition(":")[2]


def reason_of(status: Json) -> str:
    """Why a Canary stands where it does: its status's message, and the checks that failed."""
    checks = [_check(each) for each in status.get("checks") or ()]
    failed = [
        f"{each.name} was {value_of(each)}, {each.threshold} is asked" for each in checks if each.verdict == "Fail"
    ]
    return "; ".join([str(status.get("message", "")), *failed])


def value_of(check: Check) -> str:
    """The number that was judged, with as many digits as tell something."""
    return "" if check.value is None else f"{check.value:.2f}".rstrip("0").rstrip(".")


def _check(status: Json) -> Check:
    value = status.get("value")
    return Check(
        name=str(status["name"]),
        verdict=str(status["verdict"]),
        value=None if value is None else float(value),
        threshold=str(status.get("threshold", "")),
        message=str(status.get("message", "")),
    )
