"""The cookies of session affinity: which users of a rollout carry, told by the status."""

import hashlib

from canary.api.canary import Canary
from canary.api.status import CanaryStatus
from canary.rollout.adoption import is_foreign

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LENGTH = 10


def with_cookies(canary: Canary, status: CanaryStatus) -> CanaryStatus:
    """The status with the cookies that belong to its weight.

    They follow from the revision, so that a pass that is done again gives the same ones; those of a rollout that was
    begun elsewhere are kept, because users carry them. Once the canary has no weight, its cookie is the previous one,
    to be taken from those who still bring it.
    """
    affinity = canary.analysis.session_affinity
    if affinity is None:
        return status
    if not status.canary_weight:
        return status.replace(
            session_affinity_cookie="",
            primary_session_affinity_cookie="",
            previous_session_affinity_cookie=status.session_affinity_cookie or status.previous_session_affinity_cookie,
        )
    old, primary = _carried(canary, status), affinity.primary_cookie_name
    return status.replace(
        session_affinity_cookie=_cookie(affinity.cookie_name, old.session_affinity_cookie)
        or f"{affinity.cookie_name}={_value(canary, status, 'canary')}",
        primary_session_affinity_cookie=_cookie(primary, old.primary_session_affinity_cookie)
        or (f"{primary}={_value(canary, status, 'primary')}" if primary else ""),
    )


def _carried(canary: Canary, status: CanaryStatus) -> CanaryStatus:
    """The status whose cookies users carry: the one before, where it is about the same version."""
    before = canary.status
    same = bool(before.canary_weight) and before.last_applied_spec == status.last_applied_spec
    return before if same or is_foreign(before) else CanaryStatus()


def _cookie(name: str, cookie: str) -> str:
    """A cookie that has this name still; empty where it has another, or there is none."""
    return cookie if name and cookie.startswith(f"{name}=") else ""


def _value(canary: Canary, status: CanaryStatus, version: str) -> str:
    digest = hashlib.sha256(f"{canary.metadata.uid}/{status.last_applied_spec}/{version}".encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:_LENGTH])
