"""The time that a metric is asked about never begins before the rollout does."""

from datetime import UTC, datetime, timedelta

import pytest

from canary.api.analysis import Metric
from canary.api.canary import Canary, parse_canary
from canary.api.status import BakeStatus, CanaryStatus
from canary.controller.ask.metric_questions import began_of, window_of

NOW = datetime(2025, 1, 31, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def canary(began: datetime | None) -> Canary:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    raw = {"metadata": {"name": "app", "namespace": "test"}, "spec": {"targetRef": target}}
    return parse_canary(raw).replace(status=CanaryStatus(analysis_start_time=began))


@pytest.mark.parametrize(
    ("age", "seconds"), [(0.0, 1), (0.4, 1), (10.0, 10), (10.2, 11), (60.0, 60), (3600.0, 60), (-5.0, 1)]
)
def test_the_window_is_cut_off_at_the_first_step(age: float, seconds: float) -> None:
    metric = Metric(name="request-success-rate", interval=MINUTE)

    assert window_of(canary(NOW - timedelta(seconds=age)), metric, NOW) == timedelta(seconds=seconds)


def test_where_the_first_step_is_unknown_the_window_is_the_specs() -> None:
    assert window_of(canary(None), Metric(name="request-duration", interval=MINUTE), NOW) == MINUTE


def test_a_promoted_version_is_not_asked_about_before_its_promotion() -> None:
    made = canary(NOW - timedelta(hours=1))
    bake = BakeStatus(last_good_spec="v1", start_time=NOW - timedelta(seconds=10))
    baking = made.replace(status=made.status.replace(bake=bake))
    metric = Metric(name="request-success-rate", interval=MINUTE)

    assert window_of(baking, metric, NOW, primary=True) == timedelta(seconds=10)
    assert began_of(baking, primary=True) == NOW - timedelta(seconds=10)
    assert began_of(baking) == NOW - timedelta(hours=1)
    assert window_of(baking, metric, NOW) == MINUTE
