"""`canary convert`: each thing of a Rollout has its counterpart, or is told of with its place."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.cli.convert.conditions import Range, passing
from canary.cli.convert.files import Converted, converted
from canary.cli.main import main
from tests.unit.cli.argo import SERVICE, STEPS, TEMPLATE, metric, named, of, rollout, template, weighted, written

Json = dict[str, Any]
Out = pytest.CaptureFixture[str]


def canary_of(found: Converted) -> Json:
    """The spec of the one Canary, which nobody refuses."""
    assert found.refused == ()
    (canary,) = [each for each in found.objects if each["kind"] == "Canary"]
    spec: Json = canary["spec"]
    return spec


def told(found: Converted, *, lost: bool) -> dict[str, str]:
    return {each.field.removeprefix("spec.strategy."): each.message for each in found.notes if each.lost is lost}


@pytest.mark.parametrize("port", [{"name": "http"}, {"port": 0}, {"port": True}])
def test_a_port_of_a_service_that_has_no_number_is_passed_over(tmp_path: Path, port: Json) -> None:
    service: Json = {**SERVICE, "spec": {"selector": {"app": "shop"}, "ports": [port]}}
    assert canary_of(of(tmp_path, rollout(), service))["service"]["port"] == 8080


def test_steps_services_and_routes_have_their_counterparts(tmp_path: Path) -> None:
    found = of(tmp_path, rollout(), SERVICE)
    assert canary_of(found) == {
        "provider": "gatewayapi:v1",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "routeRefs": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "edge"}],
        "service": {"port": 80, "targetPort": "http"},
        "analysis": {"interval": "10m", "threshold": 1, "stepWeights": [20, 50]},
    }
    assert told(found, lost=True) == {}


def test_its_pods_become_a_deployment(tmp_path: Path) -> None:
    found = of(tmp_path, rollout(weighted(maxSurge=1), minReadySeconds=5, progressDeadlineSeconds=300), SERVICE)
    assert found.objects[0] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "namespace": "prod"},
        "spec": {
            "replicas": 4,
            "minReadySeconds": 5,
            "progressDeadlineSeconds": 300,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": TEMPLATE,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        },
    }
    assert canary_of(found)["progressDeadlineSeconds"] == 300


def test_a_deployment_that_is_named_stays_the_target(tmp_path: Path) -> None:
    made = rollout()
    del made["spec"]["template"], made["spec"]["selector"]
    made["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    found = of(tmp_path, made)
    assert [each["kind"] for each in found.objects] == ["Canary"]
    assert canary_of(found)["targetRef"]["name"] == "web"


def test_without_a_route_the_shares_are_those_of_pods(tmp_path: Path) -> None:
    found = of(tmp_path, rollout({"canary": {"steps": STEPS}}), SERVICE)
    spec = canary_of(found)
    assert (spec["provider"], spec["analysis"]["replicaRatio"]) == ("kubernetes", True)
    labels = found.objects[0]["spec"]["template"]["metadata"]["labels"]
    assert labels == {"app": "shop", "flagger.app/service": "shop"}


FOREVER: Json = {"pause": {}}


@pytest.mark.parametrize(
    ("steps", "written"),
    [
        ([{"setWeight": 20}, FOREVER], [{"weight": 20}, FOREVER]),
        ([FOREVER, {"setWeight": 20}], [FOREVER, {"weight": 20}]),
        ([{"setWeight": 0}, FOREVER, {"setWeight": 20}], [{"weight": 0}, FOREVER, {"weight": 20}]),
        ([{"setWeight": 40}, {"setWeight": 10}], [{"weight": 40}, {"weight": 10}]),
        (
            [{"setCanaryScale": {"replicas": 2}}, {"setWeight": 5}, {"setCanaryScale": {"matchTrafficWeight": True}}],
            [{"scale": {"replicas": 2}}, {"weight": 5}, {"scale": {"matchTraffic": True}}],
        ),
        ([{"setCanaryScale": {"weight": 25}}, {"setWeight": 5}], [{"scale": {"weight": 25}}, {"weight": 5}]),
    ],
)
def test_what_weights_and_an_interval_do_not_say_is_written_out(
    tmp_path: Path, steps: list[Json], written: list[Json]
) -> None:
    found = of(tmp_path, rollout(weighted(steps=steps)), SERVICE)
    assert canary_of(found)["analysis"] == {"interval": "1m", "steps": written, "threshold": 1}
    assert told(found, lost=True) == {}


def test_each_pause_keeps_its_length(tmp_path: Path) -> None:
    steps = [{"setWeight": 5}, {"pause": {"duration": "30s"}}, {"setWeight": 9}, {"pause": {"duration": "1h"}}]
    found = of(tmp_path, rollout(weighted(steps=steps)), SERVICE)
    assert canary_of(found)["analysis"] == {
        "interval": "30s",
        "steps": [{"weight": 5}, {"pause": {"duration": "30s"}}, {"weight": 9}, {"pause": {"duration": "1h"}}],
        "threshold": 1,
    }


def test_an_analysis_of_a_step_is_made_there_as_often_as_it_was(tmp_path: Path) -> None:
    steps = [{"setWeight": 5}, {"analysis": named("checks")}, {"setWeight": 50}]
    found = of(tmp_path, rollout(weighted(steps=steps)), template(metric(count=3, interval="1m")), SERVICE)
    analysis = canary_of(found)["analysis"]
    assert analysis["steps"] == [{"weight": 5}, {"analysis": {"checks": ["errors"], "looks": 3}}, {"weight": 50}]
    assert [each["name"] for each in analysis["metrics"]] == ["errors"]


def test_without_a_route_the_pods_of_the_canary_follow_from_its_weight(tmp_path: Path) -> None:
    found = of(tmp_path, rollout({"canary": {"steps": [{"setCanaryScale": {"replicas": 2}}, *STEPS]}}), SERVICE)
    canary_of(found)
    assert list(told(found, lost=True)) == ["canary.steps[0].setCanaryScale"]


@pytest.mark.parametrize(
    "step",
    [
        {"experiment": {"templates": []}, "setWeight": 60},
        {"setCanaryScale": {"replicas": 0}},
        {"setHeaderRoute": {"name": "x"}},
        {"setMirrorRoute": {"name": "x", "match": [{"path": {"prefix": "/"}}]}},
        {"plugin": {"name": "x"}},
        {"setWeight": "many"},
    ],
)
def test_steps_without_a_counterpart_are_told_with_their_place(tmp_path: Path, step: Json) -> None:
    found = of(tmp_path, rollout(weighted(steps=[*STEPS, step])), SERVICE)
    canary_of(found)
    (field,) = told(found, lost=True)
    assert field == f"canary.steps[4].{next(iter(step))}"
    (note,) = [each for each in found.notes if each.lost]
    line = (tmp_path / "rollout.yaml").read_text().splitlines()[note.place.line - 1]
    assert line.strip().lstrip("- ").startswith(next(iter(step)))


ROUTE: Json = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "edge", "namespace": "prod"},
    "spec": {
        "parentRefs": [{"name": "gateway", "namespace": "infra"}],
        "hostnames": ["shop.example.com"],
        "rules": [{"backendRefs": [{"name": "shop", "port": 80}, {"name": "shop-canary", "port": 80}]}],
    },
}
MESH: Json = {
    "apiVersion": "networking.istio.io/v1beta1",
    "kind": "VirtualService",
    "metadata": {"name": "web"},
    "spec": {
        "hosts": ["shop.example.com"],
        "gateways": ["edge"],
        "http": [{"name": "primary", "route": [{"destination": {"host": "shop"}}]}],
    },
}
ISTIO = {"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}, "managedRoutes": [{"name": "testers"}]}


def header(name: str, **values: str) -> Json:
    matches = [{"headerName": f"X-{key}", "headerValue": {"exact": value}} for key, value in values.items()]
    return {"setHeaderRoute": {"name": name, **({"match": matches} if matches else {})}}


def only(key: str, value: str) -> Json:
    return {f"x-{key}": {"exact": value}}


@pytest.mark.parametrize(
    ("strategy", "route", "provider", "service", "both"),
    [
        (
            {},
            ROUTE,
            "gatewayapi:v1",
            {"gatewayRefs": [{"name": "gateway", "namespace": "infra"}], "hosts": ["shop.example.com"]},
            [{"headers": {**only("a", "1"), **only("b", "2")}}],
        ),
        (
            {"trafficRouting": ISTIO},
            MESH,
            "istio",
            {"hosts": ["shop.example.com"], "gateways": ["edge"]},
            [{"headers": only("a", "1")}, {"headers": only("b", "2")}],
        ),
    ],
)
def test_steps_choose_and_copy_requests_in_a_route_that_the_controller_makes(
    tmp_path: Path, strategy: Json, route: Json, provider: str, service: Json, both: list[Json]
) -> None:
    """Several conditions of a step hold together with the Gateway API's plugin, and any of them with Istio."""
    copies = {"setMirrorRoute": {"name": "copy", "percentage": 30, "match": [{"path": {"prefix": "/"}}]}}
    steps = [copies, FOREVER, header("testers", a="1"), FOREVER, header("others", a="1", b="2"), {"setWeight": 20}]
    steps += [header("testers"), header("others"), header("others")]
    found = of(tmp_path, rollout(weighted(steps=steps, **strategy)), SERVICE, route)
    spec = canary_of(found)
    assert (spec["provider"], spec["service"]) == (provider, {"port": 80, "targetPort": "http", **service})
    assert "routeRefs" not in spec
    assert spec["analysis"]["steps"] == [
        {"mirror": {"weight": 30}},
        FOREVER,
        {"header": {"match": [{"headers": only("a", "1")}]}},
        FOREVER,
        {"header": {"match": [{"headers": only("a", "1")}, *both]}},
        {"weight": 20},
        {"header": {"match": both}},
        {"header": {}},
    ]
    assert told(found, lost=True) == {}
    assert any("delete it then" in each for each in told(found, lost=False).values())


