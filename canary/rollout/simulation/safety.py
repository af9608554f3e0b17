"""A world that stops where a controller does what no controller may."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from canary.api.analysis import HookType, Metric, NoDataPolicy
from canary.api.canary import Canary
from canary.api.status import CanaryStatus, PastRollout, Phase, RolloutStatus
from canary.api.traffic import ALL_PRIMARY
from canary.rollout.decide import decide
from canary.rollout.decision import Action, Decision, DeletePod
from canary.rollout.facts import Facts, HookAnswer, HookQuestion, MetricQuestion
from canary.rollout.history import UNDER_WAY
from canary.rollout.simulation.scenario import Scenario, Side
from canary.rollout.simulation.world import World
from canary.rollout.status_conditions import hindered
from metrics.question import Number
from metrics.reading import Compared, Reading, Said, Sampled, Unread

NOT_OURS = frozenset({Phase.EMPTY, Phase.INITIALIZING, Phase.TERMINATING})
"""Phases in which traffic is as it was found."""


class UnsafeError(AssertionError):
    """A rule that always holds was broken."""


class SafeWorld(World):
    """A world that holds every pass against the rules.

    - No action deletes a ready pod while another is missing or not ready, nor one that runs the promoted version.
    - No action gives requests to pods that are not ready while others are, and none takes the pods away from requests,
      which reach them for as long as the data plane has not followed the route.
    - What is stored says how traffic is divided, save where nothing can be done about it.
    - What is told is stored, so that it is told once.
    - A rollout is remembered while it is under way, and once when it has ended.
    - The same facts lead to the same decision: each by which a phase is left, and every fifth beside them.

    Args:
        scenario: what happens.

    Raises:
        UnsafeError: by every method that lets time pass, when one of these is broken.
    """

    decided_twice: ClassVar[int] = 5
    """Of so many passes that leave the phase as it is, one is decided twice; deciding takes most of a world's time."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._shares: Mapping[Side, float] = {}
        self._serving: Mapping[Side, bool] = {}

    def before_action(self, action: Action, index: int) -> None:
        """Remember who serves what."""
        super().before_action(action, index)
        if isinstance(action, DeletePod):
            self._before_deletion(action)
        self._shares, self._serving = self.cluster.shares(self.now), self._who_serves()

    def after_action(self, action: Action, *, wrote: bool) -> None:
        """Look at what it has done to requests."""
        super().after_action(action, wrote=wrote)
        if not wrote:
            return
        shares, serving = self.cluster.shares(self.now), self._who_serves()
        for side, share in shares.items():
            if share > self._shares[side] and not serving[side] and any(serving.values()):
                self.unsafe(f"{action} gives requests to the {side}, which has no ready pods")
        for side, share in self.cluster.reaching(self.now).items():
            if share and self._serving[side] and not serving[side]:
                self.unsafe(f"{action} takes the pods of the {side} from requests")

    def _collect(self) -> None:
        before = self._who_serves()
        super()._collect()
        after, reached = self._who_serves(), self.cluster.reaching(self.now)
        if reached[Side.PRIMARY] and before[Side.PRIMARY] and not after[Side.PRIMARY] and after[Side.CANARY]:
            self.unsafe("the primary goes with the Canary, away from requests")
        if reached[Side.BASELINE] and before[Side.BASELINE] and not after[Side.BASELINE] and any(after.values()):
            self.unsafe("the baseline goes with the Canary, away from requests")

    def _before_deletion(self, action: DeletePod) -> None:
        seen, target = self.cluster.partitions(self.now), self.cluster.target
        pod = next((each for each in seen.pods if each.uid == action.uid), None) if seen is not None else None
        if seen is None or pod is None or target is None or not pod.ready:
            return
        if len(seen.pods) != target.desired or not all(each.ready for each in seen.pods):
            self.unsafe(f"{action} takes a ready pod while another is not")
        if pod.revision == seen.current:
            self.unsafe(f"{action} takes a pod that runs the promoted version")

    def before_store(self, canary: Canary, facts: Facts, decision: Decision) -> None:
        """Look at the decision by itself."""
        super().before_store(canary, facts, decision)
        self.decide_again(canary, facts, decision)
        if decision.status == canary.status and (decision.events or decision.alerts or decision.ending):
            self.unsafe(f"{decision.reason}: told and not stored, so that it would be told again")

    def decide_again(self, canary: Canary, facts: Facts, decision: Decision) -> None:
        """Hold the decision against what the same facts lead to once more."""
        stays = decision.status.phase is canary.status.phase
        if stays and self.passes % self.decided_twice:
            return
        if decide(canary, facts) != decision:
            self.unsafe(f"{decision.reason}: the same facts lead to another decision")

    def after_store(self, canary: Canary, decision: Decision) -> None:
        """Look at what the status says."""
        super().after_store(canary, decision)
        self._look_back(canary.status, decision.status)
        routed = (self.cluster.split or ALL_PRIMARY).canary
        stopped = canary.spec.suspend or hindered(decision.status) is not None
        ours = self.cluster.managed and not stopped and decision.status.phase not in NOT_OURS
        could = ours and self._who_serves()[Side.PRIMARY]
        before = canary.status
        # A pass that waits for answers may store that it has seen an edit: it says nothing of traffic.
        now = decision.status
        seen = before.replace(
            observed_generation=now.observed_generation, conditions=now.conditions, outbox=now.outbox, told=now.told
        ).replace(rollout=now.rollout, history=now.history)
        if decision.status != seen and could and decision.status.canary_weight != routed:
            self.unsafe(f"the status says {decision.status.canary_weight} %, the route {routed} %")

    def _look_back(self, before: CanaryStatus, after: CanaryStatus) -> None:
        known, now = [_name(each) for each in before.history], [_name(each) for each in after.history]
        ended = before.rollout is not None and (after.rollout is None or _name(after.rollout) != _name(before.rollout))
        expected = [_name(before.rollout), *known] if before.rollout is not None and ended else known
        if now != expected[: len(now)] or (expected and not now):
            self.unsafe(f"{expected} have ended, and {now} are remembered")
        # What waits to begin waits on where what is promoted fails meanwhile.
        waits = after.phase is Phase.FAILED and _waits(after)
        if (after.rollout is not None) != (after.phase in UNDER_WAY or waits) and after != before:
            self.unsafe(f"in phase {after.phase} the rollout under way is {after.rollout}")

    def _who_serves(self) -> dict[Side, bool]:
        found = ((side, self.cluster.side(side)) for side in Side)
        return {side: workload is not None and workload.serving(self.now) for side, workload in found}

    def unsafe(self, what: str) -> None:
        """Stop, as a rule was broken."""
        status = self.canary.status
        msg = f"after {self.now - self.scenario.start}, {status.phase or 'new'} at {status.canary_weight} %: {what}"
        raise UnsafeError(msg)


