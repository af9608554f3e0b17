"""Releases in virtual time: the real decisions of the hub over members that are sketched, or played by the real ones.

`FleetWorld(fleet, clusters).run(limit)` lets time pass. No I/O, no clock, no randomness.
"""

from canary.fleet.simulation.clusters import Away, Cluster
from canary.fleet.simulation.played import Played
from canary.fleet.simulation.sketch import Fate, Sketch
from canary.fleet.simulation.world import (
    AnnotateFleet,
    EditFleet,
    FleetChange,
    FleetEntry,
    FleetWorld,
    NotSettlingError,
)

__all__ = [
    "AnnotateFleet",
    "Away",
    "Cluster",
    "EditFleet",
    "Fate",
    "FleetChange",
    "FleetEntry",
    "FleetWorld",
    "NotSettlingError",
    "Played",
    "Sketch",
]
