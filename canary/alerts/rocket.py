"""Rocket.Chat: an incoming webhook, which reads Slack's format."""

from typing import Final

from canary.alerts import _attachments
from canary.alerts.alert import Alert, Destination, Request
from canary.alerts.messenger import Messenger
from canary.api.analysis import Severity

COLORS = {Severity.INFO: "#0076D7", Severity.WARN: "#FFB900", Severity.ERROR: "#FF0000"}


def message(alert: Alert, to: Destination) -> Request:
    """Return the request that tells Rocket.Chat of an alert."""
    return Request(to.address, _attachments.body(alert, to, COLORS, escape=False))


MESSENGER: Final = Messenger(message)
