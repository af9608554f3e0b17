"""A Canary whose target is rolled out in place, pod by pod, with its facts: what every phase asks of them.

There is no primary and no route. Where the other strategies keep services, give traffic back or hold a share, this one
sets the partition of the target.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from canary.api.partitions import NO_POD, Partitions, PodState
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.rollout.decision import Action, Decision, DeletePod, SetPartition
from canary.rollout.situation import Situation

UNDER_WAY: Final = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING})
"""Phases in which a pod may be meant to run the new version."""


class InPlaceSituation(Situation):
    """A Canary and what is known around it, where its target is both of the versions."""

    @property
    def pods(self) -> Partitions:
        """The target's pods, as far as somebody has looked."""
        return self.facts.partitions or Partitions()

    @property
    def replicas(self) -> int:
        """How many pods the target's spec asks for."""
        return self.facts.target.readiness.desired if self.facts.target is not None else 0

    @property
    def observed(self) -> bool:
        """Whether Kubernetes has seen the target as it is now: what it says of it before is about another one."""
        return self.facts.target is not None and self.facts.target.readiness.observed

    @property
    def started(self) -> bool:
        """Whether any pod is meant to run the new version."""
        return self.status.partition is not None

    @property
    def released(self) -> int:
        """How many pods are meant to run the new version; scaling changes that, from the highest down."""
        return max(0, self.replicas - self.wanted)

    @property
    def wanted(self) -> int:
        """The partition that the status asks for."""
        return NO_POD if self.status.partition is None else self.status.partition

    @property
    def share(self) -> int:
        """Percent of the pods that run anything but the promoted version; 0 only where none does."""
        if not self.replicas:
            return 0
        return min(TOTAL_WEIGHT, -(-TOTAL_WEIGHT * len(self.pods.strays) // self.replicas))

    @property
    def completed(self) -> bool:
        """Whether all pods run what the template stands for, so that no other version is left to go back to."""
        return self.observed and self.pods.update == self.pods.current and not self.pods.strays

    @property
    def whole(self) -> bool:
        """Whether every pod is available, and none on its way out."""
        if self.facts.target is None:
            return False
        seen, pods = self.facts.target.readiness, self.pods.pods
        if pods:
            return len(pods) == self.replicas and all(pod.available for pod in pods)
        return self.replicas == seen.total and seen.available >= self.replicas

    @property
    def hopeless(self) -> bool:
        """Whether the promoted version serves nobody, and won't: whatever is tried can't make it worse."""
        target = self.facts.target
        if target is None or not self.replicas:
            return False
        return not target.serving or (self.held_back and not self.started and not self.promoted_serving)

    @property
    def promoted_serving(self) -> bool:
        """Whether a pod of the promoted version gets requests."""
        return any(pod.ready and pod.revision == self.pods.current for pod in self.pods.pods)

    @property
    def back_until(self) -> datetime:
        """When pods that are to go back should have done so."""
        moved = [each for each in (self.status.traffic_removed_time, self.status.last_progress_time) if each]
        return max(moved, default=self.now) + self.canary.progress_deadline

    @property
    def held_back(self) -> bool:
        """Whether pods that are to go back can't, as others were not available for as long as anything may take."""
        going = self.observed and self.pods.strays and self.pods.partition == NO_POD
        return bool(going) and self.now >= self.back_until and self.next_to_go_back() is None

    @property
    def gives_way(self) -> bool:
        """Whether another try begins over pods that can't go back: it may be what mends the others."""
        return self.held_back and not self.reverted and (self.changed or self.retry_asked)

    @property
    def steps(self) -> tuple[int, ...]:
        """How many pods run the new version at each step of the analysis; one more each where the spec doesn't say.

        The last pod is never among them: once all run a version, Kubernetes keeps none to go back to.
        """
        count = self.replicas
        if not self.canary.steps:
            return tuple(range(1, count))
        pods = {min(-(-count * weight // TOTAL_WEIGHT), count - 1) for weight in self.canary.steps}
        return tuple(sorted(pods - {0, -1}))

    @property
    def next_step(self) -> int | None:
        """How many pods run the new version at the next step; None where all of them are next."""
        return next((count for count in self.steps if count > self.released), None)

    def steps_done(self, status: CanaryStatus) -> tuple[int, int]:
        """How many steps of the analysis were begun by a status, and how many there are."""
        released = 0 if status.partition is None else max(0, self.replicas - status.partition)
        return sum(count <= released for count in self.steps), len(self.steps)

    @property
    def at_last_step(self) -> bool:
        """Whether a good look leads to the promotion."""
        return self.next_step is None

    @property
    def stretches(self) -> int:
        """Each step by itself: pods of the same names were of the version before."""
        return max(1, len(self.steps))

    @property
    def split(self) -> Split:
        """The share of the pods stands for that of the requests: one Service leads to all of them."""
        return Split(canary=self.share)

    @property
    def reverted(self) -> bool:
        """Whether the target was set back to what Kubernetes makes the pods below the partition from."""
        return self.changed and self.observed and self.pods.update == self.pods.current

    @property
    def canary_ready(self) -> bool:
        """Whether every pod that is meant to run the new version does, and is available."""
        new = [pod for pod in self.pods.pods if pod.index >= self.wanted]
        updated = all(pod.available and pod.revision == self.pods.update for pod in new)
        return self.observed and updated and len(new) == self.released

    @property
    def canary_serving(self) -> bool:
        """Whether a pod of the new version gets requests."""
        return any(pod.ready and pod.revision == self.pods.update for pod in self.pods.strays)

    @property
    def primary_can_take_over(self) -> bool:
        """Always: no pod is taken from requests before another is ready."""
        return True

    @property
    def pending(self) -> str:
        """What pods are waited for, in words."""
        if not self.observed:
            return "waiting for rollout to finish: observed generation less than desired generation"
        if not self.started:
            ready = self.facts.target.readiness.available if self.facts.target is not None else 0
            return f"waiting for all pods to be available before any is updated: {ready} of {self.replicas} are"
        new = [pod for pod in self.pods.pods if pod.index >= self.wanted and pod.revision == self.pods.update]
        ready = sum(1 for pod in new if pod.available)
        return f"waiting for rollout to finish: {ready} of {self.released} updated pods are available"

    @property
    def starting(self) -> str:
        """What is told of a new revision."""
        return f"New revision detected! Updating {self.target_name} pod by pod"

    @property
    def failing(self) -> str:
        """What is told of a version that has failed."""
        return f"Canary failed! Setting the pods of {self.full_name} back"

    def keep_services(self) -> tuple[Action, ...]:
        """Nothing: the Services of the target are their author's."""
        return ()

    def keep_all_on_primary(self) -> tuple[Action, ...]:
        """No pod is updated any more; those that were go back one by one, by `partition.come_back`."""
        return (SetPartition(NO_POD),) if self.facts.target is not None else ()

    def keep_share(self) -> tuple[Action, ...]:
        """The partition that the status asks for, and no pod in the way of it.

        Kubernetes replaces pods that get ready, and may wait for ever for one that doesn't; such a one has nothing to
        lose, and is deleted.
        """
        if self.facts.target is None:
            return ()
        stuck = [
            pod
            for pod in self.pods.pods
            if pod.index >= self.wanted and pod.revision != self.pods.update and not pod.ready and not pod.terminating
        ]
        settled = self.observed and self.pods.partition == self.wanted
        free = (DeletePod(stuck[0].name, stuck[0].uid),) if stuck and settled else ()
        return (SetPartition(self.wanted), *free)

    def let_go(self) -> tuple[Action, ...]:
        """Nothing: the pods are users' own."""
        return ()

    def wake(self) -> tuple[Action, ...]:
        """Nothing: the pods are there."""
        return ()

    def next_to_go_back(self) -> PodState | None:
        """The pod to delete so that it comes back as the promoted version; None while one is on its way already.

        The last one updated goes first: the way back is the way there. One that is not ready goes before all others.
        One that gets requests goes only when all others do too.
        """
        going = [pod for pod in self.pods.strays if not pod.terminating]
        broken = [pod for pod in going if not pod.ready]
        if broken:
            return broken[0]
        return going[0] if going and self.whole else None

    def truthful(self, decision: Decision) -> Decision:
        """The decision with what the pods themselves say: their share, and that the rollout moves while it changes."""
        if any(each.workload for each in self.facts.unseen):
            return decision
        status = decision.status
        if status.phase not in UNDER_WAY:
            status = status.replace(partition=None)
        if self.observed and self.share != self.status.canary_weight:
            status = status.replace(last_progress_time=self.now)
        return replace(
            decision, status=status.replace(canary_weight=self.share if self.observed else self.status.canary_weight)
        )
