"""Session affinity: what each field makes of the cookies that answers set."""

from collections.abc import Callable, Iterator

import pytest

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.rollout.session_affinity import with_cookies
from canary.routers.gatewayapi import GATEWAY_API
from canary.routers.istio import ISTIO
from tests.tools.routes import made

FIELD = "spec.analysis.sessionAffinity"
BESIDE = {
    "spec.service.gatewayRefs[].name": "gateway",
    "spec.analysis.stepWeight": 20,
    f"{FIELD}.cookieName": "to-canary",
}
DAY = "Max-Age=86400"


def at_gateways(canary: Canary) -> Iterator[tuple[str, str]]:
    """The cookies that an HTTPRoute sets, each with the Service whose answers set it."""
    (route,) = made(GATEWAY_API, canary, Split(20), {})
    for backend in route["spec"]["rules"][-1]["backendRefs"]:
        for each in backend.get("filters", []):
            (header,) = each["responseHeaderModifier"]["add"]
            yield backend["name"], header["value"]


def at_istio(canary: Canary) -> Iterator[tuple[str, str]]:
    """The cookies that a VirtualService sets, each with the Service whose answers set it."""
    *_, route = made(ISTIO, canary, Split(20), {})
    for each in route["spec"]["http"][-1]["route"]:
        if "headers" in each:
            yield each["destination"]["host"], each["headers"]["response"]["add"]["Set-Cookie"]


SET_BY = {"gatewayapi": at_gateways, "istio": at_istio}


def cookies(canary: Canary, by: str) -> dict[str, list[str]]:
    """The cookies that a route at 20 percent sets, by the Service whose answers set them: name and attributes."""
    status = with_cookies(canary, canary.status.replace(canary_weight=20, last_applied_spec="v2"))
    found = {}
    for service, text in SET_BY[by](canary.replace(status=status)):
        name, *attributes = text.split("; ")
        found[service] = [name.partition("=")[0], *attributes]
    return found


CASES = [
    ("cookieName", "track", {"app-canary": ["track", DAY]}),
    ("primaryCookieName", "stay", {"app-primary": ["stay", "Max-Age=60"], "app-canary": ["to-canary", DAY]}),
    ("maxAge", 60, {"app-canary": ["to-canary", "Max-Age=60"]}),
    ("domain", "example.com", {"app-canary": ["to-canary", DAY, "Domain=example.com"]}),
    ("path", "/shop", {"app-canary": ["to-canary", DAY, "Path=/shop"]}),
    ("sameSite", "Strict", {"app-canary": ["to-canary", DAY, "SameSite=Strict"]}),
    ("httpOnly", True, {"app-canary": ["to-canary", DAY, "HttpOnly"]}),
    ("partitioned", True, {"app-canary": ["to-canary", DAY, "Partitioned"]}),
    ("secure", True, {"app-canary": ["to-canary", DAY, "Secure"]}),
]


@pytest.mark.parametrize("by", sorted(SET_BY))
@pytest.mark.parametrize(("field", "value", "expected"), [(f"{FIELD}.{name}", *rest) for name, *rest in CASES])
def test_the_cookie_is_as_the_field_says(
    shows: Callable[..., None], field: str, value: object, expected: dict[str, list[str]], by: str
) -> None:
    shows(field, value, lambda canary: cookies(canary, by), expected, BESIDE)
