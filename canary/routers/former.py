"""Routes that a Canary's spec named before: how much they give the canary still, and how that is taken from it.

Name and provider of a spec may be edited while a route of before leads requests to the canary. It stays where it is, as
people may still use it, and leads to the primary alone. What it looks like is read from itself, since the spec that it
was made by is gone.
"""

import copy
from collections.abc import Iterator

from canary.api.traffic import SERVICE_LABEL, TOTAL_WEIGHT
from canary.routers.base import Json, items, mapping, share
from canary.routers.replicas import WEIGHT_ANNOTATION

PRIMARY, CANARY = "-primary", "-canary"
"""How the names of the versions' Services end."""


def canary_services(route: Json) -> set[str]:
    """The names of the canary's Services that a route leads to, or copies requests to."""
    return {name for backends in _rules(route) for name in map(_name, backends) if name.endswith(CANARY)} | {
        name for rule in _http_rules(route) for name in map(_mirrored, items(rule.get("filters"))) if name
    }


def canary_share(route: Json) -> int:
    """The greatest percent of requests that any rule of a route gives to a canary."""
    shares = [0]
    for backends in _rules(route):
        weights = {end: sum(map(_weight, _ending(backends, end))) for end in (PRIMARY, CANARY)}
        shares.append(share(weights[CANARY], weights[PRIMARY]) or 0)
    return max(shares)


def without_canary(route: Json) -> Json:
    """The merge patch that has a route lead to the primary alone."""
    spec = copy.deepcopy(mapping(route.get("spec")))
    if "weighted" in spec:
        return {"spec": {"weighted": {"services": _to_primary(items(spec["weighted"].get("services")), keep=False)}}}
    rules = items(spec.get("rules"))
    for rule in rules:
        rule["backendRefs"] = _to_primary(items(rule.get("backendRefs")), keep=True)
        if "filters" in rule:
            rule["filters"] = [each for each in items(rule["filters"]) if not _mirrored(each)]
    return {"spec": {"rules": rules}}


def versions_of(route: Json) -> set[str]:
    """The names of the versions' Services that a route leads to."""
    return {name for backends in _rules(route) for name in map(_name, backends) if name.endswith((PRIMARY, CANARY))}


def past_versions(route: Json) -> Json:
    """The merge patch that has a route lead to the Service that users call, as the versions' own are to go."""
    spec = mapping(mapping(without_canary(route)).get("spec"))
    rules = items(spec.get("rules"))
    backends = [
        items(mapping(spec.get("weighted")).get("services")),
        *(items(rule.get("backendRefs")) for rule in rules),
    ]
    for each in (backend for found in backends for backend in found):
        if _name(each).endswith(PRIMARY):
            each["name"] = _name(each).removesuffix(PRIMARY)
    for rule in rules:
        rule["backendRefs"] = [each for each in items(rule["backendRefs"]) if not _name(each).endswith(CANARY)]
    return {"spec": spec}


def service_share(service: Json, canary: Json) -> int:
    """Percent of the requests to a Service that users call which reach the pods of the canary's Service beside it."""
    metadata = mapping(service.get("metadata"))
    if _selector(service) == {SERVICE_LABEL: metadata.get("name")}:
        weight = str(mapping(metadata.get("annotations")).get(WEIGHT_ANNOTATION, ""))
        return int(weight) if weight.isascii() and weight.isdigit() else 1
    return TOTAL_WEIGHT if leads_as(service, canary) else 0


def leads_as(service: Json, other: Json) -> bool:
    """Whether two Services lead to the same pods."""
    return bool(_selector(service)) and _selector(service) == _selector(other)


def leading_to(service: Json, other: Json) -> Json:
    """The merge patch that has a Service lead to the pods of another one."""
    return {
        "metadata": {"annotations": {WEIGHT_ANNOTATION: None}},
        "spec": {"selector": {**dict.fromkeys(_selector(service)), **_selector(other)}},
    }


def _selector(service: Json) -> Json:
    return mapping(mapping(service.get("spec")).get("selector"))


def _rules(route: Json) -> Iterator[list[Json]]:
    yield items(mapping(mapping(route.get("spec")).get("weighted")).get("services"))
    for rule in _http_rules(route):
        yield items(rule.get("backendRefs"))


def _http_rules(route: Json) -> list[Json]:
    return items(mapping(route.get("spec")).get("rules"))


def _mirrored(entry: Json) -> str:
    """The canary's Service that a filter copies requests to; empty where it does nothing like that."""
    name = _name(mapping(mapping(entry.get("requestMirror")).get("backendRef")))
    return name if name.endswith(CANARY) else ""


def _name(backend: Json) -> str:
    return str(backend.get("name", ""))


def _ending(backends: list[Json], end: str) -> list[Json]:
    return [each for each in backends if _name(each).endswith(end)]


def _weight(backend: Json) -> int:
    weight = backend.get("weight")
    return 1 if weight is None else int(weight)


def _to_primary(backends: list[Json], *, keep: bool) -> list[Json]:
    """The backends with all requests for the primary; the canary is kept among them where it may be without any."""
    canaries = _ending(backends, CANARY)
    if not canaries:
        return backends
    known = {_name(each) for each in backends}
    made = [{**each, "name": _name(each).removesuffix(CANARY) + PRIMARY} for each in canaries]
    primaries = _ending(backends, PRIMARY) + [each for each in made if _name(each) not in known]
    for each in primaries:
        each["weight"] = TOTAL_WEIGHT
    return [*primaries, *({**each, "weight": 0} for each in canaries if keep)]
