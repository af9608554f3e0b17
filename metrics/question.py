"""What is asked of a metrics server, and what comes back: values without any wire format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from metrics.threshold import Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One metric check of one Canary at one moment, ready to be asked.

    Args:
        name: the metric's name in the Canary, such as `request-success-rate`.
        query: the query, its template rendered.
        threshold: the accepted values.
        interval: the time window that the query looks at.
        unit: what stands behind the number in messages, such as `%` or ` ms`.
        provider: the kind of metrics server, a key of `metrics.providers.PROVIDERS`.
        address: its base URL; empty where the provider has a well-known one.
        credentials: keys and values of the Secret that the template names.
        headers: extra request headers, in order; a name may come more than once.
        insecure: whether the server's certificate goes unchecked.
        region: the provider's region, where it has regions.
    """

    name: str
    query: str
    threshold: Threshold
    interval: timedelta
    unit: str = ""
    provider: str = "prometheus"
    address: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    insecure: bool = False
    region: str = ""


@dataclass(frozen=True, slots=True)
class Number:
    """An answer with a number, or with several: one a series.

    Args:
        value: the number; an infinity is a number, NaN never comes (it is `Empty`).
        samples: how many series the answer held, those without a number too; None where the provider doesn't say.
        others: the numbers of further series. Their order says nothing: servers give series in any.
    """

    value: float
    samples: int | None = None
    others: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Empty:
    """An answer without a number: the server works, and has nothing to say.

    Args:
        reason: why, in words that can follow a colon.
    """

    reason: str = "the answer is empty"


Sample: TypeAlias = Number | Empty
