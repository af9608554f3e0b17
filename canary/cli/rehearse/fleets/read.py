"""From what is written of a CanaryFleet to the fleet, or to what is wrong with it."""

from collections.abc import Iterator
from typing import Any, Final

from canary.api.canary import parse_canary
from canary.api.fleet import CanaryFleet, parse_fleet
from canary.api.fleet_rules import canary_in, unheeded
from canary.api.fleet_rules import problems as rules
from canary.api.problems import InvalidResource, Problem
from canary.controller.problems import of_spec
from canary.gates import waves

KIND: Final = "CanaryFleet"
_JOINT: Final = "jointVerdict"


def problems_of_fleet(raw: dict[str, Any], provider: str = "") -> tuple[Problem, ...]:
    """Everything in a CanaryFleet that can't work, its template's Canary as its controller finds it.

    Args:
        raw: what was written.
        provider: the traffic provider of Canaries that name none; empty where it is not known.
    """
    try:
        fleet = parse_fleet(raw)
    except InvalidResource as error:
        return error.problems
    found = (*rules(fleet), *waves.problems(fleet))
    return (
        found
        if any(each.field.startswith("spec.template") for each in found)
        else (*found, *_of_canary(fleet, provider))
    )


def unheeded_in(raw: dict[str, Any]) -> Iterator[Problem]:
    """What is written of a CanaryFleet, and counts for nothing: a server takes it, and nobody refuses it.

    Args:
        raw: what was written; of one that can't be read nothing is said.
    """
    try:
        fleet = parse_fleet(raw)
    except InvalidResource:
        return
    if _JOINT in raw["spec"] and raw["spec"][_JOINT] is None:
        message = "has nothing behind it, so that there is none"
        yield Problem(f"spec.{_JOINT}", message, f"write {_JOINT}: {{}}, or take it out")
    yield from unheeded(fleet)


def _of_canary(fleet: CanaryFleet, provider: str) -> tuple[Problem, ...]:
    try:
        canary = parse_canary(canary_in(fleet))
    except InvalidResource:
        return ()  # told by the rules
    if not (canary.spec.provider or provider):
        return ()
    found = of_spec(canary, provider)
    return tuple(Problem(f"spec.template.{each.field}", each.message, each.remedy) for each in found)