def _waits(status: CanaryStatus) -> bool:
    return status.rollout is not None and status.rollout.revision != status.last_applied_spec


def _name(rollout: RolloutStatus | PastRollout) -> tuple[str, datetime]:
    """What tells one rollout from another."""
    return rollout.revision, rollout.started


def found_wanting(canary: Canary, facts: Facts, *, begun: bool = True) -> bool:
    """Whether an answer of this look speaks against going on, read apart from how the decisions read it.

    Args:
        canary: the Canary.
        facts: what the look has found.
        begun: whether the version has traffic to be judged by. Before that a rollout hook only begins the load.
    """
    for question, answer in facts.answers.items():
        match answer:
            case Reading(said=said) if isinstance(question, MetricQuestion):
                if _speaks_against(canary.analysis.metrics[question.index], said):
                    return True
            case HookAnswer(approved=approved) if isinstance(question, HookQuestion):
                counts = begun or question.type is not HookType.ROLLOUT
                if counts and approved == (question.type is HookType.ROLLBACK):
                    return True
            case _:
                pass
    return False


def _speaks_against(metric: Metric, said: Said) -> bool:
    if metric.dry_run or isinstance(said, Compared | Sampled):
        return False
    if isinstance(said, Unread):
        return True
    if not isinstance(said, Number) or math.isnan(said.value):
        return metric.no_data is not NoDataPolicy.PASS
    low, high = metric.limits.min, metric.limits.max
    return (low is not None and said.value < low) or (high is not None and said.value > high)
