"""From the spec's changes to requests and answers to the filters and timeouts of an HTTPRoute."""

from collections.abc import Iterator
from datetime import timedelta

from canary.api.canary import Canary
from canary.api.durations import REMEDY, parse_duration
from canary.api.istio import CorsPolicy, HeaderOperations
from canary.api.problems import Problem
from canary.api.service import BackendReference
from canary.api.traffic import TOTAL_WEIGHT
from canary.kube.types import Json
from canary.routers import matches
from canary.routers.base import spec_path

_UNITS = (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
# A condition takes five digits of each unit at most.
_MAX_HOURS = 99_999
_MIRROR = "RequestMirror"


def filters(canary: Canary) -> list[Json]:
    """The filters of every rule, in the order of Flagger's."""
    return [*_header_filters(canary), *_rewrite_filters(canary), *_mirror_filters(canary), *_cors_filters(canary)]


def mirror_to(service: str, port: int, percent: int) -> Json:
    """The filter that copies this percent of requests to a Service."""
    mirror: Json = {"backendRef": {"group": "", "kind": "Service", "name": service, "port": port}}
    if percent != TOTAL_WEIGHT:
        mirror["percent"] = percent
    return {"type": _MIRROR, "requestMirror": mirror}


def timeouts(canary: Canary) -> Json:
    """The rule's `timeouts`; empty where the spec sets none."""
    service = canary.spec.service
    named = (("request", service.timeout), ("backendRequest", service.backend_timeout))
    return {name: _gateway_duration(parse_duration(text)) for name, text in named if text}


def problems(canary: Canary) -> tuple[Problem, ...]:
    """What the spec asks for that filters and timeouts can't say."""
    return (*_timeout_problems(canary), *rewrite_problems(canary), *_cors_problems(canary))


def _header_filters(canary: Canary) -> Iterator[Json]:
    headers = canary.spec.service.headers
    if headers is None:
        return
    named = (
        ("RequestHeaderModifier", "requestHeaderModifier", headers.request),
        ("ResponseHeaderModifier", "responseHeaderModifier", headers.response),
    )
    for kind, field, operations in named:
        if operations is not None and (changes := _header_changes(operations)):
            yield {"type": kind, field: changes}


def _header_changes(operations: HeaderOperations) -> Json:
    changes: Json = {}
    for field, values in (("add", operations.add), ("set", operations.set)):
        if values:
            changes[field] = [{"name": name, "value": value} for name, value in sorted(values.items())]
    if operations.remove:
        changes["remove"] = list(operations.remove)
    return changes


def _rewrite_filters(canary: Canary) -> Iterator[Json]:
    rewrite = canary.spec.service.rewrite
    if rewrite is None:
        return
    changes: Json = {}
    if rewrite.authority:
        changes["hostname"] = rewrite.authority
    if rewrite.uri:
        field = rewrite.path_type[:1].lower() + rewrite.path_type[1:]
        changes["path"] = {"type": rewrite.path_type, field: rewrite.uri}
    if changes:
        yield {"type": "URLRewrite", "urlRewrite": changes}


def _mirror_filters(canary: Canary) -> Iterator[Json]:
    for mirror in canary.spec.service.mirror:
        yield {"type": _MIRROR, "requestMirror": {"backendRef": _backend(mirror.backend_ref)}}


def _backend(ref: BackendReference) -> Json:
    backend: Json = {"group": ref.group, "kind": ref.kind, "name": ref.name}
    if ref.namespace is not None:
        backend["namespace"] = ref.namespace
    if ref.port is not None:
        backend["port"] = ref.port
    return backend


def _cors_filters(canary: Canary) -> Iterator[Json]:
    policy = canary.spec.service.cors_policy
    if policy is None:
        return
    named = (
        ("allowOrigins", [*policy.allow_origin, *(match.exact for match in policy.allow_origins if match.exact)]),
        ("allowMethods", policy.allow_methods),
        ("allowHeaders", policy.allow_headers),
        ("exposeHeaders", policy.expose_headers),
    )
    cors: Json = {field: list(dict.fromkeys(values)) for field, values in named if values}
    if policy.allow_credentials:
        cors["allowCredentials"] = True
    if policy.max_age:
        cors["maxAge"] = parse_duration(policy.max_age) // timedelta(seconds=1)
    yield {"type": "CORS", "cors": cors}


def _gateway_duration(span: timedelta) -> str:
    """The span in the Gateway API's notation, of whole milliseconds: `1m30s`, `1s500ms`, `0s`."""
    rest = span // timedelta(milliseconds=1)
    parts = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _timeout_problems(canary: Canary) -> Iterator[Problem]:
    service = canary.spec.service
    spans = {}
    for field, text in (("service.timeout", service.timeout), ("service.backendTimeout", service.backend_timeout)):
        try:
            spans[field] = parse_duration(text)
        except ValueError:
            continue  # The rules of the resource tell of it.
        if spans[field] % timedelta(milliseconds=1):
            message = f"{text} is not a whole number of milliseconds"
            yield Problem(spec_path(canary, field), message, "round it to milliseconds, such as 1500ms")
        if spans[field] >= timedelta(hours=_MAX_HOURS):
            yield Problem(spec_path(canary, field), f"{text} is too long", f"write less than {_MAX_HOURS}h")
    request, backend = spans.get("service.timeout"), spans.get("service.backendTimeout")
    if request and backend and backend > request:
        message = f"{service.backend_timeout} is longer than service.timeout, {service.timeout}"
        yield Problem(spec_path(canary, "service.backendTimeout"), message, "write at most service.timeout")


def rewrite_problems(canary: Canary) -> Iterator[Problem]:
    """What of `service.rewrite` can't be said."""
    rewrite = canary.spec.service.rewrite
    if rewrite is None:
        return
    if rewrite.type not in {"", "ReplaceFullPath", "ReplacePrefixMatch"}:
        remedy = "write ReplacePrefixMatch or ReplaceFullPath"
        yield Problem(spec_path(canary, "service.rewrite.type"), f"{rewrite.type} is not known", remedy)
    if not rewrite.uri and not rewrite.authority:
        yield Problem(spec_path(canary, "service.rewrite"), "is empty", "write uri or authority, or take it out")
    if rewrite.uri and rewrite.path_type == "ReplacePrefixMatch" and not _single_prefix(canary):
        message = "replaces a prefix, and for that every rule must match exactly one path prefix"
        remedy = "write one service.match with uri.prefix, one condition of the analysis, or type ReplaceFullPath"
        yield Problem(spec_path(canary, "service.rewrite.type"), message, remedy)


def _single_prefix(canary: Canary) -> bool:
    found = matches.service_matches(canary)
    most = max(len(canary.analysis.match), len(canary.analysis.always_match))
    return len(found) == 1 and found[0]["path"]["type"] == "PathPrefix" and most <= 1


def _cors_problems(canary: Canary) -> Iterator[Problem]:
    policy = canary.spec.service.cors_policy
    if policy is None:
        return
    for index, origin in enumerate(policy.allow_origins):
        if not origin.exact:
            path = spec_path(canary, f"service.corsPolicy.allowOrigins[{index}]")
            yield Problem(path, "the Gateway API knows whole origins only", "write exact")
    yield from _max_age_problems(canary, policy)


def _max_age_problems(canary: Canary, policy: CorsPolicy) -> Iterator[Problem]:
    path = spec_path(canary, "service.corsPolicy.maxAge")
    if not policy.max_age:
        return
    try:
        span = parse_duration(policy.max_age)
    except ValueError as error:
        yield Problem(path, str(error), REMEDY)
        return
    if span < timedelta(seconds=1) or span % timedelta(seconds=1):
        yield Problem(path, f"{policy.max_age} is not a whole number of seconds, 1 at least", "write such as 24h")
