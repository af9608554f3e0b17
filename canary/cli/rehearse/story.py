"""Stories: what happens around a rollout, in the words that people write scenarios in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, model_validator

from canary.api.analysis import HookType
from canary.api.durations import REMEDY, duration_text, parse_duration
from canary.cli.rehearse.reading import Written, wrong

CURRENT = "current"
"""The version that serves when the story begins."""

NEW = "new"
"""The version that is deployed at its beginning."""

NEVER = "never"
NOTHING = timedelta(0)
READY_AFTER = timedelta(seconds=5)
LIMIT = timedelta(days=31)
ALL = 100


@dataclass(frozen=True, slots=True)
class Part:
    """A moment by how far the rollout has come: percent of its planned steps, in the middle of one."""

    percent: float

    def __str__(self) -> str:
        return f"{self.percent:g}%"


@dataclass(frozen=True, slots=True)
class Times:
    """A latency by how many times longer it is than a healthy version's."""

    factor: float

    def __str__(self) -> str:
        return f"{self.factor:g}x"


P = TypeVar("P", Part, Times)


def _suffixed(value: object, suffix: str, of: Callable[[float], P], remedy: str) -> P | timedelta:
    """A duration, or a number with this suffix."""
    text = str(value).strip()
    try:
        return of(float(text.removesuffix(suffix))) if text.endswith(suffix) else parse_duration(text)
    except ValueError:
        raise wrong(f"{value!r} can't be read", remedy) from None


def _moment(value: object) -> timedelta | Part:
    if isinstance(value, timedelta | Part):
        return value
    remedy = "write a duration such as 30s, or a part of the planned rollout such as 50%"
    moment = _suffixed(value, "%", Part, remedy)
    if isinstance(moment, Part) and not 0 <= moment.percent <= ALL:
        raise wrong(f"{value!r} is no part of a rollout", "write 0% to 100%")
    if isinstance(moment, timedelta) and moment < NOTHING:
        raise wrong(f"{value!r} is before the new version is deployed", "write 0s or more")
    return moment


def _latency(value: object) -> timedelta | Times:
    if isinstance(value, timedelta | Times):
        return value
    return _suffixed(value, "x", Times, "write a duration such as 800ms, or a factor such as 2x")


def _span(value: object) -> timedelta | None:
    """A duration, or None for `never`."""
    if value is None or isinstance(value, timedelta):
        return value
    try:
        return None if value == NEVER else parse_duration(str(value))
    except ValueError:
        raise wrong(f"{value!r} can't be read", f"{REMEDY}, or {NEVER}") from None


def _written(value: object) -> str:
    if value is None:
        return NEVER
    return duration_text(value) if isinstance(value, timedelta) else str(value)


_AS_TEXT = PlainSerializer(_written, return_type=str, when_used="json")
Moment = Annotated[timedelta | Part, PlainValidator(_moment), _AS_TEXT]
Latency = Annotated[timedelta | Times, PlainValidator(_latency), _AS_TEXT]
Span = Annotated[timedelta | None, PlainValidator(_span), _AS_TEXT]
Percent = Annotated[float, Field(ge=0, le=ALL)]
Share = Annotated[int, Field(ge=0, le=ALL)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]


class Stretch(Written):
    """How a version behaves while the conditions hold; of several stretches that hold, the last one counts.

    What a stretch says nothing of is as with a healthy version.
    """

    after: Moment = NOTHING
    """How long it has had requests; or, where it has had none, how long its pods have been ready."""
    weight: Share = 0
    """Percent of all requests that it must get."""
    errors: Percent = 0.0
    """Percent of its requests that fail."""
    latency: Latency = Times(1.0)
    """How long its requests take, against the limit of the metric or against a healthy version."""
    metrics: dict[str, float | None] = Field(default_factory=dict)
    """What metrics say of it, by name; null is an empty answer."""
    no_data: bool = False
    """Whether all metrics answer that they have no values."""

    @property
    def bad(self) -> bool:
        """Whether users would rather not meet it."""
        slow = self.latency.factor > 1 if isinstance(self.latency, Times) else True
        return bool(self.errors or slow or any(value is not None for value in self.metrics.values()))


