"""AWS Load Balancer Controller: an action on the users' Ingress, by which the load balancer divides requests.

Ours is that one annotation, named by the Service `NAME`, to which a path of the Ingress leads with the port
`use-annotation`. Both versions stay in it, the canary with a weight of 0 at rest: so its target group is there before
its pods are, and they can wait to be healthy in it before they count as ready (`pod-readiness-gate-inject`).
"""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import INGRESS, Json, items, mapping
from canary.routers import ingress
from canary.routers.base import BY_WEIGHT, Granularity, Observed, Patch, Provider, need_weights_alone, refused
from canary.routers.route_kind import CANARY, PRIMARY, RouteKind, share

ACTION = "alb.ingress.kubernetes.io/actions."
PORT = "use-annotation"

MARK, _WRITTEN = "flagger.app/applied", "alb"
"""On every route that the controller has written: by it, one that a spec names no more is found."""

FOLLOWS = timedelta(seconds=30)
"""How long requests may go on as before after the annotation has changed.

The controller changes a rule of the load balancer by AWS's API, which limits how often it is asked, and the nodes of
the load balancer take the rule some seconds later; nothing tells when. Not measured: who knows better says so by
`--traffic-settle-time`.
"""


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Patch, ...]:
    """The action that divides requests so; nothing where there is no Ingress to have it.

    Raises:
        ValueError: the split mirrors or matches requests.
    """
    need_weights_alone("the target groups of an action", split)
    weights = {canary.service_primary_name: split.primary, canary.service_canary_name: split.canary}
    return _patches(canary, observed, weights, _WRITTEN)


def _split(canary: Canary, observed: Observed) -> Split | None:
    """How the action divides requests; None where there is none, or it leads elsewhere."""
    for ref in ingress.users(canary):
        weights = _weights(_groups(observed.get(ref, {}), _key(canary)))
        primary = weights.pop(canary.service_primary_name, 0)
        percent = share(weights.pop(canary.service_canary_name, 0), primary)
        return None if weights or percent is None else Split(percent)
    return None


def _hand_back(canary: Canary, observed: Observed) -> tuple[Patch, ...]:
    """The action stays, as the paths need one; it leads to the Service `NAME`."""
    return _patches(canary, observed, {canary.service_name: TOTAL_WEIGHT}, _mark_at_the_end(canary, observed))


def _problems(canary: Canary) -> tuple[Problem, ...]:
    return (*refused(canary, ALB), *ingress.unspeakable(canary))


def _unfit(canary: Canary, observed: Observed) -> tuple[Problem, ...]:
    found = list(ingress.unfit(canary, observed))
    for ref in ingress.users(canary):
        there = observed.get(ref, {})
        if any(_port(path) != PORT for rule in ingress.rules_to(there, canary.service_name) for path in _paths(rule)):
            why = f"Ingress {ref.name} leads to the port of Service {canary.service_name}, past the action of that name"
            to_itself = _action(canary, {}, {canary.service_name: TOTAL_WEIGHT})
            remedy = f"set the annotation {_key(canary)}: '{to_itself}', and port: {{name: {PORT}}}"
            found.append(Problem("spec.ingressRef.name", why, remedy))
    return tuple(found)


def _patches(canary: Canary, observed: Observed, weights: Mapping[str, int], mark: str | None) -> tuple[Patch, ...]:
    """What is not so already of the action and the mark.

    Patched, and not applied: an Ingress may have the actions of several Canaries, and what one manager applies takes
    off what it has applied before.
    """
    found = []
    for ref in ingress.users(canary):
        if ref in observed:
            said = {_key(canary): _action(canary, observed[ref], weights), MARK: mark}
            there = ingress.annotations(observed[ref])
            if changed := {key: value for key, value in said.items() if there.get(key) != value}:
                found.append(Patch(ref, {"metadata": {"annotations": changed}}))
    return tuple(found)


def _mark_at_the_end(canary: Canary, observed: Observed) -> str | None:
    """The mark stays for actions of other Canaries."""
    actions = (
        _weights(_groups(observed.get(ref, {}), key))
        for ref in ingress.users(canary)
        for key in _others(canary, observed.get(ref, {}))
    )
    return _WRITTEN if any(name.endswith(CANARY) for weights in actions for name in weights) else None


