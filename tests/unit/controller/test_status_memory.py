"""What the API server drops of a status is remembered for as long as nobody else has written the status since."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.controller.status_memory import StatusMemory, dropped
from canary.kube.types import Json

Value = str | int | dict[str, "Value"] | list["Value"]
VALUES: st.SearchStrategy[Value] = st.recursive(
    st.text(max_size=3) | st.integers(),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


def stored(status: Mapping[str, Value], uid: str = "1", version: int = 1) -> Json:
    metadata = {"namespace": "test", "name": "app", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {}, "status": dict(status)}


SENT: Json = {"phase": "Progressing", "reason": "Analysing", "checks": [{"name": "a", "samples": 3}]}


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        (SENT, ()),
        ({"phase": "Progressing"}, ("checks", "reason")),
        ({**SENT, "checks": [{"name": "a"}]}, ("checks[].samples",)),
        ({**SENT, "phase": "Failed", "more": 1}, ()),
    ],
)
def test_it_is_told_by_name_what_was_dropped(answer: Json, fields: tuple[str, ...]) -> None:
    """A field that is there with another value was not dropped: somebody has changed it."""
    assert dropped(SENT, answer) == fields


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=4))
def test_nothing_is_dropped_of_what_comes_back_whole(status: dict[str, Value]) -> None:
    assert dropped(status, status) == ()


def test_what_was_dropped_is_read_back() -> None:
    memory = StatusMemory()
    answer = stored({"phase": "Progressing"})
    assert memory.keep(answer, SENT) == ("checks", "reason")
    assert memory.whole(answer)["status"] == SENT
    assert memory.whole(stored({"phase": "Progressing"}, version=2))["status"] == SENT, "as when its spec is edited"


def test_the_same_object_is_read_back_as_the_same_object() -> None:
    """So that what was made of it need not be made again."""
    memory = StatusMemory()
    answer = stored({"phase": "Progressing"})
    memory.keep(answer, SENT)
    assert memory.whole(answer) is memory.whole(answer)


@pytest.mark.parametrize("other", [stored({"phase": "Failed"}), stored({"phase": "Progressing"}, uid="2"), {}])
def test_what_somebody_else_has_written_or_made_is_read_as_it_is(other: Json) -> None:
    memory = StatusMemory()
    memory.keep(stored({"phase": "Progressing"}), SENT)
    other = {"metadata": stored({})["metadata"], **other}
    assert memory.whole(other) is other


def test_once_all_is_kept_nothing_is_remembered() -> None:
    """The definitions have been brought up to date meanwhile."""
    memory = StatusMemory()
    memory.keep(stored({"phase": "Progressing"}), SENT)
    answer = stored(SENT)
    assert memory.keep(answer, SENT) == ()
    assert memory.whole(stored({"phase": "Progressing"}))["status"] == {"phase": "Progressing"}


def test_a_canary_that_is_gone_is_forgotten() -> None:
    memory = StatusMemory()
    answer = stored({"phase": "Progressing"})
    memory.keep(answer, SENT)
    memory.forget("test/app")
    assert memory.whole(answer) is answer
