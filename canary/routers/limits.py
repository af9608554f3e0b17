"""What the Gateway API's own schema refuses of an HTTPRoute, found in the spec beforehand.

By https://gateway-api.sigs.k8s.io, standard channel of v1.4: `maxItems`, `pattern` and the rules beside them.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from canary.api.canary import Canary
from canary.api.istio import AnalysisMatch, CorsPolicy, HeaderOperations, StringMatch
from canary.api.problems import Problem
from canary.api.service import ListenerReference
from canary.routers import filters, matches
from canary.routers.base import chosen, spec_path

MAX_HOSTS: Final = 16
MAX_MATCHES: Final = 64
"""Of one rule."""
MAX_ALL_MATCHES: Final = 128
"""Of all rules of a route."""
MAX_CONDITIONS: Final = 16
"""On headers, or on parameters, of one match."""
MAX_FILTERS: Final = 16
MAX_HEADERS: Final = 16
"""That one filter adds, sets or removes."""
MAX_CORS: Final = 64
MAX_NAME: Final = 256
MAX_VALUE: Final = 4096
MAX_PATH: Final = 1024
MAX_HOST: Final = 253

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_ORIGIN = re.compile(r"\*|https?://(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?)")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F", "#")
_REMEDY_HEADER = "write the name of a header, of letters, digits and hyphens"


def problems(canary: Canary) -> Iterator[Problem]:
    """What is too much, too long or otherwise written than the API server takes it."""
    yield from _hosts(canary)
    for path, refs in _gateway_refs(canary):
        yield from _parents(path, refs)
    if not matches.problems(canary) and not filters.problems(canary):
        yield from _counts(canary)
    service = canary.spec.service
    for index, match in enumerate(service.match):
        path = spec_path(canary, f"service.match[{index}]")
        yield from _conditions(match, path)
        yield from _path(match.uri, f"{path}.uri")
        if match.method is not None and match.method.exact:
            yield from _method(match.method.exact, f"{path}.method.exact", _METHODS)
    for path, condition in chosen(canary):
        yield from _conditions(condition, path)
    if service.headers is not None:
        for side, changes in (("request", service.headers.request), ("response", service.headers.response)):
            yield from _header_changes(changes, spec_path(canary, f"service.headers.{side}"))
    yield from _rewrite(canary)
    if service.cors_policy is not None:
        yield from _cors(service.cors_policy, spec_path(canary, "service.corsPolicy"))


def _hosts(canary: Canary) -> Iterator[Problem]:
    hosts, path = canary.spec.service.hosts, spec_path(canary, "service.hosts")
    yield from _count(len(hosts), MAX_HOSTS, path, "host names")
    for index, host in enumerate(hosts):
        name = host.removeprefix("*.")
        remedy = "write a host name such as shop.example.com or *.example.com, in lower case"
        if host == "*":
            remedy = "take hosts out for all hosts"
        elif _HOST.fullmatch(name.partition(":")[0]) and ":" in name:
            remedy = f"write {host.rpartition(':')[0]}; the port is the listener's"
        elif _HOST.fullmatch(name.lower()):
            remedy = f"write {host.lower()}"
        if not _HOST.fullmatch(name) or len(host) > MAX_HOST:
            yield Problem(f"{path}[{index}]", f"{host!r} is no host name", remedy)


def _gateway_refs(canary: Canary) -> Iterator[tuple[str, tuple[ListenerReference, ...]]]:
    service = canary.spec.service
    yield spec_path(canary, "service.gatewayRefs"), service.gateway_refs
    for index, port in enumerate(service.ports):
        yield spec_path(canary, f"service.ports[{index}].gatewayRefs"), port.gateway_refs


def _parents(path: str, refs: tuple[ListenerReference, ...]) -> Iterator[Problem]:
    """A gateway that is named more than once is named by its listeners."""
    for index, ref in enumerate(refs):
        same = [each for each in refs[:index] if _gateway(each) == _gateway(ref)]
        if any(not ref.section_name or each.section_name in (None, "", ref.section_name) for each in same):
            remedy = "name it once, or each time with another sectionName"
            yield Problem(f"{path}[{index}]", f"{ref.name} is named before", remedy)


def _gateway(ref: ListenerReference) -> tuple[str, str, str | None, str]:
    return ref.group, ref.kind, ref.namespace, ref.name


def _counts(canary: Canary) -> Iterator[Problem]:
    field = spec_path(canary, "service.match")
    routed = len(matches.service_matches(canary))
    yield from _count(routed, MAX_MATCHES, field, "conditions of one rule")
    analysis = canary.analysis
    for name, conditions in (("match", analysis.match), ("alwaysMatch", analysis.always_match)):
        if conditions and not canary.skip_analysis:
            yield from _chosen_counts(canary, spec_path(canary, f"analysis.{name}"), conditions, routed)
    affinity = None if canary.skip_analysis else canary.analysis.session_affinity
    if affinity is not None:
        rules = 3 if affinity.primary_cookie_name else 2
        what = f"conditions of {rules} rules, one for each cookie"
        ahead = len(canary.analysis.always_match)
        yield from _count((rules + ahead) * routed, MAX_ALL_MATCHES, field, what)
    made = len(filters.filters(canary)) + 1
    yield from _count(made, MAX_FILTERS, spec_path(canary, "service.mirror"), "filters, with the one of the analysis")


def _chosen_counts(canary: Canary, path: str, conditions: tuple[AnalysisMatch, ...], routed: int) -> Iterator[Problem]:
    """Of a rule for chosen requests, which is within each condition of the route's own."""
    what = f"conditions of one rule ({len(conditions)} here, times {routed} of service.match)"
    yield from _count(len(conditions) * routed, MAX_MATCHES, path, what)
    for index, match in enumerate(matches.analysis_matches(canary, conditions)):
        for name in ("headers", "queryParams"):
            each = f"{path}[{index // routed}]"
            what = f"conditions on {name}, with those of service.match"
            yield from _count(len(match.get(name, ())), MAX_CONDITIONS, each, what)


