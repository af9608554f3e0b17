"""A world of a target that is rolled out in place, which stops where its pods suffer what they must not."""

from datetime import datetime

from canary.api.canary import Canary
from canary.api.partitions import NO_POD
from canary.rollout.decision import Decision, SetPartition
from canary.rollout.facts import Facts
from canary.rollout.simulation.safety import SafeWorld, found_wanting
from canary.rollout.simulation.scenario import Scenario
from canary.rollout.simulation.statefulset import StatefulSet


class PodWorld(SafeWorld):
    """A world that holds every pass against the rules for pods, too, and notes what each of them ran.

    - The weight that a phase begins with is the share of the pods that run another version.
    - No step is earned by a look that failed, and none is made before it is stored.

    Args:
        scenario: what happens.

    Attributes:
        seen: what the pods ran, by number, whenever that changed.
        least: the smallest number of pods that were ready at once.
    """

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.seen: list[str] = []
        self.least = scenario.replicas

    def advance(self, moment: datetime) -> None:
        """Note what the pods run."""
        super().advance(moment)
        target = self.cluster.target
        if not isinstance(target, StatefulSet):
            return
        staying = (pod for _, pod in sorted(target.pods.items()) if pod.gone_at is None)
        pods = " ".join(pod.revision for pod in staying)
        if self.seen[-1:] != [pods]:
            self.seen.append(pods)
        self.least = min(self.least, sum(target.ready_by_revision(self.now).values()))

    def before_store(self, canary: Canary, facts: Facts, decision: Decision) -> None:
        """Look at the decision by itself."""
        super().before_store(canary, facts, decision)
        pods, before, after = facts.partitions, canary.status, decision.status
        if pods is None or facts.target is None:
            return
        seen = facts.target.readiness
        if seen.observed and seen.desired and after.phase is not before.phase:
            share = min(100, -(-100 * len(pods.strays) // seen.desired))
            if after.canary_weight != share:
                self.unsafe(f"{decision.reason}: the status says {after.canary_weight} %, the pods {share} %")
        earlier = NO_POD if before.partition is None else before.partition
        lowered = after.partition is not None and after.partition < earlier
        if lowered and not canary.skip_analysis and found_wanting(canary, facts):
            self.unsafe(f"{decision.reason}: a step is made after a look that failed")
        ours = canary.metadata.deletion_timestamp is None
        set_to = {each.partition for each in decision.actions if isinstance(each, SetPartition)}
        if ours and set_to - {NO_POD, before.partition}:
            self.unsafe(f"{decision.reason}: the partition is set before it is stored")
