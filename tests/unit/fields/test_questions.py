"""Fields of metrics, and of the MetricTemplates that they name: what is asked, where, and how the answer is judged."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from canary.api.canary import Canary
from canary.api.metrictemplate import MetricTemplate, parse_metric_template
from canary.controller.ask import metric_templates
from canary.controller.ask.jobs import job_for
from canary.controller.ask.metric_questions import Asking, question_of
from canary.kube.types import Json
from metrics.errors import MisconfiguredError
from metrics.question import Question
from metrics.templates import TemplateError
from metrics.threshold import Threshold

METRIC = "spec.analysis.metrics[]"
QUERY = {f"{METRIC}.name": "lag", f"{METRIC}.query": "max(lag) by ({{ variables.by }})"}
BUILT_IN = {f"{METRIC}.name": "request-duration"}
TEMPLATE: Json = {
    "metadata": {"name": "errors", "namespace": "shop"},
    "spec": {"provider": {"type": "prometheus"}, "query": "sum(errors)"},
}


def asked(canary: Canary, template: MetricTemplate | None = None) -> Question:
    """The question behind the first metric.

    Raises:
        ValueError: there is none.
    """
    asking = Asking(provider="kubernetes", server="http://prometheus:9090", template=template)
    try:
        return question_of(canary, canary.analysis.metrics[0], asking)
    except (MisconfiguredError, TemplateError) as error:
        raise ValueError from error


def looked_for(canary: Canary) -> list[tuple[str, str]]:
    """The MetricTemplates that are looked for, by namespace and name."""
    found: list[tuple[str, str]] = []

    def find(namespace: str, name: str) -> Json:
        found.append((namespace, name))
        return TEMPLATE

    assert list(metric_templates.problems(canary, find, cross_namespace=True)) == []
    return found


def limits(canary: Canary) -> Threshold:
    return asked(canary).threshold


CASES: list[tuple[str, object, Callable[[Canary], object], object, Mapping[str, object]]] = [
    (
        "name",
        "request-duration",
        lambda canary: "histogram_quantile" in asked(canary).query,
        True,
        {f"{METRIC}.threshold": 5},
    ),
    ("interval", "90s", lambda canary: asked(canary).interval, timedelta(seconds=90), BUILT_IN),
    ("interval", "90s", lambda canary: "[90s]" in asked(canary).query, True, BUILT_IN),
    ("threshold", 500, limits, Threshold(max=500), BUILT_IN),
    ("thresholdRange.min", 5, limits, Threshold(min=5), BUILT_IN),
    ("thresholdRange.max", 5, limits, Threshold(max=5), BUILT_IN),
    ("query", "max(lag)", lambda canary: asked(canary).query, "max(lag)", {f"{METRIC}.name": "lag"}),
    ("templateVariables", {"by": "pod"}, lambda canary: asked(canary).query, "max(lag) by (pod)", QUERY),
    ("templateRef.name", "errors", looked_for, [("shop", "errors")], {f"{METRIC}.name": "errors"}),
    (
        "templateRef.namespace",
        "monitoring",
        looked_for,
        [("monitoring", "errors")],
        {f"{METRIC}.name": "errors", f"{METRIC}.templateRef.name": "errors"},
    ),
]


@pytest.mark.parametrize(
    ("field", "value", "read", "expected", "beside"), [(f"{METRIC}.{name}", *rest) for name, *rest in CASES]
)
def test_the_question_is_as_the_metric_says(
    shows: Callable[..., None],
    field: str,
    value: object,
    read: Callable[[Canary], object],
    expected: object,
    beside: Mapping[str, object],
) -> None:
    shows(field, value, read, expected, beside)


@pytest.mark.field("spec.metricsServer")
@pytest.mark.parametrize("template", [None, parse_metric_template(TEMPLATE)], ids=["built in", "by template"])
def test_the_canarys_own_server_is_asked(shows: Callable[..., None], template: MetricTemplate | None) -> None:
    def read(canary: Canary) -> str:
        return asked(canary, template).address

    shows("spec.metricsServer", "http://own:9090", read, "http://own:9090", BUILT_IN)


PROVIDER = "MetricTemplate.spec.provider"


@pytest.mark.parametrize(
    ("field", "value", "read", "expected"),
    [
        ("MetricTemplate.spec.query", "sum(all)", lambda question: question.query, "sum(all)"),
        (f"{PROVIDER}.type", "influxdb", lambda question: question.provider, "influxdb"),
        (f"{PROVIDER}.address", "http://other", lambda question: question.address, "http://other"),
        (
            f"{PROVIDER}.headers",
            {"X-Org": ["a", "b"]},
            lambda question: question.headers,
            (("X-Org", "a"), ("X-Org", "b")),
        ),
        (f"{PROVIDER}.insecureSkipVerify", True, lambda question: question.insecure, True),
    ],
)
def test_the_question_is_as_the_template_says(
    shows: Callable[..., None],
    make: Callable[..., Canary],
    field: str,
    value: object,
    read: Callable[[Question], object],
    expected: object,
) -> None:
    canary = make({f"{METRIC}.name": "errors", f"{METRIC}.templateRef.name": "errors"})

    def answer(template: MetricTemplate) -> object:
        return read(asked(canary, template))

    path = field.removeprefix("MetricTemplate.")
    shows(path, value, answer, expected, {}, base=TEMPLATE, parse=parse_metric_template)


@pytest.mark.parametrize("field", [f"{PROVIDER}.region"])
@pytest.mark.parametrize("kind", ["datadog", "influxdb"])
def test_a_region_is_refused_where_there_are_none(
    document: Callable[..., Json], make: Callable[..., Canary], field: str, kind: str
) -> None:
    path = field.removeprefix("MetricTemplate.")
    found = refusals(make, document(TEMPLATE, {"spec.provider.type": kind, path: "eu-west-1"}))
    assert [f"{path}: {kind} has no regions" in each for each in found] == [True]
    assert refusals(make, document(TEMPLATE, {"spec.provider.type": kind})) == []


@pytest.mark.parametrize("field", [f"{PROVIDER}.region"])
@pytest.mark.parametrize("kind", ["cloudwatch", "prometheus", "opensearch"])
def test_a_region_is_asked_where_there_are_some(
    document: Callable[..., Json], make: Callable[..., Canary], field: str, kind: str
) -> None:
    path = field.removeprefix("MetricTemplate.")
    template = document(TEMPLATE, {"spec.provider.type": kind, path: "eu-west-1"})
    assert refusals(make, template) == []
    canary = make({f"{METRIC}.name": "errors", f"{METRIC}.templateRef.name": "errors"})
    assert asked(canary, parse_metric_template(template)).region == "eu-west-1"


JOBS: Json = {
    "metadata": {"name": "errors", "namespace": "shop"},
    "spec": {"provider": {"type": "job"}, "job": {"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}}},
}


@pytest.mark.field("MetricTemplate.spec.job")
def test_a_job_is_as_the_template_says(make: Callable[..., Canary]) -> None:
    canary = make({f"{METRIC}.name": "errors", f"{METRIC}.templateRef.name": "errors"})
    job = job_for(canary, canary.analysis.metrics[0], parse_metric_template(JOBS))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert (job["kind"], container["name"]) == ("Job", "a")
    assert refusals(make, JOBS) == []


POD = "spec.job.spec.template.spec"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"spec.job": None}, "spec.job: is missing"),
        ({f"{POD}.containers": []}, f"{POD}.containers: is empty"),
        ({f"{POD}.restartPolicy": "Always"}, f"{POD}.restartPolicy: a Job's pods end"),
        ({"spec.job.spec.suspend": True}, "spec.job.spec.suspend: one that is suspended never ends"),
        ({"spec.job.spec.ttlSecondsAfterFinished": 10}, "ttlSecondsAfterFinished: the Job could be gone"),
        ({f"{POD}.containers": [{"args": ["{{ nobody }}"]}]}, f"{POD}.containers[0].args[0]: "),
        ({"spec.query": "up"}, "spec.query: a Job is run, and no server asked"),
        ({f"{PROVIDER.partition('.')[2]}.address": "http://a"}, "spec.provider.address: a Job is run"),
    ],
)
def test_a_job_that_could_never_answer_is_refused(
    document: Callable[..., Json], make: Callable[..., Canary], changes: Mapping[str, object], told: str
) -> None:
    (found,) = refusals(make, document(JOBS, changes))
    assert told in found


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"spec.query": ""}, "spec.query: is missing"),
        ({"spec.job": {}}, "spec.job: prometheus runs none"),
    ],
)
def test_a_server_is_asked_by_a_query_and_runs_no_job(
    document: Callable[..., Json], make: Callable[..., Canary], changes: Mapping[str, object], told: str
) -> None:
    (found,) = refusals(make, document(TEMPLATE, changes))
    assert told in found


def test_a_region_is_missed_where_there_must_be_one(document: Callable[..., Json], make: Callable[..., Canary]) -> None:
    (found,) = refusals(make, document(TEMPLATE, {"spec.provider.type": "cloudwatch"}))
    assert found.endswith("spec.provider.region: cloudwatch needs one; write one such as eu-west-1")


def test_a_server_that_cant_be_asked_is_refused_before_anything_is_rolled_out(
    document: Callable[..., Json], make: Callable[..., Canary]
) -> None:
    (found,) = refusals(make, document(TEMPLATE, {"spec.provider.type": "pager"}))
    assert found.startswith("spec.analysis.metrics[0].templateRef: MetricTemplate errors in shop: spec.provider.type")


def test_a_template_that_cant_be_read_is_named_with_what_is_wrong(
    document: Callable[..., Json], make: Callable[..., Canary]
) -> None:
    (found,) = refusals(make, document(TEMPLATE, {"spec.provider.headers": 5}))
    assert "MetricTemplate errors in shop: spec.provider.headers" in found


@pytest.mark.parametrize(
    ("namespace", "there", "told"),
    [("", False, "does not exist in shop"), ("lab", True, "references to other namespaces are switched off")],
)
def test_a_template_that_isnt_to_be_had_is_told(
    make: Callable[..., Canary], namespace: str, there: bool, told: str
) -> None:
    named = {f"{METRIC}.name": "errors", f"{METRIC}.templateRef.name": "errors"}
    canary = make({**named, f"{METRIC}.templateRef.namespace": namespace})
    (found,) = metric_templates.problems(canary, lambda *_: TEMPLATE if there else None, cross_namespace=False)
    assert told in found.message
    skipped = canary.replace(spec=canary.spec.replace(skip_analysis=True))
    assert list(metric_templates.problems(skipped, lambda *_: None, cross_namespace=False)) == []


def refusals(make: Callable[..., Canary], template: Json) -> list[str]:
    canary = make({f"{METRIC}.name": "errors", f"{METRIC}.templateRef.name": "errors"})
    return [str(each) for each in metric_templates.problems(canary, lambda *_: template, cross_namespace=True)]
