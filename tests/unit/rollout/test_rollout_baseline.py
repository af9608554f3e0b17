"""A baseline: fresh pods of the promoted version beside the canary, with as large a share, and nothing left of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.api.traffic import Split
from canary.rollout.decision import Ending
from canary.rollout.simulation import (
    Annotate,
    Change,
    Delete,
    Deny,
    Deploy,
    Drift,
    Edit,
    Kill,
    Reading,
    Remove,
    SafeWorld,
    Scale,
    Scenario,
    Side,
    Version,
    Window,
)
from tests.unit.rollout.faulty_world import V2

Make = Callable[..., Canary]
Story = Callable[..., Scenario]

RATE = "request-success-rate"
BESIDE: dict[str, Any] = {"metrics": [{"name": RATE, "compareTo": "baseline"}]}
QUICK: dict[str, Any] = {**BESIDE, "stepWeight": 25, "maxWeight": 75, "threshold": 2}
SECOND = timedelta(seconds=1)


class Watched(SafeWorld):
    """A world that notes how requests were divided, and how many pods its baseline had, whenever either changed."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.splits: list[tuple[int, int]] = []
        self.sizes: list[int] = []

    def advance(self, moment: Any) -> None:
        super().advance(moment)
        split, fresh = self.cluster.split, self.cluster.baseline
        now = (split.canary, split.baseline) if split is not None else (0, 0)
        size = fresh.desired if fresh is not None else 0
        self.splits += [now] if self.splits[-1:] != [now] else []
        self.sizes += [size] if self.sizes[-1:] != [size] else []

    def is_gone(self) -> bool:
        """Whether nothing of a baseline is left, nor leads to one."""
        split, former = self.cluster.split, self.cluster.former
        return self.cluster.baseline is None and not any(each is not None and each.baseline for each in (split, former))


def play(scenario: Scenario) -> Watched:
    world = Watched(scenario)
    world.run()
    return world


def test_it_gets_the_share_of_the_canary_at_each_step_as_far_as_there_is(canary: Make, story: Story) -> None:
    world = play(story(canary(**QUICK), V2, replicas=3))

    assert world.splits == [(0, 0), (25, 25), (50, 50), (75, 25), (75, 0), (0, 0)]
    assert world.sizes == [0, 3, 0]
    assert world.canary.status.phase is Phase.SUCCEEDED
    assert world.canary.status.baseline_removed_time is None
    assert world.is_gone()


def test_a_canary_that_asks_for_none_gets_none(canary: Make, story: Story) -> None:
    world = play(story(canary(), V2))

    assert world.sizes == [0]
    assert all(not fresh for _, fresh in world.splits)


def test_it_is_told_and_the_first_step_waits_for_it(canary: Make, story: Story) -> None:
    world = SafeWorld(story(canary(**QUICK), V2, baseline_after=40 * SECOND))
    line = world.run(90 * SECOND)

    assert line.weights == (0,)
    assert line.status.reason == "WaitingForPods"
    assert "Scaling up app-baseline.prod beside app.prod, of what is promoted, to compare the two" in line.events
    assert line.status.message == "the pods of baseline app-baseline.prod are not ready yet"
    assert world.run().endings == (Ending.PROMOTED,)


def test_one_that_does_not_get_ready_ends_the_rollout_at_its_deadline_and_says_so(canary: Make, story: Story) -> None:
    """As with the canary's own pods: nobody can say how a version does that has nothing to be compared with."""
    world = play(story(canary(**QUICK), V2, baseline_after=None))

    assert world.canary.status.phase is Phase.FAILED
    assert world.canary.status.reason == "ProgressDeadlineExceeded"
    assert "baseline app-baseline.prod: waiting for rollout to finish: 0 of 2" in world.canary.status.message
    assert all(weight == 0 for weight, _ in world.splits)
    assert world.is_gone()


