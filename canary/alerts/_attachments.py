"""The message format of Slack's hooks, which Discord and Rocket.Chat read too."""

from collections.abc import Mapping

from canary.alerts.alert import Alert, Destination, Field, Json
from canary.api.analysis import Severity

ICON = ":rocket:"


def body(alert: Alert, to: Destination, colors: Mapping[Severity, str], *, escape: bool) -> Json:
    """Return a message with one attachment.

    Args:
        alert: what to tell.
        to: username and channel; where empty they are left out, and the messenger's own hold.
        colors: colour of the attachment by severity.
        escape: whether `&`, `<` and `>` have a meaning that must be taken from them.
    """
    say = _escaped if escape else _as_it_is
    facts = [*alert.fields, *(Field(each.name, each.url) for each in alert.links)]
    attachment = {
        "color": colors[alert.severity],
        "author_name": alert.canary,
        "fallback": say(f"{alert.canary}: {alert.text}"),
        "text": say(alert.text),
        "mrkdwn_in": ["text"],
        "fields": [{"title": each.name, "value": say(each.value), "short": False} for each in facts],
    }
    message: Json = {"icon_emoji": ICON, "attachments": [attachment]}
    if to.channel:
        message["channel"] = to.channel
    if to.username:
        message["username"] = to.username
    return message


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _as_it_is(text: str) -> str:
    return text