@pytest.mark.parametrize(
    ("route", "why"),
    [
        (SERVICE, "give the file of HTTPRoute edge, too"),
        (
            {**ROUTE, "spec": {**ROUTE["spec"], "rules": [{"filters": [{"type": "URLRewrite"}]}]}},
            "HTTPRoute edge says more than who gets which share; write it into spec.service",
        ),
    ],
)
def test_a_route_that_says_more_is_kept_and_why_no_step_chooses_requests_is_told(
    tmp_path: Path, route: Json, why: str
) -> None:
    steps = [{"setWeight": 20}, FOREVER, header("testers", a="1")]
    found = of(tmp_path, rollout(weighted(steps=steps)), SERVICE, route)
    assert canary_of(found)["routeRefs"]
    assert told(found, lost=True) == {
        "canary.steps[2].setHeaderRoute": f"a step header needs a route that the controller makes: {why}"
    }


@pytest.mark.parametrize(
    ("steps", "field"),
    [
        ([{"setWeight": 5}, {"setMirrorRoute": {"name": "m", "match": [{"path": {"prefix": "/"}}]}}], "steps[1]"),
        ([{"setMirrorRoute": {"name": "m", "match": [{"method": {"exact": "GET"}}]}}, {"setWeight": 5}], "steps[0]"),
        (
            [{"setHeaderRoute": {"name": "h", "match": [{"headerName": "a", "headerValue": {}}]}}, {"setWeight": 5}],
            "steps[0]",
        ),
    ],
)
def test_copies_of_some_requests_or_beside_a_weight_are_told_and_left_out(
    tmp_path: Path, steps: list[Json], field: str
) -> None:
    found = of(tmp_path, rollout(weighted(steps=steps)), SERVICE, ROUTE)
    canary_of(found)
    (lost,) = told(found, lost=True)
    assert lost.startswith(f"canary.{field}.")


