"""What is refused before it is stored, what passes with a warning, and what nobody stands in the way of."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.admission.review import LONGEST_WARNING, MOST_WARNINGS, NoReviewError
from canary.admission.validate import TOO_LARGE, validate
from canary.controller.options import Options
from canary.kube.types import Json
from tests.unit.admission.conftest import EXAMPLES, OPTIONS, answer, example, refused, review
from tests.unit.admission.follow import put

DOCUMENTS = json.loads((Path(__file__).parents[1] / "api" / "flagger-documents.json").read_text(encoding="utf-8"))
REFUSED_BY_FLAGGER_TOO = {("metrics", 8), ("webhooks", 6)}
NOT_WORKING = {"blog", "from-cloudwatch", "in-app-mesh"}
"""Examples of fields that no provider of theirs can honour, or that lack one for which the controller alone asks."""


def changed(**values: Any) -> Json:
    made = example("my-app")
    for path, value in values.items():
        put(made, path.replace("__", "."), value)
    return made


def broken(name: str = "my-app") -> Json:
    made = example(name)
    put(made, "spec.analysis.stepWeight", 500)
    return made


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - NOT_WORKING))
def test_what_works_passes(name: str) -> None:
    assert refused(example(name)) == {}


@pytest.mark.parametrize("found", DOCUMENTS, ids=lambda found: f"{found['page']}-{found['number']}")
def test_specs_of_flaggers_documents_pass(found: Json) -> None:
    """With the provider that their page has people choose."""
    raw = {**example("my-app"), "spec": found["spec"]}
    response = validate(review(raw), Options(mesh_provider=found["provider"]))["response"]
    assert response["allowed"] == ((found["page"], found["number"]) not in REFUSED_BY_FLAGGER_TOO), response


def test_a_refusal_is_in_the_words_of_the_controller() -> None:
    response = answer(broken(), name="my-app")
    assert response == {
        "uid": "705ab4f5",
        "allowed": False,
        "status": {
            "code": 422,
            "reason": "Invalid",
            "message": "spec.analysis.stepWeight: 500 is no percentage; write 0 to 100",
            "details": {
                "group": "flagger.app",
                "kind": "Canary",
                "name": "my-app",
                "causes": [
                    {
                        "reason": "FieldValueInvalid",
                        "field": "spec.analysis.stepWeight",
                        "message": "500 is no percentage; write 0 to 100",
                    }
                ],
            },
        },
    }


def test_the_provider_is_the_controllers_own_where_none_is_named() -> None:
    raw = changed()
    raw["spec"].pop("provider", None)
    by_provider = {
        each: validate(review(raw), Options(mesh_provider=each))["response"]["allowed"] for each in ("istio", "nginx")
    }
    assert by_provider == {"istio": True, "nginx": False}


def test_what_stands_beside_it_is_not_asked_for() -> None:
    """GitOps applies files in any order: the target, the template and the messenger may come a moment later."""
    raw = changed(
        spec__targetRef__name="nobody-has-it", spec__analysis__alerts=[{"name": "a", "providerRef": {"name": "x"}}]
    )
    raw["spec"]["analysis"]["metrics"] = [
        {"name": "errors", "templateRef": {"name": "x"}, "thresholdRange": {"max": 1}}
    ]
    assert refused(raw) == {}


def test_one_that_waits_for_itself_is_refused() -> None:
    assert "spec.scheduling.dependsOn" in refused(changed(spec__scheduling={"dependsOn": [{"name": "my-app"}]}))


def test_references_to_other_namespaces_are_refused_where_they_are_switched_off() -> None:
    raw = changed(spec__scheduling={"dependsOn": [{"name": "db", "namespace": "other"}]})
    assert refused(raw) == {}
    response = validate(review(raw), Options(cross_namespace_refs=False))["response"]
    assert "spec.scheduling.dependsOn[0].namespace" in response["status"]["message"]


def test_a_name_that_the_server_is_still_to_make_is_no_hindrance() -> None:
    raw = changed(metadata={"generateName": "my-app-"})
    assert refused(raw) == {}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.labels", {"team": "shop"}),
        ("metadata.annotations", {"flagger.app/order": "abort"}),
        ("metadata.finalizers", []),
        ("metadata.ownerReferences", []),
        ("status", {"phase": "Failed"}),
    ],
)
@pytest.mark.parametrize("name", ["my-app", "by-slack", "error-rate"])
def test_nobody_who_leaves_a_broken_spec_as_it_is_is_refused(name: str, path: str, value: object) -> None:
    """Orders of people, finalizers, owners: the spec was broken before, which is said again."""
    old = example(name)
    put(old, "spec.service.port" if name == "my-app" else "spec.provider", "x")
    put(old, "spec.type", 5)
    new = deepcopy(old)
    put(new, path, value)
    response = answer(new, old)
    assert response["allowed"]
    assert response["warnings"]


def test_nothing_stands_in_the_way_of_a_deletion() -> None:
    """Whatever is written of an object that is to go, and whatever it was."""
    new = broken()
    put(new, "spec.targetRef", "text")
    new["metadata"]["deletionTimestamp"] = "2026-11-29T12:00:00Z"
    assert answer(new, changed()) == {"uid": "705ab4f5", "allowed": True}
    assert answer(None, broken(), operation="DELETE") == {"uid": "705ab4f5", "allowed": True}


@pytest.mark.parametrize("request_", [{"subResource": "status"}, {"subResource": "scale"}, {"operation": "CONNECT"}])
def test_what_is_no_spec_is_not_looked_at(request_: Json) -> None:
    assert answer(broken(), changed(), **request_) == {"uid": "705ab4f5", "allowed": True}


def test_what_is_of_others_passes() -> None:
    assert answer({"apiVersion": "v1", "kind": "Pod", "spec": 5}) == {"uid": "705ab4f5", "allowed": True}
    assert answer({"apiVersion": 7, "kind": []}) == {"uid": "705ab4f5", "allowed": True}


def test_one_of_two_faults_may_be_mended_and_the_other_is_warned_of() -> None:
    old = broken()
    put(old, "spec.analysis.interval", "0s")
    new = deepcopy(old)
    put(new, "spec.analysis.interval", "1m")
    response = answer(new, old)
    assert response["allowed"]
    assert response["warnings"] == ["spec.analysis.stepWeight: 500 is no percentage; write 0 to 100"]


def test_a_broken_spec_may_be_suspended_or_its_analysis_skipped() -> None:
    for field in ("suspend", "skipAnalysis"):
        new = broken()
        put(new, f"spec.{field}", True)
        assert refused(new, broken()) == {}


def test_a_new_fault_is_refused_and_told_alone() -> None:
    new = broken()
    put(new, "spec.service.port", 70_000)
    assert list(refused(new, broken())) == ["spec.service.port"]


def test_a_fault_is_the_same_wherever_it_stands_in_a_list_and_two_are_more_than_one() -> None:
    old = changed()
    put(old, "spec.analysis.metrics[0]", {"name": "nobody-has-it"})
    new = deepcopy(old)
    new["spec"]["analysis"]["metrics"].insert(0, {"name": "request-duration", "thresholdRange": {"max": 500}})
    assert refused(new, old) == {}
    new["spec"]["analysis"]["metrics"].insert(0, {"name": "nobody-has-it"})
    assert len(refused(new, old)) == 1


def test_a_field_that_the_schema_does_not_have_is_warned_of() -> None:
    """An API server that is not asked to be strict drops it."""
    response = answer(changed(spec__analysis__treshold=5))
    assert response["allowed"]
    assert response["warnings"] == ["spec.analysis.treshold: unknown field; did you mean threshold?"]


def test_an_analysis_that_asks_nobody_is_warned_of() -> None:
    raw = changed()
    raw["spec"]["analysis"] = {"interval": "1m", "threshold": 5, "stepWeight": 10}
    assert any("spec.analysis.metrics: is missing" in each for each in answer(raw)["warnings"])
    raw["spec"]["skipAnalysis"] = True
    assert "warnings" not in answer(raw)


def test_a_metric_that_nobody_can_be_asked_for_is_warned_of() -> None:
    """The controller holds every rollout by it, and calls no spec invalid for it."""
    raw = changed(
        spec__analysis__metrics=[{"name": "errors", "query": "up{a='{{ nobody }}'}", "thresholdRange": {"max": 1}}]
    )
    response = answer(raw)
    assert response["allowed"]
    assert response["warnings"][0].startswith("spec.analysis.metrics[0]: it can't be asked for: ")


def test_however_much_is_wrong_the_answer_is_short() -> None:
    raw = changed()
    raw["spec"] |= {f"unknown{at}": "x" * 100 for at in range(500)}
    response = answer(raw)
    assert len(response["warnings"]) == MOST_WARNINGS
    assert all(len(each) <= LONGEST_WARNING for each in response["warnings"])
    raw["spec"]["analysis"]["metrics"] = [{"name": "x" * 900}] * 90
    assert len(json.dumps(answer(raw))) < 60_000


def test_what_is_larger_than_any_spec_is_not_looked_at() -> None:
    """It would take long, and who asks so is no API server with our definitions: those bound every list."""
    raw = broken()
    raw["spec"]["analysis"]["metrics"] = [{"name": "request-duration"}] * 10_000
    assert answer(raw) == {"uid": "705ab4f5", "allowed": True, "warnings": [TOO_LARGE]}


def test_an_older_question_is_told_which_is_answered() -> None:
    with pytest.raises(NoReviewError, match=r"admission\.k8s\.io/v1, the only"):
        validate({**review(changed()), "apiVersion": "admission.k8s.io/v1beta1"}, OPTIONS)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def mangled(draw: st.DrawFn) -> Json:
    """An example in which anything stands anywhere."""
    raw = example(draw(st.sampled_from(sorted(EXAMPLES))))
    for _ in range(draw(st.integers(1, 3))):
        here: Any = raw
        while True:
            keys = sorted(here) if isinstance(here, dict) else list(range(len(here)))
            key = draw(st.sampled_from(keys))
            if not (isinstance(here[key], dict | list) and here[key] and draw(st.booleans())):
                here[key] = draw(json_values)
                break
            here = here[key]
    return raw


@settings(max_examples=300)
@given(mangled(), mangled(), st.sampled_from(["CREATE", "UPDATE"]))
def test_anything_is_answered(new: Json, old: Json, operation: str) -> None:
    response = answer(new, old, operation=operation)
    assert response["uid"] == "705ab4f5"
    assert response["allowed"] or response["status"]["message"]
    json.dumps(response)


@settings(max_examples=300)
@given(mangled())
def test_who_changes_nothing_of_the_spec_is_never_refused(raw: Json) -> None:
    new = deepcopy(raw)
    if isinstance(new.get("metadata"), dict):
        new["metadata"]["annotations"] = {"a": "b"}
    # What is no number is not even equal to itself, and stands in no JSON of an API server.
    if "NaN" not in json.dumps(new):
        assert answer(new, raw)["allowed"]
