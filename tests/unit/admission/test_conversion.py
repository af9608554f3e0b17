"""What the API server is answered that has a Canary in one version and wants it in the other."""

from typing import Any

import pytest

from canary.admission.conversion import convert
from canary.admission.review import NoReviewError
from canary.kube.types import Json
from tests.unit.admission.conftest import EXAMPLES, OPTIONS, answer, example

OLD, NEW = "flagger.app/v1beta1", "flagger.app/v1beta2"
CANARIES = [each for each in EXAMPLES.values() if each["kind"] == "Canary"]


def asked(objects: Any, wanted: str = NEW, **request: Any) -> Json:
    """What is answered to a question."""
    question = {"uid": "705ab4f5", "desiredAPIVersion": wanted, "objects": objects, **request}
    review = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": question}
    answered = convert(review, OPTIONS)
    assert (answered["apiVersion"], answered["kind"]) == (review["apiVersion"], review["kind"])
    response: Json = answered["response"]
    assert response["uid"] == "705ab4f5"
    return response


def test_all_objects_are_converted_in_their_order_and_back() -> None:
    there = asked(CANARIES)
    assert there["result"] == {"status": "Success"}
    assert {each["apiVersion"] for each in there["convertedObjects"]} == {NEW}
    assert asked(there["convertedObjects"], OLD)["convertedObjects"] == CANARIES


def test_of_the_metadata_annotations_alone_differ() -> None:
    """An API server takes no other change for a conversion."""
    for raw, made in zip(CANARIES, asked(CANARIES)["convertedObjects"], strict=True):
        for each in (raw, made):
            each["metadata"] = {name: value for name, value in each["metadata"].items() if name != "annotations"}
        assert made["metadata"] == raw["metadata"]


def test_what_has_the_version_already_is_left_as_it_is() -> None:
    assert asked(CANARIES, OLD)["convertedObjects"] == CANARIES


@pytest.mark.parametrize("spec", [None, {}, [], {"analysis": 5}, {"targetRef": {}, "analysis": {"metrics": {"a": 1}}}])
def test_whatever_was_stored_is_converted(spec: object) -> None:
    """Or it could not be read, mended or deleted."""
    raw = {**example("my-app"), "spec": spec}
    (made,) = asked([raw])["convertedObjects"]
    assert asked([made], OLD)["convertedObjects"] == [raw]


@pytest.mark.parametrize(
    ("objects", "wanted"),
    [([example("by-slack")], NEW), ([example("my-app")], "flagger.app/v1"), ([5], NEW), ([{}], NEW)],
)
def test_what_nobody_can_convert_is_said(objects: list[Json], wanted: str) -> None:
    result = asked(objects, wanted)["result"]
    assert result["status"] == "Failure"
    assert f"is said in {wanted}; ask for Canaries of v1beta1" in result["message"]


@pytest.mark.parametrize("request_", [None, {}, {"uid": "1"}, {"uid": 1, "objects": []}, {"uid": "1", "objects": {}}])
def test_what_is_no_question_is_none(request_: object) -> None:
    review = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request_}
    with pytest.raises(NoReviewError):
        convert(review, OPTIONS)
    with pytest.raises(NoReviewError):
        convert({**review, "kind": "AdmissionReview"}, OPTIONS)


def test_who_writes_v1beta2_is_refused_by_the_names_that_were_written() -> None:
    """The API server shows what is written in v1beta2 as v1beta1, and says which it was."""
    raw = example("my-app")
    raw["spec"]["analysis"]["metrics"][0] = {"name": "errors", "thresholdRange": {"max": 1}}
    said = answer(raw, requestKind={"group": "flagger.app", "version": "v1beta2", "kind": "Canary"})
    assert [each["field"] for each in said["status"]["details"]["causes"]] == ["spec.checks[0].name"]
    assert "templateRef" not in said["status"]["message"]
