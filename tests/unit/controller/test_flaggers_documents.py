"""Each Canary of Flagger's documents and examples, v1.44.0, works with its provider, or is told how it would.

`tests/tools/flagger_documents.py` writes them down.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from canary.api import strict
from canary.api.canary import parse_canary
from canary.api.problems import InvalidResource
from canary.controller.problems import of_spec

Raw = dict[str, Any]
DOCUMENTS: list[Raw] = json.loads((Path(__file__).parents[1] / "api" / "flagger-documents.json").read_text("utf-8"))


def as_go_writes_it(spec: Raw) -> None:
    spec["analysis"]["metrics"][0]["interval"] = "1m"


def in_quotes(spec: Raw) -> None:
    spec["analysis"]["webhooks"][0]["metadata"]["clone"] = "100"


FOLLOWED: dict[tuple[str, int], tuple[str, Callable[[Raw], None]]] = {
    # Flagger's own CRD refuses both as well.
    ("metrics", 8): ("spec.analysis.metrics[0].interval", as_go_writes_it),
    ("webhooks", 6): ("spec.analysis.webhooks[0].metadata.clone", in_quotes),
}
"""By page and number, the field that is refused, and what its remedy leads to."""


def refused(spec: Raw, provider: str) -> list[str]:
    """The fields by which it is refused, by the API server, when it is read, and by the controller."""
    metadata = {"name": "podinfo", "namespace": "test"}
    raw = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": metadata, "spec": spec}
    if by_schema := [each.field for each in strict.problems(raw)]:
        return by_schema
    try:
        canary = parse_canary(raw)
    except InvalidResource as error:
        return [each.field for each in error.problems]
    return [each.field for each in of_spec(canary, provider)]


@pytest.mark.parametrize("found", DOCUMENTS, ids=lambda found: f"{found['page']}-{found['number']}")
def test_it_is_accepted_or_its_remedy_leads_there(found: Raw) -> None:
    fields = refused(found["spec"], found["provider"])
    if fields:
        field, follow = FOLLOWED[found["page"], found["number"]]
        assert fields == [field]
        spec = json.loads(json.dumps(found["spec"]))
        follow(spec)
        assert refused(spec, found["provider"]) == []


def test_no_others_are_refused() -> None:
    both = {(each["page"], each["number"]) for each in DOCUMENTS if refused(each["spec"], each["provider"])}
    assert both == set(FOLLOWED)


def test_every_provider_has_its_page() -> None:
    asked = {found["spec"].get("provider") or found["provider"] for found in DOCUMENTS}
    assert asked == {
        *("apisix", "contour", "gatewayapi:v1", "gatewayapi:v1beta1", "gloo", "istio", "knative", "kubernetes"),
        *("kuma", "linkerd", "nginx", "skipper", "traefik"),
    }
