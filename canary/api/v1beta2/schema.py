"""The structural schema of v1beta2, made of that of v1beta1 by the table that moves the fields of a spec."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any, Final

from canary.api.analysis import MANY
from canary.api.meta import JsonObject
from canary.api.v1beta2.checks import CHECKS, LISTS, Kind, forward
from canary.api.v1beta2.moving import Path, moved
from canary.api.v1beta2.rules import CHECK_RULES, CHECKS_RULES, SPEC_RULES
from canary.api.v1beta2.table import SPEC, Pairs
from canary.api.v1beta2.words import sentence

_FIRST: Final = ("target", "autoscaler", "configs", "service", "traffic", "rollout", CHECKS, "alerts")
"""The order in which a person would write a spec."""

RULES: Final = "x-kubernetes-validations"

_GROUPS: Final = {
    "traffic": "How requests reach the two versions: the provider, and what its routes say.",
    "rollout.ramp": "Weights that grow by themselves, in place of steps.",
    "rollout.ready": "Percent of the pods of each version that must be available; 100 where absent.",
    f"{CHECKS}.compare": "With what the number is compared, in place of a range.",
    f"{CHECKS}.webhook": "The service that is called.",
}
"""What v1beta1 has no object for, with what is said of it."""


def v1beta2_schema(root: JsonObject) -> JsonObject:
    """The schema of a Canary of v1beta2.

    Args:
        root: that of v1beta1.
    """
    made: JsonObject = copy.deepcopy(root)
    spec = made["properties"]["spec"]
    del spec["properties"]["canaryAnalysis"]
    items = _taken_lists(spec["properties"]["analysis"])
    spec["properties"][CHECKS] = {"type": "array", "items": items, **MANY, RULES: CHECKS_RULES}
    spec["properties"][CHECKS]["description"] = "What is asked about a version, and told, in one list."
    spec = _moved(spec, SPEC)
    spec[RULES] = SPEC_RULES
    spec["properties"]["rollout"].pop(RULES, None)
    for path, words in _GROUPS.items():
        group = _at(spec, path)
        group |= {"type": "object", "description": words, "minProperties": 1}
    call = _at(spec, f"{CHECKS}.webhook")
    call |= {"required": ["url"]}
    del call["minProperties"]
    fields = spec["properties"]
    spec["properties"] = {name: fields[name] for name in sorted(fields, key=[*_FIRST, *fields].index)}
    made["properties"]["spec"] = _said(spec)
    return made


def _taken_lists(analysis: JsonObject) -> JsonObject:
    """The schema of one check, of the lists that are taken out of the analysis."""
    fields: JsonObject = {}
    for kind in reversed(Kind):
        name, pairs = LISTS[kind]
        entry = analysis["properties"].pop(name)["items"]
        entry["properties"].pop("threshold", None)
        fields = {**fields, **_moved(entry, pairs)["properties"]}
    fields["name"]["description"] = "Name of the check; those of built-in metrics say what is asked, too."
    words = "One thing that is asked: a number, an expression over numbers, a service, or a gate."
    return {"type": "object", "description": words, "required": ["name"], "properties": fields, RULES: CHECK_RULES}


def _moved(schema: JsonObject, pairs: Pairs) -> JsonObject:
    """The schema of an object whose fields are moved, with what is required of them."""
    required = list(_required(schema, pairs))
    moves = [(_within(source), _within(target)) for source, target in forward(pairs)]
    made = moved(schema, moves)
    for source, target in required:
        parent: JsonObject = made
        for part in _within(target)[:-2]:
            parent = parent[part]
        parent["required"] = [target[-1] if each == source[-1] else each for each in parent["required"]]
    return made


def _required(schema: JsonObject, pairs: Pairs) -> Iterator[tuple[Path, Path]]:
    for source, target in forward(pairs):
        parent = schema
        for part in _within(source)[:-2]:
            parent = parent[part]
        if source[-1] in parent.get("required", ()):
            yield source, target


def _within(path: Iterable[str]) -> Path:
    return [part for name in path for part in ("properties", name)]


def _at(spec: JsonObject, path: str) -> JsonObject:
    here = spec
    for part in path.split("."):
        here = here.get("items", here)["properties"][part]
    return here


def _said(schema: Any) -> Any:
    """A schema in whose words fields have the names that they have in v1beta2."""
    if isinstance(schema, dict):
        told = {name: inner if name == "rule" else _said(inner) for name, inner in schema.items()}
        text = {name: sentence(told[name]) for name in ("description", "message") if isinstance(told.get(name), str)}
        return {**told, **text}
    return [_said(each) for each in schema] if isinstance(schema, list) else schema
