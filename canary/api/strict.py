"""What the API server refuses of an object that people write, by the schema of its CRD.

As strict as `kubectl apply` is: a field that the schema doesn't have is refused, where a stored object would lose it.
"""

import difflib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from canary.api.alertprovider import APPRISE, WEBHOOK
from canary.api.crds import DEFINITIONS, root_schema
from canary.api.meta import FLEET_GROUP, GROUP, JsonObject
from canary.api.problems import Problem
from canary.api.v1beta2 import table
from canary.api.v1beta2.convert import is_canary
from canary.api.v1beta2.rules import problems as newer_rules
from canary.api.v1beta2.schema import v1beta2_schema
from canary.api.v1beta2.words import field_in

GROUPS: Final = (GROUP, FLEET_GROUP)

UNKNOWN: Final = "unknown field"
"""What is said of a field that the schema doesn't have: a server drops it, where nobody asks it to be strict."""

_STRING: Final[JsonObject] = {"type": "string"}
_MAP: Final[JsonObject] = {"type": "object", "additionalProperties": _STRING}
_ANYTHING: Final[JsonObject] = {}
_BY_THE_SERVER: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)
"""Fields of the metadata that people don't write, save by way of a copy."""

_METADATA: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "name": _STRING | {"pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"},
        "namespace": _STRING | {"pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
        "labels": _MAP,
        "annotations": _MAP,
        **dict.fromkeys(_BY_THE_SERVER, _ANYTHING),
    },
}
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_WRITE: Final = {
    "string": "write a string, in quotes",
    "integer": "write a whole number, without quotes",
    "number": "write a number, without quotes",
    "boolean": "write true or false, without quotes",
    "array": "write a list",
    "object": "write a map of fields",
}
_CALLED_ELSEWHERE: Final = {
    "failureLimit": ("threshold",),
    "inconclusiveLimit": ("threshold",),
    "count": ("iterations",),
    "successCondition": ("thresholdRange", "range"),
    "failureCondition": ("thresholdRange", "range"),
    "threshold": ("failureThreshold", "range"),
    "thresholdRange": ("range",),
    "interval": ("window",),
    "type": ("when",),
    "compareTo": ("compare",),
    "name": ("federatedDeployment",),
    "weight": ("share",),
}
"""What others call what has another name here (tools, the other version, other objects); of several the known one."""

_OF_MANY: Final = frozenset({"apiVersion", "kind", "name", "namespace"})
"""Fields of whatever names an object: that another has one says nothing of where this one belongs."""

_SHOWN: Final = 60


def is_ours(raw: JsonObject) -> bool:
    """Whether an object says that it is one of our groups', whatever its version and kind."""
    return group_of(raw) in GROUPS


def group_of(raw: JsonObject) -> str:
    """The group that an object says it is of."""
    version = raw.get("apiVersion")
    return version.partition("/")[0] if isinstance(version, str) else ""


def speaks_of_ours(text: str) -> bool:
    """Whether a text names one of our groups, so that it is worth while to read it."""
    return any(group in text for group in GROUPS)


def problems(raw: JsonObject) -> Iterator[Problem]:
    """What an API server with the CRDs of this release refuses of an object of our groups.

    Args:
        raw: what was written; its status is of no account.
    """
    version, kind, group = raw.get("apiVersion"), raw.get("kind"), group_of(raw)
    known = {name: each for name, each in _DEFINITIONS.items() if each.group == group}
    expected = next((each.api_version for each in known.values()), "")
    newer = is_canary(raw, table.API_VERSION)
    if version != expected and not newer:
        yield Problem("apiVersion", f"no server knows {version}", f"write {expected}")
    if str(kind) not in known:
        close = difflib.get_close_matches(str(kind), known, 1, 0.5)
        remedy = f"did you mean {close[0]}?" if close else f"write one of {', '.join(known)}"
        yield Problem("kind", f"{group} has no kind {kind}", remedy)
        return
    schema = _newer_schema() if newer else _schema(str(kind))
    written = {name: value for name, value in raw.items() if name != "status"}
    found = _value(written, schema, "", schema)
    yield from map(_in_newer_words, found) if newer else found
    yield from newer_rules(raw.get("spec")) if newer else _rules(str(kind), raw.get("spec"))


_DEFINITIONS: Final = {definition.model.__name__: definition for definition in DEFINITIONS}


@cache
def _schema(kind: str) -> JsonObject:
    schema = root_schema(_DEFINITIONS[kind])
    schema["properties"]["metadata"] = _METADATA
    return schema


@cache
def _newer_schema() -> JsonObject:
    return v1beta2_schema(_schema("Canary"))


def _in_newer_words(problem: Problem) -> Problem:
    """Of a field of v1beta1 in v1beta2: what it is called there."""
    meant = field_in(problem.field)
    if problem.message != UNKNOWN or meant == problem.field:
        return problem
    return Problem(problem.field, UNKNOWN, f"in {table.VERSION} it is {meant}")


def _rules(kind: str, spec: object) -> Iterator[Problem]:
    """Rules of the CRDs that nothing else holds: the controller does without."""
    if not isinstance(spec, dict):
        return
    if kind == "Canary" and not (spec.get("analysis") or spec.get("canaryAnalysis") or spec.get("skipAnalysis")):
        remedy = "set it, with interval, threshold and stepWeight; or skipAnalysis: true"
        yield Problem("spec.analysis", "is missing", remedy)
    provider = spec.get("provider")
    needed = "job" if isinstance(provider, dict) and provider.get("type") == "job" else "query"
    if kind == "MetricTemplate" and spec.get(needed) is None:
        yield Problem(f"spec.{needed}", "is missing", f"set spec.{needed}")
    if kind == "AlertProvider" and not (spec.get("address") or spec.get("secretRef")):
        remedy = "set it, or secretRef with a Secret that has the key address"
        yield Problem("spec.address", "is missing", remedy)
    if kind == "AlertProvider" and "body" in spec and spec.get("type") != WEBHOOK:
        remedy = "set spec.type to webhook, or take it out"
        yield Problem("spec.body", "is for a messenger of type webhook", remedy)
    if kind == "AlertProvider" and "headers" in spec and spec.get("type") not in (WEBHOOK, APPRISE):
        yield Problem("spec.headers", "are for messengers of type webhook and apprise", "take them out")


