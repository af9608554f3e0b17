"""AlertProvider: a messenger that tells people."""

from pydantic import Field

from canary.api.meta import Condition, JsonObject, Model, Resource, SecretReference
from canary.api.parsing import parse

WEBHOOK, APPRISE = "webhook", "apprise"

PROVIDER_TYPES = ("slack", "msteams", "discord", "rocket", "gchat", WEBHOOK, APPRISE)
"""Flagger's, any webhook, and Apprise's server for the services that it knows."""

LONGEST_BODY = 16_384
"""Characters of a template at most."""


class AlertProviderSpec(Model):
    """A messenger and how to reach it."""

    type: str = Field(json_schema_extra={"enum": list(PROVIDER_TYPES)})
    """Kind of messenger."""
    channel: str = ""
    """Channel that messages go to; of apprise the tag."""
    username: str = ""
    """Name that messages come from."""
    address: str = ""
    """Address of the messenger's hook."""
    proxy: str = ""
    """Address of the proxy to go through."""
    secret_ref: SecretReference | None = None
    """Secret with the address, under the key address."""
    headers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Headers sent with every message (webhook and apprise)."""
    body: str = Field(default="", json_schema_extra={"maxLength": LONGEST_BODY})
    """Template of what is sent to a webhook: JSON, or what the header Content-Type says; all facts where absent."""


class AlertProviderStatus(Model):
    """What was observed of the messenger."""

    conditions: tuple[Condition, ...] = ()
    """Observed conditions."""


class AlertProvider(Resource):
    """A messenger that tells people, to be used by Canaries."""

    kind: str = "AlertProvider"
    spec: AlertProviderSpec
    """The messenger."""
    status: AlertProviderStatus = AlertProviderStatus()
    """What was observed of it."""


def parse_alert_provider(raw: JsonObject) -> AlertProvider:
    """Read an AlertProvider from the API server's JSON.

    Raises:
        InvalidResource: it can't be read; the error holds every problem.
    """
    return parse(AlertProvider, raw)
