"""From a story to a scenario of the simulation: when things happen in the rollout of this Canary, what its checks read.

A healthy version reads 100 % for a success rate, and six tenths of the limit for a latency. A metric of a team's own
is taken for one that notices: it breaks its limit where more than one percent of requests fail or, where its name
speaks of time, as request-duration would. Where that is not so, the story gives the metric's value by name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from canary.api.analysis import REQUEST_SUCCESS_RATE, Metric
from canary.api.canary import Canary
from canary.api.status import Verdict
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.cli.rehearse.story import (
    CURRENT,
    NEW,
    NOTHING,
    READY_AFTER,
    Behaviour,
    Happening,
    Outage,
    Part,
    Saying,
    Story,
    Stretch,
)
from canary.rollout.orders import ORDER_ANNOTATION, PAUSE_ANNOTATION
from canary.rollout.plan import plan_of
from canary.rollout.simulation import (
    HEALTHY_PART,
    OF_TIME,
    Annotate,
    Change,
    Deploy,
    Drift,
    Edit,
    Kill,
    Reading,
    Reply,
    Scenario,
    Scheduled,
    Side,
    Version,
    Window,
    slow_from,
)
from canary.rollout.situation import RETRY_ANNOTATION

BEGINNING: Final = timedelta(minutes=1)
"""When the new version is deployed, since the Canary was applied: by then everything is at rest."""

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
FOR_GOOD: Final = timedelta(days=36_500)
REPLICAS: Final = 2
"""Pods of a target of which nothing is known."""

PATIENCE: Final = timedelta(minutes=5)
"""How long an API server is waited for that never comes back."""

NOTICED: Final = 1.0
"""Percent of failed requests that a metric of a team's own puts up with."""

MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Stage:
    """What is taken for given of the cluster.

    Args:
        weighted: whether the traffic provider divides requests by weight.
        settle: how long the traffic provider's data plane is given to follow.
        ready_after: how long pods take to become ready, where a story doesn't say.
        replicas: how many pods the target has.
        unaskable: metrics that can't be asked for, by name, with the reason.
    """

    weighted: bool = True
    settle: timedelta = timedelta(seconds=1)
    ready_after: timedelta = READY_AFTER
    replicas: int = REPLICAS
    unaskable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a rollout goes that nothing holds up: so many steps, each an interval long, once the pods get requests."""

    steps: int
    interval: timedelta
    ready_after: timedelta

    def age(self, moment: timedelta | Part) -> timedelta:
        """A moment since the first step has begun. A part of the rollout is in the middle of a step, off its looks."""
        if isinstance(moment, timedelta):
            return moment
        if not moment.percent:
            return NOTHING
        return (int(moment.percent / 100 * self.steps) + 0.5) * self.interval

    def at(self, moment: timedelta | Part) -> timedelta:
        """A moment since the new version was deployed."""
        return self.age(moment) + (self.ready_after if isinstance(moment, Part) else NOTHING)


def scenario_of(canary: Canary, story: Story, stage: Stage) -> Scenario:
    """The scenario of a story, in the rollout of a Canary.

    The version that serves is `current`; `new` is deployed a minute after the Canary was applied.
    """
    pace = pace_of(canary, story, stage)
    versions = {CURRENT: Version(ready_after=NOTHING)}
    for name in dict.fromkeys((NEW, *story.versions, *(each.deploy for each in story.changes if each.deploy))):
        if name != CURRENT:
            versions[name] = _version(canary, story.versions.get(name, Behaviour()), stage, pace)
    changes = [Scheduled(BEGINNING, Deploy(NEW))]
    changes += [Scheduled(BEGINNING + pace.at(each.at), change_of(canary, each)) for each in story.changes]
    return Scenario(
        canary=canary,
        versions=versions,
        changes=tuple(changes),
        replies=tuple(_reply(each, pace) for each in story.hooks),
        metrics_down=tuple(_window(each, pace) for each in story.metrics_down),
        api_down=tuple(_window(each, pace) for each in story.api_down),
        latency=NOTHING,
        settle=stage.settle,
        weighted=stage.weighted,
        in_place=canary.in_place,
        resumes=True,
        replicas=stage.replicas,
        start=START,
        limit=BEGINNING + _limit(story, pace),
    )


def _limit(story: Story, pace: Pace) -> timedelta:
    """When a story is cut off: where the API server never comes back, nothing more will happen."""
    lost = (pace.at(each.start) + PATIENCE for each in story.api_down if each.until is None)
    return min(FOR_GOOD if story.limit is None else story.limit, *lost, FOR_GOOD)


def pace_of(canary: Canary, story: Story, stage: Stage) -> Pace:
    """How the new version would roll out if nothing held it up."""
    steps = 0 if canary.skip_analysis else len(plan_of(canary, weighted=stage.weighted, replicas=stage.replicas).steps)
    # Requests come once the routers know of the pods; those that are replaced in place get theirs as they are ready.
    known = NOTHING if canary.in_place else stage.settle
    return Pace(steps, canary.analysis_interval, (ready_after(story, stage) or NOTHING) + known)


def ready_after(story: Story, stage: Stage, version: str = NEW) -> timedelta | None:
    """How long the pods of a version take to become ready; None is for ever."""
    behaviour = story.versions.get(version)
    told = behaviour is not None and "ready_after" in behaviour.model_fields_set
    return behaviour.ready_after if behaviour is not None and told else stage.ready_after


def change_of(canary: Canary, happening: Happening) -> Change:
    """What somebody does, to a rollout of this Canary."""
    if happening.deploy:
        return Deploy(happening.deploy)
    if happening.kill is not None:
        return Kill(Side(happening.kill.value), happening.back_after)
    if happening.route is not None:
        return Drift(Split(canary=happening.route))
    if happening.retry:
        return Annotate(RETRY_ANNOTATION, str(happening.at))
    if happening.order is not None:
        return Annotate(ORDER_ANNOTATION, f"{happening.order} at={happening.at}")
    if happening.pause is not None:
        return Annotate(PAUSE_ANNOTATION, "by somebody" if happening.pause else "")
    return Edit(canary.spec.replace(suspend=bool(happening.suspend)))


def _version(canary: Canary, behaviour: Behaviour, stage: Stage, pace: Pace) -> Version:
    told = "ready_after" in behaviour.model_fields_set
    return Version(
        ready_after=behaviour.ready_after if told else stage.ready_after,
        why_not=behaviour.why_not_ready,
        readings=(*_readings(canary, behaviour, pace), *_unaskable(stage)),
        fits_primary=behaviour.fits_primary,
    )


def _readings(canary: Canary, behaviour: Behaviour, pace: Pace) -> Iterator[Reading]:
    for stretch in behaviour.stretches:
        age = pace.age(stretch.after)
        for metric in canary.analysis.metrics:
            value = _value(metric, stretch)
            yield Reading(value, metric.name, after=age, weight=stretch.weight, message="no request reaches the canary")


def _unaskable(stage: Stage) -> Iterator[Reading]:
    for name, why in stage.unaskable.items():
        yield Reading(None, name, verdict=Verdict.UNAVAILABLE, message=why)


def _value(metric: Metric, stretch: Stretch) -> float | None:
    """What a metric reads in a stretch; None is an empty answer."""
    if metric.name in stretch.metrics:
        return stretch.metrics[metric.name]
    if stretch.no_data:
        return None
    if metric.name == REQUEST_SUCCESS_RATE:
        return TOTAL_WEIGHT - stretch.errors
    top = metric.limits.max if metric.compare_to is None else slow_from(metric)
    if top is not None and OF_TIME.search(metric.name):
        if isinstance(stretch.latency, timedelta):
            return stretch.latency / MILLISECOND
        return top * HEALTHY_PART * stretch.latency.factor
    return _beyond(metric) if stretch.errors > NOTICED else _within(metric)


def _within(metric: Metric) -> float:
    limits = metric.limits
    if limits.max is not None:
        return limits.max
    return limits.min if limits.min is not None else 0.0


def _beyond(metric: Metric) -> float:
    """A value that breaks the limit; where there is none, any value passes."""
    limits = metric.limits
    if limits.max is not None:
        return limits.max + max(abs(limits.max), 1.0)
    return limits.min - max(abs(limits.min), 1.0) if limits.min is not None else 0.0


def _reply(saying: Saying, pace: Pace) -> Reply:
    return Reply(
        saying.approves,
        saying.name,
        saying.type,
        BEGINNING + pace.at(saying.start),
        None if saying.until is None else BEGINNING + pace.at(saying.until),
        saying.message,
    )


def _window(outage: Outage, pace: Pace) -> Window:
    end = FOR_GOOD if outage.until is None else BEGINNING + pace.at(outage.until)
    return Window(BEGINNING + pace.at(outage.start), end)
