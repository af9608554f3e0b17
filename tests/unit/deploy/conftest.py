"""Where the files are, and what the controller's parts that they name really offer."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from canary.controller.telemetry import Telemetry
from canary.hub.telemetry import Telemetry as HubTelemetry

Json = dict[str, Any]

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def deploy() -> Path:
    """The folder under test."""
    return ROOT / "deploy"


@pytest.fixture(scope="session")
def controller() -> Json:
    """The controller's Deployment, as the file has it."""
    path = ROOT / "deploy/kustomize/controller/deployment.yaml"
    document: Json = yaml.safe_load(path.read_text())
    return document


@pytest.fixture(scope="session")
def exported() -> frozenset[str]:
    """The names of all series that the controller exports."""
    return _names(Telemetry("1.2.3", "traefik").registry)


@pytest.fixture(scope="session")
def exported_by_hub() -> frozenset[str]:
    """The names of all series that the hub exports."""
    return _names(HubTelemetry("1.2.3").registry)


def _names(registry: CollectorRegistry) -> frozenset[str]:
    families = registry.collect()
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return frozenset(family.name + ending for family in families for ending in endings[family.type])