def _conditions(match: AnalysisMatch, path: str) -> Iterator[Problem]:
    named: tuple[tuple[str, Mapping[str, StringMatch], int], ...] = (
        ("headers", match.headers, MAX_VALUE),
        ("queryParams", match.query_params, MAX_PATH),
    )
    for field, conditions, longest in named:
        yield from _count(len(conditions), MAX_CONDITIONS, f"{path}.{field}", "conditions")
        for name, condition in conditions.items():
            if not _TOKEN.fullmatch(name) or len(name) > MAX_NAME:
                yield Problem(f"{path}.{field}.{name}", f"{name!r} is no name that can be matched", _token_remedy(name))
            for form, value in (("exact", condition.exact), ("regex", condition.regex)):
                yield from _length(value or "", _room(form, longest), f"{path}.{field}.{name}.{form}")


def _token_remedy(name: str) -> str:
    if name == ":authority":
        return "write service.hosts"
    return "write service.match.method" if name == ":method" else _REMEDY_HEADER


def _path(uri: StringMatch | None, path: str) -> Iterator[Problem]:
    if uri is None:
        return
    for form, value in (("exact", uri.exact), ("prefix", uri.prefix), ("regex", uri.regex)):
        if not value:
            continue
        field = f"{path}.{form}"
        yield from _length(value, _room(form, MAX_PATH), field)
        if form == "regex":
            continue
        wrong = next((each for each in _NOT_IN_PATHS if each in value), "")
        if not value.startswith("/"):
            yield Problem(field, f"{value!r} is no path", f"write /{value}")
        elif wrong or value.endswith(("/..", "/.")):
            yield Problem(field, f"{value!r} has {wrong or 'a dot'} as no path can", "write the path as servers see it")
        elif not _PATH.fullmatch(value):
            yield Problem(field, f"{value!r} has characters that no path has", "write them as %XX")


