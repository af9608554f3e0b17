from typing import Any

import pytest

from canary.kube.applied import marked
from canary.kube.diff import covers

MARK = "example.com/applied"
MANIFEST: dict[str, Any] = {
    "metadata": {"name": "app", "labels": {"a": "1", "b": "2"}, "annotations": {"note": "x"}},
    "spec": {"ports": [{"port": 80, "appProtocol": "http"}], "trafficDistribution": "PreferClose"},
}


def without(manifest: dict[str, Any], *path: str) -> dict[str, Any]:
    first, *rest = path
    kept = {key: value for key, value in manifest.items() if key != first}
    return {**kept, first: without(manifest[first], *rest)} if rest else kept


def test_what_was_applied_is_covered_by_itself() -> None:
    assert covers(marked(MANIFEST, MARK), marked(MANIFEST, MARK))


@pytest.mark.parametrize(
    "path", [("metadata", "labels", "b"), ("metadata", "annotations"), ("spec", "trafficDistribution")]
)
def test_an_object_that_has_more_than_is_applied_now_is_not_covered(path: tuple[str, ...]) -> None:
    less = without(MANIFEST, *path)
    assert covers(MANIFEST, less), "what it says is all there"
    assert not covers(marked(MANIFEST, MARK), marked(less, MARK))


def test_what_others_add_to_it_makes_no_difference() -> None:
    there = marked(MANIFEST, MARK)
    there["metadata"]["labels"] = {**there["metadata"]["labels"], "theirs": "too"}
    assert covers(there, marked(MANIFEST, MARK))


def test_the_manifest_itself_stays_as_it_is() -> None:
    marked(MANIFEST, MARK)
    assert MANIFEST["metadata"]["annotations"] == {"note": "x"}
