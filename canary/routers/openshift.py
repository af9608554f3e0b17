"""OpenShift: the users' Route, which leads to the Service `NAME`, and while a version is tried to the canary too.

Ours are the weight of the Service that the Route leads to already, which selects the primary, and the canary among the
alternate backends. The canary is there only while it gets requests: who was kept on it by the router's cookie would go
on to it with a weight of 0, too.
"""

from datetime import timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import ALL_PRIMARY, TOTAL_WEIGHT, Split
from canary.kube.types import ROUTE, Json, ObjectRef, items, mapping
from canary.routers.base import BY_WEIGHT, Apply, Granularity, Observed, Provider, need_weights_alone, refused
from canary.routers.route_kind import CANARY, PRIMARY, RouteKind, share

FOLLOWS = timedelta(seconds=12)
"""How long requests may go on as before after a Route has changed.

The router gathers changes for 5 s before it has HAProxy take them (`RELOAD_INTERVAL`). Twice that, where a reload was
just under way, and two for the reload. Not measured.
"""


def _route(canary: Canary) -> tuple[ObjectRef, ...]:
    ref = canary.spec.route_ref
    named = ref is not None and ref.kind == ROUTE.kind and ref.name
    return (ObjectRef(ROUTE, canary.namespace, ref.name),) if ref is not None and named else ()


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply, ...]:
    """The backends of the Route that divide requests so; nothing where there is none that leads here.

    Raises:
        ValueError: the split mirrors or matches requests.
    """
    need_weights_alone("a Route's weights", split)
    return tuple(
        Apply(
            {
                "apiVersion": ROUTE.api_version,
                "kind": ROUTE.kind,
                "metadata": {"name": ref.name, "namespace": ref.namespace},
                "spec": _backends(canary, split),
            }
        )
        for ref in _route(canary)
        if _name(_to(observed.get(ref, {}))) == canary.service_name
    )


def _split(canary: Canary, observed: Observed) -> Split | None:
    """How the Route divides requests; None where it doesn't exist or leads elsewhere."""
    for ref in _route(canary):
        there = observed.get(ref, {})
        alternates = _alternates(there)
        if _name(_to(there)) != canary.service_name or {*map(_name, alternates)} - {canary.service_canary_name}:
            return None
        percent = share(sum(map(weight_of, alternates)), weight_of(_to(there)))
        return None if percent is None else Split(percent)
    return None


def _hand_back(canary: Canary, observed: Observed) -> tuple[Apply, ...]:
    return _plan(canary, ALL_PRIMARY, observed)


def _problems(canary: Canary) -> tuple[Problem, ...]:
    found, ref = refused(canary, OPENSHIFT), canary.spec.route_ref
    if ref is None or ref.kind == ROUTE.kind:
        return found
    return (*found, Problem("spec.routeRef.kind", f"{ref.kind or 'no kind'} is none of OpenShift's", "write Route"))


def _unfit(canary: Canary, observed: Observed) -> tuple[Problem, ...]:
    found = []
    for ref in _route(canary):
        there, service = observed.get(ref), canary.service_name
        if there is None:
            why, remedy = f"Route {ref.name} does not exist in {ref.namespace}", "create it, or correct its name"
        elif _name(_to(there)) != service:
            why, remedy = f"Route {ref.name} doesn't lead to Service {service}", f"set its spec.to.name to {service}"
        elif others := sorted({*map(_name, _alternates(there))} - {canary.service_canary_name}):
            why, remedy = f"Route {ref.name} leads to {', '.join(others)} too", "take its spec.alternateBackends out"
        else:
            continue
        found.append(Problem("spec.routeRef.name", why, remedy))
    return tuple(found)


def _unsettled(canary: Canary, observed: Observed) -> str:
    said = (not_admitted(ref, observed.get(ref, {})) for ref in _route(canary))
    return next((each for each in said if each), "")


def not_admitted(ref: ObjectRef, route: Json) -> str:
    """Which router has not admitted a Route, and what it says about it; of which version of it, no router says."""
    for router in items(mapping(route.get("status")).get("ingress")):
        for condition in items(router.get("conditions")):
            if condition.get("type") == "Admitted" and condition.get("status") == "False":
                said = condition.get("message") or condition.get("reason") or "no reason given"
                return f"router {router.get('routerName')} doesn't admit Route {ref.name}: {said}"
    return ""


def _backends(canary: Canary, split: Split) -> Json:
    spec: Json = {"to": _backend(canary.service_name, split.primary)}
    if split.canary:
        spec["alternateBackends"] = [_backend(canary.service_canary_name, split.canary)]
    return spec


def _backend(name: str, weight: int) -> Json:
    return {"kind": "Service", "name": name, "weight": weight}


def _to(route: Json) -> Json:
    return mapping(mapping(route.get("spec")).get("to"))


def _alternates(route: Json) -> list[Json]:
    return items(mapping(route.get("spec")).get("alternateBackends"))


def _name(backend: Json) -> str:
    return str(backend.get("name", ""))


def weight_of(backend: Json) -> int:
    """A backend's weight; all of it where it says nothing."""
    weight = backend.get("weight")
    return TOTAL_WEIGHT if weight is None else int(weight)


def _leads_to(route: Json) -> frozenset[str]:
    return frozenset(map(_name, (_to(route), *_alternates(route))))


def _share(route: Json) -> int:
    everybody = (_to(route), *_alternates(route))
    canaries = sum(weight_of(each) for each in everybody if _name(each).endswith(CANARY))
    return share(canaries, sum(map(weight_of, everybody)) - canaries) or 0


def _past(route: Json) -> Json:
    """The merge patch that has a Route lead to the Service that it led to before, alone."""
    name = _name(_to(route)).removesuffix(CANARY).removesuffix(PRIMARY)
    others = [each for each in _alternates(route) if not _name(each).endswith((CANARY, PRIMARY))]
    return {"spec": {"to": {"name": name, "weight": TOTAL_WEIGHT}, "alternateBackends": others or None}}


OPENSHIFT = Provider(
    names=("openshift",),
    makes=lambda _canary: (),
    adjusts=_route,
    unfit=_unfit,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    unsettled=_unsettled,
    settle=FOLLOWS,
    weights=Granularity.PERCENT,
    fields=BY_WEIGHT | {"routeRef"},
    problems=_problems,
    routes={ROUTE: RouteKind(leads_to=_leads_to, share=_share, without_canary=_past, past_versions=_past)},
)
