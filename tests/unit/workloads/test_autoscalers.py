"""Autoscalers: how they rest and wake, what they ask about the primary, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.kube.types import Json
from canary.workloads import autoscalers
from canary.workloads.autoscalers import AUTOSCALERS, PAUSE, STAY, STAY_IS_OURS

HPA, KEDA = AUTOSCALERS["HorizontalPodAutoscaler"], AUTOSCALERS["ScaledObject"]


def canary_of(kind: str = "ScaledObject", **ref: Any) -> Canary:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    spec = {"targetRef": target, "autoscalerRef": {"kind": kind, "name": "app", **ref}, "service": {"port": 80}}
    return parse_canary({"metadata": {"name": "app", "namespace": "shop", "uid": "uid-1"}, "spec": spec})


def scaled_object(annotations: dict[str, str] | None = None, **spec: Any) -> Json:
    return {"metadata": {"name": "app", "annotations": annotations or {}}, "spec": spec}


def after(scaler: Json, patch: Json) -> dict[str, str]:
    """The annotations once a merge patch is applied."""
    changes: dict[str, str | None] = patch.get("metadata", {}).get("annotations", {})
    merged = {**scaler["metadata"]["annotations"], **changes}
    return {key: value for key, value in merged.items() if value is not None}


class TestRestAndWake:
    def test_a_horizontal_pod_autoscaler_is_never_touched(self) -> None:
        """It leaves a target without pods alone by itself."""
        scaler = {"spec": {"minReplicas": 3}}
        assert HPA.rested(scaler) == HPA.woken(scaler, held=True) == HPA.woken(scaler, held=False) == {}

    def test_keda_is_told_to_keep_no_pods_and_told_once(self) -> None:
        awake = scaled_object()
        assert after(awake, KEDA.rested(awake)) == {PAUSE: "0"}
        assert KEDA.rested(scaled_object({PAUSE: "0"})) == {}

    def test_it_wakes_with_what_people_set_on_it_and_nothing_of_ours(self) -> None:
        asleep = scaled_object({PAUSE: "0", "team": "blue"}, minReplicaCount=1)
        assert after(asleep, KEDA.woken(asleep, held=True)) == {"team": "blue"}
        assert KEDA.woken(scaled_object(minReplicaCount=1), held=True) == {}

    def test_a_number_of_pods_that_people_have_paused_it_at_stays_when_it_wakes(self) -> None:
        assert KEDA.woken(scaled_object({PAUSE: "3"}, minReplicaCount=1), held=True) == {}

    @pytest.mark.parametrize("spec", [{}, {"minReplicaCount": 0}, {"minReplicaCount": 2, "idleReplicaCount": 0}])
    def test_where_it_scales_to_nothing_it_keeps_the_canarys_pods_until_it_rests(self, spec: Json) -> None:
        asleep = scaled_object({PAUSE: "0"}, **spec)
        awake = scaled_object(after(asleep, KEDA.woken(asleep, held=True)), **spec)
        assert awake["metadata"]["annotations"] == {STAY: "true", STAY_IS_OURS: "true"}
        assert KEDA.woken(awake, held=True) == {}
        assert after(awake, KEDA.rested(awake)) == {PAUSE: "0"}

    def test_it_is_given_back_without_any_of_our_marks(self) -> None:
        awake = scaled_object({STAY: "true", STAY_IS_OURS: "true"}, minReplicaCount=0)
        assert after(awake, KEDA.woken(awake, held=False)) == {}

    def test_a_pause_that_people_asked_for_is_theirs_to_end(self) -> None:
        theirs = scaled_object({STAY: "true"}, minReplicaCount=0)
        assert KEDA.woken(theirs, held=True) == {}
        assert after(theirs, KEDA.rested(theirs)) == {STAY: "true", PAUSE: "0"}


class TestMinimum:
    """How many pods a canary starts with."""

    @pytest.mark.parametrize(("spec", "least"), [({}, 1), ({"minReplicas": 0}, 1), ({"minReplicas": 4}, 4)])
    def test_of_a_horizontal_pod_autoscaler(self, spec: Json, least: int) -> None:
        assert HPA.minimum({"spec": spec}) == least

    @pytest.mark.parametrize(("spec", "least"), [({}, 1), ({"minReplicaCount": 0}, 1), ({"minReplicaCount": 4}, 4)])
    def test_of_a_scaled_object(self, spec: Json, least: int) -> None:
        assert KEDA.minimum({"spec": spec}) == least


class TestLimits:
    @given(
        least=st.none() | st.integers(0, 50),
        most=st.integers(1, 200),
        floor=st.integers(0, 200),
        own=st.none() | st.tuples(st.integers(1, 50), st.integers(50, 99)),
    )
    def test_the_primary_keeps_its_floor_and_its_limits_make_sense(
        self, least: int | None, most: int, floor: int, own: tuple[int, int] | None
    ) -> None:
        limits: dict[str, Any] = (
            {} if own is None else {"primaryScalerReplicas": {"minReplicas": own[0], "maxReplicas": own[1]}}
        )
        hpa = HPA.primary(
            {"metadata": {"name": "app"}, "spec": {"minReplicas": least, "maxReplicas": most}},
            canary_of("HorizontalPodAutoscaler", **limits),
            floor=floor,
        )["spec"]
        keda = KEDA.primary(
            scaled_object(minReplicaCount=least, maxReplicaCount=most), canary_of(**limits), floor=floor
        )["spec"]
        assert floor <= hpa["minReplicas"] <= hpa["maxReplicas"]
        assert floor <= keda["minReplicaCount"] <= keda["maxReplicaCount"]
        if own is not None and floor <= own[0]:
            assert (hpa["minReplicas"], hpa["maxReplicas"]) == own

    def test_a_floor_above_what_keda_takes_for_granted_lifts_that_too(self) -> None:
        made = KEDA.primary(scaled_object(), canary_of(), floor=120)
        assert (made["spec"]["minReplicaCount"], made["spec"]["maxReplicaCount"]) == (120, 120)


class TestQueries:
    @pytest.mark.parametrize(
        ("query", "asked"),
        [
            ('x{app="app"}', 'x{app="app-primary"}'),
            ('x{app="app-canary"}', 'x{app="app-primary"}'),
            ('x{app="app-primary"}', 'x{app="app-primary"}'),
            ('x{host="app.shop"}', 'x{host="app-primary.shop"}'),
            ('x{pod=~"app-.*"}', 'x{pod=~"app-primary-.*"}'),
            ('x{pod=~"app-canary-[a-z]+"}', 'x{pod=~"app-primary-[a-z]+"}'),
            ('app_requests{app="web-app"}', 'app_requests{app="web-app"}'),
            ('sum by (app) (x{app="app-db"}) + application', 'sum by (app) (x{app="app-db"}) + application'),
            ("sum:hits{service:app}", "sum:hits{service:app-primary}"),
            ("sum:hits{kube_namespace:app,service:app}", "sum:hits{kube_namespace:app,service:app-primary}"),
            ('x{namespace="app", pod=~"app-.*"}', 'x{namespace="app", pod=~"app-primary-.*"}'),
            ('x{exported_namespace = "app"}', 'x{exported_namespace = "app"}'),
            ('x{container="app",pod=~"app-.*"}', 'x{container="app",pod=~"app-primary-.*"}'),
            ('x{path="/app/v1",app="app"}', 'x{path="/app/v1",app="app-primary"}'),
            ("SELECT count(*) FROM app WHERE it='app'", "SELECT count(*) FROM app WHERE it='app-primary'"),
        ],
    )
    def test_they_ask_about_the_primary_and_leave_other_names_alone(self, query: str, asked: str) -> None:
        scaler = scaled_object(triggers=[{"type": "prometheus", "metadata": {"query": query}}])
        (trigger,) = KEDA.primary(scaler, canary_of(), floor=0)["spec"]["triggers"]
        assert trigger["metadata"]["query"] == asked

    @pytest.mark.parametrize(
        ("query", "asked"),
        [
            ("k8s.app.app-*.cpu", "k8s.app.app-primary-*.cpu"),
            ('x{pods="/k8s/app/app-.*"}', 'x{pods="/k8s/app/app-primary-.*"}'),
            ('x{host="app.app.svc.cluster.local"}', 'x{host="app-primary.app.svc.cluster.local"}'),
            ('x{host="app.app"}', 'x{host="app.app-primary"}'),
        ],
    )
    def test_a_namespace_of_the_same_name_stays(self, query: str, asked: str) -> None:
        """It stands before the name in a path, and after it in the name of a host."""
        scaler = scaled_object(triggers=[{"type": "prometheus", "metadata": {"query": query}}])
        there = canary_of()
        there = there.replace(metadata=there.metadata.replace(namespace="app"))
        (trigger,) = KEDA.primary(scaler, there, floor=0)["spec"]["triggers"]
        assert trigger["metadata"]["query"] == asked

    def test_the_original_stays_as_it_is(self) -> None:
        scaler = scaled_object(triggers=[{"type": "prometheus", "metadata": {"query": "app"}}])
        KEDA.primary(scaler, canary_of(), floor=9)
        assert scaler == scaled_object(triggers=[{"type": "prometheus", "metadata": {"query": "app"}}])


class TestProblems:
    def test_what_fits_has_none(self) -> None:
        named = scaled_object(triggers=[{"type": "prometheus", "name": "lag", "metadata": {"query": "x"}}])
        assert autoscalers.problems(canary_of(primaryScalerQueries={"lag": "y"}), named, needed=True) == ()
        assert autoscalers.problems(canary_of("HorizontalPodAutoscaler"), {"spec": {}}, needed=True) == ()

    def test_one_that_is_missing_is_one_until_a_rollout_is_under_way(self) -> None:
        (problem,) = autoscalers.problems(canary_of(), None, needed=True)
        assert (
            str(problem)
            == "spec.autoscalerRef: ScaledObject app does not exist in shop; create it, or correct its name"
        )
        assert autoscalers.problems(canary_of(), None, needed=False) == ()

    @pytest.mark.parametrize(
        "scaled", [{"kind": "Deployment", "name": "other"}, {"kind": "StatefulSet", "name": "app"}]
    )
    def test_one_that_scales_another_workload_is_one(self, scaled: Json) -> None:
        """It would be copied to scale the primary; in mid-rollout it is too late to say so."""
        scaler = {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", **scaled}}}
        canary = canary_of("HorizontalPodAutoscaler")
        (problem,) = autoscalers.problems(canary, scaler, needed=True)

        assert problem.field == "spec.autoscalerRef.name"
        assert problem.message == (
            f"HorizontalPodAutoscaler app scales {scaled['kind']} {scaled['name']}, not Deployment app"
        )
        assert autoscalers.problems(canary, scaler, needed=False) == ()

    def test_keda_scales_a_deployment_where_it_names_no_kind(self) -> None:
        assert autoscalers.problems(canary_of(), scaled_object(scaleTargetRef={"name": "app"}), needed=True) == ()
        assert autoscalers.problems(canary_of(), scaled_object(scaleTargetRef={"name": "other"}), needed=True)

    def test_a_name_without_room_for_the_suffix_is_one(self) -> None:
        canary = canary_of("HorizontalPodAutoscaler")
        ref = canary.spec.autoscaler_ref
        assert ref is not None
        long = canary.replace(spec=canary.spec.replace(autoscaler_ref=ref.replace(name="a" * 246)))
        (problem,) = autoscalers.problems(long, {"spec": {}}, needed=True)
        assert problem.field == "spec.autoscalerRef.name"

    def test_a_vertical_pod_autoscaler_works_by_itself_and_is_no_reference(self) -> None:
        (problem,) = autoscalers.problems(canary_of("VerticalPodAutoscaler"), None, needed=False)
        assert problem.field == "spec.autoscalerRef.kind"
        assert "HorizontalPodAutoscaler, ScaledObject" in problem.remedy

    @pytest.mark.parametrize(
        ("triggers", "remedy"),
        [([{"name": "rate"}, {"name": "cpu"}], "write one of cpu, rate"), ([{"type": "cpu"}], "name its triggers")],
    )
    def test_a_query_for_no_trigger_would_never_be_asked(self, triggers: list[Json], remedy: str) -> None:
        canary = canary_of(primaryScalerQueries={"lag": "x"})
        (problem,) = autoscalers.problems(canary, scaled_object(triggers=triggers), needed=True)
        assert problem.field == "spec.autoscalerRef.primaryScalerQueries"
        assert "no trigger named lag" in problem.message
        assert problem.remedy == remedy

    def test_a_horizontal_pod_autoscaler_has_no_queries(self) -> None:
        canary = canary_of("HorizontalPodAutoscaler", primaryScalerQueries={"lag": "x"})
        (problem,) = autoscalers.problems(canary, {"spec": {}}, needed=True)
        assert problem.field == "spec.autoscalerRef.primaryScalerQueries"
