"""What is asked about a metric that is compared with another version's: pure, as the questions behind other metrics."""

from dataclasses import replace
from datetime import datetime, timedelta

from canary.api.analysis import REQUEST_DURATION, CompareTo, Metric
from canary.api.canary import Canary
from canary.controller.ask.metric_questions import began_of, model_of
from canary.controller.ask.metric_subjects import Workload, rewrite_for
from metrics.comparison import Subject
from metrics.question import Question
from metrics.samples import Span
from metrics.sampling import Times
from metrics.templates import Model
from metrics.threshold import Threshold
from metrics.versions import Rewrite, Versions


def span_of(canary: Canary, metric: Metric, now: datetime, *, primary: bool = False) -> Span:
    """The time in which both versions are compared: since the rollout's first step, and perhaps before it began.

    Args:
        canary: the Canary.
        metric: its metric.
        now: the time.
        primary: whether the promoted version is asked about, which is what it is from its promotion on.
    """
    began = min(began_of(canary, primary=primary) or now - canary.analysis_interval, now)
    until = None
    if metric.compare_to is CompareTo.PREVIOUS:
        until = min(canary.status.rollout_start_time or began, began)
    return Span.of(began, now, canary.analysis_interval, until)


def times_of(canary: Canary, metric: Metric, now: datetime) -> Times:
    """When values of both versions are taken: since the rollout's first step, one each interval of the metric."""
    span = span_of(canary, metric, now)
    return Times.of(span.since, now, max(metric.interval, timedelta(seconds=1)), span.until)


def question_to(canary: Canary, metric: Metric, server: str) -> Question:
    """Who is asked for the requests of both versions; what, `compare` says.

    Args:
        canary: the Canary.
        metric: the metric that compares them.
        server: address of the Prometheus that is asked where the spec names none.
    """
    return Question(
        name=metric.name,
        query="",
        threshold=Threshold(),
        interval=metric.interval,
        address=canary.spec.metrics_server or server,
    )


def subject_of(
    canary: Canary, metric: Metric, provider: str, *, pods: str = "", all_pods: str = "", primary: bool = False
) -> Subject:
    """What is compared by a metric.

    Args:
        canary: the Canary.
        metric: the metric.
        provider: the traffic provider in force.
        pods: a regular expression for the pods of the new version, where they are named alike in both versions.
        all_pods: one for those of both.
        primary: whether the promoted version is asked about.
    """
    limit = metric.threshold_range.max if metric.threshold_range is not None else None
    versions = Versions(
        provider=provider,
        model=model_of(canary, metric, pods),
        rewrite=None if metric.compare_to is CompareTo.PRIMARY else to_promoted(canary, metric, all_pods),
        promoted=primary,
        fresh=metric.compare_to is CompareTo.BASELINE,
    )
    return Subject(versions=versions, slow=metric.name == REQUEST_DURATION, limit=limit)


def to_promoted(canary: Canary, metric: Metric, all_pods: str) -> Rewrite | None:
    """What makes a question about the canary one about what it is compared with."""
    if metric.compare_to is CompareTo.BASELINE:
        return rewrite_for(Workload.BASELINE, canary)

    def of_all(text: str, model: Model) -> tuple[str, Model]:
        return text, replace(model, pods=all_pods)

    return of_all if canary.in_place else rewrite_for(Workload.PRIMARY, canary)
