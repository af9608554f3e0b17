"""Any receiver of HTTP requests: what it is sent is written by its users, as a template."""

from typing import Final

from canary.alerts.alert import Alert, Destination, Misconfigured, Request
from canary.alerts.messenger import Messenger
from canary.alerts.templates import UnusableTemplateError, body


def message(alert: Alert, to: Destination) -> Request | Misconfigured:
    """Return the request that tells a webhook of an alert."""
    try:
        return Request(to.address, body(alert, to), to.token)
    except UnusableTemplateError as error:
        return Misconfigured(f"spec.body: {error}")


MESSENGER: Final = Messenger(message)
