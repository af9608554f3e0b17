"""Fields of the status: a story is stopped at two moments, and each tells what is so at either."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from canary.api.alertprovider import parse_alert_provider
from canary.api.canary import Canary, parse_canary
from canary.api.metrictemplate import parse_metric_template
from canary.kube.types import Json
from canary.rollout.simulation import (
    Annotate,
    Deploy,
    Reading,
    SafeWorld,
    Scenario,
    Scheduled,
    Version,
)

AFFINITY = {"cookieName": "track", "primaryCookieName": "stay"}
RATE = {"name": "request-success-rate", "threshold": 99}
WEIGHTED = {
    "spec.analysis.stepWeight": 25,
    "spec.analysis.maxWeight": 50,
    "spec.analysis.sessionAffinity": AFFINITY,
    "spec.analysis.metrics": [RATE],
}
BESIDE = {
    "spec.analysis.stepWeight": 25,
    "spec.analysis.maxWeight": 50,
    "spec.analysis.metrics": [{"name": "request-success-rate", "compareTo": "baseline", "tolerance": 5}],
}
COUNTED = {"spec.analysis.iterations": 3}
SCALED = {"spec.autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "app"}}
LATE_FAILURE = Version(readings=(Reading(99.5), Reading(42.0, weight=50)), configs={"configmap/settings": "2"})
VERSIONS = {"v1": Version(configs={"configmap/settings": "1"}), "v2": LATE_FAILURE}
STORY = (
    Scheduled(timedelta(seconds=60), Deploy("v2")),
    Scheduled(timedelta(seconds=400), Annotate("flagger.app/retry", "1")),
)
"""Deployed after a minute, at 25 % after 66 s, at 50 % after 126 s, and bad there: taken back at the second look."""

REST, STARTED, FIRST, SECOND, ENDED, AGAIN = 30, 62, 100, 150, 300, 401
"""Seconds: before the rollout; its pods start; its first step; its second, where it fails; its end; another try."""


def status(canary: Canary, at: float) -> Json:
    limit = timedelta(seconds=at)
    story = Scenario(canary=canary, versions=VERSIONS, changes=STORY, limit=limit)
    return SafeWorld(story).run().status.to_json()


REACHED, SINCE = "failed checks threshold reached 2", "since 2026-01-01T00:03:06Z"

CASES: list[tuple[str, dict[float, object]]] = [
    ("phase", {REST: "Initialized", FIRST: "Progressing", ENDED: "Failed"}),
    ("canaryWeight", {REST: 0, FIRST: 25, SECOND: 50, ENDED: 0}),
    ("failedChecks", {REST: 0, FIRST: 0, ENDED: 2}),
    ("trackedConfigs", {REST: {"configmap/settings": "1"}, FIRST: {"configmap/settings": "2"}}),
    ("lastAppliedSpec", {REST: "v1", FIRST: "v2", ENDED: "v2"}),
    ("lastPromotedSpec", {REST: "v1", FIRST: "v1", ENDED: "v1"}),
    ("lastTransitionTime", {REST: "2026-01-01T00:00:07Z", FIRST: "2026-01-01T00:01:06Z"}),
    ("observedGeneration", {REST: 1}),
    ("lastCheckTime", {REST: None, FIRST: "2026-01-01T00:01:06.000000Z"}),
    ("lastProgressTime", {STARTED: "2026-01-01T00:01:00.000000Z", FIRST: "2026-01-01T00:01:06.000000Z"}),
    ("rolloutStartTime", {REST: None, FIRST: "2026-01-01T00:01:00.000000Z", ENDED: "2026-01-01T00:01:00.000000Z"}),
    ("analysisStartTime", {STARTED: None, SECOND: "2026-01-01T00:01:06.000000Z"}),
    ("lastRetry", {ENDED: None, AGAIN: "1"}),
    ("reason", {REST: "Initialized", STARTED: "WaitingForPods", FIRST: "Analysing", ENDED: "RolledBack"}),
    ("message", {FIRST: None, ENDED: "failed checks threshold reached 2"}),
    ("conditions.0.type", {REST: "Promoted"}),
    ("conditions.0.status", {REST: "True", FIRST: "Unknown", ENDED: "False"}),
    ("conditions.0.reason", {REST: "Initialized", FIRST: "Progressing", ENDED: "Failed"}),
    ("conditions.0.lastUpdateTime", {REST: "2026-01-01T00:00:07Z", FIRST: "2026-01-01T00:01:00Z"}),
    ("conditions.0.lastTransitionTime", {REST: "2026-01-01T00:00:07Z", FIRST: "2026-01-01T00:01:00Z"}),
    ("checks.0.name", {FIRST: None, SECOND: "request-success-rate"}),
    ("checks.0.verdict", {SECOND: "Pass", ENDED: "Fail"}),
    ("checks.0.value", {SECOND: 99.5, ENDED: 42.0}),
    ("checks.0.time", {SECOND: "2026-01-01T00:02:06.100000Z"}),
    ("checks.0.since", {SECOND: "2026-01-01T00:02:06.100000Z", ENDED: "2026-01-01T00:03:06.200000Z"}),
    ("rollout.revision", {REST: None, FIRST: "v2", ENDED: None}),
    ("rollout.images", {FIRST: {"app": "app:v2"}}),
    ("rollout.changes", {FIRST: ["image of app", "configmap/settings"]}),
    ("rollout.started", {FIRST: "2026-01-01T00:01:00.000000Z"}),
    ("rollout.highestWeight", {STARTED: 0, FIRST: 25, SECOND: 50}),
    ("rollout.step", {STARTED: 0, FIRST: 1, SECOND: 2}),
    ("rollout.steps", {STARTED: 2, SECOND: 2}),
    (
        "rollout.earliestEnd",
        {STARTED: None, FIRST: "2026-01-01T00:03:06.000000Z", SECOND: "2026-01-01T00:03:06.100000Z"},
    ),
    ("history.0.revision", {FIRST: None, ENDED: "v2"}),
    ("history.0.images", {ENDED: {"app": "app:v2"}}),
    ("history.0.changes", {ENDED: ["image of app", "configmap/settings"]}),
    ("history.0.started", {ENDED: "2026-01-01T00:01:00.000000Z"}),
    ("history.0.ended", {ENDED: "2026-01-01T00:04:06.300000Z"}),
    ("history.0.outcome", {ENDED: "RolledBack"}),
    ("history.0.cause", {ENDED: f"{REACHED}: request-success-rate 42% is below 99% over 1m ({SINCE})"}),
    ("history.0.highestWeight", {ENDED: 50}),
    ("history.0.checks.0.name", {ENDED: "request-success-rate"}),
    ("history.0.checks.0.verdict", {ENDED: "Fail"}),
    ("history.0.checks.0.value", {ENDED: 42.0}),
    ("history.0.checks.0.threshold", {ENDED: ">= 99"}),
    ("history.0.checks.0.time", {ENDED: "2026-01-01T00:04:06.300000Z"}),
    ("history.0.checks.0.since", {ENDED: "2026-01-01T00:03:06.200000Z"}),
]


@pytest.mark.parametrize(
    ("field", "moments"), [(f"status.{re.sub('[.]0', '[]', path)}", moments) for path, moments in CASES]
)
def test_it_tells_what_is_so(
    make: Callable[..., Canary], at: Callable[[Any, str], Any], field: str, moments: dict[float, object]
) -> None:
    canary = make(WEIGHTED)
    path = field.removeprefix("status.").replace("[]", ".0")
    assert {moment: at(status(canary, moment), path) for moment in moments} == moments


@pytest.mark.parametrize(
    ("field", "annotation", "value"),
    [
        ("status.lastOrder", "flagger.app/order", "restart by=mia"),
        ("status.paused", "flagger.app/pause", "by mia"),
        ("status.rollout.order", "flagger.app/order", "promote by=mia"),
    ],
)
def test_what_people_order_is_kept(
    make: Callable[..., Canary], at: Callable[[Any, str], Any], field: str, annotation: str, value: str
) -> None:
    ordered = Scheduled(timedelta(seconds=FIRST), Annotate(annotation, value))
    story = Scenario(canary=make(WEIGHTED), versions=VERSIONS, changes=(*STORY[:1], ordered))
    seen = [SafeWorld(replace(story, limit=timedelta(seconds=each))).run() for each in (STARTED, FIRST + 1)]
    told = [at(each.status.to_json(), field.removeprefix("status.")) for each in seen]
    assert (told[0] or None, told[1]) == (None, value)


@pytest.mark.parametrize("field", ["status.iterations"])
def test_the_steps_of_an_analysis_without_weights_are_counted(make: Callable[..., Canary], field: str) -> None:
    canary = make(COUNTED)
    told = {moment: status(canary, moment)[field.removeprefix("status.")] for moment in (REST, FIRST, SECOND, 350)}
    assert told == {REST: 0, FIRST: 1, SECOND: 2, 350: 0}


@pytest.mark.parametrize("field", ["status.trafficRemovedTime"])
def test_pods_are_kept_for_a_moment_after_traffic_has_left_them(make: Callable[..., Canary], field: str) -> None:
    told = [status(make(WEIGHTED), at).get(field.removeprefix("status.")) for at in (SECOND, 246.5, ENDED)]
    assert told == [None, "2026-01-01T00:04:06.300000Z", None]


@pytest.mark.parametrize("field", ["status.baselineRemovedTime"])
def test_a_baseline_is_kept_for_a_moment_after_traffic_has_left_it(make: Callable[..., Canary], field: str) -> None:
    told = [status(make(BESIDE), at).get(field.removeprefix("status.")) for at in (FIRST, 132, ENDED)]
    assert told == [None, "2026-01-01T00:02:11.200000Z", None]


@pytest.mark.parametrize("field", ["status.primaryReplicas"])
def test_the_pods_that_a_scaled_primary_has_come_to_are_kept_for_the_rollout(
    make: Callable[..., Canary], field: str
) -> None:
    moments = (3, FIRST, 1500)
    told = [status(make({**WEIGHTED, **SCALED}), at).get(field.removeprefix("status.")) for at in moments]
    assert told == [None, 2, None]


@pytest.mark.field(
    "status.sessionAffinityCookie", "status.primarySessionAffinityCookie", "status.previousSessionAffinityCookie"
)
def test_the_cookies_of_a_rollout_are_kept_while_users_bring_them(make: Callable[..., Canary]) -> None:
    during, after = status(make(WEIGHTED), FIRST), status(make(WEIGHTED), ENDED)
    assert during["sessionAffinityCookie"].startswith("track=")
    assert during["primarySessionAffinityCookie"].startswith("stay=")
    assert after["previousSessionAffinityCookie"] == during["sessionAffinityCookie"]
    assert after.keys().isdisjoint({"sessionAffinityCookie", "primarySessionAffinityCookie"})


@pytest.mark.parametrize("field", ["status.partition"])
def test_a_target_without_a_primary_is_rolled_out_down_to_a_pod(field: str) -> None:
    analysis = {"interval": "1m", "threshold": 2}
    spec = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "analysis": analysis}
    canary = parse_canary({"metadata": {"name": "app", "namespace": "shop", "generation": 1}, "spec": spec})
    story = Scenario(canary=canary, versions={"v1": Version()}, changes=STORY[:1], replicas=3, in_place=True)
    told = {
        SafeWorld(replace(story, limit=timedelta(seconds=at))).run().status.to_json().get(field.removeprefix("status."))
        for at in range(30, 400, 5)
    }
    assert told == {None, 2, 1, 0}


@pytest.mark.parametrize("field", ["status.conditions[].message"])
def test_a_condition_says_why_in_words(make: Callable[..., Canary], field: str) -> None:
    stalled, promoted = status(make({}), FIRST)["conditions"][0], status(make(WEIGHTED), ENDED)["conditions"][0]
    name = field.rpartition(".")[2]
    assert "spec.analysis.stepWeight: is missing" in stalled[name]
    assert "failed" in promoted[name]


CONDITION = {
    "type": "Ready",
    "status": "True",
    "lastUpdateTime": "2026-01-01T00:00:00Z",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "reason": "Answered",
    "message": "it was asked",
}


@pytest.mark.parametrize("name", CONDITION)
@pytest.mark.field(
    *(f"{kind}.status.conditions[].{name}" for kind in ("MetricTemplate", "AlertProvider") for name in CONDITION)
)
def test_what_others_observe_of_templates_and_providers_is_read(name: str) -> None:
    """Nothing is written there by this controller."""
    written = {"metadata": {"name": "x"}, "status": {"conditions": [CONDITION]}}
    template = parse_metric_template({**written, "spec": {"provider": {"type": "prometheus"}, "query": "up"}})
    provider = parse_alert_provider({**written, "spec": {"type": "slack"}})
    for resource in (template, provider):
        (condition,) = resource.status.conditions
        assert condition.to_json()[name] == CONDITION[name]
