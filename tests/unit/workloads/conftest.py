"""What the tests of the workloads share: golden files, and a Canary with its Deployment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.api.canary import Canary, parse_canary
from canary.kube.types import Json

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def golden() -> Callable[[str], Json]:
    """Reads a golden file by its path below `golden`."""

    def read(path: str) -> Json:
        loaded: Json = yaml.safe_load((GOLDEN / path).read_text())
        return loaded

    return read


@pytest.fixture
def make_canary() -> Callable[..., Canary]:
    """Makes a Canary of Deployment `my-app` whose `service` holds these fields, port 9898 unless told."""

    def make(**service: Any) -> Canary:
        return parse_canary(
            {
                "metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"},
                "spec": {
                    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "my-app"},
                    "service": {"port": 9898, **service},
                },
            }
        )

    return make


@pytest.fixture
def make_deployment() -> Callable[..., Json]:
    """Makes a Deployment `my-app`; keywords are fields of its pod spec beside the containers' defaults."""

    def make(*, labels: dict[str, str] | None = None, **pod_spec: Any) -> Json:
        labels = {"app": "my-app"} if labels is None else labels
        containers = [{"name": "app", "image": "my-app:1"}]
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "my-app", "namespace": "shop", "generation": 2},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers, **pod_spec}},
            },
        }

    return make
