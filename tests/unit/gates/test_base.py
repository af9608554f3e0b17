"""What gates share: names that are the same after a crash, and templates that are told about the rollout."""

import pytest

from canary.api.canary import Canary, parse_canary
from canary.gates.base import Moment, parts
from canary.gates.registry import problems
from canary.kube.types import Json


def canary(gate: Json, **hook: object) -> Canary:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    hooks = [{"name": "smoke", "gate": gate, **hook}]
    return parse_canary(
        {
            "metadata": {"name": "shop", "namespace": "prod", "uid": "u1"},
            "spec": {"targetRef": target, "service": {"port": 80}, "analysis": {"webhooks": hooks}},
            "status": {"canaryWeight": 20, "lastAppliedSpec": "abc"},
        }
    )


def moment(gate: Json, run: str = "m1", **hook: object) -> Moment:
    made = canary(gate, **hook)
    return Moment(made, made.analysis.webhooks[0], run, {"web": "r.test:5000/shop:1.4@sha256:ab", "side": "envoy:1"})


def test_one_run_for_each_moment_type_and_gate() -> None:
    gate: Json = {"job": {"spec": {"a": 1, "b": 2}}}
    same: Json = {"job": {"spec": {"b": 2, "a": 1}}}
    assert moment(gate).name == moment(same).name
    others = [moment(gate, "m2"), moment(gate, type="pre-rollout"), moment({"job": {"spec": {"a": 2}}})]
    assert len({each.name for each in (moment(gate), *others)}) == 4
    assert moment(gate).name.startswith("shop-smoke-")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{ name }} {{ namespace }} {{ target }} {{ service }}", "shop prod shop shop"),
        ("{{ image }}", "r.test:5000/shop:1.4@sha256:ab"),
        ("{{ repository }} {{ tag }} {{ digest }}", "r.test:5000/shop 1.4 sha256:ab"),
        ("{{ weight }} {{ revision }} {{ run }}", "20 abc m1"),
        ("plain", "plain"),
    ],
)
def test_a_template_is_told_about_the_rollout(text: str, filled: str) -> None:
    assert moment({"job": {}}).render(text) == filled


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("shop", ("shop", "latest", "")),
        ("shop:1", ("shop", "1", "")),
        ("r.test:5000/a/shop", ("r.test:5000/a/shop", "latest", "")),
        ("r.test:5000/a/shop:2", ("r.test:5000/a/shop", "2", "")),
        ("shop@sha256:ab", ("shop", "", "sha256:ab")),
        ("", ("", "", "")),
    ],
)
def test_an_image_has_repository_tag_and_digest(image: str, expected: tuple[str, str, str]) -> None:
    assert parts(image) == expected


def test_what_a_job_lacks_is_told_with_its_field() -> None:
    container = {"name": "c", "args": ["{{ nobody }}"]}
    pod = {"containers": [container], "restartPolicy": "Always"}
    found = problems(canary({"job": {"spec": {"suspend": True, "template": {"spec": pod}}}}))
    at = "spec.analysis.webhooks[0].gate.job.spec"
    fields = [f"{at}.template.spec.restartPolicy", f"{at}.suspend", f"{at}.template.spec.containers[0].args[0]"]
    assert [each.field for each in found] == fields
    assert [each.field for each in problems(canary({"job": {}}))] == [f"{at}.template.spec.containers"]
