"""The patch that the benchmark compares a controller with does what the controller did."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bench.shift import patch_between

VALUES = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
SPECS = st.dictionaries(st.text(max_size=2), VALUES, max_size=3)


def merged(target: Any, patch: Any) -> Any:
    """By RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    kept = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), value)
    return kept


def route(spec: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": "app", "annotations": annotations}, "spec": spec}


@given(SPECS, SPECS)
def test_it_makes_one_route_into_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert merged(route(before), patch_between(route(before), route(after))) == route(after)


def test_it_names_nothing_but_what_differs() -> None:
    before, after = route({"host": "a", "weight": 0}, weight="0", kept="x"), route({"host": "a", "weight": 9}, kept="x")
    assert patch_between(before, after) == {"metadata": {"annotations": {"weight": None}}, "spec": {"weight": 9}}
