from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import Canary, parse_canary
from canary.api.metrictemplate import MetricTemplate, parse_metric_template
from canary.api.problems import Problem
from canary.api.status import CanaryStatus
from canary.controller.ask import metric_templates
from canary.controller.ask.metric_questions import Asking, question_of
from canary.controller.ask.metric_subjects import Workload, rewrite_for
from metrics.errors import MisconfiguredError
from metrics.templates import Model, TemplateError
from metrics.threshold import Threshold

ASKING = Asking(provider="kubernetes", server="http://prometheus:9090")
TEMPLATE = parse_metric_template(
    {
        "metadata": {"name": "errors", "namespace": "metrics"},
        "spec": {
            "provider": {
                "type": "prometheus",
                "headers": {"X-Scope-OrgID": ["a", "b"]},
                "insecureSkipVerify": True,
            },
            "query": 'sum(errors{app="{{ target }}",team="{{ variables.team }}"}[{{ interval }}])',
        },
    }
)


def canary(metric: dict[str, Any], **spec: Any) -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "service": {"port": 80},
                "analysis": {"iterations": 1, "metrics": [metric]},
                **spec,
            },
        }
    )


def test_a_built_in_metric_asks_the_spec_s_own_server_first() -> None:
    built_in = {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "90s"}
    for subject, server in (
        (canary(built_in), "http://prometheus:9090"),
        (canary(built_in, metricsServer="http://own:9090"), "http://own:9090"),
    ):
        question = question_of(subject, subject.analysis.metrics[0], ASKING)
        assert (question.address, question.unit, question.threshold) == (server, " ms", Threshold(max=500))
        assert question.interval == timedelta(seconds=90)
        assert 'kubernetes_namespace="shop"' in question.query
        assert "[90s]" in question.query
        assert question.series == ("http_request_duration_seconds",)


def test_pods_that_are_named_alike_in_both_versions_are_asked_for_by_name() -> None:
    """Built-in queries and those of a spec are told which of a StatefulSet's pods run the new version."""
    asking = replace(ASKING, pods="web-(1|2)")
    built_in = canary({"name": "request-success-rate", "thresholdRange": {"min": 99}})
    own = canary({"name": "lag", "query": "max(lag{pod=~'{{ pods }}'})", "threshold": 7})
    assert 'kubernetes_pod_name=~"web-(1|2)"' in question_of(built_in, built_in.analysis.metrics[0], asking).query
    assert question_of(own, own.analysis.metrics[0], asking).query == "max(lag{pod=~'web-(1|2)'})"


def test_of_a_knative_service_the_revision_is_asked_for_that_is_rolled_out_or_promoted() -> None:
    """Before any is known, as where the past is looked at, all of them are."""
    built_in = {"name": "request-success-rate", "threshold": 99}
    target = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}
    new = canary(built_in, targetRef=target, provider="knative", service={})
    known = new.replace(status=CanaryStatus(last_applied_spec="web-00002", last_promoted_spec="web-00001"))
    asking = Asking(provider="knative", server="http://prometheus:9090")
    baked = replace(asking, rewrite=rewrite_for(Workload.PRIMARY, known))
    for subject, asked, revision in (
        (known, asking, "web-00002"),
        (known, baked, "web-00001"),
        (new, asking, "web-[0-9]+"),
    ):
        query = question_of(subject, subject.analysis.metrics[0], asked).query
        assert f'envoy_cluster_name=~"shop/{revision}"' in query


def test_a_query_in_the_spec_is_filled_in() -> None:
    subject = canary({"name": "lag", "query": "max(lag{app='{{ service }}'})", "threshold": 7})
    question = question_of(subject, subject.analysis.metrics[0], ASKING)
    assert (question.query, question.threshold) == ("max(lag{app='web'})", Threshold(max=7))


def test_a_template_brings_its_server_headers_and_variables() -> None:
    metric = {"name": "errors", "templateRef": {"name": "errors"}, "templateVariables": {"team": "blue"}}
    subject = canary({**metric, "interval": "1m"})
    asking = Asking(
        provider="kubernetes", server="http://prometheus:9090", template=TEMPLATE, credentials={"token": "t"}
    )
    question = question_of(subject, subject.analysis.metrics[0], asking)
    assert question.query == 'sum(errors{app="web",team="blue"}[1m])'
    assert question.headers == (("X-Scope-OrgID", "a"), ("X-Scope-OrgID", "b"))
    assert (question.address, question.insecure, question.credentials) == (
        "http://prometheus:9090",
        True,
        {"token": "t"},
    )


