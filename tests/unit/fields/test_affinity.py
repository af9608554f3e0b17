"""Session affinity on the Gateway API: what each field makes of the cookies that answers set."""

from collections.abc import Callable

import pytest

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.rollout.session_affinity import with_cookies
from canary.routers.gatewayapi import GATEWAY_API as ROUTER
from tests.tools.routes import made

FIELD = "spec.analysis.sessionAffinity"
BESIDE = {
    "spec.service.gatewayRefs[].name": "gateway",
    "spec.analysis.stepWeight": 20,
    f"{FIELD}.cookieName": "to-canary",
}
DAY = "Max-Age=86400"


def cookies(canary: Canary) -> dict[str, list[str]]:
    """The cookies that a route at 20 percent sets, by the Service whose answers set them: name and attributes."""
    status = with_cookies(canary, canary.status.replace(canary_weight=20, last_applied_spec="v2"))
    (route,) = made(ROUTER, canary.replace(status=status), Split(20), {})
    found = {}
    for backend in route["spec"]["rules"][-1]["backendRefs"]:
        for each in backend.get("filters", []):
            (header,) = each["responseHeaderModifier"]["add"]
            name, *attributes = header["value"].split("; ")
            found[backend["name"]] = [name.partition("=")[0], *attributes]
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


@pytest.mark.parametrize("by", ["gatewayapi"])
@pytest.mark.parametrize(("field", "value", "expected"), [(f"{FIELD}.{name}", *rest) for name, *rest in CASES])
def test_the_cookie_is_as_the_field_says(
    shows: Callable[..., None], field: str, value: object, expected: dict[str, list[str]], by: str
) -> None:
    shows(field, value, cookies, expected, BESIDE)