@pytest.mark.parametrize(
    ("routing", "provider", "field"),
    [
        ({"istio": {"virtualService": {"name": "web"}}}, "istio", "routeRefs"),
        ({"istio": {"virtualServices": [{"name": "a"}, {"name": "b"}]}}, "istio", "routeRefs"),
        ({"nginx": {"stableIngress": "web"}}, "nginx", "ingressRef"),
        ({"alb": {"ingress": "web", "servicePort": 80, "rootService": "shop"}}, "alb", "ingressRef"),
        ({"traefik": {"weightedTraefikServiceName": "web"}}, "traefik", "routeRefs"),
        ({"apisix": {"route": {"name": "web"}}}, "apisix", "routeRef"),
        ({"smi": {"rootService": "shop"}}, "linkerd", ""),
        ({"appMesh": {"virtualService": {"name": "web"}}}, "kubernetes", ""),
        ({"plugins": {"acme/own": {"x": 1}}}, "kubernetes", ""),
    ],
)
def test_each_kind_of_traffic_routing_has_its_provider(
    tmp_path: Path, routing: Json, provider: str, field: str
) -> None:
    found = of(tmp_path, rollout(weighted(trafficRouting=routing)), SERVICE)
    spec = canary_of(found)
    assert spec["provider"] == provider
    assert {"routeRefs", "routeRef", "ingressRef"} & spec.keys() == ({field} if field else set())
    assert bool(told(found, lost=True)) is (provider == "kubernetes")


