"""Fields that the routes of Kuma and Gloo and SMI's TrafficSplit honour: each arrives where the data plane reads it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.kube.types import UPSTREAM, ObjectRef
from canary.routers.registry import ROUTERS
from tests.tools.routes import made

NOBODY, CHOSEN = Split(0), Split(100, matched=True)
AB: dict[str, object] = {"spec.analysis.iterations": 3}
RULE = "to.0.rules.0"
MATCH, FILTER = f"{RULE}.matches.0", f"{RULE}.default.filters.0"
ROUTE = "routes.0"
MATCHER, OPTIONS = f"{ROUTE}.matchers.0", f"{ROUTE}.options"
NAMES: dict[str, object] = {"x-set": "3"}

Case = tuple[str, str, object, str, object, Mapping[str, object], Split]


def service(
    by: str, field: str, value: object, where: str, expected: object, beside: Mapping[str, object] | None = None
) -> Case:
    """A field of `spec.service`, with others of it beside."""
    others = {f"spec.service.{path}": other for path, other in (beside or {}).items()}
    return by, f"spec.service.{field}", value, where, expected, others, NOBODY


def chosen(by: str, field: str, where: str, expected: object) -> Case:
    """A form of a condition in an A/B test."""
    return by, f"spec.analysis.match[].{field}", "v", where, expected, AB, CHOSEN


def modifier(side: str, what: str, value: object, expected: object) -> Case:
    return service("kuma", f"headers.{side}.{what}", value, f"{FILTER}.{side}HeaderModifier.{what}", expected)


def typed(type_: str) -> dict[str, str]:
    return {"name": "x", "type": type_, "value": "^(?:v)$" if type_ == "RegularExpression" else "v"}


def whole(value: str, *, regex: bool, name: str = "x") -> dict[str, object]:
    return {"name": name, "value": value, **({"regex": True} if regex else {})}


SET = [{"name": "x-set", "value": "3"}]
MIRROR = f"{FILTER}.requestMirror.backendRef"
SHADOW = {"mirror[].backendRef.name": "shadow", "mirror[].backendRef.port": 8080}
REWRITE = f"{FILTER}.urlRewrite"
PREFIX = "ReplacePrefixMatch"
KUMA = [
    service("kuma", "match[].uri.exact", "/a", f"{MATCH}.path", {"type": "Exact", "value": "/a"}),
    service("kuma", "match[].uri.prefix", "/a", f"{MATCH}.path", {"type": "PathPrefix", "value": "/a"}),
    service("kuma", "match[].uri.regex", "/a+", f"{MATCH}.path", {"type": "RegularExpression", "value": "^(?:/a+)$"}),
    service("kuma", "match[].method.exact", "GET", f"{MATCH}.method", "GET"),
    *(
        service("kuma", f"match[].{what}.*.{form}", "v", f"{MATCH}.{what}.0", typed(kind))
        for what in ("headers", "queryParams")
        for form, kind in (("exact", "Exact"), ("regex", "RegularExpression"))
    ),
    *(
        chosen("kuma", f"{what}.*.{form}", f"{MATCH}.{what}.0", typed(kind))
        for what in ("headers", "queryParams")
        for form, kind in (("exact", "Exact"), ("regex", "RegularExpression"))
    ),
    service("kuma", "rewrite.uri", "/new", f"{REWRITE}.path.replaceFullPath", "/new"),
    service("kuma", "rewrite.authority", "in.example.com", f"{REWRITE}.hostname", "in.example.com"),
    service(
        "kuma",
        "rewrite.type",
        PREFIX,
        f"{REWRITE}.path.replacePrefixMatch",
        "/new",
        {"rewrite.uri": "/new", "match[].uri.prefix": "/old"},
    ),
    *(modifier(side, what, NAMES, SET) for side in ("request", "response") for what in ("add", "set")),
    *(modifier(side, "remove", ["X"], ["x"]) for side in ("request", "response")),
    service("kuma", "mirror[].backendRef.name", "shadow", f"{MIRROR}.labels", SHADOW_LABELS := {
        "kuma.io/display-name": "shadow", "k8s.kuma.io/namespace": "shop"}, {"mirror[].backendRef.port": 8080}),
    service("kuma", "mirror[].backendRef.port", 8080, f"{MIRROR}.port", 8080, {"mirror[].backendRef.name": "shadow"}),
    service("kuma", "mirror[].backendRef.namespace", "lab", f"{MIRROR}.labels",
            {**SHADOW_LABELS, "k8s.kuma.io/namespace": "lab"}, SHADOW),
]  # fmt: skip

FORMS = {"exact": ("v", False), "regex": ("v", True), "prefix": ("v.*", True), "suffix": (".*v", True)}
FIELDS = {"headers": "headers", "queryParams": "queryParameters"}
RETRY = {"retries.retryOn": "reset"}
HEADERS, CORS = f"{OPTIONS}.headerManipulation", f"{OPTIONS}.cors"
GLOO = [
    service("gloo", "timeout", "1m30s", f"{OPTIONS}.timeout", "90s"),
    *(service("gloo", f"match[].uri.{form}", "/a", f"{MATCHER}.{form}", "/a") for form in ("exact", "prefix", "regex")),
    service("gloo", "match[].method.exact", "GET", f"{MATCHER}.methods", ["GET"]),
    *(
        service("gloo", f"match[].authority.{form}", "v", f"{MATCHER}.headers.0", whole(v, regex=r, name=":authority"))
        for form, (v, r) in FORMS.items()
    ),
    *(
        service("gloo", f"match[].{what}.*.{form}", "v", f"{MATCHER}.{there}.0", whole(v, regex=r))
        for what, there in FIELDS.items()
        for form, (v, r) in FORMS.items()
    ),
    *(
        chosen("gloo", f"{what}.*.{form}", f"{MATCHER}.{there}.0", whole(v, regex=r))
        for what, there in FIELDS.items()
        for form, (v, r) in FORMS.items()
    ),
    service("gloo", "rewrite.uri", "/new", f"{OPTIONS}.prefixRewrite", "/new"),
    service("gloo", "rewrite.authority", "in.example.com", f"{OPTIONS}.hostRewrite", "in.example.com"),
    service("gloo", "retries.attempts", 3, f"{OPTIONS}.retries.numRetries", 3, RETRY),
    service("gloo", "retries.perTryTimeout", "250ms", f"{OPTIONS}.retries.perTryTimeout", "0.25s", RETRY),
    service("gloo", "retries.retryOn", "5xx,reset", f"{OPTIONS}.retries.retryOn", "5xx,reset"),
    *(
        service("gloo", f"headers.{side}.{what}", NAMES, f"{HEADERS}.{side}HeadersToAdd.0",
                {"header": {"key": "x-set", "value": "3"}, "append": append})
        for side in ("request", "response")
        for what, append in (("add", True), ("set", False))
    ),
    *(
        service("gloo", f"headers.{side}.remove", ["x"], f"{HEADERS}.{side}HeadersToRemove", ["x"])
        for side in ("request", "response")
    ),
    service("gloo", "corsPolicy.allowOrigin", ["https://a"], f"{CORS}.allowOrigin", ["https://a"]),
    service("gloo", "corsPolicy.allowOrigins[].exact", "v", f"{CORS}.allowOrigin", ["v"]),
    *(
        service("gloo", f"corsPolicy.allowOrigins[].{form}", "v", f"{CORS}.allowOriginRegex", [FORMS[form][0]])
        for form in ("prefix", "suffix", "regex")
    ),
    service("gloo", "corsPolicy.allowMethods", ["GET"], f"{CORS}.allowMethods", ["GET"]),
    service("gloo", "corsPolicy.allowHeaders", ["x-a"], f"{CORS}.allowHeaders", ["x-a"]),
    service("gloo", "corsPolicy.exposeHeaders", ["x-b"], f"{CORS}.exposeHeaders", ["x-b"]),
    service("gloo", "corsPolicy.maxAge", "24h", f"{CORS}.maxAge", "86400"),
    service("gloo", "corsPolicy.allowCredentials", True, f"{CORS}.allowCredentials", True),
]  # fmt: skip

SMI = [service(by, "hosts", ["shop.example.com"], "service", "shop.example.com") for by in ("linkerd", "smi")]
CASES: list[Case] = [*KUMA, *GLOO, *SMI]


def router_of(by: str) -> str:
    return next(name for name in ROUTERS if name.partition(":")[0] == by)


@pytest.mark.parametrize(
    ("by", "field", "value", "where", "expected", "beside", "split"), CASES, ids=[f"{by}-{f}" for by, f, *_ in CASES]
)
def test_the_route_honours_it(
    shows: Callable[..., None],
    at: Callable[[Any, str], Any],
    by: str,
    field: str,
    value: object,
    where: str,
    expected: object,
    beside: Mapping[str, object],
    split: Split,
) -> None:
    router = ROUTERS[router_of(by)]

    def read(canary: Canary) -> object:
        assert router.problems(canary) == ()
        (route,) = (each for each in made(router, canary, split) if each["kind"] != "Upstream")
        return at(route["spec"], where)

    shows(field, value, read, expected, beside)


@pytest.mark.parametrize(
    ("by", "field", "value"),
    [
        ("gloo", "spec.service.rewrite.type", PREFIX),
        ("kuma", "spec.service.mirror[].backendRef.group", ""),
        ("kuma", "spec.service.mirror[].backendRef.kind", "Service"),
    ],
)
def test_it_says_what_is_so_anyhow(make: Callable[..., Canary], by: str, field: str, value: str) -> None:
    """And any other value is refused."""
    mirror = {f"spec.service.{path}": other for path, other in SHADOW.items()}
    router, beside = ROUTERS[by], mirror if by == "kuma" else {"spec.service.rewrite.uri": "/"}
    assert router.problems(make({**beside, field: value})) == ()
    assert field in {each.field.replace("[0]", "[]") for each in router.problems(make({**beside, field: "other"}))}
    assert made(router, make({**beside, field: value}), NOBODY) == made(router, make(beside), NOBODY)


UPSTREAM_REF = {"apiVersion": "gloo.solo.io/v1", "kind": "Upstream", "name": "config", "namespace": "gloo-system"}


@pytest.mark.parametrize(
    ("by", "field"), [("gloo", f"spec.upstreamRef.{name}") for name in ("apiVersion", "kind", "name", "namespace")]
)
def test_upstreams_are_copied_from_the_one_that_is_named(make: Callable[..., Canary], by: str, field: str) -> None:
    """In the only version of the only kind that Gloo has."""
    place = ObjectRef(UPSTREAM, "gloo-system", "config")
    model = {place: {"spec": {"useHttp2": True, "static": {}}}}
    for ref, copied in ((UPSTREAM_REF, True), ({**UPSTREAM_REF, field.rpartition(".")[2]: "other"}, False)):
        canary = make({"spec.upstreamRef": ref})
        found = [each["spec"] for each in made(ROUTERS[by], canary, NOBODY, model) if each["kind"] == "Upstream"]
        assert not any("static" in each for each in found)
        assert not copied or [each["useHttp2"] for each in found] == [True, True]
        told = (*ROUTERS[by].problems(canary), *ROUTERS[by].unfit(canary, model))
        assert bool(told) is not copied
