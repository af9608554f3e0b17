"""Discord: a webhook, spoken to in Slack's format."""

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from canary.alerts import _attachments
from canary.alerts.alert import Alert, Destination, Request
from canary.alerts.messenger import Messenger
from canary.alerts.slack import COLORS


def message(alert: Alert, to: Destination) -> Request:
    """Return the request that tells Discord of an alert."""
    body = _attachments.body(alert, to, COLORS, escape=False)
    return Request(_for_slack_format(to.address), body)


def _for_slack_format(address: str) -> str:
    """Return the address that takes Slack's format: the same one, with `/slack` at the end of its path."""
    parts = urlsplit(address)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith("/slack") else f"{path}/slack"))


MESSENGER: Final = Messenger(message)