class Behaviour(Written):
    """How one version behaves."""

    ready_after: Span = READY_AFTER
    """How long its pods take from their start until they are ready, or `never`; the command line's where absent."""
    why_not_ready: str = ""
    """What keeps its pods from being ready, in words."""
    stretches: tuple[Stretch, ...] = ()
    """How it behaves, where it does not behave well."""
    fits_primary: bool = True
    """Whether its pods become ready in the primary too, when it is promoted."""
    bad: bool | None = None
    """Whether the requests that it answers are counted; where absent, whether a stretch lets them suffer."""

    @property
    def is_bad(self) -> bool:
        """Whether the requests that it answers are counted."""
        known = any(stretch.bad for stretch in self.stretches) or self.ready_after is None
        return known if self.bad is None else self.bad


class Side(StrEnum):
    """One of the two workloads."""

    PRIMARY = "primary"
    CANARY = "canary"


class Happening(Written):
    """Something that somebody does: one of deploy, kill, route, suspend, retry, pause and order."""

    at: Moment
    """When, since the new version was deployed."""
    deploy: str = ""
    """A version by name; `current` sets the target back to what served before."""
    kill: Side | None = None
    """The workload whose pods stop being ready."""
    back_after: Span = READY_AFTER
    """How long until killed pods are ready again, or `never`."""
    route: Share | None = None
    """Percent of requests that somebody else's hand gives to the canary."""
    suspend: bool | None = None
    """Whether the Canary is suspended, or goes on."""
    retry: bool = False
    """Whether somebody asks for another try of a version that has failed."""
    pause: bool | None = None
    """Whether somebody pauses the rollout, or lets it go on."""
    order: Literal["promote", "abort", "restart"] | None = None
    """What somebody orders."""

    @model_validator(mode="after")
    def _one(self) -> "Happening":
        told = (self.kill, self.route, self.suspend, self.pause, self.order)
        if sum(each is not None for each in told) + (self.deploy != "") + self.retry != 1:
            names = "deploy, kill, route, suspend, retry, pause and order"
            raise wrong("says what happens not exactly once", f"write one of {names}")
        return self

    @property
    def words(self) -> str:
        """What happens."""
        if self.deploy:
            return f"version {self.deploy} is deployed"
        if self.kill is not None:
            return f"the pods of the {self.kill} stop being ready"
        if self.route is not None:
            return f"somebody else routes {self.route} % to the canary"
        if self.retry:
            return "another try is asked for"
        if self.order is not None:
            return f"somebody orders: {self.order}"
        if self.pause is not None:
            return "somebody pauses the rollout" if self.pause else "somebody lets the rollout go on"
        return "the Canary is suspended" if self.suspend else "the Canary goes on"


class Saying(Written):
    """What a webhook says in a window of time; of several that fit, the last one counts. Others approve."""

    name: str = ""
    """Name of the webhook; any where absent."""
    type: Annotated[HookType | None, BeforeValidator(lambda value: value or None)] = None
    """Type of the webhook; any where absent."""
    approves: bool
    """Whether it approves."""
    start: Moment = Field(default=NOTHING, alias="from")
    """From when on."""
    until: Moment | None = None
    """Until when; for good where absent."""
    message: str = "it says no"
    """Its reason when it does not approve."""


class Outage(Written):
    """A stretch of time in which something can't be had."""

    start: Moment = Field(default=NOTHING, alias="from")
    """From when on."""
    until: Moment | None = None
    """Until when; for good where absent."""


class Story(Written):
    """What happens from the moment that a new version is deployed."""

    name: Name
    """What it is called."""
    description: str = ""
    """What it is about, in a sentence."""
    versions: dict[Name, Behaviour] = Field(default_factory=dict)
    """How versions behave, by name: `new` is deployed at the beginning. One of which nothing is said is healthy."""
    changes: tuple[Happening, ...] = ()
    """What somebody does, in any order."""
    hooks: tuple[Saying, ...] = ()
    """What webhooks say; any approves of which nothing is said, save rollback hooks."""
    metrics_down: tuple[Outage, ...] = ()
    """When the metrics server can't be asked."""
    api_down: tuple[Outage, ...] = ()
    """When the API server can't be had."""
    limit: Span = LIMIT
    """When the story ends, if it is not over before."""
    needs_gate: bool = False
    """Whether it is about gates, and tells nothing of a spec without any."""

    @model_validator(mode="after")
    def _known(self) -> "Story":
        if CURRENT in self.versions:
            raise wrong(f"versions.{CURRENT} is what serves already", "describe another version, such as new")
        return self
