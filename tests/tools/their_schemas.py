"""Objects of others, held against their definitions as `kubectl apply` would, strictly: in milliseconds."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

Json = dict[str, Any]

SCHEMAS = Path(__file__).parents[1] / "cluster/schemas"
_OPEN = "x-kubernetes-preserve-unknown-fields"


def problems(obj: Json) -> list[str]:
    """What their API server would say of the spec of an object; unknown fields are refused, too.

    Raises:
        KeyError: no definition of its kind is kept here.
    """
    schema = _schemas()[obj["apiVersion"], obj["kind"]]
    found = jsonschema.Draft202012Validator(schema).iter_errors(obj["spec"])
    return sorted(f"{'.'.join(['spec', *map(str, each.absolute_path)])}: {each.message}" for each in found)


@cache
def _schemas() -> dict[tuple[str, str], Json]:
    return {
        (f"{each['spec']['group']}/{version['name']}", each["spec"]["names"]["kind"]): _strict(
            version["schema"]["openAPIV3Schema"]["properties"].get("spec", {})
        )
        for each in _definitions()
        for version in each["spec"]["versions"]
    }


def _definitions() -> Iterator[Json]:
    for path in sorted(SCHEMAS.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        yield from found if isinstance(found, list) else found.get("items", [found])
    yield from yaml.safe_load_all((SCHEMAS / "fleet-members.yaml").read_text(encoding="utf-8"))


def _strict(schema: Any) -> Any:
    """A schema of the API server's as one of JSON, by which a field that is not named is refused."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {key: _inner(key, value) for key, value in schema.items() if key not in ("format", "nullable")}
    if "properties" in made and not schema.get(_OPEN):
        made["additionalProperties"] = False
    if schema.get("nullable") and "type" in made:
        made["type"] = [made["type"], "null"]
    return made


def _inner(key: str, value: Any) -> Any:
    if key == "properties":
        return {name: _strict(each) for name, each in value.items()}
    return _strict(value) if key in ("items", "additionalProperties") else value