def _method(method: str, field: str, known: Collection[str]) -> Iterator[Problem]:
    if method in known:
        return
    upper = method.upper()
    yield Problem(field, f"{method!r} is no method", f"write {upper if upper in known else ' or '.join(known)}")


def _header_changes(changes: HeaderOperations | None, path: str) -> Iterator[Problem]:
    if changes is None:
        return
    for field, values in (("add", changes.add), ("set", changes.set)):
        yield from _count(len(values), MAX_HEADERS, f"{path}.{field}", "headers")
        for name, value in values.items():
            yield from _tokens([name], f"{path}.{field}")
            yield from _length(value, MAX_VALUE, f"{path}.{field}.{name}")
            if not value:
                yield Problem(f"{path}.{field}.{name}", "is empty", "write a value, or the name under remove")
    yield from _count(len(changes.remove), MAX_HEADERS, f"{path}.remove", "headers")


def _rewrite(canary: Canary) -> Iterator[Problem]:
    rewrite = canary.spec.service.rewrite
    if rewrite is None:
        return
    yield from _length(rewrite.uri, MAX_PATH, spec_path(canary, "service.rewrite.uri"))
    if rewrite.authority and (not _HOST.fullmatch(rewrite.authority) or len(rewrite.authority) > MAX_HOST):
        path = spec_path(canary, "service.rewrite.authority")
        remedy = "write a host name without port, in lower case"
        yield Problem(path, f"{rewrite.authority!r} is no host name", remedy)


def _cors(policy: CorsPolicy, path: str) -> Iterator[Problem]:
    matched = [(f"allowOrigins[{index}].exact", each.exact or "") for index, each in enumerate(policy.allow_origins)]
    origins = [*((f"allowOrigin[{index}]", each) for index, each in enumerate(policy.allow_origin)), *matched]
    known = {origin for _, origin in origins if origin}
    yield from _count(len(known), MAX_CORS, f"{path}.allowOrigins", "origins")
    for field, origin in origins:
        if origin and (not _ORIGIN.fullmatch(origin) or len(origin) > MAX_HOST):
            yield Problem(f"{path}.{field}", f"{origin!r} is no origin", "write such as https://shop.example.com")
    for index, method in enumerate(policy.allow_methods):
        yield from _method(method, f"{path}.allowMethods[{index}]", (*_METHODS, "*"))
    for field, names in (("allowHeaders", policy.allow_headers), ("exposeHeaders", policy.expose_headers)):
        yield from _count(len(set(names)), MAX_CORS, f"{path}.{field}", "headers")
        yield from _tokens(names, f"{path}.{field}")
    starred: tuple[tuple[str, Collection[str]], ...] = (
        ("allowOrigins", known),
        ("allowMethods", policy.allow_methods),
        ("allowHeaders", policy.allow_headers),
    )
    for field, values in starred:
        if "*" in values and len(set(values)) > 1:
            yield Problem(f"{path}.{field}", "has * beside others", "write * alone, or take it out")


def _tokens(names: Iterable[str], path: str) -> Iterator[Problem]:
    for name in names:
        if not _TOKEN.fullmatch(name) or len(name) > MAX_NAME:
            yield Problem(path, f"{name!r} is no name of a header", _REMEDY_HEADER)


def _room(form: str, longest: int) -> int:
    """How long a value may be that is written in such a form."""
    return longest - len(matches.whole("")) if form == "regex" else longest


def _length(value: str, longest: int, field: str) -> Iterator[Problem]:
    if len(value) > longest:
        yield Problem(field, f"has {len(value)} characters", f"write {longest} at most")


def _count(count: int, most: int, field: str, what: str) -> Iterator[Problem]:
    if count > most:
        yield Problem(field, f"makes {count} {what}; the Gateway API takes {most}", "write fewer")
