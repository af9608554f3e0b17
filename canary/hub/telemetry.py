"""The hub's own metrics for Prometheus: where fleets, their waves and their members stand, and how the hub itself does.

What is shown of a fleet is made of its status when Prometheus asks, so that nothing is left of what is gone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from canary.api.fleet import CanaryFleet
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState
from canary.controller.outcome import Kind
from canary.fleet.decide import INVALID
from canary.fleet.progress import READY

RUNNING, SUCCEEDED, FAILED = 0, 1, 2
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_FLEET: Final = ("name", "namespace")
"""Labels that tell of which fleet a series is."""

_RESULTS: Final = {FleetPhase.SUCCEEDED: SUCCEEDED, FleetPhase.FAILED: FAILED}


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of one fleet.

    Args:
        name: its name.
        namespace: its namespace.
        waves: how many waves its spec has.
        status: where it stands; None where it can't be read.
    """

    name: str
    namespace: str
    waves: int = 0
    status: FleetStatus | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Which fleet it is."""
        return self.name, self.namespace

    @property
    def stalled(self) -> bool:
        """Whether its spec can't work, or be read."""
        conditions = self.status.conditions if self.status is not None else ()
        return self.status is None or any(each.type == READY and each.reason == INVALID for each in conditions)


class Telemetry(Collector):
    """What `/metrics` shows of a hub.

    Args:
        version: of the hub.
    """

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        Gauge("canary_hub_info", "Version of the hub.", ["version"], registry=registry).labels(version).set(1)
        prometheus_client.ProcessCollector(registry=registry)  # what this process costs
        self._passes = prometheus_client.Counter(
            "canary_hub_reconcile_total", "Passes over a CanaryFleet, by outcome.", ["outcome"], registry=registry
        )
        for kind in Kind:
            self._passes.labels(kind.value)
        self._seconds = Histogram(
            "canary_hub_reconcile_duration_seconds",
            "Seconds that one pass over a CanaryFleet takes, its writes into members included.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.queue_depth = Gauge("canary_hub_queue_depth", "CanaryFleets that are due and wait.", registry=registry)
        self.leader = Gauge("canary_hub_leader", "1 while this hub acts, else 0.", registry=registry)
        self._shown: dict[str, Shown] = {}
        registry.register(self)

    def passed(self, kind: Kind, took: timedelta) -> None:
        """One pass is over."""
        self._passes.labels(kind.value).inc()
        self._seconds.observe(took.total_seconds())

    def observe(self, fleet: CanaryFleet, status: FleetStatus) -> None:
        """Show where a fleet stands."""
        self._shown[fleet.key] = Shown(fleet.name, fleet.namespace, len(fleet.spec.waves), status)

    def unreadable(self, key: str) -> None:
        """Show a fleet that can't be read: nothing more is known of it."""
        namespace, _, name = key.partition("/")
        self._shown[key] = Shown(name, namespace)

    def forget(self, key: str) -> None:
        """Show nothing more of a fleet that is gone."""
        self._shown.pop(key, None)

    def stand_by(self) -> None:
        """Show no fleet any more: another hub acts now, and what was known here gets old."""
        self.leader.set(0)
        self._shown.clear()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What is shown of all fleets."""
        shown = [*self._shown.values()]
        read = [(each, each.status) for each in shown if each.status is not None]
        yield _gauge(
            "canary_hub_fleet_stalled",
            "1 while the spec of a CanaryFleet can't work, or be read, else 0.",
            _FLEET,
            ((each.labels, each.stalled) for each in shown),
        )
        yield from _of_fleets(read)
        yield from _of_waves(read)
        yield from _of_members(read)
        yield from _of_joint(read)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing that stands before there are fleets."""
        return ()


_Read = list[tuple[Shown, FleetStatus]]


def _gauge(
    name: str, words: str, labels: Iterable[str], values: Iterable[tuple[Iterable[str], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=[*labels])
    for at, value in values:
        family.add_metric([*at], value)
    return family


def _of_fleets(read: _Read) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "canary_hub_fleet_status",
        "How the release of a CanaryFleet is: 0 under way, 1 released, 2 failed.",
        _FLEET,
        ((each.labels, _RESULTS.get(status.phase, RUNNING)) for each, status in read),
    )
    yield _gauge(
        "canary_hub_fleet_info",
        "Always 1; which release a CanaryFleet has, in which phase it is, and why, in one word.",
        (*_FLEET, "release", "phase", "reason"),
        (((*each.labels, status.release, status.phase.value, status.reason), 1) for each, status in read),
    )
    yield _gauge(
        "canary_hub_fleet_started_timestamp_seconds",
        "When the release of a CanaryFleet began.",
        _FLEET,
        ((each.labels, status.started.timestamp()) for each, status in read if status.started is not None),
    )
    yield _gauge(
        "canary_hub_fleet_wave",
        "The wave that is under way, from 1; 0 before the first.",
        _FLEET,
        ((each.labels, status.wave) for each, status in read),
    )
    yield _gauge(
        "canary_hub_fleet_waves",
        "How many waves a CanaryFleet has.",
        _FLEET,
        ((each.labels, each.waves) for each, _ in read),
    )
    yield _gauge(
        "canary_hub_fleet_members",
        "How many members of a CanaryFleet stand where, by state.",
        (*_FLEET, "state"),
        (((*each.labels, state.value), count) for each, status in read for state, count in _states(status)),
    )


def _states(status: FleetStatus) -> Iterator[tuple[MemberState, int]]:
    counted = Counter(each.state for each in status.members)
    return ((state, counted[state]) for state in MemberState)


def _of_waves(read: _Read) -> Iterator[GaugeMetricFamily]:
    waves = [(each.labels, wave) for each, status in read for wave in status.waves]
    yield _gauge(
        "canary_hub_wave_info",
        "Always 1; where a wave stands.",
        (*_FLEET, "wave", "state"),
        (((*labels, wave.name, wave.state.value), 1) for labels, wave in waves),
    )
    for name, words in _COUNTS.items():
        yield _gauge(
            f"canary_hub_wave_{name}",
            words,
            (*_FLEET, "wave"),
            (((*labels, wave.name), getattr(wave, name)) for labels, wave in waves),
        )


_COUNTS: Final = {
    "members": "How many members a wave has.",
    "required": "How many members of a wave must pass.",
    "passed": "How many members of a wave have passed.",
    "failed": "How many members of a wave have failed.",
}


def _of_members(read: _Read) -> Iterator[GaugeMetricFamily]:
    members = [(each.labels, member) for each, status in read for member in status.members]
    yield _gauge(
        "canary_hub_member_info",
        "Always 1; in which wave a member is, and where it stands.",
        (*_FLEET, "member", "wave", "state"),
        (((*labels, each.name, str(each.wave), each.state.value), 1) for labels, each in members),
    )
    yield _gauge(
        "canary_hub_member_unreachable",
        "1 while a member can't be reached, else 0.",
        (*_FLEET, "member"),
        (((*labels, each.name), each.unreachable_since is not None) for labels, each in members),
    )
    yield _gauge(
        "canary_hub_cluster_weight",
        "Percent of all requests that a cluster is to get, where a CanaryFleet sets the weights of routes.",
        (*_FLEET, "member"),
        (((*each.labels, share.name), share.weight) for each, status in read for share in status.traffic),
    )


def _of_joint(read: _Read) -> Iterator[GaugeMetricFamily]:
    said = [(each.labels, joint) for each, status in read for joint in status.joint]
    for name, words in _JOINT.items():
        yield _gauge(
            f"canary_hub_joint_{name}",
            words,
            (*_FLEET, "metric"),
            (((*labels, each.name), getattr(each, _FIELDS.get(name, name))) for labels, each in said),
        )


_JOINT: Final = {
    "p_value": "How likely at most so much speaks against a release that is worse in no member.",
    "bad_percent": "Percent of the new version's requests that were bad, of all members that it rests on.",
    "requests": "How many requests of the new version the joint verdict rests on.",
    "members": "How many members the joint verdict rests on.",
}
_FIELDS: Final = {"bad_percent": "value", "requests": "samples"}
