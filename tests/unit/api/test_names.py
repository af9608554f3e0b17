"""Names, labels and annotations that the API server would refuse are told beforehand, by field."""

from collections.abc import Mapping
from typing import Protocol

import pytest

from canary.api.canary import Canary
from canary.api.names import services


class Make(Protocol):
    def __call__(self, changes: Mapping[str, object] | None = None, without: tuple[str, ...] = ()) -> Canary: ...


BAD: list[tuple[dict[str, object], str]] = [
    ({"spec.service.name": "my.app"}, "spec.service.name"),
    ({"spec.service.name": "My-App"}, "spec.service.name"),
    ({"spec.service.name": "my_app"}, "spec.service.name"),
    ({"spec.service.name": "-my-app"}, "spec.service.name"),
    ({"spec.targetRef.name": "my.app"}, "spec.service.name"),
    ({"spec.service.portName": "HTTP"}, "spec.service.portName"),
    ({"spec.service.portName": "x" * 64}, "spec.service.portName"),
    ({"spec.service.ports": [{"name": "a.b", "port": 81}]}, "spec.service.ports[0].name"),
    ({"spec.service.appProtocol": "kubernetes.io/"}, "spec.service.appProtocol"),
    ({"spec.service.apex": {"labels": {"team": "a b"}}}, "spec.service.apex.labels[team]"),
    ({"spec.service.primary": {"labels": {"team": "x" * 64}}}, "spec.service.primary.labels[team]"),
    ({"spec.service.canary": {"labels": {"a b": "x"}}}, "spec.service.canary.labels"),
    ({"spec.service.apex": {"annotations": {"a/b/c": "x"}}}, "spec.service.apex.annotations"),
]
GOOD: list[dict[str, object]] = [
    {},
    {"spec.service.name": "x" * 55},
    {"spec.service.name": "1app"},
    {"spec.service.portName": "http-web-2"},
    {"spec.service.appProtocol": "kubernetes.io/h2c"},
    {"spec.service.appProtocol": "HTTP"},
    {"spec.service.apex": {"labels": {"example.com/team": "Shop_1.x", "empty": ""}}},
    {"spec.service.canary": {"annotations": {"example.com/note": "anything at all: {}"}}},
]


@pytest.mark.parametrize(("changes", "field"), BAD)
def test_what_would_be_refused_is_told(make: Make, changes: dict[str, object], field: str) -> None:
    (problem,) = services(make(changes), "kubernetes")
    assert problem.field == field


@pytest.mark.parametrize("changes", GOOD)
def test_what_would_be_taken_is_not(make: Make, changes: dict[str, object]) -> None:
    assert list(services(make(changes), "kubernetes")) == []


def test_a_name_that_is_too_long_is_told_once(make: Make) -> None:
    assert list(services(make({"spec.service.name": "x" * 70}), "kubernetes")) == []


def test_where_no_service_is_made_nothing_is_told(make: Make) -> None:
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "my.db"}
    assert list(services(make({"spec.targetRef": target, "spec.service": {}}), "kubernetes")) == []
