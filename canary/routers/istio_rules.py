"""From the spec to the rules of a VirtualService: which requests they take, what they change, where they lead."""

from collections.abc import Iterable
from typing import Final

from canary.api.canary import Canary
from canary.api.istio import AnalysisMatch, CorsPolicy, StringMatch
from canary.api.service import BackendReference, Rewrite
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import Json, items, mapping
from canary.routers import affinity
from canary.routers.base import always
from canary.routers.istio_entrances import MESH, Entrance, entrances, within
from canary.routers.shares import weights_of

CONNECTION: Final = ("port", "gateways", "sourceLabels", "sourceNamespace")
"""What of a condition can be told of a connection, without a look at requests."""


def addresses(canary: Canary) -> Json:
    """The hosts and gateways of the VirtualService; none where another one delegates to it."""
    service, name = canary.spec.service, canary.service_name
    if service.delegation:
        return {}
    own = [] if {name, "*"} & set(service.hosts) else [name]
    return {"hosts": [*service.hosts, *own], "gateways": list(service.gateways) or [MESH]}


def rules(canary: Canary, split: Split) -> Json:
    """The rules that divide requests so, as fields of the spec."""
    http: list[Json] = []
    tcp: list[Json] = []
    for way in entrances(canary):
        if way.is_tcp:
            tcp += _tcp(canary, way, _weighted(canary, way, Split(0) if split.matched else split))
        else:
            http += _http(canary, way, split)
    return _present(http=http, tcp=tcp)


def to_service(canary: Canary) -> Json:
    """The rules that have all requests go to the Service that users call, as fields of the spec."""
    http: list[Json] = []
    tcp: list[Json] = []
    for way in entrances(canary):
        whole = [_to(way, canary.service_name, TOTAL_WEIGHT)]
        if way.is_tcp:
            tcp += _tcp(canary, way, whole)
        else:
            http += _rule(canary, way, service_matches(canary), whole)
    return _present(http=http, tcp=tcp)


def is_for_chosen(canary: Canary, rule: Json) -> bool:
    """Whether an observed rule is for those who bring a cookie, or for requests that reach the canary in any case."""
    hosts = [str(mapping(each.get("destination")).get("host", "")) for each in items(rule.get("route"))]
    ahead = bool(canary.analysis.always_match) and {host.partition(".")[0] for host in hosts} == {
        canary.service_canary_name
    }
    return ahead or _is_sticky(canary, rule)


def _is_sticky(canary: Canary, rule: Json) -> bool:
    kept = canary.analysis.session_affinity
    if kept is None:
        return False
    begun = tuple(f".*{name}.*" for name in (kept.cookie_name, kept.primary_cookie_name) if name)
    found = (mapping(mapping(match.get("headers")).get(affinity.COOKIE)) for match in items(rule.get("match")))
    return any(str(each.get("regex", "")).startswith(begun) for each in found)


def service_matches(canary: Canary) -> list[Json]:
    """The conditions of the spec on all requests; none for any request."""
    return [match.to_json() for match in canary.spec.service.match]


def analysis_matches(canary: Canary, conditions: Iterable[AnalysisMatch]) -> list[Json]:
    """The conditions on requests that reach the canary for themselves: any of these, within the route's own."""
    return [merged(route, match) for match in conditions for route in service_matches(canary) or [{}]]


def merged(route: Json, chosen: AnalysisMatch) -> Json:
    """A condition on requests that is also another one's; where both are about the same, the latter has its way."""
    known = mapping(route.get("headers"))
    named = {name.lower() for name in chosen.headers}
    rest = {name: each for name, each in known.items() if name.lower() not in named}
    own = chosen.to_json()
    fields = {
        "headers": {**rest, **own.get("headers", {})},
        "queryParams": {**mapping(route.get("queryParams")), **own.get("queryParams", {})},
        "sourceLabels": {**mapping(route.get("sourceLabels")), **own.get("sourceLabels", {})},
    }
    return {**route, **_present(**fields)}


