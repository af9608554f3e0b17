from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.analysis import HookType, Metric, NoDataPolicy, ThresholdRange, UnavailablePolicy
from canary.api.canary import Canary, Strategy, parse_canary
from canary.api.service import ParentReference, Service


class Make(Protocol):
    def __call__(self, changes: Mapping[str, object] | None = None, without: tuple[str, ...] = ()) -> Canary: ...


def weighted(**analysis: object) -> Canary:
    spec = {"targetRef": {"name": "a"}, "service": {"port": 80}, "analysis": analysis}
    return parse_canary({"metadata": {"name": "a"}, "spec": spec})


def test_names_follow_the_target(make: Make) -> None:
    canary = make()
    assert (canary.name, canary.namespace, canary.key) == ("my-app", "shop", "shop/my-app")
    assert canary.primary_name == "my-app-primary"
    assert canary.service_name == "my-app"
    assert canary.service_primary_name == "my-app-primary"
    assert canary.service_canary_name == "my-app-canary"


def test_services_take_their_own_name_where_the_spec_gives_one(make: Make) -> None:
    canary = make({"spec.service.name": "front"})
    assert canary.primary_name == "my-app-primary"
    assert canary.service_name == "front"
    assert canary.service_primary_name == "front-primary"
    assert canary.service_canary_name == "front-canary"


@pytest.mark.parametrize(
    ("text", "interval"),
    [(None, 60), ("10s", 10), ("1s", 1), ("500ms", 1), ("1m30s", 90)],
)
def test_the_interval_is_a_minute_where_absent_and_a_second_at_least(text: str | None, interval: int) -> None:
    assert weighted(interval=text).analysis_interval == timedelta(seconds=interval)


@pytest.mark.parametrize(("threshold", "effective"), [(None, 1), (0, 1), (-1, 1), (1, 1), (5, 5)])
def test_the_threshold_is_one_at_least(threshold: int | None, effective: int) -> None:
    assert weighted(threshold=threshold).threshold == effective


def test_the_progress_deadline_is_ten_minutes_where_absent(make: Make) -> None:
    assert make().progress_deadline == timedelta(minutes=10)
    assert make({"spec.progressDeadlineSeconds": 60}).progress_deadline == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("analysis", "strategy"),
    [
        ({"stepWeight": 10}, Strategy.CANARY),
        ({"iterations": 0, "match": [{}]}, Strategy.CANARY),
        ({"iterations": 5}, Strategy.BLUE_GREEN),
        ({"iterations": 5, "match": []}, Strategy.BLUE_GREEN),
        ({"iterations": 5, "match": [{"headers": {"x": {"exact": "1"}}}]}, Strategy.AB_TESTING),
    ],
)
def test_iterations_and_match_tell_the_strategy(analysis: dict[str, Any], strategy: Strategy) -> None:
    assert weighted(**analysis).strategy is strategy


@pytest.mark.parametrize(
    ("analysis", "steps"),
    [
        ({"stepWeight": 10, "maxWeight": 50}, (10, 20, 30, 40, 50)),
        ({"stepWeight": 20, "maxWeight": 50}, (20, 40, 50)),
        ({"stepWeight": 60, "maxWeight": 50}, (50,)),
        ({"stepWeight": 50}, (50, 100)),
        ({"stepWeight": 100, "maxWeight": 100}, (100,)),
        ({"stepWeights": [1, 5, 50]}, (1, 5, 50)),
        ({"stepWeights": [1, 5, 50], "maxWeight": 10}, (1, 5, 50)),
        ({}, ()),
        ({"iterations": 3, "stepWeight": 10}, ()),
    ],
)
def test_steps_go_up_to_the_greatest_weight(analysis: dict[str, Any], steps: tuple[int, ...]) -> None:
    canary = weighted(**analysis)
    assert canary.steps == steps
    assert not steps or canary.max_weight == steps[-1]


@given(step=st.integers(1, 100), most=st.integers(1, 100))
def test_steps_always_grow_and_end_at_the_greatest_weight(step: int, most: int) -> None:
    steps = weighted(stepWeight=step, maxWeight=most).steps
    assert steps[-1] == most
    assert all(0 < later - earlier <= step for earlier, later in zip((0, *steps), steps, strict=False))


def test_the_older_name_of_the_analysis_is_read_too() -> None:
    spec = {"targetRef": {"name": "a"}, "canaryAnalysis": {"stepWeight": 5}}
    canary = parse_canary({"metadata": {"name": "a"}, "spec": spec})
    assert canary.analysis.step_weight == 5
    assert canary.analysis_field == "spec.canaryAnalysis"
    assert not canary.skip_analysis


