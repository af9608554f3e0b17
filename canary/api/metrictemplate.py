"""MetricTemplate: a question to a metrics server."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from canary.api.meta import Condition, JsonObject, Model, Resource, SecretReference
from canary.api.parsing import parse

JOB = "job"
"""The type whose question is not put to a server: a Kubernetes Job answers by how it ends."""

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
    "kayenta",
    "loki",
    "opensearch",
    "skywalking",
    "wavefront",
    "web",
    JOB,
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
    query: str = ""
    """The question, with Flagger's template functions; needed of all types but job."""
    job: Annotated[
        JsonObject | None, WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    ] = None
    """Of type job: the Job that is run in the Canary's namespace, as a CronJob's jobTemplate, functions filled in."""


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
