"""Fields that name routes of somebody else's: where each weight is written, and taken back from."""

from collections.abc import Callable, Iterable, Mapping

import pytest

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.kube.types import Json
from canary.routers import route_refs
from canary.routers.route_refs import ROUTE_REFS
from tests.tools.routes import after

GATEWAY = "gateway.networking.k8s.io/v1"
BACKENDS: list[Json] = [{"name": "app", "port": 80}, {"name": "app-canary", "port": 80, "weight": 0}]
KNOWN: dict[str, object] = {"apiVersion": GATEWAY, "kind": "HTTPRoute", "name": "web"}
POINTED: dict[str, object] = {
    "apiVersion": "gate.example/v2",
    "kind": "Split",
    "name": "web",
    "weights": {"primary": "/spec/a", "canary": "/spec/b"},
}
CASES: list[tuple[str, object, dict[str, object], list[object]]] = [
    ("apiVersion", GATEWAY, KNOWN, ["httproutes/web 70:30"]),
    ("kind", "HTTPRoute", KNOWN, ["httproutes/web 70:30"]),
    ("name", "shop", KNOWN, ["httproutes/shop 70:30"]),
    ("plural", "divisions", POINTED, ["divisions/web 70:30"]),
    ("weights.primary", "/spec/c", POINTED, ["splits/web c=70 b=30"]),
    ("weights.canary", "/spec/c", POINTED, ["splits/web a=70 c=30"]),
]


def route(kind: str) -> Json:
    """One that leads to both versions, in every way that a case has."""
    spec = {"rules": [{"backendRefs": BACKENDS}]} if kind == "HTTPRoute" else {"a": 100, "b": 0, "c": 50}
    return {"kind": kind, "metadata": {"name": "any", "resourceVersion": "1"}, "spec": spec}


def words(where: str, before: Json, spec: Json) -> str:
    """A route in words: its weights, or the numbers of it that have changed."""
    if "rules" in spec:
        return f"{where} {':'.join(str(each['weight']) for each in spec['rules'][0]['backendRefs'])}"
    changed = {key: value for key, value in spec.items() if value != before["spec"][key]}
    if set(changed) == {"a", "b"}:
        return f"{where} {changed['a']}:{changed['b']}"
    first, second = sorted(changed, key=lambda key: -changed[key])
    return f"{where} {first}={changed[first]} {second}={changed[second]}"


def divided(canary: Canary) -> list[str]:
    """The routes that are written at 30 percent."""
    there = {place: route(place.resource.kind) for place in route_refs.refs(canary)}
    done = after(ROUTE_REFS.plan(canary, Split(30), there), there)
    return [words(f"{place.resource.plural}/{place.name}", there[place], done[place]["spec"]) for place in done]


def beside(ref: Mapping[str, object], without: str, prefix: str) -> Iterable[tuple[str, object]]:
    for name, value in ref.items():
        if isinstance(value, dict):
            yield from ((f"{prefix}.{name}.{key}", each) for key, each in value.items() if f"{name}.{key}" != without)
        elif name != without:
            yield f"{prefix}.{name}", value


@pytest.mark.parametrize(
    ("field", "value", "ref", "expected"), [(f"spec.routeRefs[].{name}", *rest) for name, *rest in CASES]
)
def test_the_weights_are_written_in_the_route_that_is_named(
    shows: Callable[..., None], field: str, value: object, ref: dict[str, object], expected: list[str]
) -> None:
    prefix, _, name = field.partition("[].")
    shows(field, value, divided, expected, dict(beside(ref, name, f"{prefix}[]")))


@pytest.mark.parametrize(
    ("field", "value", "ref"), [(f"status.routeRefs[].{name}", value, ref) for name, value, ref, _ in CASES]
)
def test_what_was_named_before_is_led_back(
    shows: Callable[..., None], field: str, value: object, ref: dict[str, object]
) -> None:
    prefix, _, name = field.partition("[].")

    def left(canary: Canary) -> list[str]:
        tried = {}
        for place in route_refs.remembered(canary):
            there = route(place.resource.kind)
            there["spec"] |= {"a": 70, "b": 30, "c": 40}
            if "rules" in there["spec"]:
                there["spec"]["rules"] = [{"backendRefs": [BACKENDS[0], {**BACKENDS[1], "weight": 1}]}]
            tried[place] = there
        found = route_refs.left(canary, (), tried)
        return [f"{place.resource.plural}/{place.name} {percent} {patch}" for place, percent, patch in found]

    known = dict(beside(ref, name, f"{prefix}[]"))
    expected = {
        "name": "httproutes/shop 50",
        "plural": "divisions/web 30",
        "weights.primary": "splits/web 43",
        "weights.canary": "splits/web 37",
    }
    shows(
        field,
        value,
        lambda made: [each.partition(" {")[0] for each in left(made)],
        [expected.get(name, "httproutes/web 50")],
        known,
    )