def test_a_question_says_since_when_values_are_about_the_version() -> None:
    began = datetime(2026, 3, 4, tzinfo=UTC)
    built_in = canary({"name": "request-duration"})
    templated = canary({"name": "errors", "templateRef": {"name": "errors"}, "templateVariables": {"team": "blue"}})
    for subject, asking in ((built_in, ASKING), (templated, replace(ASKING, template=TEMPLATE))):
        assert question_of(subject, subject.analysis.metrics[0], replace(asking, since=began)).since == began
        assert question_of(subject, subject.analysis.metrics[0], asking).since is None


def test_the_ports_of_the_services_are_told_by_number_and_by_name() -> None:
    ports = {"port": 80, "portName": "web", "ports": [{"name": "grpc", "port": 9000}]}
    subject = canary({"name": "lag", "query": "{{ ports }}"}, service=ports)
    assert question_of(subject, subject.analysis.metrics[0], ASKING).query == "(80|9000|grpc|web)"


def test_a_query_can_be_rewritten_before_it_is_filled_in() -> None:
    def rewrite(text: str, model: Model) -> tuple[str, Model]:
        return text.replace("service", "name"), model

    subject = canary({"name": "lag", "query": "lag{app='{{ service }}'}"})
    asking = Asking(provider="kubernetes", server="http://prometheus:9090", rewrite=rewrite)
    assert question_of(subject, subject.analysis.metrics[0], asking).query == "lag{app='app'}"


def test_what_can_t_be_asked_says_why() -> None:
    unknown = canary({"name": "request-duration"})
    with pytest.raises(MisconfiguredError, match="provider 'smoke'"):
        question_of(unknown, unknown.analysis.metrics[0], Asking(provider="smoke", server="http://p:9090"))
    wrong = canary({"name": "lag", "query": "{{ nothing }}"})
    with pytest.raises(TemplateError, match="nothing"):
        question_of(wrong, wrong.analysis.metrics[0], ASKING)


def template(namespace: str = "metrics", **provider: Any) -> MetricTemplate:
    spec = {"provider": {"type": "prometheus", **provider}, "query": "up"}
    return parse_metric_template({"metadata": {"name": "t", "namespace": namespace}, "spec": spec})


SECRET, HEADERS = {"secretRef": {"name": "token"}}, {"headers": {"Authorization": ["Bearer x"]}}
ELSEWHERE = {"metricsServer": "http://own:9090"}
NAMING = {"name": "errors", "templateRef": {"name": "t", "namespace": "metrics"}}


def refused(subject: Canary, found: MetricTemplate) -> list[Problem]:
    raw = {"metadata": found.metadata.to_json(), "spec": found.spec.to_json()}
    return list(metric_templates.problems(subject, lambda _namespace, _name: raw, cross_namespace=True))


@pytest.mark.parametrize("secrets", [SECRET, HEADERS])
@pytest.mark.parametrize("namespace", ["metrics", "shop"])
def test_a_secret_goes_only_to_an_address_that_its_template_or_the_controller_names(
    secrets: dict[str, Any], namespace: str
) -> None:
    """Whoever writes a Canary may choose its metricsServer, and need not be whoever may read the Secret."""
    asking, subject = replace(ASKING, credentials={"token": "T"}), canary(NAMING, **ELSEWHERE)
    stray = template(namespace, **secrets)
    (problem,) = refused(subject, stray)
    assert "spec.metricsServer" in problem.message
    with pytest.raises(MisconfiguredError, match=r"metricsServer"):
        question_of(subject, subject.analysis.metrics[0], replace(asking, template=stray))

    for named, at, address in (
        (template(address="http://team:9090", **secrets), subject, "http://team:9090"),
        (stray, canary(NAMING), "http://prometheus:9090"),
        (template(), subject, "http://own:9090"),
    ):
        assert refused(at, named) == []
        asked = replace(asking, template=named, credentials={"token": "T"} if named.spec.provider.secret_ref else {})
        assert question_of(at, at.analysis.metrics[0], asked).address == address


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "connection"])
def test_no_template_says_where_a_request_ends_on_a_connection_that_others_use(name: str) -> None:
    (problem,) = refused(canary(NAMING), template(headers={name: ["1"]}))

    assert name in problem.message
    assert "belongs to the connection" in problem.message


@pytest.mark.parametrize("headers", [{"X-Key": ["SECRET\nX: y"]}, {"X-Key": ["SECRET\u00e9"]}, {"X Key": ["SECRET"]}])
def test_a_header_that_cant_be_sent_is_told_by_its_name_and_not_its_value(headers: dict[str, list[str]]) -> None:
    (problem,) = refused(canary(NAMING), template(headers=headers))

    assert next(iter(headers)) in problem.message
    assert "SECRET" not in str(problem)
