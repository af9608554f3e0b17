"""The plan of traffic of each strategy: the steps that a rollout takes, in order, and where it stands."""

from dataclasses import dataclass

from canary.api.canary import Canary
from canary.api.status import CanaryStatus
from canary.api.traffic import ALL_PRIMARY, TOTAL_WEIGHT, Split

DEFAULT_ITERATIONS = 10
"""How often a version is looked at before promotion, where the router has no weights and the spec no iterations."""


@dataclass(frozen=True, slots=True)
class Step:
    """One stretch of an analysis: how traffic is divided, and which iteration it is where they are counted."""

    split: Split
    iteration: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps between the start of an analysis and the promotion; each lasts one interval at least."""

    steps: tuple[Step, ...]
    iterations: int = 0

    def position(self, status: CanaryStatus) -> int:
        """How many steps were begun: 0 before the first, `len(steps)` at the last.

        Weights and iterations are what the status keeps, so a plan that is edited in mid-rollout goes on at the
        first step that is beyond what was reached.
        """
        if self.iterations:
            return min(status.iterations, len(self.steps))
        return sum(1 for step in self.steps if step.split.canary <= status.canary_weight)

    def split_at(self, position: int) -> Split:
        """How traffic is divided once `position` steps were begun."""
        return self.steps[position - 1].split if position else ALL_PRIMARY


def plan_of(canary: Canary, *, weighted: bool) -> Plan:
    """The plan that a spec asks for, on a router that divides traffic by weight or doesn't."""
    analysis = canary.analysis
    iterations = analysis.iterations
    if not iterations and not weighted:
        iterations = DEFAULT_ITERATIONS
    if not iterations:
        return Plan(tuple(Step(Split(canary=weight)) for weight in canary.steps))
    if analysis.match and weighted:
        matched = Split(canary=TOTAL_WEIGHT, matched=True)
        return Plan(tuple(Step(matched, n + 1) for n in range(iterations)), iterations)
    quiet = tuple(Step(ALL_PRIMARY, n + 1) for n in range(iterations))
    # Blue/green: the users see the new version whole for one interval before it replaces the old one.
    full = (Step(Split(canary=TOTAL_WEIGHT), iterations + 1),) if weighted else ()
    return Plan(quiet + full, iterations)
