"""The manifests in `tests/examples`, which a real API server is given too."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.api.alertprovider import parse_alert_provider
from canary.api.canary import parse_canary
from canary.api.crds import DEFINITIONS, root_schema
from canary.api.fleet import parse_fleet
from canary.api.fleet_rules import problems as fleet_problems
from canary.api.meta import JsonObject, Resource
from canary.api.metrictemplate import parse_metric_template
from canary.api.rules import problems
from canary.api.schema import field_types

EXAMPLES: list[JsonObject] = [
    document
    for file in sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
]
CANARIES = [document for document in EXAMPLES if document["kind"] == "Canary"]
PARSERS: dict[str, Callable[[JsonObject], Resource]] = {
    "Canary": parse_canary,
    "MetricTemplate": parse_metric_template,
    "AlertProvider": parse_alert_provider,
    "CanaryFleet": parse_fleet,
}
STRING_MATCHES = {"exact", "prefix", "suffix", "regex"}


def name(document: JsonObject) -> str:
    return str(document["metadata"]["name"])


@pytest.mark.parametrize("document", CANARIES, ids=name)
def test_every_example_can_work(document: JsonObject) -> None:
    canary = parse_canary(document)
    assert problems(canary, canary.spec.provider or "kubernetes") == ()


@pytest.mark.parametrize("document", [each for each in EXAMPLES if each["kind"] == "CanaryFleet"], ids=name)
def test_every_example_of_a_fleet_can_work(document: JsonObject) -> None:
    assert fleet_problems(parse_fleet(document)) == ()


@pytest.mark.parametrize("document", EXAMPLES, ids=name)
def test_no_field_of_an_example_is_lost(document: JsonObject) -> None:
    resource = PARSERS[document["kind"]](document)
    assert fields(resource.to_json()) == fields(document)


def test_the_examples_use_every_field() -> None:
    for definition in DEFINITIONS:
        examples = [each for each in EXAMPLES if each["kind"] == definition.model.__name__]
        used = set().union(*map(fields, examples))
        apart = ("status", "spec.canaryAnalysis.")  # what users don't write, and the same once more
        ours = {path for path in field_types(root_schema(definition)) if not path.startswith(apart)}
        missing = {path for path in ours - used if path.rpartition(".")[2] not in STRING_MATCHES}
        assert missing == set(), definition.plural


def fields(document: JsonObject) -> set[str]:
    """Every path of a document; items of lists as `[]`, values of free maps as `*`."""
    return set(_paths(document, ""))


FREE = {
    path.removesuffix(".*")
    for definition in DEFINITIONS
    for path in field_types(root_schema(definition))
    if path.endswith(".*")
}


def _paths(value: Any, path: str) -> Iterator[str]:
    if path.startswith("metadata"):
        path = "metadata"
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            step = "*" if path in FREE else key
            yield from _paths(inner, f"{path}.{step}" if path else step)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, f"{path}[]")
