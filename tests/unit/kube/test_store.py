"""What a cache holds after what the server said and what one wrote oneself."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from canary.kube.store import Change, Key, Store, everybody, trim, version_of

Json = dict[str, Any]


def an_object(name: str = "a", version: int = 1, namespace: str = "test", **fields: Any) -> Json:
    metadata: Json = {"name": name, "namespace": namespace, "resourceVersion": str(version)}
    return {"metadata": metadata, **fields}


def mark(obj: Json, _: str | None = None) -> str:
    return str(obj.get("mark", ""))


def a_store() -> tuple[Store[str], list[Change[str]]]:
    store, changes = Store(mark, everybody), list[Change[str]]()
    store.subscribe(changes.append)
    return store, changes


def synced(*objects: Json, version: int = 10) -> tuple[Store[str], list[Change[str]]]:
    store, changes = a_store()
    store.begin_list()
    for obj in objects:
        store.put(obj)
    store.end_list(str(version))
    changes.clear()
    return store, changes


def test_changes_tell_what_was_before_and_what_is_now() -> None:
    store, changes = synced()
    store.put(an_object(version=11, mark="x"))
    store.put(an_object(version=12, mark="y"))
    store.remove(an_object(version=13, mark="y"))

    key = Key("test", "a")
    assert changes == [Change(key, None, "x"), Change(key, "x", "y"), Change(key, "y", None)]
    assert store.get("test", "a") is None
    assert len(store) == 0


def test_a_change_that_the_projection_hides_is_not_told() -> None:
    store, changes = synced(an_object(mark="x"))
    store.put(an_object(version=11, mark="x", other="new"))

    assert changes == []


def test_what_a_new_list_lacks_is_gone() -> None:
    store, changes = synced(an_object("a", mark="x"), an_object("b", mark="y"))
    store.begin_list()
    store.put(an_object("b", 1, mark="y"))
    store.end_list("20")

    assert changes == [Change(Key("test", "a"), "x", None)]
    assert list(store.values()) == ["y"]


def test_a_list_that_broke_off_removes_nothing() -> None:
    store, changes = synced(an_object("a", mark="x"), an_object("b", mark="y"))
    store.begin_list()
    store.put(an_object("b", mark="y"))
    store.begin_list()
    store.put(an_object("a", mark="x"))
    store.put(an_object("b", mark="y"))
    store.end_list("20")

    assert changes == []


def test_an_own_write_is_read_at_once_and_an_older_event_does_not_undo_it() -> None:
    store, changes = synced(an_object(version=5, mark="old"))
    store.note(an_object(version=12, mark="mine"))
    store.put(an_object(version=11, mark="others"))

    assert store.get("test", "a") == "mine"
    assert changes == [Change(Key("test", "a"), "old", "mine")]


def test_the_event_of_an_own_write_changes_nothing_and_the_next_one_does() -> None:
    store, changes = synced()
    store.note(an_object(version=12, mark="mine"))
    store.put(an_object(version=12, mark="mine"))
    store.put(an_object(version=13, mark="others"))

    assert changes == [Change(Key("test", "a"), None, "mine"), Change(Key("test", "a"), "mine", "others")]


def test_a_write_noted_after_the_streams_own_word_of_it_is_ignored() -> None:
    store, _ = synced()
    store.put(an_object(version=12, mark="mine"))
    store.remove(an_object(version=13))
    store.note(an_object(version=12, mark="mine"))

    assert store.get("test", "a") is None


def test_an_older_deletion_does_not_remove_what_was_created_anew() -> None:
    store, _ = synced(an_object(version=5, mark="old"))
    store.note(an_object(version=12, mark="new"))
    store.remove(an_object(version=11))

    assert store.get("test", "a") == "new"


@pytest.mark.parametrize(("listed_at", "expected"), [(11, "mine"), (12, None)])
def test_an_own_creation_outlives_only_a_list_from_before_it(listed_at: int, expected: str | None) -> None:
    store, _ = synced()
    store.note(an_object(version=12, mark="mine"))
    store.begin_list()
    store.end_list(str(listed_at))

    assert store.get("test", "a") == expected


def test_a_history_that_went_back_is_followed() -> None:
    store, _ = synced(an_object("a", 100, mark="x"), an_object("b", 101, mark="y"), version=110)
    store.begin_list()
    store.put(an_object("a", 50, mark="older"))
    store.end_list("60")
    store.put(an_object("a", 61, mark="newer"))

    assert store.get("test", "a") == "newer"
    assert store.get("test", "b") is None


def test_objects_are_found_by_namespace() -> None:
    store, _ = synced(an_object("a", namespace="one", mark="x"), an_object("a", namespace="two", mark="y"))

    assert list(store.values("one")) == ["x"]
    assert sorted(store.values()) == ["x", "y"]
    assert list(store.values("three")) == []
    assert len(store) == 2


def test_cluster_scoped_objects_have_no_namespace() -> None:
    store, _ = synced({"metadata": {"name": "n", "resourceVersion": "1"}, "mark": "x"})

    assert store.get(None, "n") == "x"


def test_clearing_tells_of_each_object() -> None:
    store, changes = synced(an_object("a", mark="x"))
    store.note(an_object("b", 12, mark="y"))
    store.clear()

    assert [change.new for change in changes] == ["y", None, None]
    assert len(store) == 0


def test_a_failing_subscriber_does_not_keep_others_from_hearing() -> None:
    store, changes = synced()

    def fail(_: Change[str]) -> None:
        raise RuntimeError("bug")

    store._handlers.insert(0, fail)
    with capture_logs() as logs:
        store.put(an_object(version=11, mark="x"))

    assert [change.new for change in changes] == ["x"]
    assert [entry["log_level"] for entry in logs] == ["error"]


def test_an_object_that_cannot_be_projected_leaves_what_was() -> None:
    def project(obj: Json, _: str | None) -> str:
        return str(obj["mark"])

    store = Store(project, everybody)
    store.put(an_object(version=1, mark="x"))
    with capture_logs() as logs:
        store.put(an_object(version=2))

    assert store.get("test", "a") == "x"
    assert [entry["log_level"] for entry in logs] == ["error"]


def test_trim_drops_managed_fields_and_kubectls_copy() -> None:
    obj = an_object(spec={"replicas": 1})
    obj["metadata"] |= {
        "managedFields": [{"manager": "x"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes"},
    }

    assert trim(obj) == {
        "metadata": {**an_object()["metadata"], "annotations": {"kept": "yes"}},
        "spec": {"replicas": 1},
    }
    assert "managedFields" in obj["metadata"]


@pytest.mark.parametrize(("text", "expected"), [("12", 12), ("", 0), ("opaque", 0)])
def test_versions_are_numbers(text: str, expected: int) -> None:
    assert version_of(text) == expected


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int]]:
    """Writes of one object by its versions: each by us or by others; the last state is the truth."""
    writers = draw(st.lists(st.sampled_from(["mine", "others", "deleted"]), min_size=1, max_size=6))
    return [(writer, 11 + index) for index, writer in enumerate(writers)]


@given(histories(), st.data())
def test_the_cache_ends_at_the_truth_however_notes_and_events_interleave(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Events come in order, each note comes at any time after its write; no read goes behind an own write."""
    store, _ = synced()
    events, notes = list(history), [entry for entry in history if entry[0] == "mine"]
    noted = 0
    while events or notes:
        if notes and (not events or data.draw(st.booleans())):
            noted = notes.pop(0)[1]
            store.note(an_object(version=noted, mark=f"{noted}"))
        else:
            writer, version = events.pop(0)
            obj = an_object(version=version, mark=f"{version}")
            if writer == "deleted":
                store.remove(obj)
            else:
                store.put(obj)
        held = store.get("test", "a")
        assert held is None or int(held) >= noted

    writer, version = history[-1]
    assert store.get("test", "a") == (None if writer == "deleted" else f"{version}")


