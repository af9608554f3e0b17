"""`spec.scheduling`: when a rollout may begin, whatever is thought of its version."""

from collections.abc import Iterator
from datetime import timedelta

from pydantic import Field

from canary.api import freezes
from canary.api.analysis import Metric, ThresholdRange
from canary.api.durations import GoDuration, duration_text
from canary.api.freezes import MAX_WINDOWS, FreezeWindow
from canary.api.meta import Model, NamespacedName, StringMap
from canary.api.problems import Problem

MAX_PRIORITY = 1000
"""Priorities that nobody would ever need more of."""

MAX_DEPENDENCIES = 32
"""Canaries that another one waits for, at most."""

FIELD = "spec.scheduling"
BUDGET = "error-budget"
"""Name of the error budget in the words of its verdict."""


class ErrorBudget(Model):
    """A number without which no rollout begins or goes on."""

    query: str = ""
    """A Prometheus query of what is left of it, or of how fast it goes."""
    template_ref: NamespacedName | None = None
    """The MetricTemplate that asks for the number, in place of query."""
    template_variables: StringMap = Field(default_factory=dict)
    """Values for the template's variables."""
    interval: GoDuration = Field(default=timedelta(minutes=5), json_schema_extra={"x-crd-longest": "8760h"})
    """Window that the number is taken over, which the query may name; 5m where absent."""
    threshold_range: ThresholdRange
    """The values at which rollouts begin and go on."""


class Group(Model):
    """Canaries of one namespace that go up together and come back together."""

    name: str = Field(json_schema_extra={"minLength": 1, "maxLength": 63})
    """Name of the group, which all of its Canaries give."""
    start_deadline: GoDuration = Field(default=timedelta(minutes=10), json_schema_extra={"x-crd-longest": "720h"})
    """How long one that could begin waits for others of the group that can't; 10m where absent."""


class Scheduling(Model):
    """When a rollout may begin."""

    priority: int = Field(default=0, json_schema_extra={"minimum": -MAX_PRIORITY, "maximum": MAX_PRIORITY})
    """Of the rollouts that wait in one namespace the one with the highest number begins first; 0 where absent."""
    freeze_windows: tuple[FreezeWindow, ...] = Field(default=(), json_schema_extra={"maxItems": MAX_WINDOWS})
    """Times at which no rollout begins, beside those of the controller."""
    depends_on: tuple[NamespacedName, ...] = Field(default=(), json_schema_extra={"maxItems": MAX_DEPENDENCIES})
    """Other Canaries, each of which serves what is deployed of it before a rollout of this one begins."""
    error_budget: ErrorBudget | None = None
    """What must be left before a rollout begins, and before each of its steps."""

    group: Group | None = None
    """Canaries with which it goes up together and comes back together."""

    @property
    def budget_metric(self) -> Metric:
        """The error budget as the metric that is asked for; one without a query where there is none."""
        budget = self.error_budget
        if budget is None:
            return Metric(name=BUDGET)
        return Metric(
            name=BUDGET,
            interval=budget.interval,
            threshold_range=budget.threshold_range,
            query=budget.query,
            template_ref=budget.template_ref,
            template_variables=budget.template_variables,
        )


def problems(scheduling: Scheduling) -> Iterator[Problem]:
    """Everything in it that can't work, found without looking at anything else."""
    yield from freezes.problems(scheduling.freeze_windows, f"{FIELD}.freezeWindows")
    budget, field = scheduling.error_budget, f"{FIELD}.errorBudget"
    if budget is None:
        return
    if (budget.template_ref is None) != bool(budget.query):
        yield Problem(f"{field}.query", "one of query and templateRef asks for the number", "set one of the two")
    if budget.interval <= timedelta(0):
        message = f"{duration_text(budget.interval)} is no window"
        yield Problem(f"{field}.interval", message, "write a duration such as 5m")
    low, high = budget.threshold_range.min, budget.threshold_range.max
    if low is None and high is None:
        yield Problem(f"{field}.thresholdRange", "has neither min nor max", "set one, such as {min: 0.1}")
    elif low is not None and high is not None and low > high:
        message = f"min {low:g} is more than max {high:g}"
        yield Problem(f"{field}.thresholdRange", message, "write min that is at most max")
