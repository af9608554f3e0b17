"""From the spec's conditions and changes to the matchers and options of a Gloo route, and what these can't say."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from canary.api.canary import Canary
from canary.api.durations import REMEDY, parse_duration
from canary.api.istio import AnalysisMatch, CorsPolicy, HeaderOperations, HTTPMatch, Retries, StringMatch
from canary.api.problems import Problem
from canary.kube.types import Json
from canary.routers import envoy
from canary.routers.base import spec_path

_WHO = "Gloo"


def service_matchers(canary: Canary) -> list[Json]:
    """The route's conditions; none where the spec has none."""
    return [_matcher(match) for match in canary.spec.service.match]


def analysis_matchers(canary: Canary) -> list[Json]:
    """The conditions on requests that reach the canary in an A/B test: any of the spec's, within the route's own."""
    return [
        {**route, **_both(route, "headers", match), **_both(route, "queryParameters", match)}
        for match in canary.analysis.match
        for route in service_matchers(canary) or [{}]
    ]


def options(canary: Canary) -> Json:
    """What every route does to its requests and answers."""
    service = canary.spec.service
    made: Json = {}
    if service.timeout:
        made["timeout"] = _seconds(service.timeout)
    if service.retries is not None and service.retries.attempts != 0:
        made["retries"] = _retries(service.retries)
    if service.rewrite is not None and service.rewrite.uri:
        made["prefixRewrite"] = service.rewrite.uri
    if service.rewrite is not None and service.rewrite.authority:
        made["hostRewrite"] = service.rewrite.authority
    if service.headers is not None:
        changes = {**_changes("request", service.headers.request), **_changes("response", service.headers.response)}
        made |= {"headerManipulation": changes} if changes else {}
    if service.cors_policy is not None:
        made["cors"] = _cors(service.cors_policy)
    return made


def problems(canary: Canary) -> Iterator[Problem]:
    """The conditions and changes of the spec that a RouteTable has no words for."""
    service = canary.spec.service
    for index, match in enumerate(service.match):
        path = spec_path(canary, f"service.match[{index}]")
        yield from envoy.match_problems(match, path, _WHO)
        if match.method is not None and envoy.form_of(match.method) not in {"exact", ""}:
            yield Problem(f"{path}.method", "Gloo knows whole methods only", "write exact")
    for index, condition in enumerate(() if canary.skip_analysis else canary.analysis.match):
        path = spec_path(canary, f"analysis.match[{index}]")
        yield from envoy.named_problems(condition, path, _WHO)
        if not condition.headers and not condition.query_params:
            yield Problem(path, "says nothing about headers or queryParams", "write one of them")
    rewrite = service.rewrite
    if rewrite is not None and not rewrite.uri and not rewrite.authority:
        yield Problem(spec_path(canary, "service.rewrite"), "is empty", "write uri or authority, or take it out")
    if rewrite is not None and rewrite.type not in {"", "ReplacePrefixMatch"}:
        message = f"Gloo replaces what was matched, no {rewrite.type}"
        yield Problem(spec_path(canary, "service.rewrite.type"), message, "write ReplacePrefixMatch, or take it out")
    if service.retries is not None:
        yield from _retries_problems(service.retries, spec_path(canary, "service.retries"))
    if service.cors_policy is not None and service.cors_policy.max_age:
        yield from _span(service.cors_policy.max_age, spec_path(canary, "service.corsPolicy.maxAge"))


def _matcher(match: HTTPMatch) -> Json:
    made: Json = {envoy.form_of(match.uri): envoy.value_of(match.uri)} if match.uri else {}
    if match.method is not None:
        made["methods"] = [envoy.value_of(match.method)]
    authority = {":authority": match.authority} if match.authority is not None else {}
    if headers := _named({**authority, **match.headers}):
        made["headers"] = headers
    if parameters := _named(match.query_params):
        made["queryParameters"] = parameters
    return made


def _both(route: Json, field: str, match: AnalysisMatch) -> Json:
    found = [*route.get(field, []), *_named(match.headers if field == "headers" else match.query_params)]
    return {field: found} if found else {}


def _named(conditions: Mapping[str, StringMatch]) -> list[Json]:
    made = []
    for name, condition in sorted(conditions.items()):
        form, value = envoy.whole(condition)
        made.append({"name": name, "value": value, **({"regex": True} if form == "regex" else {})})
    return made


def _retries(retries: Retries) -> Json:
    reasons, codes = envoy.asked_again(retries)
    made: Json = {"retryOn": ",".join(reasons)}
    if retries.attempts is not None:
        made["numRetries"] = retries.attempts
    if retries.per_try_timeout:
        made["perTryTimeout"] = _seconds(retries.per_try_timeout)
    if codes:
        made["retriableStatusCodes"] = codes
    return made


def _retries_problems(retries: Retries, path: str) -> Iterator[Problem]:
    yield from envoy.retry_problems(retries, path)
    if not envoy.asked_again(retries)[0] and retries.attempts != 0:
        remedy = "write after what to ask again, such as gateway-error,connect-failure"
        yield Problem(f"{path}.retryOn", "is missing, and Gloo asks again after nothing by itself", remedy)
    if retries.per_try_timeout:
        yield from _span(retries.per_try_timeout, f"{path}.perTryTimeout")


def _span(text: str, path: str) -> Iterator[Problem]:
    try:
        parse_duration(text)
    except ValueError as error:
        yield Problem(path, str(error), REMEDY)


def _seconds(text: str) -> str:
    """A duration as protobuf writes it in JSON, which knows seconds only."""
    return f"{parse_duration(text) / timedelta(seconds=1):.6f}".rstrip("0").rstrip(".") + "s"


def _changes(side: str, operations: HeaderOperations | None) -> Json:
    if operations is None:
        return {}
    ways = ((operations.set, False), (operations.add, True))
    added = [
        {"header": {"key": name, "value": value}, "append": append}
        for headers, append in ways
        for name, value in sorted(headers.items())
    ]
    made: Json = {f"{side}HeadersToAdd": added} if added else {}
    if operations.remove:
        made[f"{side}HeadersToRemove"] = list(operations.remove)
    return made


def _cors(policy: CorsPolicy) -> Json:
    spoken = [envoy.whole(origin) for origin in policy.allow_origins]
    named = (
        ("allowOrigin", [*policy.allow_origin, *(value for form, value in spoken if form == "exact")]),
        ("allowOriginRegex", [value for form, value in spoken if form == "regex"]),
        ("allowMethods", policy.allow_methods),
        ("allowHeaders", policy.allow_headers),
        ("exposeHeaders", policy.expose_headers),
    )
    cors: Json = {field: list(dict.fromkeys(values)) for field, values in named if values}
    if policy.allow_credentials:
        cors["allowCredentials"] = True
    if policy.max_age:
        cors["maxAge"] = str(parse_duration(policy.max_age) // timedelta(seconds=1))
    return cors
