"""The cookies of session affinity: which users of a rollout carry, told by the status."""

import hashlib

from canary.api.canary import Canary
from canary.api.status import CanaryStatus

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LENGTH = 10


def with_cookies(canary: Canary, status: CanaryStatus) -> CanaryStatus:
    """The status with the cookies that belong to its weight.

    They follow from the revision, so that a pass that is done again gives the same ones. Once the canary has no weight,
    its cookie is the previous one, to be taken from those who still bring it.
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
    primary = affinity.primary_cookie_name
    return status.replace(
        session_affinity_cookie=f"{affinity.cookie_name}={_value(canary, status, 'canary')}",
        primary_session_affinity_cookie=f"{primary}={_value(canary, status, 'primary')}" if primary else "",
    )


def _value(canary: Canary, status: CanaryStatus, version: str) -> str:
    digest = hashlib.sha256(f"{canary.metadata.uid}/{status.last_applied_spec}/{version}".encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:_LENGTH])
