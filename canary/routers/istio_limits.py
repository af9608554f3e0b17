"""What of a spec Istio has no words for, or would refuse: found before anything is written.

By the definitions of networking.istio.io/v1 and the rules of Istio's own admission.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final

from canary.api.canary import Canary
from canary.api.durations import REMEDY, parse_duration
from canary.api.istio import AnalysisMatch, HTTPMatch, StringMatch
from canary.api.problems import Problem
from canary.kube.types import mapping
from canary.routers.base import chosen, routed_fields, spec_path
from canary.routers.istio_entrances import MESH, entrances
from canary.routers.istio_rules import CONNECTION

_STREAMS: Final = frozenset({"tcp", "tls", "https", "mongo", "mysql", "redis", "udp"})
"""Protocols whose requests Istio doesn't read: it tells them by `appProtocol`, else by how the port's name begins."""

_MILLISECOND: Final = timedelta(milliseconds=1)

_OF_REQUESTS: Final = (
    "service.timeout",
    "service.rewrite",
    "service.retries",
    "service.headers",
    "service.mirror",
    "service.corsPolicy",
    "analysis.match",
    "analysis.mirror",
    "analysis.sessionAffinity",
)
"""Fields that say something about requests, and nothing about connections."""

_SECOND: Final = timedelta(seconds=1)
_DURATIONS: Final = {
    "timeout": _MILLISECOND,
    "retries.perTryTimeout": _MILLISECOND,
    "corsPolicy.maxAge": _SECOND,
    "trafficPolicy.connectionPool.http.idleTimeout": _MILLISECOND,
    "trafficPolicy.loadBalancer.warmupDurationSecs": _MILLISECOND,
    "trafficPolicy.outlierDetection.interval": _MILLISECOND,
    "trafficPolicy.outlierDetection.baseEjectionTime": _MILLISECOND,
}
"""Those of `spec.service` that Istio refuses where they are not a multiple of these."""


def problems(canary: Canary) -> Iterator[Problem]:
    """What Istio can't do, or would not take."""
    yield from _hosts(canary)
    yield from _protocol(canary)
    yield from _matches(canary)
    yield from _rewrite(canary)
    yield from _mirror(canary)
    yield from _retries(canary)
    yield from _durations(canary)


def _hosts(canary: Canary) -> Iterator[Problem]:
    hosts, gateways = canary.spec.service.hosts, canary.spec.service.gateways
    path = spec_path(canary, "service.hosts")
    for index, host in enumerate(hosts):
        if host == "*" and (not gateways or MESH in gateways):
            yield Problem(
                f"{path}[{index}]", "* is for gateways only, not for the mesh", "name gateways other than mesh"
            )
        same = next((each for each in hosts[:index] if _covers(each, host) or _covers(host, each)), "")
        if same:
            yield Problem(f"{path}[{index}]", f"{host} is one of {same} already", "keep one of the two")


