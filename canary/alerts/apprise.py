"""Apprise's server, which hands a message on to any of the services that Apprise knows.

The library itself is not used. It would bring seven packages, a second HTTP client among them, send from threads
without a limit of the whole, and open whatever the URLs of a namespace's users name out of the controller's own pod.
"""

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from canary.alerts.alert import Alert, Destination, Json, Request
from canary.alerts.messenger import Messenger
from canary.api.analysis import Severity

TYPES = {Severity.INFO: "info", Severity.WARN: "warning", Severity.ERROR: "failure"}


def message(alert: Alert, to: Destination) -> Request:
    """Return the request that tells Apprise's server of an alert.

    With `urls` in its Secret the server is told whom to tell; else it knows by the key in the address.
    """
    lines = [alert.text, *(f"{each.name}: {each.value}" for each in alert.fields)]
    lines += [f"{each.name}: {each.url}" for each in alert.links]
    body: Json = {"title": alert.canary, "body": "\n".join(lines), "type": TYPES[alert.severity], "format": "text"}
    if to.channel:
        body["tag"] = to.channel
    if urls := to.secrets.get("urls"):
        body["urls"] = urls
    return Request(to.address, body, to.token)


def refusal(status: int, _: str) -> str | None:
    """Return why a 2xx answer means that nobody was told."""
    if status == HTTPStatus.NO_CONTENT:
        return "there is no service to tell: the key of its address, or the urls of its Secret, name none"
    return None


def failure(status: int) -> str:
    """Return what another answer means, in place of its body: that may quote URLs, which hold credentials."""
    if status == HTTPStatus.FAILED_DEPENDENCY:
        return "answered 424: not all services took it, or none has the tag; its own log says which"
    return f"answered {status}"


MESSENGER: Final = Messenger(message, refusal, failure, timedelta(seconds=25), hands_on=True)
