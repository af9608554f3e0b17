"""MetricTemplate: a question to a metrics server."""

from pydantic import Field

from canary.api.meta import Condition, JsonObject, Model, Resource, SecretReference
from canary.api.parsing import parse

PROVIDER_TYPES = (
    "prometheus",
    "influxdb",
    "datadog",
    "externalmetrics",
    "stackdriver",
    "cloudwatch",
    "newrelic",
    "graphite",
    "dynatrace",
    "keptn",
    "splunk",
    "elasticsearch",
    "loki",
    "opensearch",
    "skywalking",
    "wavefront",
    "web",
)
"""Flagger's, and those beyond them."""


class MetricProvider(Model):
    """The metrics server that is asked."""

    type: str = Field(json_schema_extra={"enum": list(PROVIDER_TYPES)})
    """Kind of metrics server."""
    address: str = ""
    """Address of the metrics server."""
    headers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Headers sent with every question."""
    secret_ref: SecretReference | None = None
    """Secret with the credentials."""
    region: str = ""
    """Region of the metrics server."""
    insecure_skip_verify: bool = False
    """Whether the server's certificate is not verified."""


class MetricTemplateSpec(Model):
    """A question to a metrics server."""

    provider: MetricProvider
    """The metrics server that is asked."""
    query: str
    """The question, with Flagger's template functions."""


class MetricTemplateStatus(Model):
    """What was observed of the template."""

    conditions: tuple[Condition, ...] = ()
    """Observed conditions."""


class MetricTemplate(Resource):
    """A question to a metrics server, to be used by Canaries."""

    kind: str = "MetricTemplate"
    spec: MetricTemplateSpec
    """The question."""
    status: MetricTemplateStatus = MetricTemplateStatus()
    """What was observed of it."""


def parse_metric_template(raw: JsonObject) -> MetricTemplate:
    """Read a MetricTemplate from the API server's JSON.

    Raises:
        InvalidResource: it can't be read; the error holds every problem.
    """
    return parse(MetricTemplate, raw)
