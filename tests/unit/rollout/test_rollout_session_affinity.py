"""The status tells which cookies the users of a rollout carry."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.simulation import Deploy, Timeline, Version

Make = Callable[..., Canary]
Play = Callable[..., Timeline]

AFFINITY: dict[str, Any] = {"cookieName": "track", "primaryCookieName": "stay"}
DURING = timedelta(minutes=3)
V2 = (60, Deploy("v2"))


def test_while_the_canary_has_traffic_both_versions_have_a_cookie(canary: Make, play: Play) -> None:
    status = play(canary(sessionAffinity=AFFINITY), V2, limit=DURING).status

    assert status.canary_weight > 0
    assert status.session_affinity_cookie.startswith("track=")
    assert status.primary_session_affinity_cookie.startswith("stay=")
    assert status.previous_session_affinity_cookie == ""


def test_once_it_has_none_its_cookie_is_the_previous_one(canary: Make, play: Play) -> None:
    during = play(canary(sessionAffinity=AFFINITY), V2, limit=DURING).status
    after = play(canary(sessionAffinity=AFFINITY), V2).status

    assert after.phase is Phase.SUCCEEDED
    assert after.session_affinity_cookie == after.primary_session_affinity_cookie == ""
    assert after.previous_session_affinity_cookie == during.session_affinity_cookie


def test_each_rollout_has_a_cookie_of_its_own(canary: Make, play: Play) -> None:
    first = play(canary(sessionAffinity=AFFINITY), V2, limit=DURING).status
    other = play(canary(sessionAffinity=AFFINITY), (60, Deploy("v3")), limit=DURING, versions={"v3": Version()}).status

    assert first.session_affinity_cookie != other.session_affinity_cookie


def test_without_session_affinity_there_are_no_cookies(canary: Make, play: Play) -> None:
    assert play(canary(), V2, limit=DURING).status.session_affinity_cookie == ""