def _covers(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*") else host == pattern


def _protocol(canary: Canary) -> Iterator[Problem]:
    """Where connections are divided nothing is known of requests."""
    ways = entrances(canary)
    if canary.spec.service.delegation and any(way.is_tcp for way in ways):
        message = "Istio delegates requests only, not the connections of appProtocol tcp"
        yield Problem(
            spec_path(canary, "service.delegation"), message, "take delegation out, and name hosts and gateways"
        )
    yield from _names(canary)
    if not all(way.is_tcp for way in ways):
        return
    named = routed_fields(canary)
    for field in _OF_REQUESTS:
        if named[field]:
            message = "with appProtocol tcp connections are divided, and nothing is known of requests"
            yield Problem(spec_path(canary, field), message, "take it out, or set appProtocol: http")
    for index, match in enumerate(canary.spec.service.match):
        for field in match.to_json().keys() - {*CONNECTION, "name"}:
            path = spec_path(canary, f"service.match[{index}].{field}")
            yield Problem(path, "with appProtocol tcp nothing is known of requests", "take it out")


def _names(canary: Canary) -> Iterator[Problem]:
    """In the mesh a port's protocol is told by its name: where requests aren't read, none is ever divided."""
    service = canary.spec.service
    if service.delegation or set(service.gateways) - {MESH}:
        return
    paths = ("service", *(f"service.ports[{index}]" for index in range(len(service.ports))))
    for path, port in zip(paths, service.all_ports, strict=True):
        told = port.app_protocol or port.name.partition("-")[0]
        if told.lower() in _STREAMS and port.app_protocol.lower() != "tcp":
            message = f"Istio takes what comes to a port of {told} for connections, and reads no request of them"
            remedy = "set appProtocol: tcp to divide connections, or http for requests"
            yield Problem(spec_path(canary, f"{path}.appProtocol"), message, remedy)


def _matches(canary: Canary) -> Iterator[Problem]:
    for index, match in enumerate(canary.spec.service.match):
        path = spec_path(canary, f"service.match[{index}]")
        yield from _forms(_of_request(match), path)
        yield from _forms(_named(match), path)
    for path, condition in chosen(canary):
        yield from _forms(_named(condition), path)
        if not (condition.headers or condition.query_params or condition.source_labels):
            remedy = "write one of them"
            yield Problem(path, "says nothing about headers, queryParams or sourceLabels", remedy)
    policy = canary.spec.service.cors_policy
    origins = () if policy is None else policy.allow_origins
    path = spec_path(canary, "service.corsPolicy.allowOrigins")
    yield from _forms({f"[{index}]": origin for index, origin in enumerate(origins)}, path, dot="")


def _of_request(match: HTTPMatch) -> Mapping[str, StringMatch]:
    parts = {"uri": match.uri, "scheme": match.scheme, "method": match.method, "authority": match.authority}
    named = {f"withoutHeaders.{name}": each for name, each in match.without_headers.items()}
    return {**{name: each for name, each in parts.items() if each is not None}, **named}


def _named(match: AnalysisMatch) -> Mapping[str, StringMatch]:
    headers = {f"headers.{name}": each for name, each in match.headers.items()}
    return {**headers, **{f"queryParams.{name}": each for name, each in match.query_params.items()}}


def _forms(conditions: Mapping[str, StringMatch], path: str, *, dot: str = ".") -> Iterator[Problem]:
    for name, condition in conditions.items():
        if condition.suffix is not None:
            yield Problem(f"{path}{dot}{name}.suffix", "Istio can't match by suffix", "write regex, such as .*end")


def _rewrite(canary: Canary) -> Iterator[Problem]:
    rewrite, path = canary.spec.service.rewrite, spec_path(canary, "service.rewrite")
    if rewrite is None:
        return
    if not rewrite.uri and not rewrite.authority:
        yield Problem(path, "is empty", "write uri or authority, or take it out")
    if rewrite.type not in {"", "ReplaceFullPath", "ReplacePrefixMatch"}:
        remedy = "write ReplacePrefixMatch or ReplaceFullPath"
        yield Problem(f"{path}.type", f"{rewrite.type} is not known", remedy)


def _mirror(canary: Canary) -> Iterator[Problem]:
    for index, mirror in enumerate(canary.spec.service.mirror):
        path, ref = spec_path(canary, f"service.mirror[{index}].backendRef"), mirror.backend_ref
        if ref.group:
            yield Problem(f"{path}.group", f"Istio copies requests to Services, not to {ref.group}", "take it out")
        if ref.kind != "Service":
            yield Problem(f"{path}.kind", f"Istio copies requests to a Service, not to a {ref.kind}", "take it out")
        if ref.namespace not in (None, canary.namespace):
            message = f"a Service of {ref.namespace} is known by a whole name only"
            remedy = f"take it out, and write name such as {ref.name}.{ref.namespace}.svc.cluster.local"
            yield Problem(f"{path}.namespace", message, remedy)


def _retries(canary: Canary) -> Iterator[Problem]:
    retries = canary.spec.service.retries
    if retries is not None and not retries.attempts and (retries.per_try_timeout or retries.retry_on):
        path = spec_path(canary, "service.retries.attempts")
        yield Problem(path, "is missing or 0, and nothing is asked again", "write how many times, such as 3")


def _durations(canary: Canary) -> Iterator[Problem]:
    service = canary.spec.service.to_json()
    for field, unit in _DURATIONS.items():
        text = _at(service, field.split("."))
        span = _span(text) if text else None
        if field == "timeout" and (span is None or span <= timedelta(0)):
            continue  # The rules of the resource tell of it.
        if text and (span is None or span < unit or span % unit):
            units, remedy = ("seconds", "write such as 24h") if unit == _SECOND else ("milliseconds", REMEDY)
            yield Problem(spec_path(canary, f"service.{field}"), f"{text!r} is no time in whole {units}", remedy)


def _at(value: object, names: Iterable[str]) -> str:
    for name in names:
        value = mapping(value).get(name)
    return value if isinstance(value, str) else ""


def _span(text: str) -> timedelta | None:
    try:
        return parse_duration(text)
    except ValueError:
        return None
