"""Write down the Canaries of Flagger's documents: `python tests/tools/flagger_documents.py CHECKOUT`.

CHECKOUT is one of the fluxcd/flagger release that we keep to. The result is committed as
`tests/unit/api/flagger-documents.json`. It holds facts only: of each spec its fields, with what rules may look at. Who
is asked, and for what, is left out, and so is every comment.

Documents show many a spec in part: it is completed, in a tutorial by the first whole one of its page, elsewhere by a
plain one. What only names fields, without their values, is left out.
"""

import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FACTS = Path(__file__).parents[1] / "unit" / "api" / "flagger-documents.json"
PROVIDERS = {
    "apisix": "apisix",
    "contour": "contour",
    "gatewayapi": "gatewayapi:v1",
    "gloo": "gloo",
    "keda": "kubernetes",
    "knative": "knative",
    "kubernetes": "kubernetes",
    "kuma": "kuma",
    "linkerd": "gatewayapi:v1beta1",
    "nginx": "nginx",
    "prometheus": "kubernetes",
    "skipper": "skipper",
    "traefik": "traefik",
}
"""What each page has people tell Flagger at its installation, by the beginning of its name; all others: istio."""

PLAIN: dict[str, Any] = {
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
    "service": {"port": 80},
    "analysis": {"interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50},
}
STEPS = {"iterations", "match", "maxWeight", "stepWeight", "stepWeights"}
"""Fields of which an analysis has its own, or all of another's."""

SAYS_IT_IS_ONE = {"analysis", "canaryAnalysis", "webhooks"}
_FENCE = re.compile(r"^[ ]*```[^\n]*\n(.*?)^[ ]*```", re.DOTALL | re.MULTILINE)
_HERE = re.compile(r"<<EOF[^\n]*\n(.*?)^EOF", re.DOTALL | re.MULTILINE)
_VARIABLE = re.compile(r"{{.*?}}")


def canaries(checkout: Path) -> Iterator[dict[str, Any]]:
    """Each Canary of the documents and examples, once."""
    pages = [*checkout.glob("artifacts/examples/*.yaml"), *checkout.glob("docs/gitbook/**/*.md")]
    seen = []
    for page in sorted(pages):
        text = page.read_text(encoding="utf-8")
        provider = next((each for name, each in PROVIDERS.items() if page.name.startswith(name)), "istio")
        whole: dict[str, Any] | None = None
        for number, spec in enumerate(_specs([text] if page.suffix == ".yaml" else _FENCE.findall(text)), 1):
            complete = _completed(spec, whole or PLAIN)
            if "tutorials" in page.parts and complete == spec:
                whole = whole or spec
            if (provider, complete) not in seen:
                seen.append((provider, complete))
                yield {"page": page.stem, "number": number, "provider": provider, "spec": complete}


def _specs(blocks: list[str]) -> Iterator[dict[str, Any]]:
    """The specs of Canaries, or parts of them, that are in blocks of code; what is no YAML is left out."""
    for block in blocks:
        here = _HERE.search(block)
        try:
            documents = list(yaml.safe_load_all(textwrap.dedent(here.group(1) if here else block)))
        except yaml.YAMLError:
            continue
        for document in documents:
            if isinstance(document, dict) and (spec := _spec(document)) and not _hollow(spec):
                yield _reduced(spec)


def _spec(document: dict[str, Any]) -> dict[str, Any]:
    spec = document.get("spec", document)
    if document.get("kind", "Canary") != "Canary" or not isinstance(spec, dict):
        return {}
    if document.get("kind") != "Canary" and not SAYS_IT_IS_ONE & spec.keys():
        return {}
    spec = {key: value for key, value in spec.items() if key not in {"apiVersion", "kind", "metadata"}}
    return {"analysis": spec} if "webhooks" in spec else spec


def _hollow(value: Any) -> bool:
    """Whether there are fields without a value in it."""
    if isinstance(value, dict):
        return any(map(_hollow, value.values()))
    return any(map(_hollow, value)) if isinstance(value, list) else value is None


def _completed(spec: dict[str, Any], by: dict[str, Any]) -> dict[str, Any]:
    if spec.get("targetRef", by["targetRef"])["kind"] == "Service":
        return spec
    service = spec.get("service", {})
    made = {**by, **spec, "service": service if "port" in service else {**by["service"], **service}}
    name = "canaryAnalysis" if "canaryAnalysis" in spec else "analysis"
    own, others = spec.get(name) or {}, by["analysis"]
    if STEPS & own.keys():
        counted = {"iterations": 10} if "match" in own else {}
        others = counted | {key: each for key, each in others.items() if key not in STEPS}
    return {key: each for key, each in made.items() if key != "analysis"} | {name: {**others, **own}}


def _reduced(value: Any, key: str = "") -> Any:
    """What may be looked at of a value."""
    if isinstance(value, dict):
        texts = {name: "text" for name, each in value.items() if isinstance(each, str)}
        return {**value, **texts} if key == "metadata" else {name: _reduced(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_reduced(each, key) for each in value]
    if key == "url":
        return "http://asked.test/"
    if key == "query":
        return f"up{{{','.join(_VARIABLE.findall(value))}}}"
    return value


def main() -> None:
    """Write the facts, one Canary a line."""
    lines = ",\n".join(json.dumps(each) for each in canaries(Path(sys.argv[1])))
    FACTS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
