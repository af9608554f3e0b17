"""From the spec's conditions and policies to those of an HTTPProxy's routes, and what these have no words for."""

import re
from collections.abc import Iterator, Mapping

from canary.api.canary import Canary
from canary.api.durations import REMEDY, parse_duration
from canary.api.istio import AnalysisMatch, HeaderOperations, HTTPMatch, Retries, StringMatch
from canary.api.problems import Problem
from canary.api.service import RequestMirror
from canary.kube.types import Json
from canary.routers import envoy
from canary.routers.base import spec_path

_WHO = "an HTTPProxy"
_NEVER, _ONCE = -1, 1
"""How often Contour asks again: 0 would be once."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
_REMEDY_HEADER = "write the name of a header, of letters, digits and hyphens"


def service_conditions(canary: Canary) -> list[list[Json]]:
    """The conditions of each route: the spec's, or any path.

    The path comes last: of a route whose last condition is another one Contour 1.33 takes an exact path for a prefix.
    """
    return [_conditions(match) for match in canary.spec.service.match] or [[{"prefix": "/"}]]


def analysis_conditions(canary: Canary) -> list[list[Json]]:
    """The conditions of the routes to the canary in an A/B test: any of the spec's, within the routes' own.

    Each has more conditions than the route for everybody else, so that Contour asks it first.
    """
    return [
        [*_named_conditions(match), *route] for match in canary.analysis.match for route in service_conditions(canary)
    ]


def policies(canary: Canary) -> Json:
    """What every route does to its requests and answers."""
    service = canary.spec.service
    made: Json = {}
    if service.timeout:
        made["timeoutPolicy"] = {"response": _duration(service.timeout)}
    if service.retries is not None:
        made["retryPolicy"] = _retry_policy(service.retries)
    rewrite, headers = service.rewrite, service.headers
    if rewrite is not None and rewrite.uri:
        made["pathRewritePolicy"] = {"replacePrefix": [{"replacement": rewrite.uri}]}
    host = {"Host": rewrite.authority} if rewrite is not None and rewrite.authority else {}
    if request := _headers_policy(headers.request if headers else None, host):
        made["requestHeadersPolicy"] = request
    if response := _headers_policy(headers.response if headers else None, {}):
        made["responseHeadersPolicy"] = response
    return made


def problems(canary: Canary) -> Iterator[Problem]:
    """The conditions and policies of the spec that an HTTPProxy has no words for."""
    for index, match in enumerate(canary.spec.service.match):
        yield from envoy.match_problems(match, spec_path(canary, f"service.match[{index}]"), _WHO)
    for index, condition in enumerate(() if canary.skip_analysis else canary.analysis.match):
        yield from _analysis_match(canary, condition, spec_path(canary, f"analysis.match[{index}]"))
    yield from _retries(canary.spec.service.retries, spec_path(canary, "service.retries"))
    yield from _rewrite(canary)
    yield from _headers(canary)
    yield from _mirrors(canary)


def _conditions(match: HTTPMatch) -> list[Json]:
    found = [_header(name, condition) for name, condition in envoy.pseudo_headers(match).items()]
    path = {envoy.form_of(match.uri): envoy.value_of(match.uri)} if match.uri else {"prefix": "/"}
    return [*found, *_named_conditions(match), path]


def _named_conditions(match: AnalysisMatch) -> list[Json]:
    return [
        _header(name, condition)
        if field == "headers"
        else {"queryParameter": {"name": name, envoy.form_of(condition): envoy.value_of(condition)}}
        for field, name, condition in envoy.named(match)
    ]


def _header(name: str, condition: StringMatch) -> Json:
    form, value = envoy.whole(condition)
    return {"header": {"name": name, form: value}}


def _duration(text: str) -> str:
    """Go's own notation, as the API server checks it: without a sign, and with one of the two letters mu."""
    return text.removeprefix("+").replace("\N{GREEK SMALL LETTER MU}s", "\N{MICRO SIGN}s")


def _retry_policy(retries: Retries) -> Json:
    attempts = _ONCE if retries.attempts is None else retries.attempts
    policy: Json = {"count": attempts or _NEVER}
    if retries.per_try_timeout:
        policy["perTryTimeout"] = _duration(retries.per_try_timeout)
    reasons, codes = envoy.asked_again(retries)
    if reasons:
        policy["retryOn"] = reasons
    if codes:
        policy["retriableStatusCodes"] = codes
    return policy


def _headers_policy(operations: HeaderOperations | None, further: Mapping[str, str]) -> Json:
    changed = {**(operations.set if operations else {}), **further}
    policy: Json = {}
    if changed:
        policy["set"] = [{"name": name, "value": value} for name, value in sorted(changed.items())]
    if operations is not None and operations.remove:
        policy["remove"] = list(operations.remove)
    return policy


