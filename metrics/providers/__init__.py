"""The kinds of metrics servers: one module each, one row each."""

from __future__ import annotations

from collections.abc import Mapping

from metrics.errors import MisconfiguredError
from metrics.providers.base import Provider
from metrics.providers.datadog import DATADOG
from metrics.providers.dynatrace import DYNATRACE
from metrics.providers.graphite import GRAPHITE
from metrics.providers.influxdb import INFLUXDB
from metrics.providers.newrelic import NEWRELIC
from metrics.providers.prometheus import PROMETHEUS

PROVIDERS: Mapping[str, Provider] = {
    row.name: row for row in (PROMETHEUS, DATADOG, DYNATRACE, GRAPHITE, INFLUXDB, NEWRELIC)
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
