"""APISIX: an ApisixRoute beside the users' own, which comes before it and divides what that one gives to the Service.

Theirs stays as it is: when ours goes with the Canary, requests take theirs to the Service as before. Ours has a rule
for each of theirs that leads to the Service, the same but for its backends and a higher priority.
"""

from collections.abc import Collection, Iterator
from datetime import timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import APISIX_ROUTE, Json, ObjectRef, items, mapping
from canary.routers.base import (
    BY_WEIGHT,
    Apply,
    Granularity,
    Observed,
    Patch,
    Provider,
    need_weights_alone,
    refused,
    route_metadata,
)
from canary.routers.route_kind import Lists, share

LIFT = 10_000
"""How far a rule of ours is above theirs, unless another rule of theirs is to stay before both.

Flagger gives 10000 to the one rule that it makes, which is the same for a rule of theirs that says nothing.
"""

FOLLOWS = timedelta(seconds=5)
"""How long requests may go on as before after a route has changed.

Its ingress controller (2.0) hands the whole configuration over as soon as an object has changed, but not before the one
that is under way has been taken. Not measured: as long as Traefik, which takes configurations one after the other, too.
"""

CLASS = "kubernetes.io/ingress.class"
"""Which of several APISIX serves a route, where the spec doesn't say so."""


def _makes(canary: Canary) -> tuple[ObjectRef, ...]:
    route = canary.spec.route_ref
    name = f"{route.name}-{canary.service_name}-canary" if route else ""
    return (ObjectRef(APISIX_ROUTE, canary.namespace, name),) if route else ()


def _reads(canary: Canary) -> tuple[ObjectRef, ...]:
    route = canary.spec.route_ref
    return (ObjectRef(APISIX_ROUTE, canary.namespace, route.name),) if route else ()


def _unfit(canary: Canary, observed: Observed) -> tuple[Problem, ...]:
    """Why the users' route can't be put after ours."""
    said = (_wrong(canary, observed.get(ref), ref.name) for ref in _reads(canary))
    return tuple(Problem("spec.routeRef.name", *each) for each in said if each)


def _wrong(canary: Canary, route: Json | None, name: str) -> tuple[str, str] | None:
    """What is wrong with it, and the remedy."""
    service = canary.service_name
    if route is None:
        return f"there is no ApisixRoute {name}", f"create it, with a rule that leads to the Service {service}"
    rules = _leading_to((service,), route)
    if not rules:
        return f"no rule of ApisixRoute {name} leads to the Service {service}", f"add one, with {service} as backend"
    if shared := [str(rule.get("name")) for rule in rules if len(_backends(rule)) > 1]:
        return (
            f"rule {shared[0]} of ApisixRoute {name} has backends beside the Service {service}",
            f"leave it {service} alone",
        )
    if between := [pair for pair in _after(canary, route) if _gap(*pair) < 1]:
        rule, other = (str(each.get("name")) for each in between[0])
        return (
            f"rule {other} of ApisixRoute {name} comes right before rule {rule}, with no priority in between for ours",
            f"raise the priority of {other}",
        )
    return None


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply | Patch, ...]:
    """The route that divides requests so, made of theirs; where that can't be gone by, of what there is of ours.

    The API server merges rules by their names: those that others have added are taken off before.

    Raises:
        ValueError: the split mirrors or matches requests.
    """
    need_weights_alone("the backends of an ApisixRoute", split)
    writes: list[Apply | Patch] = []
    for ref, theirs in zip(_makes(canary), _reads(canary), strict=True):
        ours, route = observed.get(ref), observed.get(theirs)
        fits = _wrong(canary, route, theirs.name) is None
        source = (route if fits else ours) or {}
        lift, names = (_lift(canary, source), canary.services[:1]) if fits else (0, canary.services[1:])
        rules = [_divided(canary, rule, split, lift) for rule in _leading_to(names, source)]
        if not rules:
            continue
        if ours is not None and _names(ours) - {str(rule["name"]) for rule in rules}:
            writes.append(Patch(ref, {"spec": {"http": rules}}))
        writes.append(_manifest(canary, ref, rules, source, ours))
    return tuple(writes)


def _manifest(canary: Canary, ref: ObjectRef, rules: list[Json], source: Json, ours: Json | None) -> Apply:
    metadata = route_metadata(canary, ref.name, ours)
    annotations = mapping(mapping(source.get("metadata")).get("annotations"))
    if CLASS in annotations:
        metadata["annotations"] = {CLASS: annotations[CLASS], **metadata["annotations"]}
    spec: Json = {"http": rules}
    if name := mapping(source.get("spec")).get("ingressClassName"):
        spec["ingressClassName"] = name
    return Apply(
        {"apiVersion": APISIX_ROUTE.api_version, "kind": APISIX_ROUTE.kind, "metadata": metadata, "spec": spec}
    )


def _split(canary: Canary, observed: Observed) -> Split | None:
    """The greatest share that any rule gives to the canary, as rules of several ports may differ for a moment."""
    shares = [
        share(weights.get(canary.service_canary_name, 0), weights.get(canary.service_primary_name, 0))
        for ref in _makes(canary)
        for weights in map(_weights, _rules(observed.get(ref, {})))
    ]
    found = [each for each in shares if each is not None]
    return Split(max(found)) if found else None


