"""Rollouts in virtual time: the real decisions over a model of the world, a week in milliseconds.

`World(scenario).run()` gives a `Timeline`. No I/O, no clock, no randomness: the same scenario gives the same timeline.
"""

from canary.rollout.simulation.failures import Conflict, Crash, Denied, NotSettlingError, Unavailable
from canary.rollout.simulation.pods import PodWorld
from canary.rollout.simulation.responders import HEALTHY_PART, OF_TIME, healthy, reading_of, said_for, slow_from
from canary.rollout.simulation.safety import SafeWorld, UnsafeError, found_wanting
from canary.rollout.simulation.scenario import (
    Annotate,
    Blind,
    Change,
    Delete,
    Deny,
    Deploy,
    Drift,
    Edit,
    Forget,
    Kill,
    Reading,
    Remove,
    Reply,
    Scale,
    Scenario,
    Scheduled,
    SetClock,
    Side,
    Version,
    Window,
)
from canary.rollout.simulation.takeover import TakenOver
from canary.rollout.simulation.timeline import Entry, Timeline
from canary.rollout.simulation.world import World

__all__ = [
    "HEALTHY_PART",
    "OF_TIME",
    "Annotate",
    "Blind",
    "Change",
    "Conflict",
    "Crash",
    "Delete",
    "Denied",
    "Deny",
    "Deploy",
    "Drift",
    "Edit",
    "Entry",
    "Forget",
    "Kill",
    "NotSettlingError",
    "PodWorld",
    "Reading",
    "Remove",
    "Reply",
    "SafeWorld",
    "Scale",
    "Scenario",
    "Scheduled",
    "SetClock",
    "Side",
    "TakenOver",
    "Timeline",
    "Unavailable",
    "UnsafeError",
    "Version",
    "Window",
    "World",
    "found_wanting",
    "healthy",
    "reading_of",
    "said_for",
    "slow_from",
]