def _others(canary: Canary, there: Json) -> list[str]:
    return [key for key in _keys(there) if key != _key(canary)]


def _action(canary: Canary, there: Json, weights: Mapping[str, int]) -> str:
    """The action with these weights of Services, and what else the users have said of it."""
    groups = [
        {"serviceName": name, "servicePort": canary.spec.service.port, "weight": weight}
        for name, weight in weights.items()
    ]
    kept = mapping(_read(there, _key(canary)).get("forwardConfig"))
    return _written({"type": "forward", "forwardConfig": {**kept, "targetGroups": groups}})


def _key(canary: Canary) -> str:
    return f"{ACTION}{canary.service_name}"


def _read(there: Json, key: str) -> Json:
    try:
        return mapping(json.loads(str(ingress.annotations(there).get(key, ""))))
    except ValueError:
        return {}


def _written(action: Json) -> str:
    return json.dumps(action, separators=(",", ":"))


def _groups(there: Json, key: str) -> list[Json]:
    return items(mapping(_read(there, key).get("forwardConfig")).get("targetGroups"))


def _name(group: Json) -> str:
    """The Service of a target group, or else by what AWS knows it."""
    return str(group.get("serviceName") or group.get("targetGroupARN") or group.get("targetGroupName") or "")


def _weights(groups: Iterable[Json]) -> dict[str, int]:
    """The weight of each Service; one that says nothing has all where it is alone."""
    found: dict[str, int] = {}
    for group in groups:
        weight: Any = group.get("weight", 1)
        found[_name(group)] = found.get(_name(group), 0) + (weight if isinstance(weight, int) else 1)
    return found


def _paths(rule: Json) -> list[Json]:
    return items(mapping(rule.get("http")).get("paths"))


def _port(path: Json) -> object:
    service = mapping(mapping(path.get("backend")).get("service"))
    return mapping(service.get("port")).get("name")


def _keys(route: Json) -> list[str]:
    return [key for key in sorted(ingress.annotations(route)) if key.startswith(ACTION)]


def _leads_to(route: Json) -> frozenset[str]:
    return frozenset(_name(group) for key in _keys(route) for group in _groups(route, key))


def _share(route: Json) -> int:
    shares = [0]
    for key in _keys(route):
        weights = _weights(_groups(route, key))
        canary, primary = (
            sum(each for name, each in weights.items() if name.endswith(end)) for end in (CANARY, PRIMARY)
        )
        shares.append(share(canary, primary) or 0)
    return max(shares)


def _led(route: Json, *, past: bool) -> Json:
    """The merge patch of each action that leads to a canary, or to a version if `past`."""
    changed = {}
    for key in _keys(route):
        action, groups = _read(route, key), _groups(route, key)
        ends = (CANARY, PRIMARY) if past else (CANARY,)
        if not any(_name(group).endswith(ends) for group in groups):
            continue
        weighted = [{**each, "weight": 0 if _name(each).endswith(CANARY) else TOTAL_WEIGHT} for each in groups]
        if past:
            kept = (each for each in weighted if not _name(each).endswith(CANARY))
            weighted = [{**each, "serviceName": _name(each).removesuffix(PRIMARY)} for each in kept]
        config = {**mapping(action.get("forwardConfig")), "targetGroups": weighted}
        changed[key] = _written({**action, "forwardConfig": config})
    return {"metadata": {"annotations": changed}}


ALB = Provider(
    names=("alb",),
    makes=lambda _canary: (),
    adjusts=ingress.users,
    unfit=_unfit,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    settle=FOLLOWS,
    weights=Granularity.PERCENT,
    fields=BY_WEIGHT | {"ingressRef"},
    problems=_problems,
    routes={
        INGRESS: RouteKind(
            leads_to=_leads_to,
            share=_share,
            without_canary=lambda route: _led(route, past=False),
            past_versions=lambda route: _led(route, past=True),
        )
    },
)