def _hand_back(canary: Canary, observed: Observed) -> tuple[Apply, ...]:
    """Ours leads to the Service, too, until it is collected with the Canary: no right is needed to that."""
    found = ((ref, observed.get(ref, {})) for ref in _makes(canary))
    return tuple(
        _manifest(canary, ref, [_undivided(canary, rule) for rule in rules], ours, ours)
        for ref, ours in found
        if (rules := _leading_to(canary.services, ours))
    )


def _unsettled(canary: Canary, observed: Observed) -> str:
    """What APISIX says of a route that it has not taken; one that says nothing of any is not waited for."""
    return next((said for ref in _makes(canary) for said in _said(observed.get(ref, {}), ref.name)), "")


def _said(route: Json, name: str) -> Iterator[str]:
    generation = mapping(route.get("metadata")).get("generation") or 0
    for condition in items(mapping(route.get("status")).get("conditions")):
        if condition.get("type") not in ("Accepted", "ResourcesAvailable"):
            continue
        if (condition.get("observedGeneration") or 0) < generation:
            yield f"APISIX has not yet seen the latest ApisixRoute {name}"
        elif condition.get("status") != "True":
            reason = condition.get("message") or condition.get("reason") or "no reason given"
            yield f"APISIX doesn't accept ApisixRoute {name}: {reason}"


def _problems(canary: Canary) -> tuple[Problem, ...]:
    ref, found = canary.spec.route_ref, refused(canary, APISIX)
    if ref is None or ref.kind in ("", APISIX_ROUTE.kind):
        return found
    return (*found, Problem("spec.routeRef.kind", f"{ref.kind} is none of APISIX's", f"write {APISIX_ROUTE.kind}"))


def _rules(route: Json) -> list[Json]:
    return items(mapping(route.get("spec")).get("http"))


def _names(route: Json) -> set[str]:
    return {str(rule.get("name")) for rule in _rules(route)}


def _backends(rule: Json) -> list[Json]:
    return items(rule.get("backends"))


def _weights(rule: Json) -> dict[str, int]:
    return {_service(backend): int(backend.get("weight") or 0) for backend in _backends(rule)}


def _service(backend: Json) -> str:
    return str(backend.get("serviceName", ""))


def _named(backend: Json, name: str) -> Json:
    return {**backend, "serviceName": name}


def _priority(rule: Json) -> int:
    return int(rule.get("priority") or 0)


def _leading_to(services: Collection[str], route: Json) -> list[Json]:
    return [rule for rule in _rules(route) if not {*map(_service, _backends(rule))}.isdisjoint(services)]


def _backend(canary: Canary, rule: Json) -> Json:
    """The first backend of a rule that is a Service of the Canary's."""
    return next(each for each in _backends(rule) if _service(each) in canary.services)


def _undivided(canary: Canary, rule: Json) -> Json:
    backend = {**_named(_backend(canary, rule), canary.service_name), "weight": TOTAL_WEIGHT}
    return {**rule, "backends": [backend]}


def _divided(canary: Canary, rule: Json, split: Split, lift: int) -> Json:
    backend = _backend(canary, rule)
    weights = {canary.service_primary_name: split.primary, canary.service_canary_name: split.canary}
    backends = [{**_named(backend, name), "weight": weight} for name, weight in weights.items()]
    return {**rule, "priority": _priority(rule) + lift, "backends": backends}


def _after(canary: Canary, route: Json) -> Iterator[tuple[Json, Json]]:
    """Rules that lead to the Service, each with a rule that leads elsewhere and comes before it on one of its paths."""
    led = _leading_to((canary.service_name,), route)
    others = [rule for rule in _rules(route) if rule not in led]
    for rule in led:
        yield from ((rule, other) for other in others if _paths(rule) & _paths(other) and _above(other, rule))


def _above(other: Json, rule: Json) -> bool:
    return _priority(other) > _priority(rule)


def _gap(rule: Json, other: Json) -> int:
    """How many priorities there are between two rules."""
    return _priority(other) - _priority(rule) - 1


def _paths(rule: Json) -> set[str]:
    return {str(path) for path in mapping(rule.get("match")).get("paths") or ()}


def _lift(canary: Canary, route: Json) -> int:
    """How far our rules are above theirs, all alike, so that they come in the same order."""
    return min((LIFT, *(_gap(*pair) for pair in _after(canary, route))))


def _lists(spec: Json) -> list[list[Json]]:
    return [rule["backends"] for rule in items(spec.get("http")) if isinstance(rule.get("backends"), list)]


APISIX = Provider(
    names=("apisix",),
    makes=_makes,
    reads=_reads,
    unfit=_unfit,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    unsettled=_unsettled,
    settle=FOLLOWS,
    weights=Granularity.PERCENT,
    fields=BY_WEIGHT | {"routeRef", "service.ports"},
    problems=_problems,
    routes={
        APISIX_ROUTE: Lists(
            backends=_lists, part=lambda spec: {"http": items(spec.get("http"))}, name=_service, named=_named
        ).kind
    },
)