def _http(canary: Canary, way: Entrance, split: Split) -> list[Json]:
    weighted = _weighted(canary, way, split)
    common = service_matches(canary)
    if split.matched:
        whole = [_to(way, canary.service_primary_name, TOTAL_WEIGHT)]
        conditions = analysis_matches(canary, canary.analysis.match)
        chosen = _rule(canary, way, conditions, weighted, mirror=split.mirror)
        return [*chosen, *_rule(canary, way, common, whole)]
    known = affinity.cookies(canary, split)
    found: list[Json] = []
    if conditions := analysis_matches(canary, always(canary, split)):
        found += _rule(canary, way, conditions, [_to(way, canary.service_canary_name, TOTAL_WEIGHT)])
    for cookie, service in known.kept:
        brings = AnalysisMatch(headers={affinity.COOKIE: StringMatch(regex=affinity.brought(cookie))})
        to_one = [_cookie(each, known.gone) for each in _only(weighted, service)]
        matches = [merged(route, brings) for route in common or [{}]]
        found += _rule(canary, way, matches, to_one, mirror=split.mirror)
    divided = [_cookie(each, known.told.get(_host(each), "")) for each in weighted]
    return [*found, *_rule(canary, way, common, divided, mirror=split.mirror)]


def _rule(
    canary: Canary, way: Entrance, matches: list[Json], destinations: list[Json], *, mirror: int = 0
) -> list[Json]:
    """The rule for requests that come in so; none where the conditions are on others only."""
    service, taken = canary.spec.service, within(matches, way)
    if taken is None:
        return []
    fields: Json = {
        "match": taken,
        "rewrite": _rewrite(service.rewrite),
        "timeout": service.timeout,
        "retries": service.retries and service.retries.to_json(),
        "corsPolicy": _cors(service.cors_policy),
        "headers": service.headers and service.headers.to_json(),
        "route": destinations,
        **_mirrors(canary, way, mirror),
    }
    return [_present(**fields)]


def _tcp(canary: Canary, way: Entrance, destinations: list[Json]) -> list[Json]:
    """The rule for connections; of the spec's conditions what can be told of them."""
    told: list[Json] = [{name: each[name] for name in CONNECTION if name in each} for each in service_matches(canary)]
    taken = within([] if {} in told else told, way)
    return [] if taken is None else [_present(match=taken, route=destinations)]


def _weighted(canary: Canary, way: Entrance, split: Split) -> list[Json]:
    return [_to(way, name, weight) for name, weight in weights_of(canary, split).items()]


def _to(way: Entrance, service: str, weight: int) -> Json:
    return {"destination": _destination(service, way.port.port if way.is_named else None), "weight": weight}


def _destination(service: str, port: int | None) -> Json:
    return {"host": service, **({"port": {"number": port}} if port is not None else {})}


def _only(weighted: list[Json], service: str) -> list[Json]:
    return [{**each, "weight": TOTAL_WEIGHT if _host(each) == service else 0} for each in weighted]


def _cookie(destination: Json, cookie: str) -> Json:
    """A destination whose answers set a cookie, where there is one to set."""
    return {**destination, "headers": {"response": {"add": {"Set-Cookie": cookie}}}} if cookie else destination


def _host(destination: Json) -> str:
    return str(destination["destination"]["host"])


def _mirrors(canary: Canary, way: Entrance, percent: int) -> Json:
    """Where copies of requests go: to the canary in Flagger's form, which knows one destination only."""
    elsewhere = [{"destination": _shadow(each.backend_ref)} for each in canary.spec.service.mirror]
    if not percent:
        return {"mirrors": elsewhere}
    own = _to(way, canary.service_canary_name, 0)["destination"]
    part = {"value": percent} if percent != TOTAL_WEIGHT else {}
    if elsewhere:
        return {"mirrors": [*elsewhere, {"destination": own, **_present(percentage=part)}]}
    return {"mirror": own, "mirrorPercentage": part}


def _shadow(ref: BackendReference) -> Json:
    return _destination(ref.name, ref.port)


def _rewrite(rewrite: Rewrite | None) -> Json:
    """Istio replaces the prefix that a path was matched by, or all of it where it was matched otherwise."""
    if rewrite is None:
        return {}
    if rewrite.uri and rewrite.type == "ReplaceFullPath":
        whole = {"match": "/.*", "rewrite": rewrite.uri}
        return _present(authority=rewrite.authority, uriRegexRewrite=whole)
    return _present(authority=rewrite.authority, uri=rewrite.uri)


def _cors(policy: CorsPolicy | None) -> Json:
    """The policy with its origins in one list: Istio looks at the older one only where the other is empty."""
    if policy is None:
        return {}
    made = policy.to_json()
    older = [{"exact": origin} for origin in made.pop("allowOrigin", ())]
    return {**made, **_present(allowOrigins=[*older, *made.get("allowOrigins", ())])}


def _present(**fields: object) -> Json:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value}
