"""A model of a Deployment, as one of the two workloads of a Canary."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from canary.api.traffic import Readiness
from canary.rollout.facts import Workload
from canary.rollout.simulation.scenario import Scenario, Side


@dataclass(slots=True)
class Pods:
    """Pods of one revision that start together."""

    revision: str
    count: int
    ready_at: datetime | None

    def ready(self, now: datetime) -> bool:
        """Whether they answer requests."""
        return self.ready_at is not None and self.ready_at <= now


@dataclass(slots=True)
class Deployment:
    """A workload that replaces its pods without a gap: old ones go when all new ones are ready.

    Args:
        scenario: how each revision behaves.
        side: which of the workloads it is.
        revision: what it runs, or is becoming.
        desired: how many pods it should have.
        pods: what it has.
        followed: a digest of the followed configuration that its pods have read.
    """

    scenario: Scenario
    side: Side
    revision: str
    desired: int
    pods: list[Pods] = field(default_factory=list)
    followed: str = ""

    def twin(self) -> "Deployment":
        """One like it, to go another way."""
        return replace(self, pods=[replace(each) for each in self.pods])

    def deploy(self, revision: str, now: datetime) -> None:
        """Set its pod template."""
        self.revision = revision
        self._start_missing(now)

    def scale(self, replicas: int, now: datetime) -> None:
        """Set how many pods it should have."""
        self.desired = replicas
        if not replicas:
            self.pods = []
            return
        surplus = sum(each.count for each in self.pods if each.revision == self.revision) - replicas
        for each in reversed(self.pods):
            gone = min(each.count, max(surplus, 0)) if each.revision == self.revision else 0
            each.count -= gone
            surplus -= gone
        self.pods = [each for each in self.pods if each.count]
        self._start_missing(now)

    def _start_missing(self, now: datetime) -> None:
        missing = self.desired - sum(each.count for each in self.pods if each.revision == self.revision)
        if missing > 0:
            version = self.scenario.version(self.revision)
            delay = version.ready_after if version.fits_primary or self.side is Side.CANARY else None
            if self.side is Side.BASELINE:
                delay = self.scenario.baseline_after
            if self.side is Side.PRIMARY and self.scenario.canary.targets_knative:
                delay = timedelta(0)  # the Revision that is promoted serves already
            self.pods.append(Pods(self.revision, missing, None if delay is None else now + delay))
        self.settle(now)

    def kill(self, now: datetime, back_after: timedelta | None) -> None:
        """All its pods stop being ready."""
        for each in self.pods:
            each.ready_at = None if back_after is None else now + back_after
        self.settle(now)

    def settle(self, now: datetime) -> None:
        """Let old pods go once all new ones are ready."""
        new = [each for each in self.pods if each.revision == self.revision]
        if len(new) < len(self.pods) and sum(each.count for each in new if each.ready(now)) >= self.desired:
            self.pods = new

    def next_change(self, now: datetime) -> datetime | None:
        """When the next of its pods become ready."""
        coming = [each.ready_at for each in self.pods if each.ready_at is not None and each.ready_at > now]
        return min(coming, default=None)

    def readiness(self, now: datetime) -> Readiness:
        """How far it has come."""
        ready = updated = total = 0
        for each in self.pods:
            total += each.count
            ready += each.count if each.ready(now) else 0
            updated += each.count if each.revision == self.revision else 0
        stalled = self.scenario.version(self.revision).refused if not self.runs(now) else ""
        return Readiness(self.desired, updated, ready, available=ready, total=total, stalled=stalled)

    def serving(self, now: datetime) -> bool:
        """Whether a pod of it answers requests."""
        return any(each.ready(now) for each in self.pods)

    def runs(self, now: datetime) -> bool:
        """Whether a pod of its current revision answers requests."""
        return any(each.ready(now) for each in self.pods if each.revision == self.revision)

    def ready_by_revision(self, now: datetime) -> dict[str, int]:
        """Its ready pods, by what they run."""
        ready: dict[str, int] = {}
        for each in self.pods:
            if each.ready(now):
                ready[each.revision] = ready.get(each.revision, 0) + each.count
        return ready

    def observe(self, now: datetime) -> Workload:
        """What a controller sees of it."""
        configs = dict(self.scenario.version(self.revision).configs)
        images = {"app": f"app:{self.revision}"}
        return Workload(self.revision, self.readiness(now), configs, self.followed, images)
