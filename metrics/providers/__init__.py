"""The kinds of metrics servers: one module each, one row each."""

from __future__ import annotations

from collections.abc import Mapping

from metrics.errors import MisconfiguredError
from metrics.providers.base import Provider, Regions
from metrics.providers.cloudwatch import CLOUDWATCH
from metrics.providers.datadog import DATADOG
from metrics.providers.dynatrace import DYNATRACE
from metrics.providers.graphite import GRAPHITE
from metrics.providers.influxdb import INFLUXDB
from metrics.providers.kubernetes import EXTERNAL_METRICS, KEPTN
from metrics.providers.loki import LOKI
from metrics.providers.newrelic import NEWRELIC
from metrics.providers.opensearch import ELASTICSEARCH, OPENSEARCH
from metrics.providers.prometheus import PROMETHEUS
from metrics.providers.skywalking import SKYWALKING
from metrics.providers.splunk import SPLUNK
from metrics.providers.stackdriver import STACKDRIVER
from metrics.providers.wavefront import WAVEFRONT
from metrics.providers.web import WEB
from metrics.question import Question

__all__ = ["PROVIDERS", "SUPPORTED", "Provider", "Regions", "is_in_cluster", "provider_of"]

PROVIDERS: Mapping[str, Provider] = {
    row.name: row
    for row in (
        *(PROMETHEUS, DATADOG, DYNATRACE, GRAPHITE, INFLUXDB, NEWRELIC),
        *(CLOUDWATCH, EXTERNAL_METRICS, KEPTN, SPLUNK, STACKDRIVER),
        *(ELASTICSEARCH, LOKI, OPENSEARCH, SKYWALKING, WAVEFRONT, WEB),
    )
}

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