def test_its_requests_go_to_the_primary_at_once_when_it_has_no_ready_pods(canary: Make, story: Story) -> None:
    world = play(story(canary(**QUICK), V2, (100, Kill(Side.BASELINE, 30 * SECOND))))

    assert world.splits == [(0, 0), (25, 25), (25, 0), (50, 50), (75, 25), (75, 0), (0, 0)]
    (told,) = [event.message for each in world.entries for event in each.events if "no ready pods" in event.message]
    assert told == "Halt app.prod advancement baseline app-baseline.prod has no ready pods, the primary gets its share"
    assert world.canary.status.phase is Phase.SUCCEEDED


def test_one_that_is_lost_for_good_ends_the_rollout_and_no_step_is_made_without_it(canary: Make, story: Story) -> None:
    world = play(story(canary(**QUICK), V2, (100, Kill(Side.BASELINE, None))))

    assert world.splits == [(0, 0), (25, 25), (25, 0), (0, 0)]
    assert "baseline app-baseline.prod" in world.canary.status.message
    assert world.is_gone()


def test_one_that_is_deleted_is_made_again(canary: Make, story: Story) -> None:
    world = play(story(canary(**QUICK), V2, (100, Remove(Side.BASELINE))))

    assert world.canary.status.phase is Phase.SUCCEEDED
    assert (25, 0) in world.splits


def test_one_that_is_scaled_follows_the_canary_again(canary: Make, story: Story) -> None:
    world = play(story(canary(**QUICK), V2, (90, Scale(Side.CANARY, 4)), (100, Scale(Side.BASELINE, 1))))

    assert world.sizes == [0, 2, 4, 1, 4, 0]
    assert world.canary.status.phase is Phase.SUCCEEDED


def test_a_version_that_is_worse_goes_at_once_with_its_baseline(canary: Make, story: Story) -> None:
    bad = {"v2": Version(readings=(Reading(50.0, RATE, weight=50),))}
    world = play(story(canary(**QUICK), V2, versions=bad))

    assert world.splits == [(0, 0), (25, 25), (50, 50), (0, 0)]
    (check,) = world.canary.status.checks
    assert check.threshold == "baseline 100 less 0.1"
    assert world.is_gone()


def test_another_revision_has_a_baseline_of_its_own_age(canary: Make, story: Story) -> None:
    """Its pods are made anew; until they are ready no request goes there."""
    world = Watched(story(canary(**QUICK), V2, (150, Deploy("v3"))))
    world.run(149 * SECOND)
    assert world.cluster.beside == "v1.v2"
    world.run(151 * SECOND)
    assert world.cluster.beside == "v1.v3"
    assert world.cluster.split == Split(0)
    world.run()
    assert world.canary.status.last_promoted_spec == "v3"
    assert world.is_gone()


def test_it_keeps_its_requests_where_the_primary_can_not_take_them(canary: Make, story: Story) -> None:
    bad = {"v2": Version(readings=(Reading(1.0, RATE, weight=50),))}
    killed = (125, Kill(Side.PRIMARY, 60 * SECOND))
    world = play(story(canary(**QUICK), V2, killed, versions=bad))

    assert world.canary.status.phase is Phase.FAILED
    assert world.is_gone()


@pytest.mark.parametrize("lag", [0, 3])
@pytest.mark.parametrize("at", [66, 130, 190, 250])
@pytest.mark.parametrize(
    "change",
    [
        Delete(),
        Annotate("flagger.app/order", "abort by=mia"),
        Annotate("flagger.app/order", "promote by=mia"),
        Annotate("flagger.app/order", "restart by=mia"),
        Deploy("v1"),
        Deploy("v3"),
        Remove(Side.PRIMARY),
        Remove(Side.CANARY),
        Drift(Split(10, baseline=80)),
        Drift(None),
        Kill(Side.PRIMARY, 40 * SECOND),
    ],
    ids=str,
)
def test_whatever_ends_a_rollout_nothing_is_left(canary: Make, story: Story, change: Change, at: int, lag: int) -> None:
    """And its pods answer for as long as the data plane may lead requests to them."""
    fields = {"settle": 4 * SECOND, "lag": lag * SECOND}
    for spec in ({}, {"revertOnDeletion": True}):
        world = play(story(canary(**QUICK, spec=spec), V2, (at, change), **fields))
        assert world.cluster.baseline is None
        assert world.is_gone() or world.gone
        assert world.gone or world.canary.status.phase not in (Phase.PROGRESSING, Phase.TERMINATING)