class Names:
    """Who is named, and a store that keeps the others as stubs."""

    def __init__(self) -> None:
        self.keys: set[Key] = set()
        self.store: Store[str] = Store(mark, lambda key, _: key in self.keys)
        self.changes: list[Change[str]] = []
        self.store.subscribe(self.changes.append)
        self.store.begin_list()
        self.store.end_list("10")


def test_what_nobody_names_is_a_stub_that_is_told_to_nobody() -> None:
    names = Names()
    names.store.put(an_object(version=11, mark="x"))
    names.store.put(an_object(version=12, mark="y"))

    assert names.store.get("test", "a") is None
    assert names.store.is_stub("test", "a")
    assert (len(names.store), list(names.store.values())) == (1, [])
    names.store.remove(an_object(version=13))
    assert (len(names.store), names.changes) == (0, [])


def test_a_stub_that_is_named_is_whole_from_its_next_change_on() -> None:
    names = Names()
    names.store.put(an_object(version=11, mark="x"))
    names.keys.add(Key("test", "a"))
    names.store.put(an_object(version=12, mark="y"))

    assert names.changes == [Change(Key("test", "a"), None, "y")]
    assert not names.store.is_stub("test", "a")


def test_a_stub_is_filled_in_silently_and_stays_whole() -> None:
    names = Names()
    names.store.put(an_object(version=11, mark="x"))
    names.store.fill(an_object(version=11, mark="x"))
    assert (names.store.get("test", "a"), names.changes) == ("x", [])

    names.store.put(an_object(version=12, mark="y"))
    assert names.changes == [Change(Key("test", "a"), "x", "y")]


