"""A Canary as people look at it: read tolerantly, as another controller may have written its status."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from canary.api.canary import parse_canary
from canary.api.durations import parse_duration
from canary.api.problems import InvalidResource
from canary.kube.types import Json, mapping
from canary.rollout.orders import ORDER_ANNOTATION, as_read
from canary.rollout.plan import plan_of

AT_REST: Final = frozenset({"Initialized", "Succeeded", "Failed", "Terminated", ""})


@dataclass(frozen=True, slots=True)
class Check:
    """The last verdict of one check, as the status has it."""

    name: str
    verdict: str
    value: float | None
    threshold: str
    message: str
    query: str
    time: datetime | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Past:
    """A rollout that has ended, as the status has it."""

    revision: str
    started: datetime | None
    ended: datetime | None
    outcome: str
    cause: str
    weight: int
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """One Canary.

    Args:
        raw: the object.
        steps: how many steps its analysis has; 0 where they can't be counted.
        step: which of them goes on, from 1; 0 before the first.
    """

    raw: Json
    steps: int
    step: int

    @property
    def name(self) -> str:
        """Its name."""
        return str(mapping(self.raw.get("metadata")).get("name", ""))

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(mapping(self.raw.get("metadata")).get("namespace", ""))

    @property
    def annotations(self) -> Json:
        """Its annotations."""
        return dict(mapping(mapping(self.raw.get("metadata")).get("annotations")))

    @property
    def pending_order(self) -> str:
        """What was ordered and is not done yet; empty where nothing is."""
        text = str(self.annotations.get(ORDER_ANNOTATION) or "")
        return "" if as_read(text) == str(self.status.get("lastOrder") or "") else " ".join(text.split())

    @property
    def spec(self) -> Json:
        """Its spec."""
        return dict(mapping(self.raw.get("spec")))

    @property
    def status(self) -> Json:
        """Its status; empty before the first."""
        return dict(mapping(self.raw.get("status")))

    @property
    def analysis(self) -> Json:
        """The spec's analysis, whichever name it has."""
        return dict(mapping(self.spec.get("analysis") or self.spec.get("canaryAnalysis")))

    @property
    def phase(self) -> str:
        """Where its rollout stands."""
        return str(self.status.get("phase") or "")

    @property
    def weight(self) -> int:
        """Percent of requests that the canary gets."""
        return max(0, min(100, _whole(self.status.get("canaryWeight"))))

    @property
    def failed(self) -> int:
        """Failed checks of this rollout."""
        return max(0, _whole(self.status.get("failedChecks")))

    @property
    def threshold(self) -> int:
        """Failed checks at which it is taken back; 0 where the spec doesn't say."""
        return max(0, _whole(self.analysis.get("threshold")))

    @property
    def interval(self) -> timedelta | None:
        """From look to look."""
        try:
            return parse_duration(str(self.analysis.get("interval") or "1m"))
        except ValueError:
            return None

    @property
    def target(self) -> str:
        """KIND/NAME of what is rolled out."""
        ref = mapping(self.spec.get("targetRef"))
        return f"{ref.get('kind', '?')}/{ref.get('name', '?')}"

    @property
    def reason(self) -> str:
        """Why it stands where it does, in a word."""
        return str(self.status.get("reason") or "")

    @property
    def message(self) -> str:
        """The same in words."""
        return str(self.status.get("message") or "")

    @property
    def suspended(self) -> bool:
        """Whether the spec has stopped it."""
        return self.spec.get("suspend") is True

    @property
    def since(self) -> datetime | None:
        """When phase, weight or counters last changed."""
        return time_of(self.status.get("lastTransitionTime"))

    @property
    def resting(self) -> bool:
        """Whether nothing is under way."""
        return self.phase in AT_REST

    @property
    def checks(self) -> tuple[Check, ...]:
        """The last verdicts."""
        return checks_of(self.status.get("checks"))

    @property
    def conditions(self) -> tuple[Json, ...]:
        """What else is observed of it."""
        return tuple(_maps(self.status.get("conditions")))

    @property
    def stalled(self) -> str:
        """What keeps it from going on by itself; empty where nothing does."""
        found = (each for each in self.conditions if each.get("type") == "Stalled" and each.get("status") == "True")
        return next((str(each.get("message") or each.get("reason") or "") for each in found), "")

    @property
    def asks_people(self) -> Json:
        """The gate that waits for people, as the status has it; empty where none does."""
        found = [each for each in _maps(self.status.get("approvals")) if each.get("state") == "Waiting"]
        return found[-1] if found else {}

    @property
    def said_of_gates(self) -> tuple[str, ...]:
        """What people have said of the gates of the rollout that is under way, a line each."""
        return tuple(
            f"gate {entry.get('gate')}: {each.get('by')} {'approves' if each.get('approves') is True else 'rejects'}"
            f" at {each.get('time')}{': ' + str(each['message']) if each.get('message') else ''}"
            for entry in _maps(self.status.get("approvals"))
            for each in _maps(entry.get("votes"))
        )

    @property
    def next_look(self) -> datetime | None:
        """When the checks are run again, as far as is known: gates say the same at each look, which nobody writes."""
        last, interval = time_of(self.status.get("lastCheckTime")), self.interval
        if last is None or interval is None or self.phase == "Waiting":
            return None
        return last + interval

    @property
    def rollout(self) -> Json:
        """What is under way, as far as the status has it."""
        return dict(mapping(self.status.get("rollout")))

    @property
    def history(self) -> tuple[Past, ...]:
        """The last rollouts that have ended, the newest first."""
        return tuple(_past(each) for each in _maps(self.status.get("history")))


