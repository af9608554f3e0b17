"""Flagger's own definitions are installed, which keep no field of a status that they don't know.

As long as a controller runs it remembers what was dropped; one that starts anew has what Flagger would have stored.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import CanaryStatus
from canary.rollout.decision import Action, Decision
from canary.rollout.facts import Facts
from canary.rollout.simulation import (
    Annotate,
    Crash,
    Delete,
    Deploy,
    Kill,
    Reading,
    Reply,
    SafeWorld,
    Scenario,
    Side,
    Version,
    Window,
)

Make = Callable[..., Canary]
Story = Callable[..., Scenario]

BEFORE_STORE, AFTER_STORE = -1, -2

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


class ForgetfulWorld(SafeWorld):
    """A world whose API server knows no fields of the status but Flagger's: a controller that starts finds no others.

    Attributes:
        points: how the world was before each pass that wrote something, and the points of that pass: before which of
            its actions, `BEFORE_STORE`, `AFTER_STORE`.
        dies: the pass and the point in it at which the controller dies; never where it is None.
    """

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.points: list[tuple[ForgetfulWorld, list[int]]] = []
        self.dies: tuple[int, int] | None = None
        self._reached: list[int] = []

    def restart(self) -> None:
        known = {name: getattr(self.canary.status, name) for name in KNOWN}
        self.canary = self.canary.replace(status=CanaryStatus(**known))
        super().restart()

    def pass_once(self) -> bool:
        before, self._reached = self.twin(self.scenario), []
        wrote = super().pass_once()
        if wrote:
            self.points.append((before, self._reached))
        return wrote

    def _come_to(self, point: int) -> None:
        self._reached.append(point)
        if self.dies == (self.passes, point):
            self.dies = None
            raise Crash

    def before_action(self, action: Action, index: int) -> None:
        self._come_to(index)
        super().before_action(action, index)

    def before_store(self, canary: Canary, facts: Facts, decision: Decision) -> None:
        super().before_store(canary, facts, decision)
        self._come_to(BEFORE_STORE)

    def after_store(self, canary: Canary, decision: Decision) -> None:
        super().after_store(canary, decision)
        self._come_to(AFTER_STORE)


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


V2 = (60, Deploy("v2"))
BAD = {"v2": Version(readings=(Reading(1.0, weight=50),))}
NEVER = {"v2": Version(ready_after=None, why_not="ImagePullBackOff")}
QUICK: dict[str, Any] = {"stepWeight": 25, "maxWeight": 50, "webhooks": [{"name": "load", "url": "http://l.test/"}]}
ONCE: dict[str, Any] = {**QUICK, "stepWeight": 50}
CLOSED = (Reply(approved=False, end=timedelta(seconds=250)),)


def gated(kind: str) -> dict[str, Any]:
    return {**ONCE, "webhooks": [{"name": "gate", "type": kind, "url": "http://l.test/"}]}


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

    assert whole.points
    for before, points in whole.points:
        for point in points:
            world = before.twin(scenario)
            world.points, world.dies = [], (before.passes + 1, point)
            world.run()
            assert world.dies is None
            assert end_of(world) == end_of(whole), f"died in pass {before.passes + 1} at {point}"


def test_a_version_that_was_tried_again_and_failed_is_not_tried_a_third_time(canary: Make, story: Story) -> None:
    """A controller that starts does not know which value of the annotation was heeded: the one that is there."""
    analysis, changes, fields = SCENARIOS["tried again"]
    world = ForgetfulWorld(story(canary(**analysis), *changes, **fields))
    world.run()
    world.restart()
    world.entries.clear()
    world.run()
    assert [event.message for entry in world.entries for event in entry.events] == []
