"""Conditions over several metrics: those that can be played, for they hold for a version that is good."""

from canary.api.canary import Canary
from canary.api.expressions import parse_expression
from canary.api.scheduling import Scheduling
from canary.rollout.simulation import healthy


def playable(canary: Canary) -> tuple[Canary, tuple[str, ...]]:
    """The Canary with the conditions that a good version meets by the numbers it is taken to have, and why not others.

    Args:
        canary: a Canary that can run.
    """
    canary, scheduled = _at_once(canary)
    if canary.skip_analysis or not canary.analysis.conditions:
        return canary, scheduled
    numbers = {metric.name: healthy(metric) for metric in canary.analysis.metrics}
    kept, notes = [], []
    for condition in canary.analysis.conditions:
        expression = parse_expression(condition.expression)
        found = expression.judge({name: {"value": number} for name, number in numbers.items()})
        if found is True:
            kept.append(condition)
            continue
        taken = ", ".join(f"{name} is {numbers[name]:g}" for name in expression.metrics)
        why = "it is not true of" if found is False else "it hangs on samples, which are not played for"
        notes.append(
            f"condition {condition.name} is left out: {why} a version that is taken for good, of which {taken}; "
            "give its metrics the limits that a good version just meets"
        )
    fields = {"analysis": canary.analysis.replace(conditions=tuple(kept)), "canary_analysis": None}
    return canary.replace(spec=canary.spec.replace(**fields)), (*scheduled, *notes)


def _at_once(canary: Canary) -> tuple[Canary, tuple[str, ...]]:
    """A Canary whose rollouts wait for nobody: neither the time of day nor other Canaries are in a story."""
    if canary.spec.scheduling.replace(priority=0) == Scheduling():
        return canary, ()
    note = "spec.scheduling is left out: rollouts are played as if they waited for no time and for no other Canary"
    return canary.replace(spec=canary.spec.replace(scheduling=Scheduling())), (note,)
