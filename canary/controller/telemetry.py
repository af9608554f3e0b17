"""The controller's own metrics for Prometheus: Flagger's names and labels, and those of the work itself."""

from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import TOTAL_WEIGHT
from canary.controller.outcome import Kind
from canary.rollout.decision import Ending

RUNNING, SUCCEEDED, FAILED = 0, 1, 2
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


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
        self._successes = Counter(
            "flagger_canary_successes_total", "Rollouts that were promoted.", ended, registry=registry
        )
        self._failures = Counter(
            "flagger_canary_failures_total", "Rollouts that were rolled back.", ended, registry=registry
        )
        self._passes = Counter(
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
        self._counted: dict[str, tuple[str, ...]] = {}
        self._metrics_seen: dict[str, set[str]] = {}

    def passed(self, kind: Kind, took: timedelta) -> None:
        """One pass is over."""
        self._passes.labels(kind.value).inc()
        self._pass_seconds.observe(took.total_seconds())

    def looked(self, canary: Canary, took: timedelta) -> None:
        """One look of an analysis is over, its questions included."""
        self._duration.labels(canary.target_name, canary.namespace).observe(took.total_seconds())

    def shows(self, canary: Canary) -> bool:
        """Whether it is shown where a Canary stands."""
        return canary.key in self._counted

    def observe(self, canary: Canary, status: CanaryStatus) -> None:
        """Show where a Canary stands."""
        name, namespace = canary.target_name, canary.namespace
        if canary.key not in self._counted:
            self._counted[canary.key] = (name, namespace)
            self._total.labels(namespace).inc()
            # Known at 0 from the start: a counter that appears with its first increase hides it from `increase()`.
            for counter in (self._successes, self._failures):
                counter.labels(name, namespace, canary.strategy.value, "completed")
        result = {Phase.PROGRESSING: RUNNING, Phase.FAILED: FAILED}.get(status.phase, SUCCEEDED)
        self._status.labels(name, namespace).set(result)
        self._weight.labels(f"{name}-primary", namespace).set(TOTAL_WEIGHT - status.canary_weight)
        self._weight.labels(name, namespace).set(status.canary_weight)
        for check in status.checks:
            if check.value is not None:
                self._metrics_seen.setdefault(canary.key, set()).add(check.name)
                self._analysis.labels(name, namespace, check.name).set(check.value)

    def ended(self, canary: Canary, ending: Ending) -> None:
        """Count a rollout that has ended."""
        counter = self._failures if ending is Ending.FAILED else self._successes
        analysis = "skipped" if ending is Ending.PROMOTED_UNCHECKED else "completed"
        counter.labels(canary.target_name, canary.namespace, canary.strategy.value, analysis).inc()

    def stand_by(self) -> None:
        """Show no Canary any more: another controller acts now, and what was known here gets old."""
        self.leader.set(0)
        for key in tuple(self._counted):
            self.forget(key)

    def forget(self, key: str) -> None:
        """Show nothing more of a Canary that is gone; its counters stay, as counters do."""
        counted = self._counted.pop(key, None)
        if counted is None:
            return
        name, namespace = counted
        self._total.labels(namespace).dec()
        self._status.remove(name, namespace)
        self._weight.remove(name, namespace)
        self._weight.remove(f"{name}-primary", namespace)
        for metric in self._metrics_seen.pop(key, ()):
            self._analysis.remove(name, namespace, metric)
