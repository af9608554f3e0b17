"""A Canary that can't be read is read in parts, so that it can be led out."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.problems import InvalidResource
from canary.api.tolerant import readable

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
METRICS: list[Any] = [
    {"name": "a"},
    {"interval": "1m"},
    {"name": "b", "interval": "soon"},
    {"noData": 1, "name": 2},
    {},
]


def raw(spec: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    metadata = {"name": "app", "namespace": "prod", "finalizers": ["finalizer.flagger.app"]}
    return {"metadata": metadata, "spec": {"targetRef": TARGET, **spec}, **fields}


def read(spec: Mapping[str, Any], **fields: Any) -> Canary:
    broken = raw(spec, **fields)
    with pytest.raises(InvalidResource):
        parse_canary(broken)
    left = readable(broken)
    assert left is not None
    return parse_canary(left)


def test_only_what_cant_be_read_is_left_out() -> None:
    service, analysis = {"name": "web", "port": 80}, {"interval": "9999999h", "threshold": 3, "metrics": METRICS}
    status = {"phase": "Dancing", "canaryWeight": 50, "lastPromotedSpec": "v1", "conditions": [{"type": 1}]}

    canary = read({"service": service, "analysis": analysis, "revertOnDeletion": True}, status=status)

    assert (canary.service_name, canary.spec.service.port, canary.spec.revert_on_deletion) == ("web", 80, True)
    assert (canary.analysis.interval, canary.threshold) == (None, 3)
    assert [metric.name for metric in canary.analysis.metrics] == ["a", "b"]
    assert (canary.status.phase, canary.status.canary_weight, canary.status.last_promoted_spec) == ("", 50, "v1")
    assert canary.metadata.finalizers == ("finalizer.flagger.app",)


@pytest.mark.parametrize("value", [7, "x", [], True])
def test_a_part_of_another_shape_is_absent(value: object) -> None:
    canary = read({"service": value, "analysis": value}, status=value)

    assert (canary.service_name, canary.status.phase) == ("app", "")


@pytest.mark.parametrize(
    "spec", [{"targetRef": 7}, {"targetRef": {"kind": "Deployment"}}, {"targetRef": {"name": 7}}, {"targetRef": None}]
)
def test_without_a_target_nothing_can_be_read(spec: dict[str, Any]) -> None:
    assert readable(raw(spec)) is None
    assert readable({"metadata": {"name": "app"}, "spec": 7}) is None
    assert readable({"metadata": {"name": "app"}}) is None


def test_what_can_be_read_is_left_as_it_is() -> None:
    fine = raw({"service": {"port": 80}}, status={"phase": "Succeeded"})
    assert readable(fine) == fine


SOMETHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
FIELDS = st.sampled_from(["interval", "threshold", "metrics", "webhooks", "alerts", "match", "stepWeights", "bake"])


@given(
    spec=st.dictionaries(
        st.sampled_from(["service", "analysis", "autoscalerRef", "configRefs", "provider"]), SOMETHING
    ),
    analysis=st.dictionaries(FIELDS, SOMETHING),
    status=SOMETHING,
)
def test_whatever_else_it_says_a_canary_with_a_target_can_be_read(
    spec: dict[str, Any], analysis: dict[str, Any], status: object
) -> None:
    left = readable(raw({"analysis": analysis, **spec}, status=status))
    assert left is not None
    assert parse_canary(left).spec.target_ref.name == "app"
