"""Specs by chance: such as a schema allows, and such as no schema would."""

from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]
Values = st.SearchStrategy[Any]

NAMES = st.sampled_from(["request-success-rate", "request-duration", "request-rate", "errors", "smoke", "a-b"])
ANYTHING: Values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.text("ab-", max_size=4) | st.sampled_from([0.5, 99.9]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "name", "weight"]), inner),
    max_leaves=4,
)


def values(schema: Schema, path: str = "") -> Values:
    """Values that a structural schema allows."""
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(1, 65535) | st.sampled_from(["http", "grpc"])
    match schema.get("type"):
        case "object":
            return _objects(schema, path)
        case "array":
            return st.lists(values(schema["items"], f"{path}[]"), max_size=3)
        case "string":
            return _texts(schema, path)
        case "integer":
            return st.integers(schema.get("minimum", 0), min(schema.get("maximum", 999), 999))
        case "number":
            return st.sampled_from([schema.get("minimum", 0), 1, 2.5, 50])
        case "boolean":
            return st.booleans()
    return ANYTHING


def _objects(schema: Schema, path: str) -> Values:
    properties, others = schema.get("properties"), schema.get("additionalProperties")
    if properties is None:
        inner = values(others, f"{path}.*") if isinstance(others, dict) else ANYTHING
        return st.dictionaries(st.sampled_from(["a", "b.c", "x-y"]), inner, max_size=3)
    needed = schema.get("required", ())
    fields = {name: values(inner, f"{path}.{name}") for name, inner in properties.items()}
    made = st.fixed_dictionaries({name: fields[name] for name in needed})
    further = {name: each for name, each in fields.items() if name not in needed}
    return st.builds(lambda must, may: {**must, **may}, made, _few(further, schema.get("minProperties", 0)))


def _few(fields: dict[str, Values], least: int) -> Values:
    """Some of these fields: few, so that each comes with and without each other."""

    def chosen(names: list[str]) -> Values:
        return st.fixed_dictionaries({name: fields[name] for name in names})

    if not fields:
        return st.just({})
    names = st.lists(st.sampled_from(sorted(fields)), min_size=least, max_size=max(6, least), unique=True)
    return names.flatmap(chosen)


def _texts(schema: Schema, path: str) -> Values:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if path.endswith("].name"):
        return NAMES
    return st.sampled_from(["1m", "10s", "2h"]) if "pattern" in schema else st.text("abc", min_size=1, max_size=5)


@st.composite
def spoilt(draw: st.DrawFn, wholes: Values) -> Any:
    """Such values with anything at all somewhere in them, also names that another version has a use for."""
    value = draw(wholes)
    for _ in range(draw(st.integers(0, 3))):
        here = value
        while isinstance(here, dict | list) and here and draw(st.integers(0, 3)):
            inner = draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
            if not isinstance(here[inner], dict | list):
                break
            here = here[inner]
        if isinstance(here, dict):
            here[draw(WORDS | st.sampled_from(sorted(here) or ["a"]))] = draw(ANYTHING)
        elif isinstance(here, list):
            here.append(draw(ANYTHING))
    return value


WORDS = st.sampled_from(
    [
        *(
            "analysis",
            "canaryAnalysis",
            "metrics",
            "webhooks",
            "conditions",
            "targetRef",
            "stepWeight",
            "thresholdRange",
        ),
        *("rollout", "traffic", "checks", "target", "service", "ramp", "threshold", "range", "webhook", "gate", "when"),
        "expression",
    ]
)
