"""A world in which Flagger was at work until a moment."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY
from canary.rollout.decision import Action, Adopt, CopyToPrimary, Decision
from canary.rollout.facts import Facts
from canary.rollout.simulation.safety import SafeWorld
from canary.rollout.simulation.scenario import Scenario
from canary.rollout.simulation.timeline import Entry

HASH = "7c9fd6b5bb"
OLD_HASH = "5d56bb57cd"
ZEROED = frozenset(Phase) - {Phase.PROGRESSING, Phase.WAITING, Phase.PROMOTING}
"""Phases on whose begin Flagger forgets weight and iterations."""


class TakenOver(SafeWorld):
    """A rollout that is Flagger's up to a moment: from then on its status is, and its primary tells no revision.

    No weight moves when it is taken over, and nothing is told.

    Args:
        scenario: what happens.
        at: the moment, in seconds.
        lacks: what Flagger was cut off before it could store; a status as it stores it where absent.

    Attributes:
        before: the status before it became Flagger's.
        weight: the share of the canary at that moment, in percent.
        adoptions: how often it was taken over.
    """

    def __init__(self, scenario: Scenario, at: float, **lacks: Any) -> None:
        super().__init__(scenario)
        self._unmarked = False
        self.run(timedelta(seconds=at))
        self._unmarked = True
        self.weight = (self.cluster.split or ALL_PRIMARY).canary
        self.before = self.canary.status
        self.canary = self.canary.replace(status=_flaggers(self.canary, **lacks))
        self.restart()
        self.audience.heard = 0
        self.entries: list[Entry] = []
        self.adoptions = 0

    def facts(self) -> Facts:
        """A primary that we have not written carries the target's revision, or one that nobody can tell."""
        facts = super().facts()
        target, primary = facts.target, facts.primary
        if not self._unmarked or primary is None or (target is not None and primary.revision == target.revision):
            return facts
        return replace(facts, primary=replace(primary, revision=""))

    def after_store(self, canary: Canary, decision: Decision) -> None:
        """Look at what adoption does."""
        super().after_store(canary, decision)
        if Adopt() not in decision.actions:
            return
        self.adoptions += 1
        if (self.cluster.split or ALL_PRIMARY).canary != self.weight:
            self.unsafe("a weight moves when it is taken over")
        if decision.events or decision.alerts:
            self.unsafe("something is told when it is taken over, and nothing has happened")

    def before_action(self, action: Action, index: int) -> None:
        """What we write tells its revision."""
        super().before_action(action, index)
        if isinstance(action, CopyToPrimary):
            self._unmarked = False

    @property
    def told(self) -> list[str]:
        """The messages of all events."""
        return [event.message for entry in self.entries for event in entry.events]


def _flaggers(canary: Canary, **lacks: Any) -> CanaryStatus:
    """The status as Flagger would have stored it: its own hashes, and no field that it doesn't know."""
    status = canary.status
    phase = status.phase
    forgets = phase in ZEROED
    counts = bool(canary.analysis.iterations)
    iterations = canary.analysis.iterations - 1 if phase is Phase.WAITING_PROMOTION else 0
    given = {
        "phase": phase,
        # An A/B test or blue/green has no weight in its status, a weighted one no iterations.
        "canary_weight": 0 if forgets or counts else status.canary_weight,
        "iterations": iterations if forgets else (status.iterations if counts else 0),
        "failed_checks": status.failed_checks,
        "last_applied_spec": HASH,
        "last_promoted_spec": HASH if status.last_applied_spec == status.last_promoted_spec else OLD_HASH,
        "tracked_configs": status.tracked_configs,
        "conditions": status.conditions,
        "last_transition_time": status.last_transition_time,
        **lacks,
    }
    return CanaryStatus(**given)
