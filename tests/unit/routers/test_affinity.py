"""Users stay on the version that the weights have sent them to, by cookies."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import HTTP_ROUTE, Json, ObjectRef
from canary.routers.gatewayapi import GATEWAY_API as ROUTER
from tests.tools.route_limits import STICKY, Case
from tests.tools.routes import made

ROUTE = ObjectRef(HTTP_ROUTE, "shop", "my-app")


def canary(affinity: dict[str, Any], **status: str) -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"},
            "spec": {
                "targetRef": {"name": "my-app"},
                "service": {"port": 80, "gatewayRefs": [{"name": "gateway"}]},
                "analysis": {"interval": "2m", "stepWeight": 10, "sessionAffinity": affinity},
            },
            "status": {"phase": "Progressing", **status},
        }
    )


ROLLING = canary(
    {"cookieName": "track", "primaryCookieName": "stay", "path": "/", "secure": True, "sameSite": "Lax", "maxAge": 60},
    sessionAffinityCookie="track=abc",
    primarySessionAffinityCookie="stay=def",
)
RESTING = canary({"cookieName": "track"}, previousSessionAffinityCookie="track=abc")


def rules(of: Canary, split: Split) -> list[Json]:
    (route,) = made(ROUTER, of, split, {})
    found: list[Json] = route["spec"]["rules"]
    return found


def weights(rule: Json) -> dict[str, int]:
    return {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}


def cookies_set(rule: Json) -> list[str]:
    holders = [rule, *rule["backendRefs"]]
    filters = [each for holder in holders for each in holder.get("filters", [])]
    return [header["value"] for each in filters for header in each["responseHeaderModifier"]["add"]]


def test_whoever_brings_a_versions_cookie_goes_to_that_version() -> None:
    to_canary, to_primary, _ = rules(ROLLING, Split(30))

    assert to_canary["matches"][0]["headers"][0]["value"] == ".*track.*abc.*"
    assert weights(to_canary) == {"my-app-primary": 0, "my-app-canary": 100}
    assert to_primary["matches"][0]["headers"][0]["value"] == ".*stay.*def.*"
    assert weights(to_primary) == {"my-app-primary": 100, "my-app-canary": 0}


def test_new_users_are_divided_by_weight_and_get_the_cookie_of_their_version() -> None:
    divided = rules(ROLLING, Split(30))[-1]

    assert weights(divided) == {"my-app-primary": 70, "my-app-canary": 30}
    assert cookies_set(divided) == [
        "stay=def; Max-Age=120; Path=/; SameSite=Lax; Secure",
        "track=abc; Max-Age=60; Path=/; SameSite=Lax; Secure",
    ]


def test_without_a_primary_cookie_only_the_canarys_users_stay() -> None:
    one = canary({"cookieName": "track"}, sessionAffinityCookie="track=abc")

    assert len(rules(one, Split(30))) == 2
    assert cookies_set(rules(one, Split(30))[-1]) == ["track=abc; Max-Age=86400"]


def test_when_the_canary_gets_nothing_its_cookie_is_taken_from_those_who_still_bring_it() -> None:
    farewell, everybody = rules(RESTING, ALL_PRIMARY)

    assert weights(farewell) == {"my-app-primary": 100, "my-app-canary": 0}
    assert cookies_set(farewell) == ["track=abc; Max-Age=-1"]
    assert weights(everybody) == {"my-app-primary": 100, "my-app-canary": 0}


def test_before_the_first_rollout_there_is_no_cookie_to_mind() -> None:
    assert len(rules(canary({"cookieName": "track"}), ALL_PRIMARY)) == 1


def test_without_a_cookie_in_the_status_nobody_is_kept_anywhere() -> None:
    """An empty cookie would match every request that brings any."""
    assert len(rules(canary({"cookieName": "track"}), Split(30))) == 1


@given(st.builds(Split, canary=st.integers(0, 100)), st.sampled_from([ROLLING, RESTING]))
def test_every_split_can_be_read_back(split: Split, of: Canary) -> None:
    (route,) = made(ROUTER, of, split, {})

    assert ROUTER.split(of, {ROUTE: route}) == split


def test_a_cookie_is_taken_back_beside_other_changes_of_an_answer() -> None:
    """The Gateway API takes one such filter a rule."""
    raw = Case("", "", {"headers": {"response": {"set": {"x": "1"}, "add": {"y": "2"}}}}, STICKY).canary("shop")
    resting = parse_canary(raw)
    resting = resting.replace(status=resting.status.replace(previous_session_affinity_cookie="c=1"))
    (route,) = made(ROUTER, resting, ALL_PRIMARY, {})
    (changes,) = (each for each in route["spec"]["rules"][0]["filters"] if each["type"] == "ResponseHeaderModifier")
    assert changes["responseHeaderModifier"] == {
        "add": [{"name": "y", "value": "2"}, {"name": "Set-Cookie", "value": "c=1; Max-Age=-1"}],
        "set": [{"name": "x", "value": "1"}],
    }
