"""Istio: a VirtualService `NAME` that divides requests, and a DestinationRule for each version's Service.

Ours are the VirtualService's hosts, gateways, `http` and `tcp`. Each is one value to the API server: rules that others
add to them are taken off again. What others write beside them stays: `tls`, `exportTo`, labels, annotations. Ours of a
DestinationRule are its host and what the spec says in `trafficPolicy`, each field by itself; subsets and further fields
of others stay.

Istio divides by weights that sum to 100. The canary stays on the list with a weight of 0 while it gets no requests, as
with Flagger: Envoy sends nothing there, whether it has pods or not.

The status of a VirtualService is not asked. Older releases wrote there how many proxies were up to date, where
PILOT_ENABLE_STATUS was set; it was at times behind for good, and stayed as it was once the variable was gone.
1.31 has nothing like it.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Final

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import ALL_PRIMARY, TOTAL_WEIGHT, Split
from canary.kube.types import DESTINATION_RULE, VIRTUAL_SERVICE, Json, ObjectRef, items, mapping
from canary.routers import istio_limits, istio_rules
from canary.routers.base import (
    BY_WEIGHT,
    Apply,
    Granularity,
    Observed,
    Provider,
    need_conditions,
    owner,
    refused,
    together,
    written,
)
from canary.routers.route_kind import BESIDE, Lists, RouteKind
from canary.routers.shares import by_weights

ISTIO_FOLLOWS: Final = timedelta(seconds=12)
"""How long requests may go on as before after a VirtualService has changed.

istiod waits until nothing has changed for `PILOT_DEBOUNCE_AFTER` (100 ms where nobody sets it), but no longer than
`PILOT_DEBOUNCE_MAX` (10 s): where something changes all the time, it is the latter. The rest is for the proxies to be
told.
"""

_FIELDS: Final = BY_WEIGHT | {
    "service.timeout",
    "service.gateways",
    "service.hosts",
    "service.ports",
    "service.delegation",
    "service.trafficPolicy",
    "service.match",
    "service.rewrite",
    "service.retries",
    "service.headers",
    "service.mirror",
    "service.corsPolicy",
    "analysis.alwaysMatch",
    "analysis.match",
    "analysis.mirror",
    "analysis.sessionAffinity",
}


def _makes(canary: Canary) -> tuple[ObjectRef, ...]:
    rules = (ObjectRef(DESTINATION_RULE, canary.namespace, name) for name in _versions(canary))
    return (_route(canary), *rules)


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply, ...]:
    """How connections to each version are made, and the VirtualService that divides requests so.

    Raises:
        ValueError: the split is for matched requests, and the spec has no conditions to match by.
    """
    need_conditions(canary, split)
    rules = (_destination_rule(canary, name, observed) for name in _versions(canary))
    return (*rules, _virtual_service(canary, istio_rules.rules(canary, split), observed, owned=True))


def _split(canary: Canary, observed: Observed) -> Split | None:
    """How the VirtualService divides requests; None where it doesn't exist or leads elsewhere.

    Where its rules differ the greatest share counts: nobody must think that the canary has less.
    """
    spec = mapping(observed.get(_route(canary), {}).get("spec"))
    http = [rule for rule in items(spec.get("http")) if not istio_rules.is_for_chosen(canary, rule)]
    rules = [*http, *items(spec.get("tcp"))]
    weights = [_weights(rule) for rule in rules]
    name, ours = canary.service_canary_name, {*_versions(canary), canary.service_baseline_name}
    if not rules or not all(found and found.keys() <= ours for found in weights):
        return None
    shares = [by_weights(canary, found) for found in weights]
    if not all(shares):
        return None
    greatest = together(shares) or ALL_PRIMARY
    mirrored = max((_mirrored(rule, name) for rule in http), default=0)
    chosen = any(name not in found for found in weights[: len(http)])
    return replace(greatest, mirror=mirrored, matched=bool(greatest.canary) and chosen)


def _hand_back(canary: Canary, observed: Observed) -> tuple[Apply, ...]:
    return (_virtual_service(canary, istio_rules.to_service(canary), observed, owned=False),)


def _problems(canary: Canary) -> tuple[Problem, ...]:
    """The fields of the spec, and the words in them, that Istio can't honour."""
    return (*refused(canary, ISTIO), *istio_limits.problems(canary), *_baseline_problems(canary))


