"""Every messenger there is: how an alert becomes a request to it, and how its answer is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from canary.alerts import discord, gchat, msteams, rocket, slack
from canary.alerts.alert import Alert, Destination, Misconfigured, Request
from canary.api.addresses import is_header_value, is_web_address


def _takes_every_2xx(body: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Messenger:
    """A kind of messenger.

    Args:
        message: returns the request that tells it of an alert.
        refusal: returns why it refused, from the body of a 2xx answer; None where it didn't.
    """

    message: Callable[[Alert, Destination], Request]
    refusal: Callable[[str], str | None] = _takes_every_2xx


MESSENGERS: Mapping[str, Messenger] = MappingProxyType(
    {
        "slack": Messenger(slack.message, slack.refusal),
        "msteams": Messenger(msteams.message),
        "discord": Messenger(discord.message),
        "rocket": Messenger(rocket.message),
        "gchat": Messenger(gchat.message),
    }
)


def request(alert: Alert, to: Destination) -> Request | Misconfigured:
    """Return the request that hands an alert to a messenger."""
    messenger = MESSENGERS.get(to.type)
    if messenger is None:
        return Misconfigured(f"there is no messenger {to.type!r}, only {', '.join(sorted(MESSENGERS))}")
    for name, address in (("address", to.address), ("proxy", to.proxy)):
        if address and not is_web_address(address):
            return Misconfigured(f"its {name} is not an http or https address")
    if not is_header_value(to.token):
        return Misconfigured("its token holds characters that no header can carry; write it on one line, as issued")
    return messenger.message(alert, to)
