"""JSON that others wrote: as deep as can be, and no deeper."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.kube.decode import DEEPEST, decode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


def deep(levels: int, opens: str, closes: str) -> str:
    return opens * levels + "1" + closes * levels


@given(JSON)
def test_what_json_reads_is_read_alike(value: object) -> None:
    assert decode(json.dumps(value).encode()) == value


@settings(max_examples=20)
@given(JSON, JSON, st.sampled_from([('{"a":', "}"), ("[", "]"), ('[{"}": 1, "a":', "}]")]))
def test_of_what_is_too_deep_all_the_rest_is_read(before: object, after: object, brackets: tuple[str, str]) -> None:
    text = f'{{"before": {json.dumps(before)}, "deep": {deep(60_000, *brackets)}, "after": {json.dumps(after)}}}'

    read = decode(text.encode())

    assert isinstance(read, dict)
    assert (read["before"], read["after"]) == (before, after)


def test_below_the_deepest_level_that_is_read_there_is_nothing() -> None:
    value = decode(deep(60_000, "[", "]").encode())

    levels = 0
    while isinstance(value, list):
        levels, value = levels + 1, value[0]
    assert (levels, value) == (DEEPEST, None)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 100_000 + "]" * 50, "{'a'", "", "9" * 5000])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text.encode())
