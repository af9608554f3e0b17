"""How bad a version may be without a single member that can tell: what a joint verdict is for."""

from dataclasses import replace
from typing import Final

from canary.api.fleet import CanaryFleet, OnFleetFailure, Wave
from canary.api.fleet_status import FleetPhase
from canary.cli.rehearse.fleets.play import FleetRehearsal, made_up, play
from canary.cli.rehearse.fleets.stories import ALL_FAIL, LITTLE, FleetStory
from canary.cli.rehearse.staging import Stage

_STEP: Final = 1.25
_STEPS: Final = 48
"""From all requests that fail to a few in a hundred thousand, each step a fifth less."""


def told(fleet: CanaryFleet, story: FleetStory, stage: Stage) -> FleetStory:
    """The story with what makes it one: of the one in which a little fails, how much no member finds by itself.

    Raises:
        NotSettlingError: a hub, or a controller, does not come to rest: a bug.
    """
    if story.name != LITTLE:
        return story
    errors = _unnoticed(fleet, story, stage)
    words = f"In every member {errors:.2g} % of the requests to it fail, which none of them finds by itself."
    return replace(story, errors=errors, description=words)


def _unnoticed(fleet: CanaryFleet, story: FleetStory, stage: Stage) -> float:
    """The largest part of requests, in percent, of which a member alone finds nothing."""
    finds, misses = -1, _STEPS
    while misses - finds > 1:
        middle = (finds + misses) // 2
        if _alone(fleet, replace(story, errors=_errors(middle)), stage).status.phase is FleetPhase.SUCCEEDED:
            misses = middle
        else:
            finds = middle
    return _errors(misses)


def _errors(step: int) -> float:
    return float(f"{ALL_FAIL / _STEP**step:.2g}")


def _alone(fleet: CanaryFleet, story: FleetStory, stage: Stage) -> FleetRehearsal:
    waves = (Wave(name="alone"),)
    changes = {"joint_verdict": None, "traffic": None, "waves": waves, "on_failure": OnFleetFailure.HOLD}
    alone = fleet.replace(spec=fleet.spec.replace(**changes))
    return play(alone, story, made_up(alone, 1), stage)
