"""What holds of pods that are rolled out in place, whatever happens in whatever order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.partitions import NO_POD
from canary.api.status import Phase
from canary.api.traffic import Split
from canary.rollout.simulation import (
    Change,
    Delete,
    Deploy,
    Drift,
    Edit,
    Kill,
    PodWorld,
    Reading,
    Remove,
    Reply,
    Scale,
    Scenario,
    Scheduled,
    SetClock,
    Side,
    Version,
)
from canary.rollout.simulation.statefulset import StatefulSet
from tests.unit.rollout.any_order import GO_ON, orders

Make = Callable[..., Canary]
Story = Callable[..., Scenario]

TROUBLE = timedelta(minutes=20)
QUICKLY = (Stage.explicit, Stage.generate, Stage.shrink)
AT_REST = {Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED}
TARGET = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}}
KINDS = ("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "rollback")


seconds = st.integers(0, int(TROUBLE.total_seconds()) - 60).map(lambda value: timedelta(seconds=value))
delays = st.one_of(st.none(), st.sampled_from([0, 5, 45, 200]).map(lambda value: timedelta(seconds=value)))
analyses = st.builds(
    lambda steps, threshold, kinds, held: {
        **steps,
        "threshold": threshold,
        "webhooks": [{"name": kind, "type": kind, "url": "http://hooks.test/"} for kind in kinds],
        "metrics": [{"name": "request-success-rate", "threshold": 99}],
        "onFailure": "hold" if held else "rollback",
    },
    st.sampled_from([{"stepWeights": []}, {"stepWeight": 1}, {"stepWeight": 40}, {"stepWeight": 50, "maxWeight": 50}]),
    st.integers(0, 3),
    st.lists(st.sampled_from(KINDS), max_size=2, unique=True),
    st.sampled_from([False, False, False, True]),
)
readings = st.builds(
    Reading, value=st.sampled_from([None, 0.0, 100.0]), after=seconds, weight=st.sampled_from([0, 0, 50])
)
versions = st.builds(Version, ready_after=delays, readings=st.lists(readings, max_size=2).map(tuple))


def specified(make: Make, analysis: dict[str, Any], **spec: Any) -> Canary:
    analysis = {"maxWeight": 0, "stepWeight": 0, **analysis}
    return make(**analysis, spec={**TARGET, **spec})


@st.composite
def changes(draw: st.DrawFn, make: Make) -> Change:
    kind = draw(st.integers(0, 10))
    if kind <= 2:
        return Deploy(draw(st.sampled_from(["v1", "v2", "v3"])))
    if kind <= 4:
        return Kill(Side.CANARY, draw(delays))
    if kind == 5:
        spec = {"suspend": draw(st.booleans()), "skipAnalysis": draw(st.integers(0, 3)) == 0}
        return Edit(specified(make, draw(analyses), **spec).spec)
    if kind == 6:
        return Drift(draw(st.sampled_from([None, Split(0), Split(40), Split(100)])))
    if kind == 7:
        return SetClock(timedelta(seconds=draw(st.sampled_from([-4000, -90, -1, 1, 90, 4000]))))
    if kind == 8:
        return Scale(Side.CANARY, draw(st.sampled_from([0, 1, 2, 5])))
    return draw(orders) if kind == 9 else Remove(Side.CANARY)


@st.composite
def stories(draw: st.DrawFn, make: Make, story: Story) -> Scenario:
    """Trouble of all kinds."""
    names = st.sampled_from(KINDS)
    happening = tuple(Scheduled(draw(seconds), draw(changes(make))) for _ in range(draw(st.integers(1, 6))))
    scenario = story(
        specified(make, draw(analyses), revertOnDeletion=draw(st.booleans())),
        versions={"v2": draw(versions), "v3": draw(versions)},
        replies=tuple(
            Reply(approved=draw(st.booleans()), name=draw(names), start=at, end=TROUBLE)
            for at in draw(st.lists(seconds, max_size=3))
        ),
        latency=draw(st.sampled_from([0, 0.1, 30])) * timedelta(seconds=1),
        in_place=True,
        replicas=draw(st.sampled_from([2, 3, 4])),
        limit=timedelta(days=2),
    )
    return replace(scenario, changes=happening)


class TwiceWorld(PodWorld):
    """A world in which every pass is decided twice."""

    decided_twice = 1


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), phases=QUICKLY)
def test_every_rollout_ends_and_no_pod_is_left_of_what_failed(canary: Make, story: Story, data: st.DataObject) -> None:
    """Once gates are open, pods can start and nobody meddles: the last revision is promoted, or none of it is left.

    What is left of others is what would have to become a promoted version that can't start; somebody is called for it.
    """
    scenario = data.draw(stories(canary, story))
    good = specified(canary, {**data.draw(analyses), "onFailure": "rollback"}).spec
    end: list[Change] = [GO_ON, Edit(good), Scale(Side.CANARY, 3), Deploy("v9"), Kill(Side.CANARY, timedelta(0))]
    world = TwiceWorld(replace(scenario, changes=(*scenario.changes, *(Scheduled(TROUBLE, change) for change in end))))
    line = world.run()

    assert line.over
    assert line.status.phase in AT_REST
    assert line.status.last_applied_spec == "v9"
    assert line.status.partition is None
    target = world.cluster.target
    assert isinstance(target, StatefulSet)
    assert target.spec.partition == NO_POD
    left = {pod.revision for pod in target.pods.values()} - {target.current}
    assert (line.status.canary_weight > 0) is bool(left)
    if left:
        assert line.status.phase is Phase.FAILED
        assert "v9" not in left
        assert scenario.version(target.current).ready_after is None
        assert any("is held" in alert for alert in line.alerts)
    assert (target.current == "v9") is (line.status.phase is not Phase.FAILED)


@given(data=st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), phases=QUICKLY)
def test_every_canary_can_be_deleted(canary: Make, story: Story, data: st.DataObject) -> None:
    """It always goes, and leaves a target that updates its pods again, save where nobody has promoted its template."""
    scenario = data.draw(stories(canary, story))
    world = TwiceWorld(replace(scenario, changes=(*scenario.changes, Scheduled(data.draw(seconds), Delete()))))
    world.run()

    assert world.gone


class NervousWorld(PodWorld):
    """Every event comes three times."""

    def advance(self, moment: Any) -> None:
        super().advance(moment)
        for _ in range(2):
            self.settle()


@given(data=st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), phases=QUICKLY)
def test_repeated_events_change_nothing(canary: Make, story: Story, data: st.DataObject) -> None:
    scenario = data.draw(stories(canary, story))
    plain, nervous = PodWorld(scenario).run(TROUBLE), NervousWorld(scenario).run(TROUBLE)

    assert nervous.weight_changes == plain.weight_changes
    assert nervous.events == plain.events