def view_of(raw: Json) -> View:
    """Look at a Canary."""
    rollout = mapping(mapping(raw.get("status")).get("rollout"))
    if "steps" in rollout:
        return View(raw, _whole(rollout.get("steps")), _whole(rollout.get("step")))
    try:
        canary = parse_canary(raw)
    except InvalidResource:
        return View(raw, 0, 0)
    if canary.skip_analysis or canary.in_place or canary.analysis.replica_ratio:
        return View(raw, 0, 0)
    plan = plan_of(canary, weighted=canary.spec.provider != "kubernetes" or bool(canary.spec.route_refs))
    return View(raw, plan.count, plan.begun(canary.status))


def time_of(value: object) -> datetime | None:
    """A time of the API; None where it is none."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo is not None else found.replace(tzinfo=UTC)


def span(seconds: float) -> str:
    """A stretch of time in two units at most, as kubectl has it: 45s, 3m20s, 5h, 2d4h."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count}{unit}")
        if len(parts) == 2:
            break
    return "".join(part for part in parts if not part.startswith("0")) or "0s"


def number(value: float) -> str:
    """A measured number, as short as people read it."""
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _maps(value: Any) -> Iterator[Json]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())


def checks_of(raw: object) -> tuple[Check, ...]:
    """Verdicts, as a status has them."""
    return tuple(_check(each) for each in _maps(raw))


def _check(raw: Json) -> Check:
    value = raw.get("value")
    text: Callable[[str], str] = lambda name: str(raw.get(name) or "")  # noqa: E731
    return Check(
        name=text("name"),
        verdict=text("verdict"),
        value=float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None,
        threshold=text("threshold"),
        message=text("message"),
        query=text("query"),
        time=time_of(raw.get("time")),
        since=time_of(raw.get("since")),
    )


def _past(raw: Json) -> Past:
    changes = raw.get("changes")
    return Past(
        revision=str(raw.get("revision") or ""),
        started=time_of(raw.get("started")),
        ended=time_of(raw.get("ended")),
        outcome=str(raw.get("outcome") or "?"),
        cause=str(raw.get("cause") or ""),
        weight=_whole(raw.get("highestWeight")),
        changes=tuple(map(str, changes)) if isinstance(changes, list) else (),
    )
