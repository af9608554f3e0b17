"""Fields that the HTTPProxy of Contour honours: each arrives where the data plane reads it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.routers.contour import CONTOUR as ROUTER
from tests.tools.routes import made

ROUTE, CONDITION = "routes.0", "routes.0.conditions.0"
NOBODY, CHOSEN = Split(0), Split(100, matched=True)
AB: dict[str, object] = {"spec.analysis.iterations": 3}


def service(
    field: str, value: object, where: str, expected: object, beside: Mapping[str, object] | None = None
) -> tuple[Any, ...]:
    """A field of `spec.service`, with others of it beside."""
    others = {f"spec.service.{path}": other for path, other in (beside or {}).items()}
    return f"spec.service.{field}", value, where, expected, others, NOBODY


def conditions(field: str, kind: str) -> list[tuple[str, str, object]]:
    """The four forms of a condition, and what a condition on a header or parameter makes of each."""
    spoken = {"exact": ("exact", "v"), "regex": ("regex", "v"), "prefix": ("prefix", "v"), "suffix": ("suffix", "v")}
    if kind == "header":
        spoken |= {"prefix": ("regex", "v.*"), "suffix": ("regex", ".*v")}
    return [(f"{field}.{form}", name, value) for form, (name, value) in spoken.items()]


SET = [{"name": "x-set", "value": "3"}]
HEADERS = {"x-set": "3"}
SHADOW = {"mirror[].backendRef.name": "shadow", "mirror[].backendRef.port": 8080}

CASES = [
    service("timeout", "90s", f"{ROUTE}.timeoutPolicy.response", "90s"),
    service("match[].uri.exact", "/a", CONDITION, {"exact": "/a"}),
    service("match[].uri.prefix", "/a", CONDITION, {"prefix": "/a"}),
    service("match[].uri.regex", "/a+", CONDITION, {"regex": "/a+"}),
    *(
        service(path, "v", f"{CONDITION}.header", {"name": f":{name}", form: value})
        for name in ("method", "authority")
        for path, form, value in conditions(f"match[].{name}", "header")
    ),
    *(
        service(path, "v", f"{CONDITION}.header", {"name": "x", form: value})
        for path, form, value in conditions("match[].headers.*", "header")
    ),
    *(
        service(path, "v", f"{CONDITION}.queryParameter", {"name": "x", form: value})
        for path, form, value in conditions("match[].queryParams.*", "parameter")
    ),
    service("rewrite.uri", "/new", f"{ROUTE}.pathRewritePolicy.replacePrefix", [{"replacement": "/new"}]),
    service("rewrite.authority", "in", f"{ROUTE}.requestHeadersPolicy.set", [{"name": "Host", "value": "in"}]),
    service("retries.attempts", 3, f"{ROUTE}.retryPolicy.count", 3),
    service("retries.perTryTimeout", "2s", f"{ROUTE}.retryPolicy.perTryTimeout", "2s"),
    service("retries.retryOn", "5xx,reset", f"{ROUTE}.retryPolicy.retryOn", ["5xx", "reset"]),
    service("headers.request.set", HEADERS, f"{ROUTE}.requestHeadersPolicy.set", SET),
    service("headers.request.remove", ["x"], f"{ROUTE}.requestHeadersPolicy.remove", ["x"]),
    service("headers.response.set", HEADERS, f"{ROUTE}.responseHeadersPolicy.set", SET),
    service("headers.response.remove", ["x"], f"{ROUTE}.responseHeadersPolicy.remove", ["x"]),
    service("mirror[].backendRef.name", "shadow", f"{ROUTE}.services.2.name", "shadow"),
    service("mirror[].backendRef.port", 8080, f"{ROUTE}.services.2.port", 8080, {"mirror[].backendRef.name": "shadow"}),
    *(
        (path, "v", f"{CONDITION}.header", {"name": "x", form: value}, AB, CHOSEN)
        for path, form, value in conditions("spec.analysis.match[].headers.*", "header")
    ),
    *(
        (path, "v", f"{CONDITION}.queryParameter", {"name": "x", form: value}, AB, CHOSEN)
        for path, form, value in conditions("spec.analysis.match[].queryParams.*", "parameter")
    ),
]


@pytest.mark.parametrize("by", ["contour"])
@pytest.mark.parametrize(
    ("field", "value", "where", "expected", "beside", "split"), CASES, ids=[case[0] for case in CASES]
)
def test_the_proxy_honours_it(
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
        (proxy,) = made(ROUTER, canary, split, {})
        return at(proxy["spec"], where)

    shows(field, value, read, expected, beside)


@pytest.mark.parametrize(
    ("by", "field", "value"),
    [
        ("contour", "spec.service.rewrite.type", "ReplacePrefixMatch"),
        ("contour", "spec.service.mirror[].backendRef.group", ""),
        ("contour", "spec.service.mirror[].backendRef.kind", "Service"),
        ("contour", "spec.service.mirror[].backendRef.namespace", "shop"),
    ],
)
def test_it_says_what_is_so_anyhow(make: Callable[..., Canary], by: str, field: str, value: str) -> None:
    """And any other value is refused."""
    beside = {f"spec.service.{path}": other for path, other in {**SHADOW, "rewrite.uri": "/"}.items()}
    assert ROUTER.problems(make({**beside, field: value})) == ()
    assert field in {each.field.replace("[0]", "[]") for each in ROUTER.problems(make({**beside, field: "other"}))}
    assert made(ROUTER, make({**beside, field: value}), NOBODY) == made(ROUTER, make(beside), NOBODY)
