"""From a rule of an HTTPRoute to that of a GRPCRoute, which knows calls by service and method, and can do less."""

import re
from collections.abc import Iterator

from canary.api.canary import Canary
from canary.api.istio import HTTPMatch, StringMatch
from canary.api.problems import Problem
from canary.kube.types import Json, items, mapping
from canary.routers.base import chosen, spec_path

_CALL = re.compile(r"/([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)/([A-Za-z_]\w*)?", re.ASCII)
"""`/SERVICE/METHOD`, or `/SERVICE/` for all methods: where gRPC has them in HTTP/2."""

_FILTERS = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror")

_REMEDY = "take it out, or give no port routeKind: GRPCRoute"


def rule(http: Json) -> Json:
    """The rule of a GRPCRoute that takes the same calls to the same backends, by the same filters."""
    made: Json = {"backendRefs": http["backendRefs"]}
    if filters := [each for each in items(http.get("filters")) if each.get("type") in _FILTERS]:
        made["filters"] = filters
    if any(matches := [_match(each) for each in items(http.get("matches"))]):
        made["matches"] = matches
    return made


def problems(canary: Canary) -> Iterator[Problem]:
    """What a spec asks for that a GRPCRoute has no words for."""
    service = canary.spec.service
    if not any(port.is_grpc for port in service.all_ports):
        return
    unspeakable = {
        "timeout": bool(service.timeout),
        "backendTimeout": bool(service.backend_timeout),
        "rewrite": service.rewrite is not None,
        "corsPolicy": service.cors_policy is not None,
    }
    for field, is_set in unspeakable.items():
        if is_set:
            yield Problem(spec_path(canary, f"service.{field}"), "a GRPCRoute can't do that", _REMEDY)
    for index, match in enumerate(service.match):
        yield from _match_problems(match, spec_path(canary, f"service.match[{index}]"))
    for path, condition in chosen(canary):
        if condition.query_params:
            yield Problem(f"{path}.queryParams", "a GRPCRoute has no such condition", "write headers")


def _match(http: Json) -> Json:
    path, found = mapping(http.get("path")), {}
    if call := _CALL.fullmatch(str(path.get("value"))):
        service, method = call.groups()
        found["method"] = {"type": "Exact", "service": service, **({"method": method} if method else {})}
    if "headers" in http:
        found["headers"] = http["headers"]
    return found


def _match_problems(match: HTTPMatch, path: str) -> Iterator[Problem]:
    for field, is_set in (("method", match.method is not None), ("queryParams", bool(match.query_params))):
        if is_set:
            yield Problem(f"{path}.{field}", "a GRPCRoute has no such condition", _REMEDY)
    if match.uri is not None and not _is_call(match.uri):
        message = "a GRPCRoute knows services and methods, no paths"
        yield Problem(f"{path}.uri", message, "write exact: /SERVICE/METHOD or prefix: /SERVICE/")


def _is_call(uri: StringMatch) -> bool:
    """Whether a condition on the path says a service, or a method of one."""
    if uri.regex or bool(uri.exact) is bool(uri.prefix):
        return False
    call = _CALL.fullmatch(uri.exact or uri.prefix or "")
    return call is not None and bool(call[2]) is bool(uri.exact)
