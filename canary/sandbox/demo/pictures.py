"""Pictures of what was: weights, success rate and latency over time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from canary.charts import Band, Chart, Limit, Line, Mark, Panel, Point, Shape, Tone
from canary.sandbox.demo.load import Load, load_of
from canary.sandbox.demo.story import Told
from canary.sandbox.traffic import Answer

STEP_SECONDS = 0.5
WINDOW_SECONDS = 2.0
_FEWEST = 4
"""Requests that a point stands for; with fewer there is none."""
_LATEST_SECONDS = 1.0
"""There is no point either when nothing was asked of a version for so long: the rest would stand for too much."""
_LONGEST_MARK = 110
_SHOWN_ANYWAY = (
    "Initialization",
    "New revision",
    "Starting",
    "Pre-rollout check",
    "Advance ",
    "Promotion completed",
    "Canary failed",
)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One version's way.

    Attributes:
        version: that was rolled out.
        began: when it was applied, in seconds.
        ended: when it was over.
        promoted: whether it became the primary.
    """

    version: str
    began: float
    ended: float
    promoted: bool

    @property
    def title(self) -> str:
        """How it ended, in words."""
        return f"{self.version} {'promoted' if self.promoted else 'rolled back'}"


@dataclass(frozen=True, slots=True)
class Record:
    """What happened, on one clock, in seconds.

    Attributes:
        first: the version that served at the start.
        rollouts: one after the other.
        weights: the canary's share of the requests, in percent, and from when on, by the gateway's own object.
        answers: to all requests.
        events: what was told.
        success: the least success rate that the Canary asks for, in percent.
        milliseconds: the longest latency that it allows.
    """

    first: str
    rollouts: tuple[Rollout, ...]
    weights: tuple[tuple[float, int], ...]
    answers: tuple[Answer, ...]
    events: tuple[Told, ...] = ()
    success: float = 99.0
    milliseconds: float = 500.0

    @property
    def versions(self) -> tuple[str, ...]:
        """In the order in which they came."""
        return (self.first, *(rollout.version for rollout in self.rollouts))


def shares(record: Record) -> dict[str, tuple[Point, ...]]:
    """The share of the requests that each version was given, over time.

    A promoted version has all of them from when the canary's share goes back to 0: by then the primary runs it. A
    version that has lost its share is out of the picture when the rollout is over.
    """
    points: dict[str, list[Point]] = {version: [] for version in record.versions}
    primary, before = record.first, 0
    for at, weight in record.weights:
        rollout = next((each for each in reversed(record.rollouts) if each.began <= at), None)
        if rollout is None:
            points[primary].append((at, 100.0))
            continue
        if weight == 0 and before:
            loser = primary if rollout.promoted else rollout.version
            primary = rollout.version if rollout.promoted else primary
            points[loser] += [(at, 0.0), (rollout.ended, None)]
        elif weight and primary != rollout.version:
            points[rollout.version].append((at, float(weight)))
        points[primary].append((at, 100.0 - weight))
        before = weight
    return {version: tuple(own) for version, own in points.items()}


def measured(record: Record, value: Callable[[Load], float | None], start: float, end: float) -> tuple[Line, ...]:
    """A value of each version's answers over time, over a window that ends at each point."""
    lines = []
    for version in record.versions:
        own = sorted((answer for answer in record.answers if answer.version == version), key=lambda answer: answer.at)
        points = [(at, value(load)) for at, load in _windows(own, start, end)]
        lines.append(Line(version, tuple(points)))
    return tuple(lines)


def _windows(answers: Sequence[Answer], start: float, end: float) -> list[tuple[float, Load]]:
    """What the answers of one version came to, in windows that glide; nothing where there are too few to tell."""
    windows, first, last = [], 0, 0
    for number in range(int((end - start) / STEP_SECONDS) + 1):
        at = start + number * STEP_SECONDS
        while last < len(answers) and answers[last].at <= at:
            last += 1
        while first < last and answers[first].at <= at - WINDOW_SECONDS:
            first += 1
        fresh = last - first >= _FEWEST and answers[last - 1].at > at - _LATEST_SECONDS
        windows.append((at, load_of(answers[first:last] if fresh else [])))
    return windows


def chart(record: Record, title: str, start: float, end: float) -> Chart:
    """Draw a stretch of what happened, its first second as 0."""
    total = load_of(answer for answer in record.answers if start <= answer.at <= end)
    return Chart(
        title=title,
        subtitle=f"{total.requests} requests, {total.failed} of them failed; measured by those who sent them",
        end=end - start,
        panels=_panels(record, start, end),
        bands=tuple(
            Band(max(each.began - start, 0.0), each.ended - start, each.title, Tone.GOOD if each.promoted else Tone.BAD)
            for each in record.rollouts
            if each.began < end and each.ended > start
        ),
        marks=tuple(
            Mark(told.at - start, _short(told.text), Tone.BAD if told.warning else Tone.PLAIN)
            for told in record.events
            if start <= told.at <= end and worth_a_mark(told)
        ),
    )


def _panels(record: Record, start: float, end: float) -> tuple[Panel, ...]:
    weights = tuple(Line(version, own, Shape.STAIRS) for version, own in shares(record).items())
    success = measured(record, lambda load: load.success, start, end)
    latency = measured(record, lambda load: None if load.p99 is None else 1000 * load.p99, start, end)
    # The same versions in each panel, so that each has one colour.
    there = {answer.version for answer in record.answers if start <= answer.at <= end}

    def cut(lines: Sequence[Line]) -> tuple[Line, ...]:
        return tuple(Line(each.name, _within(each, start, end), each.shape) for each in lines if each.name in there)

    least = Limit(record.success, f"at least {record.success:g} %")
    longest = Limit(record.milliseconds, f"at most {record.milliseconds:g} ms")
    return (
        Panel("Share of the requests", cut(weights), " %", low=0.0, high=100.0),
        Panel("Requests served", cut(success), " %", (least,), high=100.0),
        Panel("99th percentile of latency", cut(latency), " ms", (longest,), low=0.0),
    )


def worth_a_mark(told: Told) -> bool:
    """Whether a picture says so; what bands and lines show anyway is left out."""
    return not told.text.startswith(_SHOWN_ANYWAY)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_MARK else f"{text[: _LONGEST_MARK - 1]}…"


def _within(line: Line, start: float, end: float) -> tuple[Point, ...]:
    """The points of a stretch; of stairs also the one that holds at its start."""
    kept = [(at - start, value) for at, value in line.points if start <= at <= end]
    earlier = [value for at, value in line.points if at < start]
    if line.shape is Shape.STAIRS and earlier:
        kept.insert(0, (0.0, earlier[-1]))
    return tuple(kept)
