"""Fields that the HTTPRoute of the Gateway API honours: each arrives where the data plane reads it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.routers.gatewayapi import GATEWAY_API as ROUTER
from tests.tools.routes import made

NAMED = {"spec.service.gatewayRefs[].name": "gateway"}
"""Every route needs a gateway; nothing else is beside the field unless it is told."""

RULE, MATCH, FILTER = "rules.0", "rules.0.matches.0", "rules.0.filters.0"
MIRROR, CORS = f"{FILTER}.requestMirror.backendRef", f"{FILTER}.cors"
NOBODY, CHOSEN = Split(0), Split(100, matched=True)


def named(type_: str, value: str) -> dict[str, str]:
    return {"name": "x", "type": type_, "value": f"^(?:{value})$" if type_ == "RegularExpression" else value}


def service(
    field: str, value: object, where: str, expected: object, beside: Mapping[str, object] | None = None
) -> tuple[Any, ...]:
    """A field of `spec.service`, with others of it beside."""
    others = {f"spec.service.{path}": other for path, other in (beside or {}).items()}
    return f"spec.service.{field}", value, where, expected, {**NAMED, **others}, NOBODY


BACKEND = {"mirror[].backendRef.name": "shadow", "mirror[].backendRef.port": 8080}
HEADERS = {"x-set": "3"}
SET = [{"name": "x-set", "value": "3"}]
AB = {**NAMED, "spec.analysis.iterations": 3}
STEPS = {**NAMED, "spec.analysis.stepWeight": 20}
FULL, PREFIX = "ReplaceFullPath", "ReplacePrefixMatch"
PATH = f"{FILTER}.urlRewrite.path"

CASES = [
    service("timeout", "90s", f"{RULE}.timeouts.request", "1m30s"),
    service("backendTimeout", "5s", f"{RULE}.timeouts.backendRequest", "5s"),
    service("hosts", ["a.example.com", "b.example.com"], "hostnames", ["a.example.com", "b.example.com"]),
    service("gatewayRefs[].name", "public", "parentRefs.0.name", "public"),
    service("gatewayRefs[].namespace", "gateways", "parentRefs.0.namespace", "gateways"),
    service("gatewayRefs[].group", "example.com", "parentRefs.0.group", "example.com"),
    service("gatewayRefs[].kind", "Service", "parentRefs.0.kind", "Service"),
    service("gatewayRefs[].sectionName", "https", "parentRefs.0.sectionName", "https"),
    service("gatewayRefs[].port", 443, "parentRefs.0.port", 443),
    service("match[].uri.exact", "/a", f"{MATCH}.path", {"type": "Exact", "value": "/a"}),
    service("match[].uri.prefix", "/a", f"{MATCH}.path", {"type": "PathPrefix", "value": "/a"}),
    service("match[].uri.regex", "/a+", f"{MATCH}.path", {"type": "RegularExpression", "value": "^(?:/a+)$"}),
    service("match[].method.exact", "GET", f"{MATCH}.method", "GET"),
    service("match[].headers.*.exact", "v", f"{MATCH}.headers.0", named("Exact", "v")),
    service("match[].headers.*.regex", "v+", f"{MATCH}.headers.0", named("RegularExpression", "v+")),
    service("match[].queryParams.*.exact", "v", f"{MATCH}.queryParams.0", named("Exact", "v")),
    service("match[].queryParams.*.regex", "v+", f"{MATCH}.queryParams.0", named("RegularExpression", "v+")),
    service("rewrite.uri", "/new", PATH, {"type": FULL, "replaceFullPath": "/new"}),
    service("rewrite.authority", "in.example.com", f"{FILTER}.urlRewrite.hostname", "in.example.com"),
    service(
        "rewrite.type",
        PREFIX,
        PATH,
        {"type": PREFIX, "replacePrefixMatch": "/new"},
        {"rewrite.uri": "/new", "match[].uri.prefix": "/old"},
    ),
    service("headers.request.add", HEADERS, f"{FILTER}.requestHeaderModifier.add", SET),
    service("headers.request.set", HEADERS, f"{FILTER}.requestHeaderModifier.set", SET),
    service("headers.request.remove", ["x"], f"{FILTER}.requestHeaderModifier.remove", ["x"]),
    service("headers.response.add", HEADERS, f"{FILTER}.responseHeaderModifier.add", SET),
    service("headers.response.set", HEADERS, f"{FILTER}.responseHeaderModifier.set", SET),
    service("headers.response.remove", ["x"], f"{FILTER}.responseHeaderModifier.remove", ["x"]),
    service("mirror[].backendRef.name", "shadow", f"{MIRROR}.name", "shadow"),
    service("mirror[].backendRef.port", 8080, f"{MIRROR}.port", 8080, {"mirror[].backendRef.name": "shadow"}),
    service("mirror[].backendRef.namespace", "lab", f"{MIRROR}.namespace", "lab", BACKEND),
    service("mirror[].backendRef.group", "example.com", f"{MIRROR}.group", "example.com", BACKEND),
    service("mirror[].backendRef.kind", "Lake", f"{MIRROR}.kind", "Lake", BACKEND),
    service("corsPolicy.allowOrigin", ["https://a"], f"{CORS}.allowOrigins", ["https://a"]),
    service("corsPolicy.allowOrigins[].exact", "https://a", f"{CORS}.allowOrigins", ["https://a"]),
    service("corsPolicy.allowMethods", ["GET"], f"{CORS}.allowMethods", ["GET"]),
    service("corsPolicy.allowHeaders", ["x-a"], f"{CORS}.allowHeaders", ["x-a"]),
    service("corsPolicy.exposeHeaders", ["x-b"], f"{CORS}.exposeHeaders", ["x-b"]),
    service("corsPolicy.maxAge", "24h", f"{CORS}.maxAge", 86_400),
    service("corsPolicy.allowCredentials", True, f"{CORS}.allowCredentials", True),
    ("spec.analysis.match[].headers.*.exact", "v", f"{MATCH}.headers.0", named("Exact", "v"), AB, CHOSEN),
    ("spec.analysis.match[].headers.*.regex", "v+", f"{MATCH}.headers.0", named("RegularExpression", "v+"), AB, CHOSEN),
    ("spec.analysis.match[].queryParams.*.exact", "v", f"{MATCH}.queryParams.0", named("Exact", "v"), AB, CHOSEN),
    (
        "spec.analysis.match[].queryParams.*.regex",
        "v+",
        f"{MATCH}.queryParams.0",
        named("RegularExpression", "v+"),
        AB,
        CHOSEN,
    ),
    *(
        (f"spec.analysis.alwaysMatch[].{what}.*.{form}", "v", f"{MATCH}.{what}.0", named(kind, "v"), STEPS, Split(20))
        for what in ("headers", "queryParams")
        for form, kind in (("exact", "Exact"), ("regex", "RegularExpression"))
    ),
]


@pytest.mark.parametrize("by", ["gatewayapi"])
@pytest.mark.parametrize(
    ("field", "value", "where", "expected", "beside", "split"), CASES, ids=[case[0] for case in CASES]
)
def test_the_route_honours_it(
    shows: Callable[..., None],
    at: Callable[[Any, str], Any],
    field: str,
    value: object,
    where: str,
    expected: object,
    beside: Mapping[str, object],
    split: Split,
    by: str,
) -> None:
    def read(canary: Canary) -> object:
        assert ROUTER.problems(canary) == ()
        (route,) = made(ROUTER, canary, split, {})
        return at(route["spec"], where)

    shows(field, value, read, expected, beside)
