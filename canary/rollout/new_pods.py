"""The pods that come and go with a rollout: the canary's, and those of a baseline beside them."""

from dataclasses import dataclass
from functools import cached_property

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase
from canary.rollout import messages
from canary.rollout.facts import Facts

ANALYSED = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION})
"""Phases in which a rollout can be taken back."""


@dataclass(frozen=True)
class NewPods:
    """A Canary and what is known around it, as far as its new pods go.

    Neither ever changes, so that what is asked often is made out once, and kept with it.
    """

    canary: Canary
    facts: Facts

    @property
    def status(self) -> CanaryStatus:
        """What was stored last."""
        return self.canary.status

    @property
    def promoted(self) -> str:
        """The revision that the primary serves."""
        primary = self.facts.primary
        return primary.revision if primary is not None and primary.revision else self.status.last_promoted_spec

    @property
    def canary_ready(self) -> bool:
        """Whether the target's pods are ready for their share of the traffic, and those of a baseline beside them."""
        return self.target_ready and (self.baseline_ready or not self.has_baseline(self.status))

    @property
    def target_ready(self) -> bool:
        """Whether the target's pods are ready for their share of the traffic."""
        target = self.facts.target
        return target is not None and target.settled(self.canary.analysis.canary_ready_threshold)

    def has_baseline(self, status: CanaryStatus) -> bool:
        """Whether a baseline stands beside the canary where the rollout is as this status says."""
        return self._wants_baseline and status.phase in ANALYSED

    @cached_property
    def _wants_baseline(self) -> bool:
        """Whether a rollout has a baseline at any time."""
        goes = self.canary.metadata.deletion_timestamp is not None
        weighted = self.facts.weighted and self.facts.partitions is None
        return self.canary.wants_baseline and weighted and not goes

    def baseline_revision(self, status: CanaryStatus) -> str:
        """For which rollout a baseline is made: of what is promoted, beside what is rolled out."""
        return f"{self.promoted}.{status.last_applied_spec}"

    @property
    def baseline_ready(self) -> bool:
        """Whether the baseline's pods are ready for as large a share as the canary's."""
        fresh = self.facts.baseline
        ours = fresh is not None and fresh.revision == self.baseline_revision(self.status)
        return fresh is not None and ours and fresh.settled(self.canary.analysis.canary_ready_threshold)

    @property
    def baseline_lost(self) -> bool:
        """Whether the canary has requests, and the baseline beside it no ready pods."""
        fresh = self.facts.baseline
        wanted = self.has_baseline(self.status) and self.status.canary_weight > 0
        return wanted and (fresh is None or not fresh.serving)

    @property
    def baseline_name(self) -> str:
        """BASELINE.NAMESPACE, as events name it."""
        return f"{self.canary.baseline_name}.{self.canary.namespace}"

    @property
    def pending(self) -> str:
        """What the target's pods are waited for, in words, or those of its baseline."""
        target, fresh = self.facts.target, self.facts.baseline
        if target is None:
            return ""
        if not self.target_ready or self.canary_ready:
            return messages.pending(target.readiness)
        return f"baseline {self.baseline_name}: " + (
            messages.pending(fresh.readiness) if fresh is not None else "it is being made"
        )