def _analysis_match(canary: Canary, match: AnalysisMatch, path: str) -> Iterator[Problem]:
    yield from envoy.named_problems(match, path, _WHO)
    if not match.headers and not match.query_params:
        yield Problem(path, "says nothing about headers or queryParams", "write one of them")
    taken = {
        (field, name.lower())
        for route in canary.spec.service.match
        for field, name, form in envoy.named(route)
        if envoy.form_of(form) == "exact"
    }
    for field, name, form in envoy.named(match):
        if envoy.form_of(form) == "exact" and (field, name.lower()) in taken:
            message = "is exact in service.match too, and Contour takes one exact value"
            yield Problem(f"{path}.{field}.{name}", message, "write it in one of the two only")


def _retries(retries: Retries | None, path: str) -> Iterator[Problem]:
    if retries is None:
        return
    if retries.per_try_timeout:
        try:
            parse_duration(retries.per_try_timeout)
        except ValueError as error:
            yield Problem(f"{path}.perTryTimeout", str(error), REMEDY)
    yield from envoy.retry_problems(retries, path)


def _rewrite(canary: Canary) -> Iterator[Problem]:
    rewrite, path = canary.spec.service.rewrite, spec_path(canary, "service.rewrite")
    if rewrite is None:
        return
    if not rewrite.uri and not rewrite.authority:
        yield Problem(path, "is empty", "write uri or authority, or take it out")
    if rewrite.type not in {"", "ReplacePrefixMatch"}:
        message = f"an HTTPProxy replaces matched prefixes only, no {rewrite.type}"
        yield Problem(f"{path}.type", message, "write ReplacePrefixMatch, or take it out")
    if rewrite.uri:
        yield from _replaced_prefix(canary, f"{path}.uri")


def _replaced_prefix(canary: Canary, path: str) -> Iterator[Problem]:
    """Contour 1.33 minds the slash behind a prefix only where a single route has it; of two it sends `//` or `404`."""
    prefixes = [each[-1].get("prefix", "").rstrip("/") for each in service_conditions(canary)]
    if any(match.uri and envoy.form_of(match.uri) != "prefix" for match in canary.spec.service.match):
        message = "replaces a prefix, and for that every service.match must have a path prefix"
        yield Problem(path, message, "write uri.prefix in service.match")
    elif len(set(prefixes)) < len(prefixes):
        message = "Contour replaces a prefix rightly where one route has it only"
        yield Problem(path, message, "write each uri.prefix in one service.match")
    if canary.analysis.match and not canary.skip_analysis:
        message = "Contour replaces a prefix rightly where one route has it only, and analysis.match makes a second"
        yield Problem(path, message, "take it out, or set provider: gatewayapi:v1")


def _headers(canary: Canary) -> Iterator[Problem]:
    headers = canary.spec.service.headers
    for side, changes in (("request", headers.request), ("response", headers.response)) if headers else ():
        path = spec_path(canary, f"service.headers.{side}")
        if changes is None:
            continue
        if changes.add:
            yield Problem(f"{path}.add", "an HTTPProxy only overwrites headers", "write set")
        for name, value in changes.set.items():
            if not value:
                yield Problem(f"{path}.set.{name}", "is empty", "write a value, or the name under remove")
            if side == "response" and name.lower() == "host":
                yield Problem(f"{path}.set.{name}", "is no header of an answer", "take it out")
        for field, names in (("set", tuple(changes.set)), ("remove", changes.remove)):
            yield from _header_names(names, f"{path}.{field}")


def _header_names(names: tuple[str, ...], path: str) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if not _HEADER_NAME.fullmatch(name):
            yield Problem(path, f"{name!r} is no name of a header", _REMEDY_HEADER)
        if name.lower() in map(str.lower, names[:index]):
            yield Problem(path, f"{name} is there before", "write it once")


def _mirrors(canary: Canary) -> Iterator[Problem]:
    mirrors, path = canary.spec.service.mirror, spec_path(canary, "service.mirror")
    copies = not canary.skip_analysis and canary.analysis.mirror
    if len(mirrors) + copies > 1:
        message = "an HTTPProxy copies requests to one Service only"
        yield Problem(path, message, "take it out" if copies else "name one")
    for index, mirror in enumerate(mirrors):
        yield from _mirror(canary, mirror, f"{path}[{index}].backendRef")


def _mirror(canary: Canary, mirror: RequestMirror, path: str) -> Iterator[Problem]:
    backend = mirror.backend_ref
    for field, value, known in (("group", backend.group, ""), ("kind", backend.kind, "Service")):
        if value != known:
            yield Problem(f"{path}.{field}", "an HTTPProxy copies requests to Services only", "name a Service")
    if backend.namespace not in {None, canary.namespace}:
        message = "an HTTPProxy knows the Services of its own namespace only"
        yield Problem(f"{path}.namespace", message, f"name a Service in {canary.namespace}")