def test_blue_green_waits_for_people_where_it_did(tmp_path: Path) -> None:
    blue_green = {
        "activeService": "shop",
        "previewService": "preview",
        "autoPromotionEnabled": False,
        "prePromotionAnalysis": named("checks"),
        "postPromotionAnalysis": named("checks"),
    }
    looked = metric(interval="30s", count=4)
    found = of(tmp_path, rollout({"blueGreen": blue_green}), template(looked), SERVICE)
    analysis = canary_of(found)["analysis"]
    assert (analysis["iterations"], analysis["interval"], analysis["bake"]) == (4, "30s", "2m")
    assert [each["type"] for each in analysis["webhooks"]] == ["confirm-promotion"]
    assert len(analysis["metrics"]) == 1
    assert told(found, lost=True) == {}


def test_metrics_become_templates_with_their_arguments(tmp_path: Path) -> None:
    query = "sum(rate(errors{app='{{args.service-name}}',ns='{{ args.ns }}',v='{{args.v}}'}[5m]))"
    asked = {"prometheus": {"address": "http://{{args.server}}:9090", "query": query}}
    checks = template(
        metric(provider=asked, interval="5m", failureLimit=3, initialDelay="1m"),
        args=[{"name": "service-name"}, {"name": "ns"}, {"name": "v", "value": "2"}, {"name": "server", "value": "p"}],
    )
    arguments = [
        {"name": "service-name", "value": "shop"},
        {"name": "ns", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
    ]
    found = of(tmp_path, rollout(weighted(analysis=named("checks", args=arguments))), checks, SERVICE)
    (made,) = [each for each in found.objects if each["kind"] == "MetricTemplate"]
    assert made["metadata"] == {"name": "checks-errors", "namespace": "prod"}
    assert made["spec"] == {
        "provider": {"type": "prometheus", "address": "http://p:9090"},
        "query": "sum(rate(errors{app='{{ variables.service_name }}',ns='{{ namespace }}',v='{{ variables.v }}'}[5m]))",
    }
    assert canary_of(found)["analysis"]["metrics"] == [
        {
            "name": "errors",
            "templateRef": {"name": "checks-errors"},
            "interval": "5m",
            "initialDelay": "1m",
            "failureLimit": 3,
            "thresholdRange": {"max": 0.05},
            "templateVariables": {"service_name": "shop", "v": "2"},
        }
    ]


def test_templates_of_templates_and_of_the_cluster_are_found(tmp_path: Path) -> None:
    whole = template(metric("slow"), name="whole", kind="ClusterAnalysisTemplate")
    outer = template(name="outer", templates=[{"templateName": "whole", "clusterScope": True}])
    found = of(tmp_path, rollout(weighted(analysis=named("outer", "none"))), outer, whole, SERVICE)
    assert [each["name"] for each in canary_of(found)["analysis"]["metrics"]] == ["slow"]
    assert list(told(found, lost=True)) == ["canary.analysis.templates[1].templateName"]


@pytest.mark.parametrize(
    ("provider", "type_"),
    [
        ({"datadog": {"query": "avg:errors{*}", "secretRef": {"name": "dd"}}}, "datadog"),
        ({"newRelic": {"query": "SELECT count(*) FROM Transaction"}}, "newrelic"),
        ({"wavefront": {"address": "https://w.example.com", "query": "ts(x)"}}, "wavefront"),
        ({"graphite": {"address": "http://graphite", "query": "stats.errors"}}, "graphite"),
        ({"influxdb": {"query": 'from(bucket: "x")'}}, "influxdb"),
        ({"skywalking": {"address": "http://oap:12800", "query": "query { x }"}}, "skywalking"),
        ({"web": {"url": "https://api.example.com/v1?app=x", "jsonPath": "{$.errors}"}}, "web"),
        ({"job": {"spec": {"template": {"spec": {"containers": [{"name": "t", "image": "t:1"}]}}}}}, "job"),
        ({"cloudWatch": {"metricDataQueries": [{"id": "e", "expression": "1", "period": 60}]}}, "cloudwatch"),
    ],
)
def test_each_metric_server_has_its_type(tmp_path: Path, provider: Json, type_: str) -> None:
    found = of(tmp_path, rollout(weighted(analysis=named("checks"))), template(metric(provider=provider)), SERVICE)
    (made,) = [each for each in found.objects if each["kind"] == "MetricTemplate"]
    assert made["spec"]["provider"]["type"] == type_
    if type_ != "influxdb":  # its address is in a Secret there
        canary_of(found)


def test_a_metric_without_a_server_here_is_left_out_and_told(tmp_path: Path) -> None:
    providers: tuple[Json, ...] = ({"plugin": {"x": {}}}, {"kayenta": {"address": "http://kayenta"}})
    for provider in providers:
        found = of(tmp_path, rollout(weighted(analysis=named("checks"))), template(metric(provider=provider)), SERVICE)
        assert "metrics" not in canary_of(found)["analysis"]
        assert any(each.startswith("spec.metrics[0].provider") for each in told(found, lost=True))


@pytest.mark.parametrize(
    ("success", "failure", "expected"),
    [
        ("result[0] >= 0.95", "", Range(least=0.95)),
        ("result < 5", "", Range(most=5, is_open=True)),
        ("result[0] >= 1 && result[0] <= 2", "", Range(1, 2)),
        ("len(result) == 0 || result[0] <= 5", "", Range(most=5, empty_passes=True)),
        ("isNaN(result[0]) || result[0] <= 5", "", Range(most=5, empty_passes=True)),
        ("default(result[0], 0) <= 5", "", Range(most=5, empty_passes=True)),
        ("default(result, 100) <= 5", "", Range(most=5)),
        ("", "result[0] > 5", Range(most=5)),
        ("", "result[0] < 1 || result[0] > 2", Range(1, 2)),
        ("result == 'ok'", "", None),
        ("all(result, # < 5)", "", None),
        ("result[0] >= 2 && result[0] <= 1", "", None),
        ("", "result == 3", None),
        ("", "", None),
    ],
)
def test_conditions_are_ranges(success: str, failure: str, expected: Range | None) -> None:
    assert passing(success, failure) == expected


def test_what_is_no_range_is_shown_and_decides_nothing(tmp_path: Path) -> None:
    checks = template(metric(successCondition="result == 'ok'"))
    found = of(tmp_path, rollout(weighted(analysis=named("checks"))), checks, SERVICE)
    (made,) = canary_of(found)["analysis"]["metrics"]
    assert made["dryRun"] is True
    assert "thresholdRange" not in made
    assert "spec.metrics[0].successCondition" in told(found, lost=True)


def test_a_background_analysis_that_starts_later_is_delayed(tmp_path: Path) -> None:
    analysis = named("checks", startingStep=3)
    found = of(tmp_path, rollout(weighted(analysis=analysis)), template(metric()), SERVICE)
    assert canary_of(found)["analysis"]["metrics"][0]["initialDelay"] == "10m"


def _paths(value: object, path: str = "") -> list[str]:
    """The maps of an object, where a field may be added."""
    here = [path] if isinstance(value, dict) else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return here + [each for key, one in inner for each in _paths(one, f"{path}/{key}")]


WHOLE = rollout(
    {
        "canary": {
            **weighted(analysis=named("checks", args=[{"name": "a", "value": "1"}]), maxSurge=1)["canary"],
            "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
        }
    },
    progressDeadlineSeconds=300,
)
CHECKS = template(metric(interval="1m", failureLimit=2), args=[{"name": "a"}])
AS_THEY_ARE = ("/spec/template", "/spec/selector")
"""What is taken over whole."""

PLACES = [each for each in _paths(WHOLE) if each.startswith("/spec") and not each.startswith(AS_THEY_ARE)]


@pytest.mark.parametrize("place", PLACES)
def test_no_field_is_dropped_in_silence(tmp_path: Path, place: str) -> None:
    made = deepcopy(WHOLE)
    holder: Any = made
    for part in place.strip("/").split("/"):
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    holder["newInNextYear"] = {"a": 1}
    lost = [each.field for each in of(tmp_path, made, CHECKS, SERVICE).notes if each.lost]
    assert [each for each in lost if each.endswith(".newInNextYear")], lost


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "10m", "-1h", "99999h", "{{args.a}}", "{{args.b}}", "result[0] > 1", "50"]),
    st.just([]),
    st.just({}),
    st.just(["x", 1, {"name": "x"}]),
    st.just({"name": "x", "duration": 10**9}),
)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_stands_in_a_rollout_it_is_converted(tmp_path: Path, data: st.DataObject) -> None:
    """No field of another type than it should be ends in anything but notes, or a refusal in words."""
    objects = deepcopy([WHOLE, CHECKS])
    target = data.draw(st.sampled_from(objects))
    places = [(path, key) for path in _paths(target["spec"]) for key in _at(target["spec"], path)]
    for path, key in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3, unique=True)):
        try:
            _at(target["spec"], path)[key] = deepcopy(data.draw(VALUES))
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # what it stood in has been replaced
    found = of(tmp_path, *objects, SERVICE)
    assert any(each["kind"] == "Canary" for each in found.objects)


