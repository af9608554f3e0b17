"""A member in a few strokes: its Canary goes through a controller's phases at the times that its fate says.

Quicker by far than one whose own decisions are played, for trying thousands of fates. `Played` is held against it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from canary.api.canary import Canary
from canary.api.fleet_rules import GATE
from canary.api.meta import JsonObject
from canary.api.status import (
    ApprovalStatus,
    BakeStatus,
    CanaryStatus,
    Outcome,
    PastRollout,
    Phase,
    RolloutStatus,
)
from canary.fleet.simulation.clusters import Cluster, Place, annotated, applied
from canary.rollout.orders import ORDER_ANNOTATION, PAUSE_ANNOTATION, as_read
from canary.rollout.situation import RETRY_ANNOTATION
from canary.rollout.votes import votes_in

OLD, NEW = "v1", "v2"
"""What a member serves at the beginning, and what the release brings."""

SETTING_UP = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a release in one member.

    Args:
        comes_after: when the new version is deployed there, since the beginning; None is never.
        takes: how long its rollout takes.
        fails: how many tries fail before one is good.
        turns_bad_after: how long after its promotion it turns bad; None is never.
    """

    comes_after: timedelta | None = timedelta(0)
    takes: timedelta = timedelta(minutes=5)
    fails: int = 0
    turns_bad_after: timedelta | None = None


