"""What the tests of the routers share: a Canary, and objects by kind and name."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from canary.api.canary import Canary, parse_canary
from canary.kube.types import Json


@pytest.fixture
def make_canary() -> Callable[..., Canary]:
    """Makes a Canary of Deployment `my-app`, with these fields of `service`, `analysis` and `spec`."""

    def make(service: Json | None = None, analysis: Json | None = None, **spec: Any) -> Canary:
        whole = {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "my-app"},
            "service": {"port": 9898, **(service or {})},
            "analysis": {"interval": "1m", "threshold": 5, **(analysis or {})},
            **spec,
        }
        return parse_canary({"metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"}, "spec": whole})

    return make


@pytest.fixture
def by_name() -> Callable[[Iterable[Json]], dict[tuple[str, str], Json]]:
    """Indexes objects as routers want to see them."""

    def index(objects: Iterable[Json]) -> dict[tuple[str, str], Json]:
        return {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}

    return index
