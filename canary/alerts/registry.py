"""Every messenger there is: how an alert becomes a request to it, and how its answer is read."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from canary.alerts.alert import Alert, Destination, Misconfigured, Request
from canary.alerts.messenger import Messenger
from canary.api.addresses import is_header_value, is_web_address
from canary.api.alertprovider import APPRISE, WEBHOOK
from metrics.rows import Rows

MESSENGERS: Final[Mapping[str, Messenger]] = Rows(
    {
        "slack": "canary.alerts.slack:MESSENGER",
        "msteams": "canary.alerts.msteams:MESSENGER",
        "discord": "canary.alerts.discord:MESSENGER",
        "rocket": "canary.alerts.rocket:MESSENGER",
        "gchat": "canary.alerts.gchat:MESSENGER",
        WEBHOOK: "canary.alerts.webhook:MESSENGER",
        APPRISE: "canary.alerts.apprise:MESSENGER",
    }
)
"""By the `type` of an AlertProvider. Most controllers tell one of them."""


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
    made = messenger.message(alert, to)
    if isinstance(made, Misconfigured):
        return made
    secrets = (to.token, *to.secrets.values())
    return replace(made, proxy=to.proxy, tls=to.tls, headers=to.headers, secrets=secrets)