@pytest.mark.parametrize("at", [66, 130])
@pytest.mark.parametrize("lag", [0, 3])
def test_a_spec_that_asks_for_none_any_more_ends_it_and_the_rollout_goes_on(
    canary: Make, story: Story, at: int, lag: int
) -> None:
    edited = canary(stepWeight=25, maxWeight=75).spec
    world = play(story(canary(**QUICK), V2, (at, Edit(edited)), settle=4 * SECOND, lag=lag * SECOND))

    assert world.is_gone()
    assert world.canary.status.phase is Phase.SUCCEEDED
    assert world.splits[-1] == (0, 0)


def test_routes_that_the_spec_names_no_more_lead_to_it_no_more(canary: Make, story: Story) -> None:
    renamed = canary(**QUICK, spec={"service": {"port": 80, "name": "other"}}).spec
    world = play(story(canary(**QUICK), V2, (100, Edit(renamed)), settle=4 * SECOND, lag=3 * SECOND))

    assert world.is_gone()
    assert world.canary.status.phase is Phase.SUCCEEDED


def test_a_rollout_that_is_paused_keeps_it_and_ends_without_a_rest(canary: Make, story: Story) -> None:
    """Its pods are lost meanwhile: they get no requests, whoever has stopped what."""
    pause, go_on = (100, Annotate("flagger.app/pause", "by mia")), (400, Annotate("flagger.app/pause", ""))
    killed = (150, Kill(Side.BASELINE, 30 * SECOND))
    world = play(story(canary(**QUICK), V2, pause, killed, go_on))

    assert world.splits == [(0, 0), (25, 25), (25, 0), (50, 50), (75, 25), (75, 0), (0, 0)]
    assert world.is_gone()


@pytest.mark.parametrize("action", ["KeepBaseline", "DropBaseline", "Route"])
@pytest.mark.parametrize("answered", [True, False])
def test_what_is_refused_is_done_later_and_no_pods_go_before(
    canary: Make, story: Story, action: str, *, answered: bool
) -> None:
    refused = (Deny(frozenset({action}), Window(50 * SECOND, 320 * SECOND), answered),)
    world = play(story(canary(**QUICK), V2, denied=refused))

    assert world.is_gone()
    assert world.canary.status.phase in (Phase.SUCCEEDED, Phase.FAILED)
    told = {"KeepBaseline": "can't make the baseline", "DropBaseline": "can't delete the baseline"}.get(action)
    heard = [event.message for each in world.entries for event in each.events]
    assert told is None or any(told in each for each in heard) or not answered


times = st.integers(40, 400)
changes = st.sampled_from(
    [
        *(Kill(side, back) for side in Side for back in (None, 5 * SECOND, 45 * SECOND)),
        *(Scale(side, count) for side in Side for count in (0, 1, 4)),
        Remove(Side.BASELINE),
        Remove(Side.PRIMARY),
        Drift(None),
        Drift(Split(30, baseline=70)),
        Drift(Split(0, baseline=40)),
        Drift(Split(90)),
        Deploy("v1"),
        Deploy("v3"),
        Delete(),
        Annotate("flagger.app/order", "abort by=mia"),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    happenings=st.lists(st.tuples(times, changes), max_size=4),
    lag=st.sampled_from([0, 3]),
    after=st.sampled_from([None, 2, 30]),
)
def test_in_whatever_order_nobody_loses_a_request_and_nothing_is_left(
    canary: Make, story: Story, happenings: list[tuple[int, Change]], lag: int, after: int | None
) -> None:
    """The world stops where requests go to no pods, or pods go from requests."""
    ready = None if after is None else after * SECOND
    world = play(story(canary(**QUICK), V2, *happenings, settle=4 * SECOND, lag=lag * SECOND, baseline_after=ready))
    resting = world.canary.status.phase in (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED)
    primary = world.cluster.primary
    served = primary is not None and primary.serving(world.now)
    assert not resting or not served or world.is_gone()