def test_without_an_analysis_there_is_nothing_to_wait_for() -> None:
    canary = parse_canary({"metadata": {"name": "a"}, "spec": {"targetRef": {"name": "a"}}})
    assert canary.skip_analysis
    assert canary.analysis.webhooks == ()
    assert canary.strategy is Strategy.CANARY
    assert canary.analysis_field == "spec.analysis"


def test_skipping_can_be_asked_for(make: Make) -> None:
    assert not make().skip_analysis
    assert make({"spec.skipAnalysis": True}).skip_analysis


@pytest.mark.parametrize("kind", list(HookType))
def test_hooks_are_found_by_type_in_the_specs_order(kind: HookType) -> None:
    others = [{"name": "other", "type": each.value, "url": "http://x/"} for each in HookType if each is not kind]
    mine = [{"name": name, "type": kind.value, "url": "http://x/"} for name in ("b", "a")]
    canary = weighted(webhooks=[mine[0], *others, mine[1]])
    assert [hook.name for hook in canary.hooks(kind)] == ["b", "a"]


@pytest.mark.parametrize("written", [{}, {"type": ""}, {"type": "rollout"}, {"type": None}])
def test_a_webhook_without_type_is_called_during_the_rollout(written: dict[str, Any]) -> None:
    canary = weighted(webhooks=[{"name": "x", "url": "http://x/", **written}])
    (hook,) = canary.hooks(HookType.ROLLOUT)
    assert hook.timeout == timedelta(seconds=10)
    assert hook.retries == 0


@pytest.mark.parametrize(
    ("written", "limits"),
    [
        ({"name": "request-success-rate", "threshold": 99}, ThresholdRange(min=99)),
        ({"name": "request-duration", "threshold": 500}, ThresholdRange(max=500)),
        ({"name": "errors", "templateRef": {"name": "x"}, "threshold": 1}, ThresholdRange(max=1)),
        ({"name": "errors", "templateRef": {"name": "x"}}, ThresholdRange(max=0)),
        ({"name": "request-success-rate", "templateRef": {"name": "x"}, "threshold": 1}, ThresholdRange(max=1)),
        ({"name": "request-success-rate", "query": "up", "threshold": 1}, ThresholdRange(max=1)),
        ({"name": "request-duration", "threshold": 5, "thresholdRange": {"min": 1}}, ThresholdRange(min=1)),
    ],
)
def test_a_threshold_is_the_least_success_rate_and_the_most_of_anything_else(
    written: dict[str, Any], limits: ThresholdRange
) -> None:
    assert Metric.model_validate(written).limits == limits


def test_a_metric_holds_where_there_is_no_answer() -> None:
    metric = Metric(name="x")
    assert metric.interval == timedelta(minutes=1)
    assert metric.no_data is NoDataPolicy.HOLD
    assert metric.unavailable is UnavailablePolicy.HOLD


@pytest.mark.parametrize(
    ("written", "port"),
    [
        ({}, 80),
        ({"targetPort": 8080}, 8080),
        ({"targetPort": "http"}, "http"),
        ({"targetPort": 0}, 80),
        ({"targetPort": ""}, 80),
    ],
)
def test_the_target_port_is_the_port_where_absent(written: dict[str, Any], port: int | str) -> None:
    assert Service.model_validate({"port": 80, **written}).effective_target_port == port


@pytest.mark.parametrize("written", [{}, {"portName": ""}, {"portName": "http"}])
def test_the_port_is_called_http_where_it_has_no_name(written: dict[str, Any]) -> None:
    assert Service.model_validate({"port": 80, **written}).port_name == "http"


def test_a_gateway_is_a_gateway_where_the_reference_says_nothing_else() -> None:
    assert ParentReference(name="x") == ParentReference(name="x", kind="Gateway", group="gateway.networking.k8s.io")


def test_what_was_written_is_what_is_written_back(make: Make) -> None:
    """Parts that go into other objects keep the words of the spec, and gain no defaults."""
    policy = {"loadBalancer": {"simple": "LEAST_REQUEST"}, "outlierDetection": {"consecutive5xxErrors": 7}}
    policy |= {"connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE", "http1MaxPendingRequests": 10}}}
    parsed = make({"spec.service.trafficPolicy": policy}).spec.service.traffic_policy
    assert parsed is not None
    assert parsed.to_json() == policy


def test_models_are_values(make: Make) -> None:
    assert make() == make()
    with pytest.raises(ValueError, match="frozen"):
        setattr(make().metadata, "name", "other")  # noqa: B010 - what a type checker would not let pass
    with pytest.raises(TypeError, match="no phaze"):
        make().status.replace(phaze="x")