def test_an_own_write_of_what_nobody_names_is_whole() -> None:
    names = Names()
    names.store.put(an_object(version=11, mark="x"))
    names.store.note(an_object(version=12, mark="mine"))

    assert names.store.get("test", "a") == "mine"


def test_nobody_looks_into_what_nobody_names() -> None:
    def project(_: Json, held: str | None) -> str:
        raise AssertionError

    store = Store(project)
    with capture_logs() as logs:
        store.put(an_object(version=11))

    assert logs == []


@given(
    st.lists(st.sampled_from(["changed", "deleted"]), min_size=1, max_size=5),
    st.data(),
)
def test_an_object_that_is_named_first_and_read_then_is_whole_and_never_older(
    history: list[str], data: st.DataObject
) -> None:
    """Whenever it is named, and whenever the server's answer is from and comes, the end is the truth."""
    names = Names()
    truth: list[Json | None] = [an_object(version=11, mark="11")]
    for version, what in enumerate(history, 12):
        truth.append(an_object(version=version, mark=str(version)) if what == "changed" else None)
    named_at = data.draw(st.integers(0, len(truth) - 1))
    answer_of = data.draw(st.integers(named_at, len(truth) - 1))
    comes_at = data.draw(st.integers(named_at, len(truth)))
    newest = 0
    for at, obj in enumerate([*truth, None]):
        if at == comes_at and (answer := truth[answer_of]) is not None:
            names.store.fill(answer)
            newest = max(newest, int(names.store.get("test", "a") or 0))
        if at == len(truth):
            break
        if obj is None:
            names.store.remove(an_object(version=11 + at))
        else:
            names.store.put(obj)
        if at == named_at:
            names.keys.add(Key("test", "a"))
        held = int(names.store.get("test", "a") or 0)
        assert held == 0 or held >= newest
        newest = max(newest, held)

    last = truth[-1]
    if last is None:
        assert names.store.get("test", "a") is None
        assert not names.store.is_stub("test", "a")
    elif not names.store.is_stub("test", "a"):
        assert names.store.get("test", "a") == mark(last)
    else:
        assert named_at == len(truth) - 1 or answer_of < len(truth) - 1
        names.store.fill(last)
        assert names.store.get("test", "a") == mark(last)


def test_values_are_not_kept_for_ever() -> None:
    """An interned string lives as long as the process in some versions of Python: names of fields may, no more."""
    fresh, same = (json.loads('"2026-11-28T12:34:56Z"') for _ in range(2))
    kept = trim(an_object(spec={"time": fresh}))["spec"]["time"]

    assert kept is fresh
    assert sys.intern(same) is not fresh


@pytest.mark.parametrize(
    "metadata",
    [None, [], {}, {"name": None}, {"name": ""}, {"name": 5}, {"name": "a", "namespace": ["b"]}],
)
def test_an_object_without_a_name_is_refused(metadata: Any) -> None:
    store, changes = synced()
    with pytest.raises(ValueError, match="name"):
        store.put({"metadata": metadata})

    assert (len(store), changes) == (0, [])


def test_a_version_that_no_server_has_is_no_number() -> None:
    assert version_of("9" * 5000) == 0


def test_an_own_write_is_forgotten_with_the_history_that_had_it() -> None:
    """A server that was restored from a backup has never seen it."""
    store, _ = synced(version=110)
    store.note(an_object(version=112, mark="mine"))
    store.begin_list()
    store.put(an_object(version=50, mark="restored"))
    store.end_list("60")

    assert store.get("test", "a") == "restored"


def test_what_is_as_it_was_is_held_once() -> None:
    before = trim(an_object(spec={"replicas": 1, "template": {"a": [1]}}, status={"ready": 0}))
    after = trim(an_object(version=2, spec={"replicas": 1, "template": {"a": [1]}}, status={"ready": 1}), before)

    assert after == {**after, "spec": before["spec"], "status": {"ready": 1}}
    assert after["spec"] is before["spec"]
