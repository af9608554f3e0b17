"""What a kind of messenger is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from canary.alerts.alert import Alert, Destination, Misconfigured, Request


def _takes_every_2xx(_: int, __: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Messenger:
    """A kind of messenger.

    Args:
        message: returns the request that tells it of an alert.
        refusal: returns why it refused, from status and body of a 2xx answer; None where it didn't.
        failure: returns what the status of another answer means, where its body must not be told.
        timeout: how long one try may take.
        hands_on: whether it tells others before it answers, so that one who is late may have told some of them.
    """

    message: Callable[[Alert, Destination], Request | Misconfigured]
    refusal: Callable[[int, str], str | None] = _takes_every_2xx
    failure: Callable[[int], str] | None = None
    timeout: timedelta = timedelta(seconds=5)
    hands_on: bool = False
