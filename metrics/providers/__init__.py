"""The kinds of metrics servers: one module each, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from metrics.errors import MisconfiguredError
from metrics.question import Question
from metrics.rows import Rows

if TYPE_CHECKING:
    from metrics.providers.base import Provider

__all__ = ["PROVIDERS", "SUPPORTED", "is_in_cluster", "provider_of"]

PROVIDERS: Mapping[str, Provider] = Rows(
    {
        "prometheus": "metrics.providers.prometheus:PROMETHEUS",
        "datadog": "metrics.providers.datadog:DATADOG",
        "dynatrace": "metrics.providers.dynatrace:DYNATRACE",
        "graphite": "metrics.providers.graphite:GRAPHITE",
        "influxdb": "metrics.providers.influxdb:INFLUXDB",
        "newrelic": "metrics.providers.newrelic:NEWRELIC",
        "cloudwatch": "metrics.providers.cloudwatch:CLOUDWATCH",
        "externalmetrics": "metrics.providers.kubernetes:EXTERNAL_METRICS",
        "keptn": "metrics.providers.kubernetes:KEPTN",
        "splunk": "metrics.providers.splunk:SPLUNK",
        "stackdriver": "metrics.providers.stackdriver:STACKDRIVER",
        "elasticsearch": "metrics.providers.opensearch:ELASTICSEARCH",
        "kayenta": "metrics.providers.kayenta:KAYENTA",
        "loki": "metrics.providers.loki:LOKI",
        "opensearch": "metrics.providers.opensearch:OPENSEARCH",
        "skywalking": "metrics.providers.skywalking:SKYWALKING",
        "wavefront": "metrics.providers.wavefront:WAVEFRONT",
        "web": "metrics.providers.web:WEB",
    }
)
"""By the values of a MetricTemplate's `provider.type`. Most controllers ask one of them."""

SUPPORTED = frozenset(PROVIDERS)
"""The values of a MetricTemplate's `provider.type` that can be asked."""


def provider_of(name: str) -> Provider:
    """The row of a provider.

    Raises:
        MisconfiguredError: there is none.
    """
    try:
        return PROVIDERS[name]
    except KeyError:
        msg = f"the metric provider {name!r} is not supported; supported are {', '.join(sorted(SUPPORTED))}"
        raise MisconfiguredError(msg) from None


def is_in_cluster(question: Question) -> bool:
    """Whether it is the Kubernetes API of the controller's own cluster that answers."""
    provider = PROVIDERS.get(question.provider)
    return provider is not None and provider.in_cluster and not question.address
