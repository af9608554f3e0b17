"""Slack: an incoming webhook, or `chat.postMessage` with a bot's token."""

import json
from typing import Final

from canary.alerts import _attachments
from canary.alerts.alert import Alert, Destination, Request
from canary.alerts.messenger import Messenger
from canary.api.analysis import Severity

COLORS = {Severity.INFO: "good", Severity.WARN: "warning", Severity.ERROR: "danger"}


def message(alert: Alert, to: Destination) -> Request:
    """Return the request that tells Slack of an alert."""
    return Request(to.address, _attachments.body(alert, to, COLORS, escape=True), to.token)


def refusal(_: int, body: str) -> str | None:
    """Return why Slack refused, from the body of a 2xx answer: `chat.postMessage` says so there alone."""
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    if isinstance(answer, dict) and answer.get("ok") is False:
        return str(answer.get("error", "not ok"))
    return None


MESSENGER: Final = Messenger(message, refusal)
