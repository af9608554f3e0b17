"""Fields of `spec.service` that shape the generated Services."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.kube.types import Json
from canary.workloads import services
from canary.workloads.base import SelectorLabel

LABEL = SelectorLabel("app", "app")
TEMPLATE = {"spec": {"containers": [{"name": "app", "ports": [{"name": "metrics", "containerPort": 9797}]}]}}
OWNED = {"metadata": {"ownerReferences": [{"uid": "uid-1"}], "labels": {"x": "theirs"}, "annotations": {"x": "theirs"}}}
APEX, PRIMARY, CANARY = "app", "app-primary", "app-canary"
PORT = "spec.ports.0"
MINE = {"x": "1"}


def of(
    name: str, at: Callable[[Any, str], Any], where: str, observed: Mapping[str, Json]
) -> Callable[[Canary], object]:
    """Reads one of the three Services."""

    def read(canary: Canary) -> object:
        made = (services.apex(canary, LABEL, TEMPLATE, observed), *services.versions(canary, LABEL, TEMPLATE, observed))
        found = {each["metadata"]["name"]: each for each in made}
        return at(found.get(name, {}), where)

    return read


CASES: list[tuple[str, object, str, str, object]] = [
    ("port", 8080, APEX, f"{PORT}.port", 8080),
    ("port", 8080, PRIMARY, f"{PORT}.port", 8080),
    ("port", 8080, CANARY, f"{PORT}.port", 8080),
    ("portName", "grpc", CANARY, f"{PORT}.name", "grpc"),
    ("targetPort", 9898, CANARY, f"{PORT}.targetPort", 9898),
    ("targetPort", "web", CANARY, f"{PORT}.targetPort", "web"),
    ("appProtocol", "kubernetes.io/h2c", CANARY, f"{PORT}.appProtocol", "kubernetes.io/h2c"),
    ("trafficDistribution", "PreferClose", CANARY, "spec.trafficDistribution", "PreferClose"),
    ("portDiscovery", True, CANARY, "spec.ports.1.port", 9797),
    ("headless", True, CANARY, "spec.clusterIP", "None"),
    ("apex.labels", MINE, APEX, "metadata.labels.x", "1"),
    ("apex.annotations", MINE, APEX, "metadata.annotations.x", "1"),
    ("primary.labels", MINE, PRIMARY, "metadata.labels.x", "1"),
    ("primary.annotations", MINE, PRIMARY, "metadata.annotations.x", "1"),
    ("canary.labels", MINE, CANARY, "metadata.labels.x", "1"),
    ("canary.annotations", MINE, CANARY, "metadata.annotations.x", "1"),
    ("name", "front", "front", "spec.selector.app", "app-primary"),
]


@pytest.mark.parametrize(
    ("field", "value", "name", "where", "expected"), [(f"spec.service.{path}", *rest) for path, *rest in CASES]
)
def test_the_service_is_made_so(
    shows: Callable[..., None],
    at: Callable[[Any, str], Any],
    field: str,
    value: object,
    name: str,
    where: str,
    expected: object,
) -> None:
    shows(field, value, of(name, at, where, {}), expected, {})


@pytest.mark.field("spec.service.unmanagedMetadata.labels", "spec.service.unmanagedMetadata.annotations")
@pytest.mark.parametrize("part", ["labels", "annotations"])
@pytest.mark.parametrize("side", ["apex", "primary", "canary"])
def test_what_others_have_written_stays_where_the_spec_leaves_it_to_them(
    shows: Callable[..., None], at: Callable[[Any, str], Any], side: str, part: str
) -> None:
    name = {"apex": APEX, "primary": PRIMARY, "canary": CANARY}[side]
    beside = {f"spec.service.{side}.{part}": MINE}
    read = of(name, at, f"metadata.{part}.x", {name: OWNED})
    shows(f"spec.service.unmanagedMetadata.{part}", ["x"], read, "theirs", beside)
