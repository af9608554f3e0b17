"""What an API server does not do, does not show, or does not answer, by the scenario."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from canary.rollout.decision import Action, KeepAutoscaler
from canary.rollout.facts import Unseen
from canary.rollout.simulation.cluster import Cluster
from canary.rollout.simulation.failures import Denied, Unavailable
from canary.rollout.simulation.responders import inside
from canary.rollout.simulation.scenario import Scenario


def reach(scenario: Scenario, now: datetime) -> None:
    """Ask it for something.

    Raises:
        Unavailable: it can't be had.
    """
    if scenario.api_down and inside(scenario.api_down, now - scenario.start):
        msg = "the API server can't be had"
        raise Unavailable(msg)


def permit(scenario: Scenario, cluster: Cluster, action: Action, now: datetime) -> None:
    """Ask it to do something.

    Raises:
        Unavailable: it can't be had.
        Denied: it does not do it.
    """
    reach(scenario, now)
    for each in scenario.denied:
        named = not each.actions or type(action).__name__ in each.actions
        denied = named and inside((each.window,), now - scenario.start)
        # Nothing is written where nothing changes; the model has no autoscalers that could tell.
        if denied and (isinstance(action, KeepAutoscaler) or cluster.twin().do(action, now)):
            raise Denied("denied by policy", answered=each.answered)


def hear(scenario: Scenario, now: datetime) -> None:
    """Hear that the status was stored.

    Raises:
        Unavailable: it was, and nobody hears of it.
    """
    if inside(scenario.answers_lost, now - scenario.start):
        msg = "the answer is lost"
        raise Unavailable(msg)


def unseen(scenario: Scenario, now: datetime, clock: timedelta) -> Iterator[Unseen]:
    """The kinds that can't be looked at.

    Args:
        scenario: what happens.
        now: the time.
        clock: how far the controller's clock is ahead.
    """
    for each in scenario.blind:
        if inside((each.window,), now - scenario.start):
            since = scenario.start + each.window.start + clock
            yield Unseen(each.kind, since, each.forbidden, each.workload, "watch broke off")


def collect(cluster: Cluster) -> None:
    """What belongs to a Canary that is gone goes with it; a baseline also where the primary outlives it."""
    if not cluster.orphaned and cluster.version_services:
        cluster.primary = None
    cluster.baseline = None
