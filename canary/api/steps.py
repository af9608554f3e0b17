"""`spec.analysis.steps`: the steps of a rollout, written out one by one.

A step says one thing: what is set from then on (`weight`, `scale`, `header`, `mirror`), or what the rollout waits for
(`pause`, `analysis`, `experiment`, `gate`). What follows on one another is set together, before the next wait:

::

    - scale: {replicas: 1}        # one pod to begin with
    - header: {match: [...]}      # testers first
    - pause: {}                   # until somebody resumes it
    - weight: 10                  # then some users
    - pause: {duration: 10m}
"""

from typing import Annotated, Final

from pydantic import Field, WithJsonSchema

from canary.api.durations import GoDuration
from canary.api.istio import AnalysisMatch
from canary.api.meta import INT32, Model

MAX_STEPS: Final = 100
MAX_LOOKS: Final = 10_000
"""Good looks that a step may ask for; one a minute, they take a week."""

SETTINGS: Final = ("weight", "scale", "header", "mirror")
"""The kinds of step by which something is set."""

WAITS: Final = ("pause", "analysis", "experiment", "gate")
"""The kinds of step that a rollout stays at."""

KINDS: Final = (*SETTINGS, *WAITS)

Share = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 100})]
"""Percent, 0 to 100."""


class Pause(Model):
    """A wait, in which the checks go on."""

    duration: GoDuration | None = Field(default=None, json_schema_extra={"x-crd-longest": "720h"})
    """How long it is; where absent, until a person resumes the rollout."""


class Scale(Model):
    """With how many pods the canary runs from here on, in one of three ways; never with fewer than its share needs."""

    replicas: int | None = Field(default=None, json_schema_extra={"minimum": 1, "maximum": INT32})
    """So many pods."""
    weight: Share | None = None
    """So many percent of the primary's pods."""
    match_traffic: bool = False
    """As many percent of the primary's pods as it has of the requests."""


class Header(Model):
    """Which requests reach the canary for themselves from here on, whatever its weight."""

    match: tuple[AnalysisMatch, ...] = Field(default=(), json_schema_extra={"maxItems": 16})
    """Conditions on their headers, cookies or parameters, any of them; none where absent, which ends it."""


class Mirror(Model):
    """Copies of requests for a canary that answers none yet."""

    weight: Share = 100
    """Percent of the requests that are copied; 100 where absent, and 0 ends it."""


class Checks(Model):
    """A wait for checks that are good."""

    checks: tuple[str, ...] = Field(default=(), json_schema_extra={"maxItems": 128})
    """Names of metrics, conditions and rollout webhooks that are looked at here, and only where they are named."""
    looks: int = Field(default=1, json_schema_extra={"minimum": 1, "maximum": MAX_LOOKS})
    """How many good looks it takes; 1 where absent."""
    onwards: bool = False
    """Whether these checks are looked at at all later steps too."""


class Experiment(Model):
    """A wait in which the canary and fresh pods of the promoted version get as much, and are compared."""

    duration: GoDuration = Field(json_schema_extra={"x-crd-longest": "720h"})
    """How long it is."""
    checks: tuple[str, ...] = Field(json_schema_extra={"minItems": 1, "maxItems": 128})
    """Names of metrics and conditions that are looked at here alone, one of them with compareTo: baseline at least."""


class NamedGate(Model):
    """A wait for a gate."""

    name: str = Field(json_schema_extra={"minLength": 1, "maxLength": 253})
    """Name of the webhook that opens it, of the type confirm-traffic-increase; it is asked here, and nowhere else."""


class AnalysisStep(Model):
    """One step, with exactly one of its fields."""

    weight: Share | None = None
    """Percent of requests that the canary gets from here on."""
    scale: Scale | None = None
    """With how many pods it runs from here on."""
    header: Header | None = None
    """Which requests reach it for themselves from here on."""
    mirror: Mirror | None = None
    """How many requests are copied to it from here on, before the first weight."""
    pause: Pause | None = None
    """A wait for a time, or for a person."""
    analysis: Checks | None = None
    """A wait for good checks."""
    experiment: Experiment | None = None
    """A wait for a time in which the canary is compared with a baseline beside it."""
    gate: NamedGate | None = None
    """A wait for a gate."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it says; exactly one thing where it can be used."""
        return tuple(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def kind(self) -> str:
        """What it says; empty where that is nothing."""
        return next(iter(self.kinds), "")

    @property
    def checks(self) -> tuple[str, ...]:
        """The checks that it names."""
        named = self.analysis or self.experiment
        return named.checks if named is not None else ()

    def __str__(self) -> str:
        match self.kind:
            case "weight":
                return f"weight {self.weight}"
            case "mirror":
                return f"mirror {self.mirror.weight if self.mirror else 0}"
            case "gate":
                return f"gate {self.gate.name if self.gate else ''}"
        return self.kind


def named_checks(steps: tuple[AnalysisStep, ...]) -> frozenset[str]:
    """The checks that steps name: nothing looks at them elsewhere."""
    return frozenset(name for each in steps for name in each.checks)


def named_gates(steps: tuple[AnalysisStep, ...]) -> frozenset[str]:
    """The gates that steps name: nobody asks them elsewhere."""
    return frozenset(each.gate.name for each in steps if each.gate is not None)


def header_at(steps: tuple[AnalysisStep, ...], number: int) -> int:
    """The number of the step whose conditions hold at a step, from 1; 0 where none do.

    Args:
        steps: the steps.
        number: the step, from 1; 0 before the first.
    """
    found = 0
    for at, each in enumerate(steps[:number], 1):
        if each.header is not None:
            found = at if each.header.match else 0
    return found


def conditions_of(steps: tuple[AnalysisStep, ...], number: int) -> tuple[AnalysisMatch, ...]:
    """The conditions of a step; none where there is no such step, or it has none."""
    header = steps[number - 1].header if 0 < number <= len(steps) else None
    return header.match if header is not None else ()
