"""Google Chat: a space's incoming webhook, which reads cards."""

import html
from typing import Final

from canary.alerts.alert import Alert, Destination, Json, Request
from canary.alerts.messenger import Messenger
from canary.api.analysis import Severity

COLORS = {Severity.INFO: "#0076D7", Severity.WARN: "#B26A00", Severity.ERROR: "#FF0000"}


def message(alert: Alert, to: Destination) -> Request:
    """Return the request that tells Google Chat of an alert."""
    text = f'<font color="{COLORS[alert.severity]}"><b>{html.escape(alert.text, quote=False)}</b></font>'
    widgets: list[Json] = [{"textParagraph": {"text": text}}]
    widgets += [
        {"decoratedText": {"topLabel": each.name, "text": html.escape(each.value, quote=False), "wrapText": True}}
        for each in alert.fields
    ]
    if alert.links:
        buttons = [{"text": each.name, "onClick": {"openLink": {"url": each.url}}} for each in alert.links]
        widgets.append({"buttonList": {"buttons": buttons}})
    card = {
        "header": {"title": to.username or "flagger", "subtitle": alert.canary},
        "sections": [{"widgets": widgets}],
    }
    # Phones show this line alone.
    fallback = f"{alert.canary}: {alert.text}"
    body = {"fallbackText": fallback, "cardsV2": [{"cardId": "canary", "card": card}]}
    return Request(to.address, body)


MESSENGER: Final = Messenger(message)