def _value(value: Any, schema: JsonObject, path: str, root: JsonObject) -> Iterator[Problem]:
    """What is wrong with one value, and with those in it."""
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield Problem(
                path, f"{_shown(value)} is neither a number nor a name", "write a number, or a name in quotes"
            )
        return
    expected = schema.get("type")
    if expected is None:
        return
    if not _is(value, expected):
        yield Problem(path or "the document", f"{_shown(value)} is {_named(value)}", _WRITE[expected])
        return
    match value:
        case dict():
            yield from _fields(value, schema, path, root)
        case list():
            if len(value) > schema.get("maxItems", len(value)):
                yield Problem(path, f"has {len(value)} entries", f"write {schema['maxItems']} at most")
            for index, item in enumerate(value):
                yield from _value(item, schema["items"], f"{path}[{index}]", root)
        case _:
            yield from _limits(value, schema, path)


def _fields(value: JsonObject, schema: JsonObject, path: str, root: JsonObject) -> Iterator[Problem]:
    known = schema.get("properties", {})
    others = schema.get("additionalProperties")
    if len(value) > schema.get("maxProperties", len(value)):
        yield Problem(path, f"has {len(value)} entries", f"write {schema['maxProperties']} at most")
    if len(value) < schema.get("minProperties", 0):
        yield Problem(path, "is empty", f"write one of {', '.join(known)}, or take it out")
    for name in schema.get("required", ()):
        if value.get(name) is None:
            field = _join(path, name)
            yield Problem(field, "is missing", f"set {field}")
    for key, inner in value.items():
        name = str(key)
        field = _join(path, name)
        if name in known:
            # The API server takes one out that is null where it may be absent, as far as it can.
            if inner is not None:
                yield from _value(inner, known[name], field, root)
        elif isinstance(others, dict):
            yield from _value(inner, others, field, root)
        elif schema.get("x-kubernetes-preserve-unknown-fields"):
            continue
        else:
            yield Problem(field, UNKNOWN, _meant(name, known, root))


def _limits(value: Any, schema: JsonObject, path: str) -> Iterator[Problem]:
    """What is wrong with a value of the right type."""
    choices = schema.get("enum")
    if choices is not None and value not in choices:
        named = ", ".join(each for each in choices if each)
        yield Problem(path, f"{_shown(value)} is not known", f"write one of {named}")
    if isinstance(value, str):
        if len(value) > schema.get("maxLength", len(value)):
            yield Problem(path, f"has {len(value)} characters", f"write {schema['maxLength']} at most")
        if len(value) < schema.get("minLength", 0):
            yield Problem(path, "is empty", f"set {path}")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield Problem(path, f"{_shown(value)} is not written as it must be", f"write it by {schema['pattern']}")
    elif not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield Problem(path, f"{value} is too little", f"write {schema['minimum']} or more")
        if value > schema.get("maximum", value):
            yield Problem(path, f"{value} is too much", f"write {schema['maximum']} or less")


def _meant(name: str, known: JsonObject, root: JsonObject) -> str:
    """The field that was meant, as far as it can be guessed: of this name elsewhere, or of nearly this name here."""
    close = difflib.get_close_matches(name.lower(), [each.lower() for each in known], 1, 0.75)
    if close:
        return f"did you mean {next(each for each in known if each.lower() == close[0])}?"
    called = next((each for each in _CALLED_ELSEWHERE.get(name, ()) if each in known), "")
    if called:
        return f"did you mean {called}?"
    homes = sorted(_homes(name, root, ""), key=lambda home: (home.count("."), len(home)))
    if homes and name not in _OF_MANY:
        return f"move it under {homes[0]}"
    return f"take it out, or write one of {', '.join(known)}" if known else "take it out"


def _homes(name: str, schema: JsonObject, path: str) -> Iterator[str]:
    """The objects of the schema that have a field of this name."""
    properties = schema.get("properties", {})
    if path and name in properties:
        yield path
    for each, inner in properties.items():
        if each not in ("status", "metadata"):
            items = inner.get("items")
            yield from _homes(name, items or inner, _join(path, f"{each}[]" if items else each))


def _is(value: Any, expected: str) -> bool:
    if isinstance(value, bool):
        return expected == "boolean"
    if expected == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[expected])


def _named(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "a map"
        case _:
            return f"a {type(value).__name__}"


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def with_defaults(kind: str, spec: JsonObject) -> JsonObject:
    """The spec of an object of this group as the API server stores it: with the schema's defaults, without nulls."""
    schema = _schema(kind)["properties"]["spec"]
    filled: JsonObject = _filled(spec, schema)
    return filled


def _filled(value: Any, schema: JsonObject) -> Any:
    if isinstance(value, list):
        return [_filled(each, schema.get("items", {})) for each in value]
    if not isinstance(value, dict):
        return value
    known = schema.get("properties", {})
    others = schema.get("additionalProperties")
    inner = others if isinstance(others, dict) else {}
    absent = {name: each["default"] for name, each in known.items() if "default" in each}
    kept = {name: each for name, each in value.items() if each is not None}
    return {**absent, **{name: _filled(each, known.get(name, inner)) for name, each in kept.items()}}
