"""The controller dies, or the API server fails it, between any two things it does: the rollout ends as it would have.

Every scenario is played once to learn its passes; then once more for every point of every pass that did something,
and for the ways in which that point can fail.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.rollout.facts import Undecided
from canary.rollout.simulation import (
    Annotate,
    Conflict,
    Crash,
    Delete,
    Deploy,
    Drift,
    Kill,
    Reading,
    Remove,
    Reply,
    SafeWorld,
    Scale,
    Scenario,
    Side,
    Unavailable,
    Version,
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
    SILENT,
    V2,
    FaultyWorld,
    Recording,
    asked,
    gated,
)

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]


def end_of(world: SafeWorld) -> dict[str, Any]:
    """What must not hang on when the controller died."""
    status, cluster = world.canary.status, world.cluster
    sides = {side: cluster.side(side) for side in Side}
    return {
        "gone": world.gone,
        "phase": status.phase,
        "weight": status.canary_weight,
        "split": cluster.split,
        "managed": cluster.managed,
        "finalizer": cluster.finalizer,
        "orphaned": cluster.orphaned,
        "promoted": status.last_promoted_spec,
        "applied": status.last_applied_spec,
        "under way": status.rollout and (status.rollout.revision, status.rollout.highest_weight),
        "history": [(each.revision, each.outcome, each.highest_weight) for each in status.history],
        "approved": [
            (gate.gate, gate.state, [vote.by for vote in gate.votes])
            for each in status.history
            for gate in each.approvals
        ],
        **{side: workload and (workload.revision, workload.desired) for side, workload in sides.items()},
        "in place": cluster.partitions(world.now),
        "runs": cluster.target and cluster.target.ready_by_revision(world.now),
    }


def faults(recording: Recording) -> Iterator[tuple[int, type[Exception]]]:
    """Death at every point of a pass; an API server that is away at every second one, a conflict where one can be."""
    for point in recording.points:
        yield point, Crash
        if point != AFTER_STORE and (recording.number + point) % 2:
            yield point, Unavailable
    yield BEFORE_STORE, Conflict


MATCH = [{"headers": {"x-canary": {"exact": "yes"}}}]
TURNING = {"v2": Version(readings=(Reading(1.0, side=Side.PRIMARY, after=timedelta(seconds=100)),))}
REVERT = {"revertOnDeletion": True}
GATES: list[dict[str, Any]] = [
    {"name": kind, "type": kind, "timeout": "1h", "gate": {"trivy": {}}}
    for kind in ("pre-rollout", "rollout", "confirm-promotion")
]


def undecided(why: Undecided, end: float) -> Reply:
    return Reply(approved=False, message="to come", undecided=why, end=timedelta(seconds=end))


# Analysis, changes, and what else the scenario has.
SCENARIOS: dict[str, tuple[dict[str, Any], tuple[Any, ...], dict[str, Any]]] = {
    "good": (QUICK, (V2,), {}),
    "bad": ({**QUICK, "threshold": 1}, (V2,), {"versions": BAD}),
    "bad twice": (QUICK, (V2,), {"versions": BAD}),
    "gates that run": ({**QUICK, "webhooks": [*GATES]}, (V2,), {"replies": (undecided(Undecided.WAITING, 200),)}),
    "gates that can't be asked": (
        {**QUICK, "webhooks": [*GATES]},
        (V2,),
        {"replies": (undecided(Undecided.UNAVAILABLE, 200),)},
    ),
    "never ready": (ONCE, (V2,), {"versions": NEVER}),
    "superseded": (QUICK, (V2, (140, Deploy("v3"))), {}),
    "superseded in promotion": (QUICK, (V2, (188, Deploy("v3"))), {}),
    "aborted": (QUICK, (V2, (140, Annotate("flagger.app/order", "abort by=mia"))), {}),
    "promoted by order": (QUICK, (V2, (70, Annotate("flagger.app/order", "promote by=mia"))), {}),
    "begun anew by order": (QUICK, (V2, (140, Annotate("flagger.app/order", "restart by=mia"))), {}),
    "paused": (
        QUICK,
        (V2, (140, Annotate("flagger.app/pause", "by mia")), (400, Annotate("flagger.app/pause", ""))),
        {},
    ),
    "reverted": (QUICK, (V2, (140, Deploy("v1"))), {}),
    "blue/green": ({"iterations": 2}, (V2,), {}),
    "blue/green without weights": ({"iterations": 2}, (V2,), {"weighted": False}),
    "a/b": ({"iterations": 2, "match": MATCH}, (V2,), {}),
    "a/b bad": ({"iterations": 2, "match": MATCH}, (V2,), {"versions": {"v2": Version(readings=(Reading(1.0),))}}),
    "by numbers of pods": (
        {"stepWeights": [10, 50, 100], "replicaRatio": True, "spec": {"provider": "kubernetes"}},
        (V2,),
        {"replicas": 3},
    ),
    "by numbers of pods, bad": (
        {"stepWeights": [10, 50], "replicaRatio": True, "threshold": 1, "spec": {"provider": "kubernetes"}},
        (V2,),
        {"replicas": 3, "versions": BAD},
    ),
    "by numbers of pods, superseded": (
        {"stepWeights": [10, 50], "replicaRatio": True, "spec": {"provider": "kubernetes"}},
        (V2, (150, Deploy("v3"))),
        {"replicas": 3},
    ),
    "steps back of a bad one": (
        {**QUICK, "threshold": 1, "stepWeightRollback": 20, "stepWeight": 50},
        (V2,),
        {"versions": BAD},
    ),
    "bad, with a primary that was scaled down": (
        {**ONCE, "threshold": 1},
        (V2, (80, Scale(Side.PRIMARY, 1))),
        {"versions": BAD, "replicas": 4},
    ),
    "good, with a primary that was scaled down": (ONCE, (V2, (80, Scale(Side.PRIMARY, 1))), {"replicas": 4}),
    "steps back": ({**QUICK, "stepWeightPromotion": 20}, (V2,), {}),
    "skipped": ({**QUICK, "spec": {"skipAnalysis": True}}, (V2,), {}),
    "confirm-rollout": (gated("confirm-rollout"), (V2,), {"replies": CLOSED}),
    "confirm-traffic-increase": (gated("confirm-traffic-increase"), (V2,), {"replies": CLOSED}),
    "confirm-promotion": (gated("confirm-promotion"), (V2,), {"replies": CLOSED}),
    "people before each step": (asked("confirm-traffic-increase"), (V2,), {}),
    "people who don't answer": (asked("confirm-promotion", timeout="3m"), (V2,), {"replies": SILENT}),
    "people who don't answer before it starts": (
        asked("confirm-rollout", timeout="3m", onTimeout="approve"),
        (V2,),
        {"replies": SILENT},
    ),
    "rollback hook": (gated("rollback"), (V2,), {"replies": (Reply(approved=True, start=timedelta(seconds=130)),)}),
    "metrics down": (ONCE, (V2,), {"metrics_down": (Window(timedelta(seconds=100), timedelta(seconds=300)),)}),
    "canary dies": ({**ONCE, "threshold": 3}, (V2, (100, Kill(Side.CANARY))), {}),
    "canary dies for good": (ONCE, (V2, (100, Kill(Side.CANARY, None))), {}),
    "primary dies while the version is bad": (
        {**QUICK, "threshold": 1},
        (V2, (180, Kill(Side.PRIMARY, timedelta(seconds=30)))),
        {"versions": BAD},
    ),
    "primary dies in promotion": (QUICK, (V2, (187, Kill(Side.PRIMARY, timedelta(seconds=30)))), {}),
    "primary can't run it": (
        ONCE,
        (V2, (600, Deploy("v3"))),
        {"versions": {"v2": Version(fits_primary=False)}},
    ),
    "bake": ({**ONCE, "bake": "90s"}, (V2,), {}),
    "bad in its bake": ({**ONCE, "bake": "5m"}, (V2,), {"versions": TURNING}),
    "superseded in its bake": ({**ONCE, "bake": "5m"}, (V2, (200, Deploy("v3"))), {"versions": TURNING}),
    "bad in its bake after another": (
        {**ONCE, "bake": "10m"},
        (V2, (200, Deploy("v3"))),
        {"versions": {**TURNING, "v3": Version(readings=(Reading(1.0, weight=50),))}},
    ),
    "held in its bake": (
        {**ONCE, "bake": "5m", "onFailure": "hold"},
        (V2, (900, Annotate("flagger.app/retry", "1"))),
        {"versions": TURNING},
    ),
    "primary removed after a failure": (ONCE, (V2, (1000, Remove(Side.PRIMARY))), {"versions": BAD}),
    "primary removed in mid-rollout": (ONCE, (V2, (100, Remove(Side.PRIMARY))), {}),
    "target removed": (ONCE, (V2, (100, Remove(Side.CANARY))), {}),
    "primary removed": (ONCE, (V2, (1000, Remove(Side.PRIMARY))), {}),
    "route drifts": (ONCE, (V2, (100, Drift(Split(90)))), {}),
    "deleted": (ONCE, (V2, (100, Delete())), {}),
    "deleted with revert": ({**ONCE, "spec": REVERT}, (V2, (100, Delete())), {}),
    "deleted with revert at rest": ({**ONCE, "spec": REVERT}, (V2, (500, Delete())), {}),
    "deleted with revert, target never ready": (
        {**ONCE, "spec": REVERT},
        (V2, (100, Delete())),
        {"versions": NEVER},
    ),
}

BESIDE: dict[str, Any] = {**QUICK, "metrics": [{"name": "request-success-rate", "compareTo": "baseline"}]}

SCENARIOS |= {
    "beside a baseline": (BESIDE, (V2,), {}),
    "beside a baseline, bad": ({**BESIDE, "threshold": 1}, (V2,), {"versions": BAD}),
    "beside a baseline, superseded": (BESIDE, (V2, (140, Deploy("v3"))), {}),
    "beside a baseline that dies": (BESIDE, (V2, (100, Kill(Side.BASELINE, timedelta(seconds=20)))), {}),
    "beside a baseline that is not ready": (BESIDE, (V2,), {"baseline_after": None}),
    "beside a baseline, deleted": (BESIDE, (V2, (140, Delete())), {}),
    "beside a baseline, deleted with revert": ({**BESIDE, "spec": REVERT}, (V2, (140, Delete())), {}),
    "beside a baseline, target removed": (BESIDE, (V2, (140, Remove(Side.CANARY))), {}),
    "beside a baseline, aborted": (BESIDE, (V2, (140, Annotate("flagger.app/order", "abort by=mia"))), {}),
}

WRITTEN: dict[str, Any] = {
    "steps": [
        {"scale": {"replicas": 2}},
        {"header": {"match": MATCH}},
        {"pause": {}},
        {"weight": 30},
        {"scale": {"matchTraffic": True}},
        {"pause": {"duration": "90s"}},
        {"gate": {"name": "qa"}},
        {"header": {}},
        {"weight": 60},
        {"analysis": {"looks": 2}},
    ],
    "webhooks": [{"name": "qa", "type": "confirm-traffic-increase", "url": "http://l.test/"}],
    "threshold": 1,
}
GO_ON = (180, Annotate("flagger.app/order", "resume revision=v2 by=mia"))
FOUR: dict[str, Any] = {"replicas": 4}

SCENARIOS |= {
    "written steps": (WRITTEN, (V2, GO_ON), {**FOUR, "replies": (Reply(approved=False, end=timedelta(seconds=400)),)}),
    "written steps, bad": (WRITTEN, (V2, GO_ON), {**FOUR, "versions": BAD}),
    "written steps, superseded": (
        {"steps": [WRITTEN["steps"][1], *WRITTEN["steps"][5:6], {"weight": 60}]},
        (V2, (160, Deploy("v3"))),
        FOUR,
    ),
    "written steps, aborted": (WRITTEN, (V2, (300, Annotate("flagger.app/order", "abort by=mia"))), FOUR),
    "written steps, mirrored": ({"steps": [{"mirror": {"weight": 50}}, {"pause": {"duration": "90s"}}]}, (V2,), FOUR),
}

IN_PLACE = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}}
PODS: dict[str, Any] = {"in_place": True, "replicas": 3}
EACH: dict[str, Any] = {"stepWeight": 1, "maxWeight": 100, "spec": IN_PLACE}
WORSE = {"v2": Version(readings=(Reading(1.0, weight=60),))}
BROKEN = {"v2": Version(ready_after=None)}
SHUT = (timedelta(minutes=20), timedelta(minutes=25))
LOST: dict[str, Any] = {"versions": {"v1": Version(ready_after=None), "v2": Version(fits_primary=False)}, "replicas": 2}
"""The way back is held: only a pod of the version that failed serves."""

SCENARIOS |= {
    "pods good": (EACH, (V2,), PODS),
    "pods bad": (EACH, (V2,), {**PODS, "versions": WORSE}),
    "pods never ready": (EACH, (V2,), {**PODS, "versions": BROKEN}),
    "pods superseded": (EACH, (V2, (140, Deploy("v3"))), PODS),
    "pods superseded while stuck": (EACH, (V2, (100, Deploy("v3"))), {**PODS, "versions": BROKEN}),
    "pods superseded in promotion": (EACH, (V2, (195, Deploy("v3"))), PODS),
    "pods reverted": (EACH, (V2, (140, Deploy("v1"))), PODS),
    "pods mended": (EACH, ((30, Kill(Side.CANARY, None)), V2), PODS),
    "pods skipped": ({**EACH, "spec": {**IN_PLACE, "skipAnalysis": True}}, (V2,), PODS),
    "pods die": ({**EACH, "threshold": 3}, (V2, (100, Kill(Side.CANARY))), PODS),
    "pods held back and mended": (EACH, (V2, (1200, Deploy("v3"))), {**PODS, **LOST}),
    "pods held back, and mended by what waits": (
        {**EACH, "webhooks": [{"name": "gate", "type": "confirm-rollout", "url": "http://hooks.test/"}]},
        (V2, (1200, Deploy("v3"))),
        {**PODS, **LOST, "replies": (Reply(approved=False, name="gate", start=SHUT[0], end=SHUT[1]),)},
    ),
    "pods held back and skipped": (
        {**EACH, "threshold": 1, "spec": {**IN_PLACE, "skipAnalysis": True}},
        (V2, (900, Deploy("v3"))),
        {**PODS, **LOST, "replicas": 3},
    ),
    "pods with people": ({**EACH, **asked("confirm-traffic-increase")}, (V2,), PODS),
    "pods deleted": (EACH, (V2, (140, Delete())), PODS),
    "pods deleted with revert": ({**EACH, "spec": {**IN_PLACE, **REVERT}}, (V2, (140, Delete())), PODS),
    "pods deleted at rest": (EACH, (V2, (600, Delete())), PODS),
    "pods removed": (EACH, (V2, (140, Remove(Side.CANARY))), PODS),
    "partition drifts": (EACH, (V2, (140, Drift(None))), PODS),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_fails_the_end_is_the_same(canary: Make, story: Story, name: str) -> None:
    """And no version without ready pods gets traffic on the way, nor is anything told that is not stored."""
    analysis, changes, fields = SCENARIOS[name]
    world = FaultyWorld(story(canary(**analysis), *changes, **fields))
    world.run()
    expected = end_of(world)

    assert world.recordings
    for recording in world.recordings:
        for point, error in faults(recording):
            faulty = world.again(recording, point, error)
            faulty.run()
            assert faulty.fault is not None
            assert faulty.fault.happened, faulty.fault
            assert end_of(faulty) == expected, faulty.fault


@pytest.mark.parametrize("error", [Crash, Unavailable, Conflict])
def test_a_good_rollout_takes_no_step_twice_and_leaves_none_out(
    canary: Make, story: Story, error: type[Exception]
) -> None:
    """Weights go up one by one, whichever pass fails."""
    world = FaultyWorld(story(canary(**QUICK, stepWeightPromotion=20), V2))
    world.run()

    for recording in world.recordings:
        for point in recording.points:
            assert world.again(recording, point, error).run().weights == (0, 25, 50, 30, 10, 0)


def test_a_pass_that_did_nothing_is_the_same_when_it_is_done_again(canary: Make, story: Story) -> None:
    """Late and repeated events cost nothing and change nothing."""

    class Nervous(SafeWorld):
        def advance(self, moment: Any) -> None:
            super().advance(moment)
            for _ in range(3):
                while self.pass_once():
                    pass

    plain, nervous = SafeWorld(story(canary(), V2)), Nervous(story(canary(), V2))

    assert nervous.run().weights == plain.run().weights
    assert [each.events for each in nervous.entries if each.events] == [
        each.events for each in plain.entries if each.events
    ]
