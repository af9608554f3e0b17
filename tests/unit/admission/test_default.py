"""What is filled in where it is absent: who has given an order, and nothing of a spec."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.admission.default import default
from canary.kube.types import Json
from canary.rollout.orders import ORDER_ANNOTATION, order_in
from tests.unit.admission.conftest import EXAMPLES, OPTIONS, example, review


def with_order(order: str) -> Json:
    raw = example("my-app")
    raw["metadata"]["annotations"] = {ORDER_ANNOTATION: order}
    return raw


def written(new: Json, old: Json | None = None, **request: Any) -> list[Json]:
    response = default(review(new, old, **request), OPTIONS)["response"]
    assert response["allowed"]
    patch: list[Json] = json.loads(base64.b64decode(response["patch"])) if "patch" in response else []
    return patch


def stored(order: str, before: str | None = None, user: str = "alice") -> str:
    """The order as it is stored."""
    old = example("my-app") if before is None else with_order(before)
    patch = written(with_order(order), old, userInfo={"username": user})
    for each in patch:
        assert each["path"] == "/metadata/annotations/flagger.app~1order"
    return str(patch[0]["value"]) if patch else order


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_nothing_of_a_spec_is_filled_in(name: str) -> None:
    """It would stand in no file of those who keep their specs in Git."""
    assert written(example(name)) == []
    assert written(example(name), example(name)) == []


def test_an_order_is_told_with_who_gives_it() -> None:
    assert stored("abort") == "abort by=alice"
    assert stored("promote revision=5b6 at=2026-01-01T00:00:00Z it is urgent").startswith(
        "promote by=alice revision=5b6"
    )
    assert order_in(stored("abort why not", user="bob 100%")).by == "bob%20100%25"


def test_who_is_named_stays_named() -> None:
    """As the command line writes it, with the name by which the API server knows whoever calls it."""
    assert stored("abort revision=5b6 by=carol at=now") == "abort revision=5b6 by=carol at=now"


def test_an_order_in_a_file_stays_the_order_that_it_was_however_often_the_file_is_applied() -> None:
    """Any new value is another order, which would be followed again."""
    first = stored("abort at=noon")
    for user in ("alice", "bob"):
        assert stored("abort at=noon", before=first, user=user) == first
    assert stored("abort at=one", before=first, user="bob") == "abort by=bob at=one"


def test_an_order_that_is_not_touched_is_not_written() -> None:
    assert written(with_order("abort"), with_order("abort")) == []
    assert written(with_order("abort"), with_order("promote"), subResource="status") == []
    assert written(with_order(" "), example("my-app")) == []
    assert written({**with_order("abort"), "kind": "MetricTemplate"}) == []


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20))
def test_what_is_stored_is_not_changed_by_the_next_look(order: str, before: str, user: str) -> None:
    once = stored(order, before, user)
    assert stored(once, once, user) == once
    assert stored(order, once, user) == once
