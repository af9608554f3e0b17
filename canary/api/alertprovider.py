"""AlertProvider: a messenger that tells people."""

from pydantic import Field

from canary.api.meta import Condition, JsonObject, Model, Resource, SecretReference
from canary.api.parsing import parse

PROVIDER_TYPES = ("slack", "msteams", "discord", "rocket", "gchat")


class AlertProviderSpec(Model):
    """A messenger and how to reach it."""

    type: str = Field(json_schema_extra={"enum": list(PROVIDER_TYPES)})
    """Kind of messenger."""
    channel: str = ""
    """Channel that messages go to."""
    username: str = ""
    """Name that messages come from."""
    address: str = ""
    """Address of the messenger's hook."""
    proxy: str = ""
    """Address of the proxy to go through."""
    secret_ref: SecretReference | None = None
    """Secret with the address, under the key address."""


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
