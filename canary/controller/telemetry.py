"""The controller's own metrics for Prometheus: Flagger's names and labels, and those of the work itself."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, Histogram

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase, Verdict
from canary.api.traffic import TOTAL_WEIGHT
from canary.controller.ask.metric_questions import ports_of
from canary.controller.outcome import Kind
from canary.rollout.decision import Ending
from canary.rollout.situation import HELD
from canary.rollout.status_conditions import hindered
from canary.routers.registry import provider_of

RUNNING, SUCCEEDED, FAILED = 0, 1, 2

VERDICTS = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.NO_DATA: 2, Verdict.UNAVAILABLE: 3}
"""What a verdict is as a number."""

AT_REST = frozenset({Phase.EMPTY, Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED, Phase.TERMINATED})
"""Phases in which nothing is to get on."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


_Series = tuple[Gauge | prometheus_client.Counter | Histogram, tuple[str, ...]]
"""A metric and the values of its labels."""

_ROLLOUT: Final = ("name", "namespace")
"""Labels that tell of which Canary a series is."""

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
        info = Gauge(
            "flagger_info", "Version and default traffic provider.", ["version", "mesh_provider"], registry=registry
        )
        info.labels(version, mesh_provider).set(1)
        prometheus_client.ProcessCollector(registry=registry)  # what this process costs
        self._mesh_provider = mesh_provider
        self._of_flagger(registry)
        self._of_rollouts(registry)
        self._of_checks(registry)
        self._of_the_controller(registry)
        self._shown: dict[str, _Shown] = {}
        self._unreadable: set[str] = set()
        # How many Canaries each series is of: two may be about one target.
        self._canaries: Counter[_Series] = Counter()

    def _of_flagger(self, registry: CollectorRegistry) -> None:
        """Metrics that Flagger has, by its names."""
        ended = [*_ROLLOUT, "deployment_strategy", "analysis_status"]
        self._total = Gauge("flagger_canary_total", "Canaries in the namespace.", ["namespace"], registry=registry)
        self._status = Gauge(
            "flagger_canary_status",
            "Last known result: 0 running, 1 successful, 2 failed.",
            _ROLLOUT,
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
            _ROLLOUT,
            buckets=BUCKETS,
            registry=registry,
        )
        self._analysis = Gauge(
            "flagger_canary_metric_analysis",
            "Last value of each metric of the analysis.",
            [*_ROLLOUT, "metric"],
            registry=registry,
        )
        self._successes = prometheus_client.Counter(
            "flagger_canary_successes_total", "Rollouts that were promoted.", ended, registry=registry
        )
        self._failures = prometheus_client.Counter(
            "flagger_canary_failures_total", "Rollouts that were rolled back.", ended, registry=registry
        )

    def _of_rollouts(self, registry: CollectorRegistry) -> None:
        """Where a Canary and its rollout stand."""
        self._about = Gauge(
            "canary_controller_canary_info",
            "Always 1; what the metrics of a Canary's traffic are found by.",
            [*_ROLLOUT, "service", "ports", "provider"],
            registry=registry,
        )
        self._stalled = Gauge(
            "canary_controller_stalled",
            "1 while something stands in a Canary's way, else 0.",
            _ROLLOUT,
            registry=registry,
        )
        self._moved = Gauge(
            "canary_controller_rollout_moved_timestamp_seconds",
            "When phase, weight or counters of a rollout last changed; absent while there is none.",
            _ROLLOUT,
            registry=registry,
        )
        self._interval = Gauge(
            "canary_controller_rollout_interval_seconds",
            "The time between two looks at a rollout; absent while there is none.",
            _ROLLOUT,
            registry=registry,
        )
        self._reason = Gauge(
            "canary_controller_rollout_reason",
            "Always 1; why a rollout, or a bake, stands where it does, in one word; absent while there is none.",
            [*_ROLLOUT, "reason"],
            registry=registry,
        )

    def _of_checks(self, registry: CollectorRegistry) -> None:
        """What the checks of the last look have said."""
        self._unavailable = Gauge(
            "canary_controller_unavailable_checks",
            "Metrics whose server could not be asked at the last look.",
            _ROLLOUT,
            registry=registry,
        )
        self._value = Gauge(
            "canary_controller_check_value",
            "The number that a check has judged last; absent where there was none.",
            [*_ROLLOUT, "metric"],
            registry=registry,
        )
        self._threshold = Gauge(
            "canary_controller_check_threshold",
            "What that number must not go below (bound min) or above (bound max).",
            [*_ROLLOUT, "metric", "bound"],
            registry=registry,
        )
        self._verdict = Gauge(
            "canary_controller_check_verdict",
            "What the check has said last: 0 passed, 1 failed, 2 no data, 3 unavailable.",
            [*_ROLLOUT, "metric"],
            registry=registry,
        )

    def _of_the_controller(self, registry: CollectorRegistry) -> None:
        """How the controller itself does."""
        self._reviews = prometheus_client.Counter(
            "canary_controller_admission_reviews_total",
            "Questions of the API server, by path and what they were answered with.",
            ["path", "answer"],
            registry=registry,
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

    def passed(self, kind: Kind, took: timedelta) -> None:
        """One pass is over."""
        self._passes.labels(kind.value).inc()
        self._pass_seconds.observe(took.total_seconds())

    def reviewed(self, path: str, answer: str) -> None:
        """A question of the API server has had its answer."""
        self._reviews.labels(path, answer).inc()

    def question_failed(self) -> None:
        """A question could not be asked by a bug."""
        self._questions.inc()

    def looked(self, canary: Canary, took: timedelta) -> None:
        """One look of an analysis is over, its questions included; of a Canary that is not shown, nothing is kept."""
        if canary.key in self._shown:
            self._series(canary.key, self._duration, canary.target_name, canary.namespace).observe(took.total_seconds())

    def shows(self, canary: Canary) -> bool:
        """Whether it is shown where a Canary stands."""
        return canary.key in self._shown and canary.key not in self._unreadable

    def observe(self, canary: Canary, status: CanaryStatus) -> None:
        """Show where a Canary stands; of a target that it is about no more, nothing is shown."""
        key, name, namespace = canary.key, canary.target_name, canary.namespace
        self._show(key, name)
        self._unreadable.discard(key)
        self._tell_about(canary)
        # Known at 0 from the start: a counter that appears with its first increase hides it from `increase()`.
        for counter in (self._successes, self._failures):
            self._series(key, counter, name, namespace, canary.strategy.value, "completed")
        result = {Phase.PROGRESSING: RUNNING, Phase.FAILED: FAILED}.get(status.phase, SUCCEEDED)
        self._series(key, self._status, name, namespace).set(result)
        self._series(key, self._weight, f"{name}-primary", namespace).set(TOTAL_WEIGHT - status.canary_weight)
        self._series(key, self._weight, name, namespace).set(status.canary_weight)
        self._series(key, self._stalled, name, namespace).set(hindered(status) is not None)
        self._observe_checks(canary, status)
        self._observe_rollout(canary, status)

    def _observe_checks(self, canary: Canary, status: CanaryStatus) -> None:
        """Show what the checks have said last, and nothing of those that say nothing any more."""
        key, labels = canary.key, (canary.target_name, canary.namespace)
        limits = {metric.name: metric.limits for metric in canary.analysis.metrics if metric.compare_to is None}
        shown: set[_Series] = set()

        def show(metric: Gauge, value: float | None, *more: str) -> None:
            if value is not None:
                self._series(key, metric, *labels, *more).set(value)
                shown.add((metric, (*labels, *more)))

        for check in status.checks:
            if check.value is not None:
                self._series(key, self._analysis, *labels, check.name).set(check.value)
            bounds = limits.get(check.name)
            show(self._verdict, VERDICTS[check.verdict], check.name)
            show(self._value, check.value, check.name)
            show(self._threshold, bounds.min if bounds is not None else None, check.name, "min")
            show(self._threshold, bounds.max if bounds is not None else None, check.name, "max")
        told = self._shown[key]
        of_checks = (self._verdict, self._value, self._threshold)
        for series in [each for each in told.series if each[0] in of_checks and each not in shown]:
            self._drop(told, series)

    def _tell_about(self, canary: Canary) -> None:
        """Show where a Canary's traffic goes, and no more where it went before an edit."""
        provider = provider_of(canary, self._mesh_provider)
        labels = (canary.target_name, canary.namespace, canary.service_name, ports_of(canary), provider)
        self._tell_alone(canary, self._about, labels)

    def _tell_alone(self, canary: Canary, metric: Gauge, labels: tuple[str, ...] | None) -> None:
        """Show one series of a metric as 1, and no other of the Canary; with None, no more of it."""
        shown = self._shown[canary.key]
        for series in [each for each in shown.series if each[0] is metric and each[1] != labels]:
            self._drop(shown, series)
        if labels is not None:
            self._series(canary.key, metric, *labels).set(1)

    def _observe_rollout(self, canary: Canary, status: CanaryStatus) -> None:
        """Show how a rollout gets on, while there is one."""
        labels = (canary.target_name, canary.namespace)
        under_way = status.phase not in AT_REST
        unavailable = sum(check.verdict is Verdict.UNAVAILABLE for check in status.checks)
        looked_at = under_way or status.bake is not None
        self._series(canary.key, self._unavailable, *labels).set(unavailable if looked_at else 0)
        stands = (looked_at or status.reason == HELD) and status.reason
        self._tell_alone(canary, self._reason, (*labels, status.reason) if stands else None)
        if under_way and status.last_transition_time is not None:
            self._series(canary.key, self._moved, *labels).set(status.last_transition_time.timestamp())
            self._series(canary.key, self._interval, *labels).set(canary.analysis_interval.total_seconds())
            return
        for metric in (self._moved, self._interval):
            self._drop(self._shown[canary.key], (metric, labels))

    def unreadable(self, key: str) -> None:
        """Show a Canary that can't be read, by its own name: nothing more is known of it."""
        namespace, _, name = key.partition("/")
        self._show(key, self._shown[key].target if key in self._shown else name)
        self._unreadable.add(key)
        self._series(key, self._stalled, self._shown[key].target, namespace).set(1)

    def _show(self, key: str, target: str) -> None:
        """Have a Canary shown, as one that is about this target."""
        if key in self._shown and self._shown[key].target != target:
            self.forget(key)
        if key not in self._shown:
            self._shown[key] = _Shown(target)
            self._series(key, self._total, key.partition("/")[0]).inc()

    def ended(self, canary: Canary, ending: Ending) -> None:
        """Count a rollout that has ended; of a Canary that is not shown, nothing is kept."""
        if canary.key not in self._shown:
            return
        counter = self._failures if ending is Ending.FAILED else self._successes
        analysis = "skipped" if ending is Ending.PROMOTED_UNCHECKED else "completed"
        labels = (canary.target_name, canary.namespace, canary.strategy.value, analysis)
        self._series(canary.key, counter, *labels).inc()

    def stand_by(self) -> None:
        """Show no Canary any more: another controller acts now, and what was known here gets old."""
        self.leader.set(0)
        for key in tuple(self._shown):
            self.forget(key)

    def forget(self, key: str) -> None:
        """Show nothing more of a Canary that is gone, its counters included: nobody is left to count for."""
        self._unreadable.discard(key)
        shown = self._shown.pop(key, None)
        if shown is None:
            return
        self._total.labels(key.partition("/")[0]).dec()
        for series in tuple(shown.series):
            self._drop(shown, series)

    def _drop(self, shown: _Shown, series: _Series) -> None:
        """Show a series no more, unless another Canary has it too."""
        if series not in shown.series:
            return
        shown.series.remove(series)
        self._canaries[series] -= 1
        if not self._canaries[series]:
            del self._canaries[series]
            metric, labels = series
            metric.remove(*labels)

    def _series(self, key: str, metric: M, *labels: str) -> M:
        """A series of a Canary, which goes with it."""
        shown, series = self._shown.get(key), (metric, labels)
        if shown is not None and series not in shown.series:
            shown.series.add(series)
            self._canaries[series] += 1
        return metric.labels(*labels)
