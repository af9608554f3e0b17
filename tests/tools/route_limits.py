"""What the API server takes of an HTTPRoute and what it refuses: specs, each with the field that is to blame.

The unit tests hold what is said of a spec beforehand against this list, and the tests on a real API server what that
says to the route which is made of it.
"""

from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One spec.

    Args:
        what: what is special about it.
        blamed: the field of the spec that the API server doesn't take; empty where it takes all.
        service: fields of `spec.service`.
        analysis: fields of `spec.analysis`.
    """

    what: str
    blamed: str = ""
    service: Json = field(default_factory=dict)
    analysis: Json = field(default_factory=dict)

    def canary(self, namespace: str, number: int = 0) -> Json:
        """A Canary with it."""
        name = f"app-{number}"
        return {
            "metadata": {"name": name, "namespace": namespace, "uid": "0-1"},
            "spec": {
                "provider": "gatewayapi:v1",
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "service": {"port": 80, "gatewayRefs": [{"name": "gateway"}], **self.service},
                "analysis": {"interval": "1m", "threshold": 1, **(self.analysis or {"stepWeight": 50})},
            },
        }


def hosts(count: int) -> Json:
    return {"hosts": [f"h{number}.test" for number in range(count)]}


def paths(count: int) -> Json:
    return {"match": [{"uri": {"prefix": f"/p{number}"}} for number in range(count)]}


def conditions(count: int, prefix: str = "x") -> Json:
    return {f"{prefix}-{number}": {"exact": "1"} for number in range(count)}


def chosen(count: int) -> Json:
    return {"iterations": 2, "match": [{"headers": conditions(1, f"y{number}")} for number in range(count)]}


def matching(**match: Any) -> Json:
    return {"match": [match]}


def changes(side: str, **operations: Any) -> Json:
    return {"headers": {side: operations}}


def cors(**policy: Any) -> Json:
    return {"corsPolicy": policy}


def mirrors(count: int) -> Json:
    return {"mirror": [{"backendRef": {"name": f"m{number}", "port": 80}} for number in range(count)]}


STICKY: Final[Json] = {"stepWeight": 50, "sessionAffinity": {"cookieName": "c"}}
STICKY_TWICE: Final[Json] = {"stepWeight": 50, "sessionAffinity": {"cookieName": "c", "primaryCookieName": "p"}}
LONG_HOST: Final = ".".join(("a" * 63, "b" * 63, "c" * 63, "d" * 62))
MANY: Final = {f"x-{number}": "1" for number in range(17)}

_HOSTS = (
    Case("16 host names", "", hosts(16)),
    Case("17 host names", "service.hosts", hosts(17)),
    Case("a wildcard", "", {"hosts": ["*.shop.test"]}),
    *(
        Case(f"the host {host[:20]}", "service.hosts[0]", {"hosts": [host]})
        for host in ("*", "shop.test:8080", "Shop.test", "my_shop.test", "shop.test/x", "*.*.test", LONG_HOST)
    ),
    Case("a gateway twice", "service.gatewayRefs[1]", {"gatewayRefs": [{"name": "g"}] * 2}),
    Case("a listener twice", "service.gatewayRefs[1]", {"gatewayRefs": [{"name": "g", "sectionName": "a"}] * 2}),
    Case("two listeners", "", {"gatewayRefs": [{"name": "g", "sectionName": each} for each in ("a", "b")]}),
)

_MATCHES = (
    Case("64 matches", "", paths(64)),
    Case("65 matches", "service.match", paths(65)),
    Case("8 matches times 8", "", paths(8), chosen(8)),
    Case("9 matches times 8", "analysis.match", paths(9), chosen(8)),
    Case("64 matches, and 64 of the analysis", "", paths(64), chosen(1)),
    Case("64 matches of two rules", "", paths(64), STICKY),
    Case("42 matches of three rules", "", paths(42), STICKY_TWICE),
    Case("43 matches of three rules", "service.match", paths(43), STICKY_TWICE),
    Case("16 headers", "", matching(headers=conditions(16))),
    Case("17 headers", "service.match[0].headers", matching(headers=conditions(17))),
    Case("17 parameters", "service.match[0].queryParams", matching(queryParams=conditions(17))),
    Case(
        "17 headers together",
        "analysis.match[0]",
        matching(headers=conditions(9)),
        {"iterations": 2, **matching(headers=conditions(8, "y"))},
    ),
    Case("a method", "", matching(method={"exact": "PATCH"})),
    Case("a method in lower case", "service.match[0].method.exact", matching(method={"exact": "get"})),
    Case("what is no method", "service.match[0].method.exact", matching(method={"exact": "FETCH"})),
    Case(
        "a pseudo header",
        "service.match[0].headers.:authority",
        matching(headers={":authority": {"exact": "a"}}),
    ),
    Case(
        "a header with a space",
        "analysis.match[0].headers.x y",
        {},
        {"iterations": 2, **matching(headers={"x y": {"exact": "a"}})},
    ),
    Case(
        "a parameter with brackets",
        "service.match[0].queryParams.a[]",
        matching(queryParams={"a[]": {"exact": "a"}}),
    ),
    Case("a long value", "", matching(headers={"a": {"exact": "v" * 4096}})),
    Case("a longer value", "service.match[0].headers.a.exact", matching(headers={"a": {"exact": "v" * 4097}})),
    Case("a parameter", "", matching(queryParams={"a": {"regex": "v" * 1018}})),
    Case(
        "a long parameter", "service.match[0].queryParams.a.regex", matching(queryParams={"a": {"regex": "v" * 1019}})
    ),
    Case("paths", "", {"match": [{"uri": {"exact": "/a.b/~c/%20d"}}, {"uri": {"regex": "a#b"}}]}),
    *(
        Case(f"the path {path[:20]}", "service.match[0].uri.exact", matching(uri={"exact": path}))
        for path in ("api", "/a//b", "/a/./b", "/a/..", "/a#b", "/a%2Fb", "/a b", "/" + "a" * 1024)
    ),
)

_FILTERS = (
    Case("16 headers to add", "", changes("request", add=dict(list(MANY.items())[:16]))),
    Case("17 headers to add", "service.headers.request.add", changes("request", add=MANY)),
    Case("17 headers to remove", "service.headers.response.remove", changes("response", remove=list(MANY))),
    Case("an empty header", "service.headers.request.set.x", changes("request", set={"x": ""})),
    Case("a header with a colon", "service.headers.request.set", changes("request", set={"x:": "1"})),
    Case("a header with a colon to remove", "", changes("request", remove=["x:"])),
    Case("response headers beside cookies", "", changes("response", set={"x": "1"}), STICKY),
    Case("a rewrite to a port", "service.rewrite.authority", {"rewrite": {"authority": "shop.test:80"}}),
    Case("a long rewrite", "service.rewrite.uri", {"rewrite": {"uri": "/" + "a" * 1024}}),
    Case("14 mirrors beside a rewrite", "", {"rewrite": {"uri": "/"}, **mirrors(14)}),
    Case("16 mirrors and the analysis' own", "service.mirror", mirrors(16), {"iterations": 2, "mirror": True}),
)

_CORS = (
    Case("origins", "", cors(allowOrigin=["https://a.test", "http://*.b.test:8080"], allowMethods=["GET"])),
    Case("an origin without a scheme", "service.corsPolicy.allowOrigin[0]", cors(allowOrigin=["a.test"])),
    Case(
        "an origin with a path",
        "service.corsPolicy.allowOrigins[0].exact",
        cors(allowOrigins=[{"exact": "https://a.test/"}]),
    ),
    Case("any origin beside another", "service.corsPolicy.allowOrigins", cors(allowOrigin=["*", "https://a.test"])),
    Case("any header", "", cors(allowHeaders=["*"])),
    Case("CORS for get", "service.corsPolicy.allowMethods[0]", cors(allowMethods=["get"])),
    Case("any method beside another", "service.corsPolicy.allowMethods", cors(allowMethods=["*", "GET"])),
    Case("what is no header", "service.corsPolicy.exposeHeaders", cors(exposeHeaders=["a b"])),
)

CASES: Final = (*_HOSTS, *_MATCHES, *_FILTERS, *_CORS)
