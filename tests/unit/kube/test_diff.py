from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.kube.diff import covers, differences

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab1m", max_size=3)
objects = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "limits", "requests"]), inner, max_size=3)
    ),
    max_leaves=10,
)
maps = st.dictionaries(st.sampled_from(["a", "b", "limits", "requests"]), objects, max_size=4)


@given(maps)
def test_everything_covers_itself(obj: dict[str, Any]) -> None:
    assert covers(obj, obj)


@given(maps, maps)
def test_more_fields_do_not_matter(desired: dict[str, Any], more: dict[str, Any]) -> None:
    assert covers({**more, **desired}, desired)


@given(maps, maps)
def test_what_covers_has_each_desired_field_that_is_not_null(observed: dict[str, Any], desired: dict[str, Any]) -> None:
    if covers(observed, desired):
        assert {key for key, value in desired.items() if value is not None} <= observed.keys()


def has_null(value: object) -> bool:
    """Whether there is a null in it somewhere: "must be absent" is a wish of another kind than "must be so"."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(has_null(each) for each in inner)


@given(maps, maps, maps.filter(lambda each: not has_null(each)))
def test_covering_is_transitive(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    if covers(a, b) and covers(b, c):
        assert covers(a, c)


@given(maps, st.sampled_from(["a", "b", "new"]), st.integers(100, 200))
def test_one_changed_field_is_enough(obj: dict[str, Any], key: str, value: int) -> None:
    assert not covers(obj, {**obj, key: value})


@pytest.mark.parametrize(
    ("observed", "desired", "path"),
    [
        ({"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, "spec.replicas"),
        ({"spec": {}}, {"spec": {"replicas": 2}}, "spec.replicas"),
        ({"ports": [{"port": 80}]}, {"ports": [{"port": 81}]}, "ports[0].port"),
        ({"ports": [{"port": 80}]}, {"ports": []}, "ports"),
        ({"a": 1}, {"a": True}, "a"),
        ({"a": "1"}, {"a": 1}, "a"),
        ({"a": 1}, {"a": None}, "a"),
        ({}, {"a": {}}, "a"),
        ({"env": [{"value": "1"}]}, {"env": [{"value": "1000m"}]}, "env[0].value"),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "1001m"}}, "limits.cpu"),
    ],
)
def test_a_difference_is_named_by_its_path(observed: dict[str, Any], desired: dict[str, Any], path: str) -> None:
    assert list(differences(observed, desired)) == [path]
    assert not covers(observed, desired)


@pytest.mark.parametrize(
    ("observed", "desired"),
    [
        ({"a": 1}, {}),
        ({"a": 1}, {"b": None}),
        ({"ports": [{"port": 80, "protocol": "TCP"}]}, {"ports": [{"port": 80}]}),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "1000m"}}),
        ({"requests": {"cpu": "500m"}}, {"requests": {"cpu": 0.5}}),
        ({"requests": {"memory": "1Gi"}}, {"requests": {"memory": "1024Mi"}}),
        ({"requests": {"memory": "1G"}}, {"requests": {"memory": "1e9"}}),
        ({"target": {"averageValue": "1k"}}, {"target": {"averageValue": "1000"}}),
    ],
)
def test_what_is_the_same_to_the_api_is_covered(observed: dict[str, Any], desired: dict[str, Any]) -> None:
    assert covers(observed, desired)


@pytest.mark.parametrize(
    ("observed", "desired"),
    [
        (
            {"metadata": {"ownerReferences": [{"uid": "other"}, {"uid": "ours", "kind": "Canary"}]}},
            {"metadata": {"ownerReferences": [{"uid": "ours", "kind": "Canary"}]}},
        ),
        (
            {"spec": {"ports": [{"port": 22, "protocol": "TCP"}, {"port": 80, "protocol": "TCP", "name": "http"}]}},
            {"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "http"}]}},
        ),
    ],
)
def test_entries_of_others_may_stand_in_a_list_that_is_merged_by_key(
    observed: dict[str, Any], desired: dict[str, Any]
) -> None:
    assert covers(observed, desired)
    assert not covers({}, desired)


@pytest.mark.parametrize(
    ("observed", "path"),
    [
        ({"spec": {"ports": [{"port": 80, "protocol": "UDP", "name": "http"}]}}, "spec.ports[0]"),
        ({"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "web"}]}}, "spec.ports[0].name"),
    ],
)
def test_an_entry_of_a_keyed_list_is_held_against_the_one_of_its_key(observed: dict[str, Any], path: str) -> None:
    desired = {"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "http"}]}}

    assert list(differences(observed, desired)) == [path]


def test_a_selector_with_more_labels_is_another_selector() -> None:
    desired = {"spec": {"selector": {"app": "web"}}}

    assert not covers({"spec": {"selector": {"app": "web", "track": "stable"}}}, desired)


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_an_empty_map_of_metadata_is_covered_by_none(field: str) -> None:
    """kube-apiserver 1.36 drops it, so that it would be written again at every look."""
    assert covers({"metadata": {"name": "app"}}, {"metadata": {field: {}}})


def test_an_empty_map_elsewhere_means_something() -> None:
    assert not covers({"volume": {"name": "data"}}, {"volume": {"name": "data", "emptyDir": {}}})