class Sketch(Cluster):
    """A member whose fate is written.

    Args:
        place: what the hub knows of it.
        fate: what becomes of the release.
        start: the beginning.
        canary: the Canary that is there already, and serves the old version; None where there is none.
        images: what the new version's images are.
    """

    def __init__(
        self,
        place: Place,
        fate: Fate,
        start: datetime,
        canary: Canary | None = None,
        images: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(place)
        self.fate = fate
        self._images = dict(images or {})
        self._comes = None if fate.comes_after is None else start + fate.comes_after
        self._canary = canary
        self._due: datetime | None = None
        self._tries = 0
        self._now = start
        self.gated = True
        """Whether its rollouts wait for the hub."""
        self._store(phase=Phase.SUCCEEDED, last_promoted_spec=OLD, last_applied_spec=OLD)

    @property
    def canary(self) -> Canary | None:
        """The Canary as it is there."""
        return self._canary

    @property
    def promoted(self) -> str:
        """What the member serves."""
        return self._canary.status.last_promoted_spec if self._canary is not None else ""

    def apply(self, raw: JsonObject, now: datetime) -> None:
        """Somebody applies the Canary."""
        self._canary = applied(self._canary, raw)

    def annotate(self, annotations: Mapping[str, str | None], now: datetime) -> None:
        """Somebody annotates the Canary."""
        if self._canary is not None:
            self._canary = annotated(self._canary, annotations)

    def next_moment(self) -> datetime | None:
        """When something happens in it next."""
        # One that stands still is moved by whoever lets it go on.
        due = None if self._annotation(PAUSE_ANNOTATION) else self._due
        moments = [due, self._comes if self._comes is not None and self._comes > self._now else None]
        return min((each for each in moments if each is not None), default=None)

    def advance(self, now: datetime) -> None:
        """Let its controller do what is due."""
        self._now = now
        for _ in range(10):
            if self._canary is None or not self._step(self._canary):
                return

    @property
    def _target(self) -> str:
        return NEW if self._comes is not None and self._comes <= self._now else OLD

    def _annotation(self, name: str) -> str:
        return as_read(self._canary.metadata.annotations.get(name, "")) if self._canary is not None else ""

    def _store(self, **changes: object) -> bool:
        if self._canary is not None:
            self._canary = self._canary.replace(status=self._canary.status.replace(**changes))
        return True

    def _step(self, canary: Canary) -> bool:
        """One transition, where one is due."""
        status = canary.status
        order = self._annotation(ORDER_ANNOTATION)
        if order and order != status.last_order:
            return self._heed(status, order)
        if self._annotation(PAUSE_ANNOTATION):
            return False
        match status.phase:
            case Phase.EMPTY:
                self._due = self._now + SETTING_UP
                return self._store(phase=Phase.INITIALIZING)
            case Phase.INITIALIZING if self._is_due():
                target = self._target
                return self._store(phase=Phase.INITIALIZED, last_promoted_spec=target, last_applied_spec=target)
            case Phase.WAITING:
                return self._begin(status)
            case Phase.PROGRESSING if self._is_due():
                return self._judge(status)
            case Phase.INITIALIZED | Phase.SUCCEEDED | Phase.FAILED:
                return self._rest(status)
        return False

    def _is_due(self) -> bool:
        if self._due is None or self._due > self._now:
            return False
        self._due = None
        return True

    def _heed(self, status: CanaryStatus, order: str) -> bool:
        if status.phase in (Phase.WAITING, Phase.PROGRESSING):
            self._due = None
            failed = {"phase": Phase.FAILED, "reason": "RolledBack", "last_applied_spec": self._target}
            return self._store(last_order=order, rollout=None, approvals=(), last_retry=self._retry(), **failed)
        if status.is_baking:
            return self._turn_bad(status) and self._store(last_order=order)
        return self._store(last_order=order)

    def _retry(self) -> str:
        return self._annotation(RETRY_ANNOTATION)

    def _rest(self, status: CanaryStatus) -> bool:
        again = status.phase is Phase.FAILED and self._retry() not in ("", status.last_retry)
        target = self._target
        if target != status.last_applied_spec or (again and target != status.last_promoted_spec):
            rollout = RolloutStatus(revision=target, images=self._images or None, started=self._now)
            moment = f"{target}-{self._retry()}-{self._tries}"
            asked = ApprovalStatus(gate=GATE, type="confirm-rollout", moment=moment, since=self._now)
            return self._store(phase=Phase.WAITING, reason="WaitingForApproval", rollout=rollout, approvals=(asked,))
        if status.is_baking and self._is_due():
            return self._turn_bad(status) if self.fate.turns_bad_after is not None else self._store(bake=None)
        return False

    def _begin(self, status: CanaryStatus) -> bool:
        moments = {each.moment for each in status.approvals}
        votes = (vote for _, vote in votes_in(self._canary.metadata.annotations) if vote) if self._canary else ()
        if self.gated and not any(vote.moment in moments and vote.approves for vote in votes):
            return False
        self._due = self._now + self.fate.takes
        return self._store(
            phase=Phase.PROGRESSING, reason="", approvals=(), last_applied_spec=self._target, last_retry=self._retry()
        )

    def _judge(self, status: CanaryStatus) -> bool:
        self._tries += 1
        rollout = status.rollout
        if self._tries <= self.fate.fails:
            return self._store(phase=Phase.FAILED, reason="RolledBack", message="it is bad", rollout=None)
        past = PastRollout(
            revision=status.last_applied_spec,
            images=rollout.images if rollout is not None else None,
            started=self._now,
            ended=self._now,
            outcome=Outcome.PROMOTED,
        )
        bake = self._canary.analysis.bake if self._canary is not None else None
        if bake is not None:
            self._due = self._now + (min(self.fate.turns_bad_after, bake) if self.fate.turns_bad_after else bake)
        return self._store(
            phase=Phase.SUCCEEDED,
            reason="",
            rollout=None,
            last_promoted_spec=status.last_applied_spec,
            history=(past, *status.history),
            bake=BakeStatus(last_good_spec=status.last_promoted_spec, start_time=self._now) if bake else None,
        )

    def _turn_bad(self, status: CanaryStatus) -> bool:
        self._due = None
        good = status.bake.last_good_spec if status.bake is not None else ""
        failed = {"phase": Phase.FAILED, "reason": "BakeFailed", "message": "it turned bad", "bake": None}
        return self._store(last_promoted_spec=good or status.last_promoted_spec, **failed)