def _baseline_problems(canary: Canary) -> Iterator[Problem]:
    """A baseline is called as the canary is only where neither needs a DestinationRule, as it gets none."""
    if canary.wants_baseline and canary.spec.service.traffic_policy is not None:
        message = "the DestinationRules that it is written to are of primary and canary, and a metric has a baseline"
        yield Problem("spec.service.trafficPolicy", message, "take it out, or write compareTo: primary")


def _versions(canary: Canary) -> tuple[str, str]:
    return canary.service_primary_name, canary.service_canary_name


def _route(canary: Canary) -> ObjectRef:
    return ObjectRef(VIRTUAL_SERVICE, canary.namespace, canary.service_name)


def _virtual_service(canary: Canary, rules: Json, observed: Observed, *, owned: bool) -> Apply:
    return written(canary, _route(canary), {**istio_rules.addresses(canary), **rules}, observed, owned=owned)


def _destination_rule(canary: Canary, name: str, observed: Observed) -> Apply:
    existing = observed.get(ObjectRef(DESTINATION_RULE, canary.namespace, name))
    policy = canary.spec.service.traffic_policy
    spec: Json = {"host": name, **({"trafficPolicy": policy.to_json()} if policy is not None else {})}
    return Apply(
        {
            "apiVersion": DESTINATION_RULE.api_version,
            "kind": DESTINATION_RULE.kind,
            "metadata": {"name": name, "namespace": canary.namespace, **owner(canary, existing)},
            "spec": spec,
        }
    )


def _weights(rule: Json) -> dict[str, int]:
    """The weights of a rule's Services. A lone destination gets everything, one of several without a weight nothing."""
    destinations = items(rule.get("route"))
    absent = TOTAL_WEIGHT if len(destinations) == 1 else 0
    found: dict[str, int] = {}
    for each in destinations:
        weight, name = each.get("weight"), _host(each)
        found[name] = found.get(name, 0) + (absent if weight is None else int(weight))
    return found


def _host(holder: Json) -> str:
    """The Service that a destination names, by its short or its whole name."""
    return str(mapping(holder.get("destination")).get("host", "")).partition(".")[0]


def _copies(rule: Json) -> Iterator[Json]:
    """Where a rule copies requests to, in the form that knows several."""
    if "mirror" in rule:
        percentage = {"percentage": rule["mirrorPercentage"]} if "mirrorPercentage" in rule else {}
        yield {"destination": rule["mirror"], **percentage}
    yield from items(rule.get("mirrors"))


def _mirrored(rule: Json, service: str) -> int:
    """The percent of requests that a rule copies to a Service."""
    for each in _copies(rule):
        if _host(each) == service:
            return int(mapping(each.get("percentage")).get("value", TOTAL_WEIGHT))
    return 0


def _lists(field: str, *kinds: str) -> Callable[[Json], list[list[Json]]]:
    def found(spec: Json) -> list[list[Json]]:
        lists = (rule.get(field) for kind in kinds for rule in items(spec.get(kind)))
        return [each for each in lists if isinstance(each, list)]

    return found


ROUTES: Final = Lists(
    backends=_lists("route", "http", "tcp", "tls"),
    part=lambda spec: {kind: spec[kind] for kind in ("http", "tcp", "tls") if kind in spec},
    name=_host,
    named=lambda backend, name: {**backend, "destination": {**mapping(backend.get("destination")), "host": name}},
    mirrors=_lists("mirrors", "http"),
    mirrored=_host,
)
"""Where a VirtualService has its destinations; `_plain` puts copies of requests there too."""

_ROUTES: Final = ROUTES.kind


def _plain(route: Json) -> Json:
    """The VirtualService with every copy of requests in a list of its rule."""
    plain = deepcopy(route)
    for rule in items(mapping(plain.get("spec")).get("http")):
        if copies := list(_copies(rule)):
            rule["mirrors"] = copies
        for field in ("mirror", "mirrorPercentage"):
            rule.pop(field, None)
    return plain


ISTIO: Final = Provider(
    names=("istio",),
    makes=_makes,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    settle=ISTIO_FOLLOWS,
    weights=Granularity.PERCENT,
    fields=_FIELDS,
    problems=_problems,
    routes={
        DESTINATION_RULE: BESIDE,
        VIRTUAL_SERVICE: RouteKind(
            leads_to=lambda route: _ROUTES.leads_to(_plain(route)),
            share=lambda route: _ROUTES.share(_plain(route)),
            without_canary=lambda route: _ROUTES.without_canary(_plain(route)),
            past_versions=lambda route: _ROUTES.past_versions(_plain(route)),
        ),
    },
    baseline=True,
)
