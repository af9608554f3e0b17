"""The controller's own metrics for Prometheus: Flagger's names and labels, and those of the work itself."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, Histogram

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import TOTAL_WEIGHT
from canary.controller.outcome import Kind
from canary.rollout.decision import Ending

RUNNING, SUCCEEDED, FAILED = 0, 1, 2
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


_Series = tuple[Gauge | prometheus_client.Counter | Histogram, tuple[str, ...]]
"""A metric and the values of its labels."""

M = TypeVar("M", Gauge, prometheus_client.Counter, Histogram)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is shown of one Canary."""

    target: str
    series: set[_Series] = field(default_factory=set)


class Telemetry:
    """What `/metrics` shows.

    Args:
        version: of the controller.
        mesh_provider: the traffic provider of Canaries that name none.
    """

    def __init__(self, version: str, mesh_provider: str) -> None:
        self.registry = registry = CollectorRegistry()
        rollout = ["name", "namespace"]
        ended = [*rollout, "deployment_strategy", "analysis_status"]
        info = Gauge(
            "flagger_info", "Version and default traffic provider.", ["version", "mesh_provider"], registry=registry
        )
        info.labels(version, mesh_provider).set(1)
        self._total = Gauge("flagger_canary_total", "Canaries in the namespace.", ["namespace"], registry=registry)
        self._status = Gauge(
            "flagger_canary_status",
            "Last known result: 0 running, 1 successful, 2 failed.",
            rollout,
            registry=registry,
        )
        self._weight = Gauge(
            "flagger_canary_weight",
            "Percent of the traffic that the workload gets.",
            ["workload", "namespace"],
            registry=registry,
        )
        self._duration = Histogram(
            "flagger_canary_duration_seconds",
            "Seconds spent on looking at a canary in analysis.",
            rollout,
            buckets=BUCKETS,
            registry=registry,
        )
        self._analysis = Gauge(
            "flagger_canary_metric_analysis",
            "Last value of each metric of the analysis.",
            [*rollout, "metric"],
            registry=registry,
        )
        self._successes = prometheus_client.Counter(
            "flagger_canary_successes_total", "Rollouts that were promoted.", ended, registry=registry
        )
        self._failures = prometheus_client.Counter(
            "flagger_canary_failures_total", "Rollouts that were rolled back.", ended, registry=registry
        )
        self._passes = prometheus_client.Counter(
            "canary_controller_reconcile_total", "Passes over a Canary, by outcome.", ["outcome"], registry=registry
        )
        for kind in Kind:
            self._passes.labels(kind.value)
        self._pass_seconds = Histogram(
            "canary_controller_reconcile_duration_seconds",
            "Seconds that one pass over a Canary takes.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.queue_depth = Gauge("canary_controller_queue_depth", "Canaries that are due and wait.", registry=registry)
        self.leader = Gauge("canary_controller_leader", "1 while this controller acts, else 0.", registry=registry)
        self._questions = prometheus_client.Counter(
            "canary_controller_question_errors_total",
            "Webhooks, metrics and pods that could not be asked for by a bug of the controller.",
            registry=registry,
        )
        self._shown: dict[str, _Shown] = {}
        # How many Canaries each series is of: two may be about one target.
        self._canaries: Counter[_Series] = Counter()

    def passed(self, kind: Kind, took: timedelta) -> None:
        """One pass is over."""
        self._passes.labels(kind.value).inc()
        self._pass_seconds.observe(took.total_seconds())

    def question_failed(self) -> None:
        """A question could not be asked by a bug."""
        self._questions.inc()

    def looked(self, canary: Canary, took: timedelta) -> None:
        """One look of an analysis is over, its questions included."""
        self._series(canary, self._duration, canary.target_name, canary.namespace).observe(took.total_seconds())

    def shows(self, canary: Canary) -> bool:
        """Whether it is shown where a Canary stands."""
        return canary.key in self._shown

    def observe(self, canary: Canary, status: CanaryStatus) -> None:
        """Show where a Canary stands; of a target that it is about no more, nothing is shown."""
        name, namespace = canary.target_name, canary.namespace
        if canary.key in self._shown and self._shown[canary.key].target != name:
            self.forget(canary.key)
        if canary.key not in self._shown:
            self._shown[canary.key] = _Shown(name)
            self._series(canary, self._total, namespace).inc()
            # Known at 0 from the start: a counter that appears with its first increase hides it from `increase()`.
            for counter in (self._successes, self._failures):
                self._series(canary, counter, name, namespace, canary.strategy.value, "completed")
        result = {Phase.PROGRESSING: RUNNING, Phase.FAILED: FAILED}.get(status.phase, SUCCEEDED)
        self._series(canary, self._status, name, namespace).set(result)
        self._series(canary, self._weight, f"{name}-primary", namespace).set(TOTAL_WEIGHT - status.canary_weight)
        self._series(canary, self._weight, name, namespace).set(status.canary_weight)
        for check in status.checks:
            if check.value is not None:
                self._series(canary, self._analysis, name, namespace, check.name).set(check.value)

    def ended(self, canary: Canary, ending: Ending) -> None:
        """Count a rollout that has ended."""
        counter = self._failures if ending is Ending.FAILED else self._successes
        analysis = "skipped" if ending is Ending.PROMOTED_UNCHECKED else "completed"
        labels = (canary.target_name, canary.namespace, canary.strategy.value, analysis)
        self._series(canary, counter, *labels).inc()

    def stand_by(self) -> None:
        """Show no Canary any more: another controller acts now, and what was known here gets old."""
        self.leader.set(0)
        for key in tuple(self._shown):
            self.forget(key)

    def forget(self, key: str) -> None:
        """Show nothing more of a Canary that is gone, its counters included: nobody is left to count for."""
        shown = self._shown.pop(key, None)
        if shown is None:
            return
        self._total.labels(key.partition("/")[0]).dec()
        for series in shown.series:
            self._canaries[series] -= 1
            if not self._canaries[series]:
                del self._canaries[series]
                metric, labels = series
                metric.remove(*labels)

    def _series(self, canary: Canary, metric: M, *labels: str) -> M:
        """A series of a Canary, which goes with it."""
        shown, series = self._shown.get(canary.key), (metric, labels)
        if shown is not None and series not in shown.series:
            shown.series.add(series)
            self._canaries[series] += 1
        return metric.labels(*labels)
