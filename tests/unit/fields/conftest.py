"""What the tests of single fields share: a parametrized test here shows the field that its parameter `field` names."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from canary.api.canary import Canary, parse_canary
from canary.kube.types import Json

HERE = Path(__file__).parent
ANY_NAME = "x"
"""Stands for `*`, the name of a header or the like."""

BASE: Json = {
    "metadata": {"name": "app", "namespace": "shop", "uid": "uid-1", "generation": 1},
    "spec": {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        "service": {"port": 80},
        "analysis": {"interval": "1m", "threshold": 2},
    },
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test of this folder with the field that it is about; see `tests/tools/fields.py`."""
    for item in items:
        call = getattr(item, "callspec", None)
        if HERE not in item.path.parents or call is None or "field" not in call.params:
            continue
        who = {key: call.params[key] for key in ("by", "refused_by") if key in call.params}
        item.add_marker(pytest.mark.field(call.params["field"], **who))


def _put(document: Json, path: str, value: object) -> None:
    """Set the field at a path as the CRD writes it: `[]` is the first of a list, `*` any name."""
    here: Any = document
    *parents, last = path.split(".")
    for part in parents:
        name = ANY_NAME if part == "*" else part.removesuffix("[]")
        here = here.setdefault(name, [{}] if part.endswith("[]") else {})
        here = here[0] if part.endswith("[]") else here
    here[ANY_NAME if last == "*" else last] = value


def _document(base: Mapping[str, Any], changes: Mapping[str, object]) -> Json:
    document: Json = deepcopy(dict(base))
    for path, value in changes.items():
        _put(document, path, deepcopy(value))
    return document


@pytest.fixture(scope="session")
def document() -> Callable[..., Json]:
    """Makes a document out of another, with the fields at these paths set."""
    return _document


@pytest.fixture(scope="session")
def make() -> Callable[..., Canary]:
    """Makes a Canary with the fields at these paths set."""

    def made(changes: Mapping[str, object]) -> Canary:
        return parse_canary(_document(BASE, changes))

    return made


@pytest.fixture(scope="session")
def shows() -> Callable[..., None]:
    """Holds that something reads as expected with a field, and otherwise without it.

    Its arguments: the field's path and value, what reads a resource, what it is to read, and the fields beside it.
    """

    def holds(
        field: str,
        value: object,
        read: Callable[[Any], object],
        expected: object,
        beside: Mapping[str, object],
        *,
        base: Mapping[str, Any] = BASE,
        parse: Callable[[Json], Any] = parse_canary,
    ) -> None:
        assert read(parse(_document(base, {**beside, field: value}))) == expected
        try:
            without = read(parse(_document(base, beside)))
        except ValueError:
            return  # nothing works without it
        assert without != expected

    return holds


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        try:
            value = value[int(part)] if isinstance(value, list | tuple) else value[part]
        except (KeyError, IndexError):
            return None
    return value


@pytest.fixture(scope="session")
def at() -> Callable[[Any, str], Any]:
    """Finds a value by a path such as `spec.rules.0.name`; None where there is nothing."""
    return _at
