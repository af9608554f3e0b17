"""Fields that another manager has written become ours, as if we had applied them."""

from typing import Any

from canary.kube.ownership import handed_over
from canary.kube.types import Json

REPLICAS = ("spec", "replicas")


def entry(manager: str, operation: str, fields: Json, **more: Any) -> Json:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


def take(*managed: Json, but: tuple[tuple[str, ...], ...] = ()) -> list[Json] | None:
    return handed_over(managed, giver="flagger", taker="us", but=but)


def test_updates_become_an_apply() -> None:
    written = entry("flagger", "Update", {"f:spec": {"f:paused": {}}}, time="2026-01-01T00:00:00Z")
    theirs = entry("kubectl", "Update", {"f:metadata": {"f:labels": {"f:a": {}}}})
    assert take(written, theirs) == [theirs, {**written, "manager": "us", "operation": "Apply"}]


def test_where_nothing_was_written_nothing_is_to_be_done() -> None:
    assert take() is None
    assert take(entry("kubectl", "Update", {"f:spec": {}}), entry("us", "Apply", {"f:spec": {}})) is None


def test_it_is_done_once() -> None:
    once = take(entry("flagger", "Update", {"f:spec": {"f:paused": {}}}))
    assert once is not None
    assert take(*once) is None


def test_what_was_applied_before_is_kept() -> None:
    """A manager has one entry of what it applied."""
    mine = entry("us", "Apply", {"f:spec": {"f:a": {".": {}, "f:x": {}}}})
    written = entry("flagger", "Update", {"f:spec": {"f:a": {"f:y": {}}, "f:b": {}}})
    assert take(mine, written) == [
        {**mine, "fieldsV1": {"f:spec": {"f:a": {".": {}, "f:x": {}, "f:y": {}}, "f:b": {}}}}
    ]


def test_an_update_of_ours_is_no_apply() -> None:
    patched = entry("us", "Update", {"f:spec": {"f:replicas": {}}})
    written = entry("flagger", "Update", {"f:spec": {"f:paused": {}}})
    assert take(patched, written) == [patched, {**written, "manager": "us", "operation": "Apply"}]


def test_the_status_stays_whose_it_is() -> None:
    assert take(entry("flagger", "Update", {"f:status": {}}, subresource="status")) is None


def test_fields_can_be_nobodys() -> None:
    """And what holds them is no field by itself then."""
    written = entry("flagger", "Update", {"f:metadata": {"f:labels": {}}, "f:spec": {"f:replicas": {}}})
    taken = take(written, but=(REPLICAS, ("spec", "none"), ("none",)))
    assert taken is not None
    assert taken[0]["fieldsV1"] == {"f:metadata": {"f:labels": {}}}