def _at(value: Any, path: str) -> Any:
    for part in path.strip("/").split("/") if path else ():
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def test_the_command_prints_objects_and_tells_notes(tmp_path: Path, capsys: Out) -> None:
    path = written(tmp_path, rollout(weighted(antiAffinity={"x": 1})), SERVICE)
    assert main(["convert", path]) == 1
    seen = capsys.readouterr()
    assert [each["kind"] for each in yaml.safe_load_all(seen.out)] == ["Deployment", "Canary"]
    line = next(each for each in seen.err.splitlines() if "antiAffinity" in each)
    assert line.startswith(f"canary convert: {path}:")
    assert main(["convert", str(tmp_path), "-o", "json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert set(data) == {"objects", "notes", "refused"}
    assert set(data["notes"][0]) == {"file", "line", "column", "kind", "name", "field", "message", "lost"}


def test_what_holds_no_rollout_is_one_line(tmp_path: Path, capsys: Out) -> None:
    path = written(tmp_path, SERVICE)
    assert main(["convert", path]) == 2
    seen = capsys.readouterr()
    assert (seen.out, seen.err.count("\n")) == ("", 1)
    assert "there is no Rollout" in seen.err


def test_files_of_a_folder_are_read_together(tmp_path: Path) -> None:
    for index, each in enumerate((rollout(weighted(analysis=named("checks"))), CHECKS, SERVICE)):
        (tmp_path / f"{index}.yaml").write_text(yaml.safe_dump(each))
    (tmp_path / "chart.yaml").write_text("{{- if x }}\n")
    assert len(converted([str(tmp_path)]).objects) == 3
