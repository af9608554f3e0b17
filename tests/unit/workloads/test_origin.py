"""What has the name of something that is made for a Canary is the Canary's by an owner, a mark or its author alone."""

from collections.abc import Callable
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.kube.types import CONFIG_MAP, DEPLOYMENT, SERVICE, Json, Resource
from canary.workloads import origin
from canary.workloads.origin import Namesake

MINE = {"kind": "Canary", "name": "my-app", "uid": "uid-1"}
BEFORE = {"kind": "Canary", "name": "my-app", "uid": "uid-0"}
THEIRS = {"kind": "Canary", "name": "other", "uid": "uid-2"}
OPERATOR = {"kind": "Postgres", "name": "my-app", "uid": "uid-3"}


def namesake(resource: Resource = DEPLOYMENT, **metadata: Any) -> Namesake:
    return Namesake("spec.targetRef", resource, {"metadata": {"name": "my-app-primary", **metadata}})


def managed(manager: str, **fields: Any) -> Json:
    return {"metadata": {"managedFields": [{"manager": manager, "operation": "Update", "fieldsV1": fields}]}}


@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": [MINE]},
        # The Canary was made anew a moment ago, and what its predecessor had is still being collected.
        {"ownerReferences": [BEFORE]},
        {"annotations": {"flagger.app/revision": "abc"}},
        {"annotations": {"flagger.app/applied": "abc"}},
        {"labels": {"flagger.app/canary": "my-app"}, "ownerReferences": [OPERATOR]},
    ],
)
def test_an_owner_or_a_mark_says_so(make_canary: Callable[..., Canary], metadata: Json) -> None:
    assert origin.is_evident(make_canary(), namesake(**metadata))


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": {"app": "my-app-primary", "flagger.app/canary": "other"}},
        {"ownerReferences": [OPERATOR]},
        {"ownerReferences": [THEIRS]},
        {"ownerReferences": [THEIRS], "annotations": {"flagger.app/revision": "abc"}},
    ],
)
def test_its_name_alone_says_nothing(make_canary: Callable[..., Canary], metadata: Json) -> None:
    each = namesake(**metadata)
    assert not origin.is_evident(make_canary(), each)
    (problem,) = origin.problem(make_canary(), each)
    assert problem.message.startswith("Deployment my-app-primary ")


def test_copies_of_configuration_are_shared_among_canaries(make_canary: Callable[..., Canary]) -> None:
    assert origin.is_evident(make_canary(), namesake(CONFIG_MAP, ownerReferences=[THEIRS]))
    assert not origin.is_evident(make_canary(), namesake(CONFIG_MAP, ownerReferences=[OPERATOR]))


def test_a_service_of_another_canary_is_told_elsewhere(make_canary: Callable[..., Canary]) -> None:
    assert origin.problem(make_canary(), namesake(SERVICE, ownerReferences=[THEIRS])) == ()


def test_the_remedy_is_a_label_that_then_says_so(make_canary: Callable[..., Canary]) -> None:
    (problem,) = origin.problem(make_canary(), namesake())
    key, _, value = problem.remedy.rpartition(" ")[2].partition("=")
    assert origin.is_evident(make_canary(), namesake(labels={key: value}))


@pytest.mark.parametrize("manager", ["flagger", "canary-controller"])
@pytest.mark.parametrize(
    "fields",
    [
        {"f:spec": {"f:selector": {}, "f:template": {}}},
        {"f:spec": {"f:scaleTargetRef": {}}},
        {"f:data": {"f:a": {}}},
        {"f:type": {}},
    ],
)
def test_its_author_tells_where_the_owner_was_taken_off(manager: str, fields: Json) -> None:
    assert origin.is_made_by_us(managed(manager, **fields))
    assert not origin.is_made_by_us(managed("helm", **fields))


@pytest.mark.parametrize("fields", [{"f:spec": {"f:replicas": {}}}, {"f:metadata": {"f:annotations": {}}}, {}])
def test_whoever_scales_or_marks_it_has_not_made_it(fields: Json) -> None:
    assert not origin.is_made_by_us(managed("flagger", **fields))
    assert not origin.is_made_by_us({"metadata": {}})
