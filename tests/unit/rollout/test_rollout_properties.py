"""What holds whatever happens, in whatever order: changes, deaths, answers, outages, repeated passes, clock jumps."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.api.traffic import Split
from canary.rollout.decision import Action, CopyToPrimary, Decision, DropFinalizer, RestorePrimary, Route
from canary.rollout.facts import Facts
from canary.rollout.simulation import (
    Change,
    Delete,
    Deploy,
    Drift,
    Edit,
    Forget,
    Kill,
    Reading,
    Remove,
    Reply,
    SafeWorld,
    Scale,
    Scenario,
    Scheduled,
    SetClock,
    Side,
    Version,
    Window,
    found_wanting,
)
from tests.unit.rollout.any_order import GO_ON, orders

Make = Callable[..., Canary]
Story = Callable[..., Scenario]

TROUBLE = timedelta(minutes=20)
"""When whatever goes wrong has stopped going wrong."""

QUICKLY = (Stage.explicit, Stage.generate, Stage.shrink)
UNDER_WAY = {Phase.PROGRESSING, Phase.WAITING_PROMOTION}
AT_REST = {Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED}


class JudgingWorld(SafeWorld):
    """A world in which every pass is also held against what a version must earn."""

    decided_twice = 1

    def before_store(self, canary: Canary, facts: Facts, decision: Decision) -> None:
        super().before_store(canary, facts, decision)
        before, after = canary.status, decision.status
        routes = [action.split.canary for action in decision.actions if isinstance(action, Route)]
        raised = any(weight > before.canary_weight for weight in routes)
        promoted = after.phase is Phase.PROMOTING and before.phase is not Phase.PROMOTING
        ordered = after.last_order != before.last_order
        if before.phase in UNDER_WAY and not canary.skip_analysis and (promoted or raised) and not ordered:
            begun = bool(before.canary_weight or before.iterations)
            assert not found_wanting(canary, facts, begun=begun), "nothing is earned by a look that failed"
            assert not promoted or self.reached_the_end(canary, facts), "nothing is left out before promotion"
        for action in decision.actions:
            if isinstance(action, CopyToPrimary):
                assert before.phase in (Phase.EMPTY, Phase.INITIALIZING, Phase.PROMOTING)
                assert before.phase is not Phase.PROMOTING or action.revision == before.last_applied_spec
            if isinstance(action, RestorePrimary):
                assert action.revision == before.last_promoted_spec, "only what was promoted comes back"

    def reached_the_end(self, canary: Canary, facts: Facts) -> bool:
        if canary.analysis.iterations or not facts.weighted:
            return canary.status.iterations >= (canary.analysis.iterations or 10)
        return canary.status.canary_weight >= max(canary.steps)


seconds = st.integers(0, int(TROUBLE.total_seconds()) - 60).map(lambda value: timedelta(seconds=value))
delays = st.one_of(st.none(), st.sampled_from([0, 5, 45, 200]).map(lambda value: timedelta(seconds=value)))
sides = st.sampled_from(Side)

HOOKS = [
    {"name": kind, "type": kind, "url": "http://hooks.test/"}
    for kind in (
        "confirm-rollout",
        "pre-rollout",
        "rollout",
        "confirm-traffic-increase",
        "confirm-promotion",
        "rollback",
    )
]
MATCH = [{"headers": {"x-canary": {"exact": "yes"}}}]
METRICS: list[dict[str, Any]] = [
    {"name": "request-success-rate", "threshold": 99},
    {"name": "request-success-rate", "threshold": 99, "noData": "Pass"},
    {"name": "request-duration", "threshold": 500, "unavailable": "Fail"},
]

analyses = st.builds(
    lambda plan, back, down, threshold, hooks, metrics, after: {
        **plan,
        **after,
        # Chosen requests have no weight to go back by: the two together are refused.
        "stepWeightPromotion": 0 if "match" in plan else back,
        "stepWeightRollback": 0 if "match" in plan else down,
        "threshold": threshold,
        "webhooks": hooks,
        "metrics": metrics,
    },
    st.sampled_from(
        [
            {"stepWeight": 50, "maxWeight": 50},
            {"stepWeight": 30, "maxWeight": 80},
            {"stepWeights": [1, 100]},
            {"iterations": 2},
            {"iterations": 2, "match": MATCH},
        ]
    ),
    st.sampled_from([0, 20]),
    st.sampled_from([0, 0, 30]),
    st.integers(0, 3),
    st.lists(st.sampled_from(HOOKS), max_size=2, unique_by=lambda hook: hook["name"]),
    st.lists(st.sampled_from(METRICS), max_size=2, unique_by=lambda metric: metric["name"]),
    st.sampled_from([{}, {}, {"bake": "20s"}, {"bake": "15m"}, {"onFailure": "hold"}]),
)
readings = st.builds(
    Reading,
    value=st.sampled_from([None, 0.0, 99.5, 100.0, float("nan"), 1e9]),
    metric=st.sampled_from(["", "request-success-rate", "request-duration"]),
    after=seconds,
    weight=st.sampled_from([0, 0, 50]),
    side=st.sampled_from([None, *Side]),
)
versions = st.builds(
    Version,
    ready_after=delays,
    readings=st.lists(readings, max_size=2).map(tuple),
    fits_primary=st.sampled_from([True, True, False]),
)


@st.composite
def changes(draw: st.DrawFn, make: Make) -> Change:
    """Something that happens around the controller."""
    kind = draw(st.integers(0, 13))
    if kind <= 3:
        return Deploy(draw(st.sampled_from(["v1", "v2", "v3"])))
    if kind <= 5:
        return Kill(draw(sides), draw(delays))
    if kind == 6:
        service = {"port": 80, "name": draw(st.sampled_from(["", "", "web"]))}
        spec = {"suspend": draw(st.booleans()), "skipAnalysis": draw(st.integers(0, 3)) == 0, "service": service}
        return Edit(make(**draw(analyses), spec=spec).spec)
    if kind == 7:
        return Drift(draw(st.sampled_from([None, Split(0), Split(40), Split(100), Split(100, matched=True)])))
    if kind == 8:
        return SetClock(timedelta(seconds=draw(st.sampled_from([-4000, -90, -1, 1, 90, 4000]))))
    if kind == 9:
        return Scale(draw(sides), draw(st.sampled_from([0, 1, 5])))
    if kind == 10:
        return draw(orders)
    return Remove(draw(sides)) if kind <= 12 else Forget()


@st.composite
def stories(draw: st.DrawFn, make: Make, story: Story) -> Scenario:
    """Trouble of all kinds, and then none."""
    scenario = story(
        make(**draw(analyses), spec={"revertOnDeletion": draw(st.booleans())}),
        versions={"v2": draw(versions), "v3": draw(versions)},
        replies=tuple(
            Reply(approved=draw(st.booleans()), name=draw(st.sampled_from(HOOKS))["name"], start=at, end=TROUBLE)
            for at in draw(st.lists(seconds, max_size=3))
        ),
        metrics_down=tuple(Window(at, at + timedelta(minutes=2)) for at in draw(st.lists(seconds, max_size=1))),
        api_down=tuple(Window(at, at + timedelta(seconds=40)) for at in draw(st.lists(seconds, max_size=2))),
        latency=draw(st.sampled_from([0, 0.1, 30])) * timedelta(seconds=1),
        settle=10 * timedelta(seconds=1),
        tells=draw(st.sampled_from([None, None, timedelta(milliseconds=20), timedelta(seconds=15)])),
        requests=draw(st.sampled_from([0.0, 0.0, 50.0])),
        astray=tuple(Window(at, min(at + timedelta(minutes=4), TROUBLE)) for at in draw(st.lists(seconds, max_size=1))),
        weighted=draw(st.sampled_from([True, True, True, False])),
        limit=timedelta(days=2),
    )
    happening: list[Scheduled] = []
    for _ in range(draw(st.integers(1, 7))):
        change: Change = draw(changes(make))
        happening.append(Scheduled(draw(seconds), change))
    # Nobody can tell a clock that was set forward from time that has passed.
    forward = any(isinstance(each.change, SetClock) and each.change.by > timedelta(0) for each in happening)
    lag = timedelta(seconds=0 if forward else draw(st.sampled_from([0, 2, 10])))
    return replace(with_changes(scenario, happening), lag=lag)


def with_changes(scenario: Scenario, happening: list[Scheduled]) -> Scenario:
    return replace(scenario, changes=tuple(happening))


def mended(scenario: Scenario, spec: Any) -> list[Scheduled]:
    """All that is needed for a rollout to end: a spec that works, a good revision, pods."""
    ready = [Kill(side, timedelta(0)) for side in (Side.PRIMARY, Side.CANARY)]
    end: list[Change] = [GO_ON, Edit(spec), Deploy("v9"), *ready]
    return [*scenario.changes, *(Scheduled(TROUBLE, change) for change in end)]


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), phases=QUICKLY)
def test_every_rollout_ends_and_nobody_is_harmed_on_the_way(canary: Make, story: Story, data: st.DataObject) -> None:
    """Once gates are open, pods can start and the API server answers, the last revision is promoted."""
    scenario = data.draw(stories(canary, story))
    good = canary(**data.draw(analyses)).spec
    world = JudgingWorld(with_changes(scenario, mended(scenario, good)))
    line = world.run()

    assert line.over
    assert line.status.phase in AT_REST
    assert line.status.canary_weight == 0
    assert not world.cluster.split or world.cluster.split.canary == 0
    assert line.status.last_applied_spec == "v9"
    assert world.cluster.primary is not None
    promoted = line.status.phase is not Phase.FAILED
    assert (world.cluster.primary.revision == "v9") is promoted


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=QUICKLY)
def test_every_canary_can_be_deleted(canary: Make, story: Story, data: st.DataObject) -> None:
    """Whatever state it is in, it goes, and takes nobody from users who served them until then."""
    scenario = data.draw(stories(canary, story))
    at = data.draw(seconds)
    world = LeavingWorld(with_changes(scenario, [*scenario.changes, Scheduled(at, Delete())]))
    world.run()

    assert world.gone


class LeavingWorld(JudgingWorld):
    """A world that looks at who serves when the Canary lets go."""

    def after_store(self, canary: Canary, decision: Decision) -> None:
        super().after_store(canary, decision)
        if DropFinalizer() in decision.actions and self.gone and self.cluster.target is not None:
            unserved = self.cluster.served(self.now).get("", 0.0)
            assert unserved <= self.before.get("", 0.0), "its deletion takes nobody from users"

    def before_action(self, action: Action, index: int) -> None:
        super().before_action(action, index)
        if action == DropFinalizer():
            self.before = self.cluster.served(self.now)


class NervousWorld(JudgingWorld):
    """Every event comes three times, and late."""

    def advance(self, moment: datetime) -> None:
        super().advance(moment)
        for _ in range(2):
            self.settle()


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=QUICKLY)
def test_repeated_events_change_nothing(canary: Make, story: Story, data: st.DataObject) -> None:
    # While the API server is away, each pass that fails makes the wait for the next one longer.
    scenario = replace(data.draw(stories(canary, story)), api_down=())
    plain, nervous = JudgingWorld(scenario).run(TROUBLE), NervousWorld(scenario).run(TROUBLE)

    assert nervous.weight_changes == plain.weight_changes
    assert nervous.events == plain.events
