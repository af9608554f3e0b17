"""What Argo CD shows of a CanaryFleet by the check of our page, run by the Lua that Argo CD embeds, in every phase."""

from datetime import timedelta
from typing import Any

import pytest

from canary.api.fleet_status import FleetPhase
from canary.fleet.orders import ORDER_ANNOTATION, PAUSE_ANNOTATION
from canary.fleet.simulation import AnnotateFleet, EditFleet, Fate, FleetWorld, Sketch
from tests.tools.health import Json, argo, script
from tests.unit.fleet.fleets import MINUTE, START, fleet_of, names, play, sketch

CHECK = script("fleet.canary.dev_CanaryFleet")
GATED: list[dict[str, Any]] = [{"name": "one", "count": 1}, {"name": "rest", "gates": [{"name": "team"}]}]
PAUSED = [(START + MINUTE, AnnotateFleet(PAUSE_ANNOTATION, "by mia: lunch"))]
ABORTED = [(START + 3 * MINUTE, AnnotateFleet(ORDER_ANNOTATION, "abort by=mia"))]


def six(fate: Fate | None = None) -> list[Sketch]:
    return [sketch(name, fate or Fate()) for name in names(6)]


def as_stored(world: FleetWorld) -> Json:
    """The object as Argo CD reads it."""
    fleet = world.fleet
    return {"metadata": {"generation": fleet.metadata.generation}, "status": fleet.status.to_json()}


@pytest.mark.parametrize(
    ("world", "phase", "shown"),
    [
        (lambda: play(fleet_of(), six()), FleetPhase.SUCCEEDED, "Healthy"),
        (lambda: play(fleet_of(), six(), limit=MINUTE), FleetPhase.PROGRESSING, "Progressing"),
        (lambda: play(fleet_of(), six(Fate(fails=9))), FleetPhase.FAILED, "Degraded"),
        (lambda: play(fleet_of(), six(), changes=ABORTED), FleetPhase.FAILED, "Degraded"),
        (lambda: play(fleet_of(GATED), six()), FleetPhase.PROGRESSING, "Suspended"),
        (lambda: play(fleet_of(), six(), changes=PAUSED), FleetPhase.PROGRESSING, "Suspended"),
    ],
    ids=["released", "rolls out", "failed", "aborted", "gated", "paused"],
)
def test_argo_cd_shows_how_a_release_stands(world: Any, phase: FleetPhase, shown: str) -> None:
    played = world()
    assert played.fleet.status.phase is phase
    health = argo(as_stored(played), CHECK)
    assert health.status == shown
    assert health.message.startswith(f"r2 {phase.value} ")
    assert health.message.endswith(f": {played.fleet.status.message}")


def test_one_that_no_hub_has_seen_is_in_progress() -> None:
    """Nothing of before may be taken for how the new spec stands."""
    stored = as_stored(play(fleet_of(), six()))
    assert argo({"metadata": stored["metadata"]}, CHECK).status == "Progressing"
    later = {**stored, "metadata": {"generation": stored["metadata"]["generation"] + 1}}
    assert argo(later, CHECK) == ("Progressing", "the hub has not looked at it yet")


def test_a_spec_that_breaks_after_a_release_is_shown() -> None:
    """The phase is the old release's, and only the condition says that the spec can't work."""
    changes = [(START + timedelta(hours=5), EditFleet(fleet_of([]).spec))]
    played = play(fleet_of(), six(), changes=changes)
    assert played.fleet.status.phase is FleetPhase.SUCCEEDED
    health = argo(as_stored(played), CHECK)
    assert health.status == "Degraded"
    assert "spec.waves" in health.message
