"""Flagger's own definitions are installed, which keep no field of a status that they don't know.

As long as a controller runs it remembers what was dropped; one that starts anew has what Flagger would have stored.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import CanaryStatus
from canary.rollout.simulation import (
    Annotate,
    Crash,
    Delete,
    Deploy,
    Kill,
    SafeWorld,
    Scenario,
    Side,
    Window,
)
from tests.unit.rollout.faulty_world import (
    AFTER_STORE,
    BAD,
    BEFORE_STORE,
    CLOSED,
    NEVER,
    ONCE,
    QUICK,
    V2,
    FaultyWorld,
    gated,
)

Make = Callable[..., Canary]
Story = Callable[..., Scenario]

KNOWN = {
    "phase",
    "failed_checks",
    "canary_weight",
    "iterations",
    "tracked_configs",
    "last_applied_spec",
    "last_promoted_spec",
    "last_transition_time",
    "session_affinity_cookie",
    "primary_session_affinity_cookie",
    "previous_session_affinity_cookie",
    "conditions",
}
"""The fields of a status that Flagger's definition has."""


class ForgetfulWorld(FaultyWorld):
    """A world whose API server knows no fields of the status but Flagger's: who starts finds no others."""

    def restart(self) -> None:
        known = {name: getattr(self.canary.status, name) for name in KNOWN}
        self.canary = self.canary.replace(status=CanaryStatus(**known))
        super().restart()


def end_of(world: SafeWorld) -> dict[str, Any]:
    """What must not hang on when the controller died."""
    status, cluster = world.canary.status, world.cluster
    sides = {side: cluster.side(side) for side in Side}
    return {
        "gone": world.gone,
        "phase": status.phase,
        "weight": status.canary_weight,
        "split": cluster.split,
        "finalizer": cluster.finalizer,
        "revisions": None if world.gone else (status.last_promoted_spec, status.last_applied_spec),
        **{side: workload and (workload.revision, workload.desired) for side, workload in sides.items()},
    }


SCENARIOS: dict[str, tuple[dict[str, Any], tuple[Any, ...], dict[str, Any]]] = {
    "good": (QUICK, (V2,), {}),
    "bad": ({**QUICK, "threshold": 1}, (V2,), {"versions": BAD}),
    "bad twice": (QUICK, (V2,), {"versions": BAD}),
    "never ready": (ONCE, (V2,), {"versions": NEVER}),
    "superseded": (QUICK, (V2, (140, Deploy("v3"))), {}),
    "superseded in promotion": (QUICK, (V2, (187, Deploy("v3"))), {}),
    "reverted": (QUICK, (V2, (140, Deploy("v1"))), {}),
    "blue/green": ({"iterations": 2}, (V2,), {}),
    "blue/green without weights": ({"iterations": 2}, (V2,), {"weighted": False}),
    "a/b": ({"iterations": 2, "match": [{"headers": {"x-canary": {"exact": "yes"}}}]}, (V2,), {}),
    "steps back": ({**QUICK, "stepWeightPromotion": 20}, (V2,), {}),
    "skipped": ({**QUICK, "spec": {"skipAnalysis": True}}, (V2,), {}),
    "confirm-rollout": (gated("confirm-rollout"), (V2,), {"replies": CLOSED}),
    "confirm-promotion": (gated("confirm-promotion"), (V2,), {"replies": CLOSED}),
    "metrics down": (ONCE, (V2,), {"metrics_down": (Window(timedelta(seconds=100), timedelta(seconds=300)),)}),
    "canary dies": ({**ONCE, "threshold": 3}, (V2, (100, Kill(Side.CANARY))), {}),
    "primary dies in promotion": (QUICK, (V2, (187, Kill(Side.PRIMARY, timedelta(seconds=30)))), {}),
    "deleted": (ONCE, (V2, (100, Delete())), {}),
    "deleted with revert": ({**ONCE, "spec": {"revertOnDeletion": True}}, (V2, (100, Delete())), {}),
    "tried again": (
        {**ONCE, "threshold": 1},
        (V2, (600, Annotate("flagger.app/retry", "1"))),
        {"versions": BAD},
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_whenever_the_controller_dies_the_end_is_the_same(canary: Make, story: Story, name: str) -> None:
    analysis, changes, fields = SCENARIOS[name]
    scenario = story(canary(**analysis), *changes, **fields)
    whole = ForgetfulWorld(scenario)
    whole.run()

    # What is forgotten hangs on what was stored; death between two actions is walked in test_rollout_crash_points.
    assert whole.recordings
    for recording in whole.recordings:
        for point in {BEFORE_STORE, AFTER_STORE} & set(recording.points):
            world = whole.again(recording, point, Crash)
            world.run()
            assert world.fault is not None
            assert world.fault.happened, world.fault
            assert end_of(world) == end_of(whole), world.fault


def test_a_version_that_was_tried_again_and_failed_is_not_tried_a_third_time(canary: Make, story: Story) -> None:
    """A controller that starts does not know which value of the annotation was heeded: the one that is there."""
    analysis, changes, fields = SCENARIOS["tried again"]
    world = ForgetfulWorld(story(canary(**analysis), *changes, **fields))
    world.run()
    world.restart()
    world.entries.clear()
    world.run()
    assert [event.message for entry in world.entries for event in entry.events] == []
