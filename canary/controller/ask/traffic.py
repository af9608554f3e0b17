"""What is asked about the requests that come to each version: pure, as the questions behind metrics."""

from datetime import datetime, timedelta

from canary.api.analysis import Metric
from canary.api.canary import Canary
from canary.controller.ask.metric_questions import model_of
from canary.rollout.facts import Count, Counts
from metrics import comparison, counts
from metrics.builtin import counted
from metrics.question import Question
from metrics.threshold import Threshold

SECOND = timedelta(seconds=1)


def is_countable(canary: Canary, provider: str) -> bool:
    """Whether the requests of each version are counted, and the Canary says whom to ask for them.

    It does so by naming a metrics server, or a metric that the controller's own is asked for. Of routes that belong to
    others, rules may lead to one version alone: their requests have no weight.
    """
    if canary.spec.route_refs:
        return False
    asked = any(each.is_built_in or each.query for each in canary.analysis.metrics)
    return bool(canary.spec.metrics_server or asked) and bool(counted(provider))


def traffic_question(canary: Canary, provider: str, server: str, window: timedelta) -> Question:
    """The question for the requests of both versions.

    Args:
        canary: the Canary.
        provider: the traffic provider in force.
        server: address of the Prometheus that is asked where the spec names none.
        window: for how long it has been the same weight; of that, whole seconds, one at least and one interval at most.
    """
    window = max(SECOND, min(window, canary.analysis_interval) // SECOND * SECOND)
    model = model_of(canary, Metric(name="", interval=window))
    return Question(
        name="requests",
        query=counts.query_of(provider, model),
        threshold=Threshold(),
        interval=window,
        address=canary.spec.metrics_server or server,
    )


def counts_of(found: counts.Counted, window: timedelta) -> Counts:
    """What was counted, as a fact."""
    canary, primary = found.canary, found.promoted
    # Of a gateway that began anew, the first and the last sample say less than they seem to.
    total = min(canary.total + primary.total, canary.least + primary.least)
    return Counts(
        window=window,
        canary=Count(canary.least, canary.most),
        primary=Count(primary.least, primary.most),
        total=round(total),
        withheld=found.withheld,
        direct=found.direct,
    )


def compared_since(canary: Canary, now: datetime) -> comparison.Span:
    """The time in which both versions are compared: since the rollout's first step."""
    began = canary.status.analysis_start_time or now - canary.analysis_interval
    return comparison.Span.of(min(began, now), now, canary.analysis_interval)


def comparison_question(canary: Canary, metric: Metric, provider: str, server: str, span: comparison.Span) -> Question:
    """The question for the requests of both versions, look by look.

    Args:
        canary: the Canary.
        metric: the metric that compares them.
        provider: the traffic provider in force.
        server: address of the Prometheus that is asked where the spec names none.
        span: the time that is compared.

    Raises:
        TemplateError: the query can't be filled in.
    """
    model = model_of(canary, metric.replace(interval=span.range))
    return Question(
        name=metric.name,
        query=comparison.query_of(provider, model, span.step),
        threshold=Threshold(),
        interval=span.range,
        address=canary.spec.metrics_server or server,
    )
