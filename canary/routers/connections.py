"""TCPRoutes and TLSRoutes: connections are divided, and nothing is known of the requests in them."""

import ipaddress
from collections.abc import Iterator
from typing import Final

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import TCP, TLS
from canary.kube.types import Json
from canary.routers.base import routed_fields, spec_path

_OF_REQUESTS: Final = (
    "service.timeout",
    "service.backendTimeout",
    "service.match",
    "service.rewrite",
    "service.headers",
    "service.mirror",
    "service.corsPolicy",
    "analysis.match",
    "analysis.alwaysMatch",
    "analysis.mirror",
    "analysis.sessionAffinity",
)
"""Fields that say something about requests, and nothing about connections."""


def rule(http: Json) -> Json:
    """The rule that takes all connections to the same backends; they have no filters of their own."""
    return {"backendRefs": [{key: each[key] for key in each if key != "filters"} for each in http["backendRefs"]]}


def problems(canary: Canary) -> Iterator[Problem]:
    """What a spec asks for that is beyond connections, and names that TLSRoutes need and TCPRoutes can't have."""
    ports = canary.spec.service.all_ports
    kinds = sorted({port.route_kind for port in ports if port.is_of_connections})
    if not kinds:
        return
    named = routed_fields(canary)
    for field in _OF_REQUESTS:
        if named[field]:
            message = f"a {kinds[0]} divides connections, and nothing is known of their requests"
            remedy = f"take it out, or give no port routeKind: {' or '.join(kinds)}"
            yield Problem(spec_path(canary, field), message, remedy)
    yield from _hosts(canary, kinds, only_tcp=all(port.route_kind == TCP for port in ports))


def _hosts(canary: Canary, kinds: list[str], *, only_tcp: bool) -> Iterator[Problem]:
    path, hosts = spec_path(canary, "service.hosts"), canary.spec.service.hosts
    if TLS in kinds and not hosts:
        remedy = "name them, such as [shop.example.com], or write routeKind: TCPRoute for all connections of a listener"
        yield Problem(path, "a TLSRoute is for the host names that clients ask for, and none is named", remedy)
    if only_tcp and hosts:
        message = "a TCPRoute knows no host names: it takes all connections of its listener"
        yield Problem(path, message, "take it out, or write routeKind: TLSRoute where clients speak TLS")
    for index, host in enumerate(hosts if TLS in kinds else ()):
        if _is_address(host):
            message = f"{host} is an address, and clients of TLS ask for names"
            yield Problem(f"{path}[{index}]", message, "write a host name such as shop.example.com")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
