"""A model of a StatefulSet with its controller: pods by number, replaced one at a time, the highest first."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from canary.api.partitions import Partitions, PodState
from canary.api.traffic import Readiness
from canary.rollout.facts import Workload
from canary.rollout.simulation.scenario import Scenario

NOTICED = timedelta(seconds=0.2)
"""How long the StatefulSet's controller takes to see a change of the spec."""

ENDING = timedelta(seconds=1)
"""How long a pod that is deleted takes until it is gone."""


@dataclass(slots=True)
class Replica:
    """One pod.

    Args:
        uid: tells it from the others that had its name.
        revision: what it was made from.
        ready_at: when it gets ready; None is never.
        gone_at: when it is gone, where it was deleted.
    """

    uid: int
    revision: str
    ready_at: datetime | None
    gone_at: datetime | None = None

    def ready(self, now: datetime) -> bool:
        """Whether it answers requests, and is to stay."""
        return self.gone_at is None and self.ready_at is not None and self.ready_at <= now


@dataclass(frozen=True, slots=True)
class Spec:
    """What somebody has asked for."""

    revision: str
    desired: int
    partition: int = 0


@dataclass(slots=True)
class StatefulSet:
    """A workload that is rolled out in place.

    Args:
        scenario: how each revision behaves.
        spec: what it is to be.
        current: the revision that pods below the partition are made from.
        pods: what it has, by number.
        seen: what its controller takes it to be.
    """

    scenario: Scenario
    spec: Spec
    current: str
    pods: dict[int, Replica] = field(default_factory=dict)
    seen: Spec = field(init=False)
    _seen_at: datetime | None = None
    _made: int = 0

    def __post_init__(self) -> None:
        self.seen = self.spec

    @classmethod
    def serving_since(cls, scenario: Scenario, revision: str, start: datetime) -> "StatefulSet":
        """One whose pods are all ready."""
        made = cls(scenario, Spec(revision, scenario.replicas), revision)
        for index in range(scenario.replicas):
            made._make(index, start)
            made.pods[index].ready_at = start
        return made

    def twin(self) -> "StatefulSet":
        """One like it, to go another way."""
        other = replace(self, pods={index: replace(pod) for index, pod in self.pods.items()})
        other.seen = self.seen
        return other

    @property
    def revision(self) -> str:
        """What its template stands for."""
        return self.spec.revision

    @property
    def desired(self) -> int:
        """How many pods it should have."""
        return self.spec.desired

    def deploy(self, revision: str, now: datetime) -> None:
        """Set its pod template."""
        self._change(replace(self.spec, revision=revision), now)

    def scale(self, replicas: int, now: datetime) -> None:
        """Set how many pods it should have."""
        self._change(replace(self.spec, desired=replicas), now)

    def set_partition(self, partition: int, now: datetime) -> bool:
        """Set from which pod on they are updated, and say whether that changed anything."""
        changed = partition != self.spec.partition
        self._change(replace(self.spec, partition=partition), now)
        return changed

    def _change(self, spec: Spec, now: datetime) -> None:
        if spec != self.spec and self._seen_at is None:
            self._seen_at = now + NOTICED
        self.spec = spec

    def delete(self, uid: str, now: datetime) -> bool:
        """Delete a pod, and say whether it was there."""
        for pod in self.pods.values():
            if str(pod.uid) == uid and pod.gone_at is None:
                pod.gone_at = now + ENDING
                return True
        return False

    def kill(self, now: datetime, back_after: timedelta | None) -> None:
        """All its pods stop being ready."""
        for pod in self.pods.values():
            pod.ready_at = None if back_after is None else now + back_after
        self.settle(now)

    def settle(self, now: datetime) -> None:
        """Let its controller do what there is to do."""
        if self._seen_at is not None and self._seen_at <= now:
            self.seen, self._seen_at = self.spec, None
        while self._act(now):
            pass
        wanted = [self.pods.get(index) for index in range(self.seen.desired)]
        if len(self.pods) == len(wanted) and all(
            pod is not None and pod.ready(now) and pod.revision == self.seen.revision for pod in wanted
        ):
            self.current = self.seen.revision

    def _act(self, now: datetime) -> bool:
        """Do the next thing; whether there may be another at once."""
        for index in [index for index, pod in self.pods.items() if pod.gone_at is not None and pod.gone_at <= now]:
            del self.pods[index]
        for index in range(self.seen.desired):
            if index not in self.pods:
                self._make(index, now)
                return True
            if not self.pods[index].ready(now):
                return False
        for index in sorted(self.pods, reverse=True):
            pod = self.pods[index]
            surplus = index >= self.seen.desired
            stale = index >= self.seen.partition and pod.revision != self.seen.revision
            if pod.gone_at is None and (surplus or stale):
                pod.gone_at = now + ENDING
                return False
            if not pod.ready(now) and (surplus or index >= self.seen.partition):
                return False
        return False

    def _make(self, index: int, now: datetime) -> None:
        self._made += 1
        revision = self.current if index < self.seen.partition else self.seen.revision
        version = self.scenario.version(revision)
        last = index == 0 and revision != self.current  # the pod that is the promotion
        delay = None if last and not version.fits_primary else version.ready_after
        self.pods[index] = Replica(self._made, revision, None if delay is None else now + delay)

    def next_change(self, now: datetime) -> datetime | None:
        """When the next of its pods become ready or are gone, or its controller looks at it."""
        moments = [self._seen_at]
        moments += [moment for pod in self.pods.values() for moment in (pod.ready_at, pod.gone_at)]
        return min((each for each in moments if each is not None and each > now), default=None)

    def readiness(self, now: datetime) -> Readiness:
        """How far it has come."""
        ready = sum(1 for pod in self.pods.values() if pod.ready(now))
        updated = sum(1 for pod in self.pods.values() if pod.revision == self.seen.revision and pod.gone_at is None)
        return Readiness(
            desired=self.spec.desired,
            updated=updated,
            ready=ready,
            available=ready,
            total=len(self.pods),
            observed=self._seen_at is None,
        )

    def partitions(self, now: datetime) -> Partitions:
        """Its pods, where a controller would look at them."""
        staying = sum(1 for pod in self.pods.values() if pod.gone_at is None and pod.revision == self.current)
        calm = self.spec.partition >= self.spec.desired and staying == len(self.pods) == self.spec.desired
        states = tuple(
            PodState(
                name=f"app-{index}",
                uid=str(pod.uid),
                index=index,
                revision=pod.revision,
                ready=pod.ready(now),
                available=pod.ready(now),
                terminating=pod.gone_at is not None,
            )
            for index, pod in sorted(self.pods.items())
            if index < self.spec.desired
        )
        return Partitions(self.spec.partition, self.current, self.seen.revision, () if calm else states)

    def serving(self, now: datetime) -> bool:
        """Whether a pod of it answers requests."""
        return any(pod.ready(now) for pod in self.pods.values())

    def runs(self, now: datetime) -> bool:
        """Whether a pod of what its template stands for answers requests."""
        return self.ready_by_revision(now).get(self.revision, 0) > 0

    def ready_by_revision(self, now: datetime) -> dict[str, int]:
        """Its ready pods, by what they run."""
        ready: dict[str, int] = {}
        for pod in self.pods.values():
            if pod.ready(now):
                ready[pod.revision] = ready.get(pod.revision, 0) + 1
        return ready

    def observe(self, now: datetime) -> Workload:
        """What a controller sees of it."""
        return Workload(self.revision, self.readiness(now), images={"app": f"app:{self.revision}"})
