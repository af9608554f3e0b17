"""What is asked about the requests that come to each version: pure, as the questions behind metrics."""

from datetime import timedelta

from canary.api.analysis import Metric
from canary.api.canary import Canary
from canary.controller.ask.metric_questions import model_of
from canary.rollout.facts import Count, Counts
from metrics import counts
from metrics.question import Question
from metrics.threshold import Threshold

SECOND = timedelta(seconds=1)


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
