"""Microsoft Teams: a connector's webhook, or that of a workflow.

Connectors, the older way, read a MessageCard. Workflows, which replace them, read a message with an Adaptive
Card. The host of the address tells which of the two it is.
"""

from typing import Final
from urllib.parse import urlsplit

from canary.alerts.alert import Alert, Destination, Json, Request
from canary.alerts.messenger import Messenger
from canary.api.analysis import Severity

COLORS = {Severity.INFO: "0076D7", Severity.WARN: "FFB900", Severity.ERROR: "FF0000"}
CARD_COLORS = {Severity.INFO: "Accent", Severity.WARN: "Warning", Severity.ERROR: "Attention"}

WORKFLOW_HOSTS = (".logic.azure.com", ".api.powerplatform.com")


def message(alert: Alert, to: Destination) -> Request:
    """Return the request that tells Microsoft Teams of an alert."""
    host = urlsplit(to.address).hostname or ""
    body = _adaptive_card(alert) if host.endswith(WORKFLOW_HOSTS) else _message_card(alert)
    return Request(to.address, body)


def _message_card(alert: Alert) -> Json:
    card: Json = {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": COLORS[alert.severity],
        "summary": alert.canary,
        "sections": [
            {
                "activityTitle": alert.text,
                "activitySubtitle": alert.canary,
                "facts": [{"name": each.name, "value": each.value} for each in alert.fields],
            }
        ],
    }
    if alert.links:
        card["potentialAction"] = [
            {"@type": "OpenUri", "name": each.name, "targets": [{"os": "default", "uri": each.url}]}
            for each in alert.links
        ]
    return card


def _adaptive_card(alert: Alert) -> Json:
    body: list[Json] = [
        {
            "type": "TextBlock",
            "text": alert.text,
            "weight": "Bolder",
            "color": CARD_COLORS[alert.severity],
            "wrap": True,
        },
        {"type": "TextBlock", "text": alert.canary, "isSubtle": True, "wrap": True},
    ]
    if alert.fields:
        facts = [{"title": each.name, "value": each.value} for each in alert.fields]
        body.append({"type": "FactSet", "facts": facts})
    card: Json = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if alert.links:
        card["actions"] = [{"type": "Action.OpenUrl", "title": each.name, "url": each.url} for each in alert.links]
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [content]}


MESSENGER: Final = Messenger(message)
