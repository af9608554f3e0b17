"""Followed configuration: its changes reach the primary by new pods, and never in the way of a promotion."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.decide import decide
from canary.rollout.decision import Action, CopyToPrimary, RollPrimary
from canary.rollout.facts import Workload
from canary.rollout.simulation import Deploy, Kill, Reading, SafeWorld, Scenario, Side, Version

V2 = (60, Deploy("v2"))

Make = Callable[..., Canary]
Story = Callable[..., Scenario]


class RotatingWorld(SafeWorld):
    """A world in which a followed Secret is changed by hand."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.cluster.followed = "old"
        self.did: list[Action] = []

    def after_action(self, action: Action, *, wrote: bool) -> None:
        super().after_action(action, wrote=wrote)
        self.did.append(action)

    def rotate(self, digest: str = "new") -> None:
        self.cluster.followed = digest
        self.settle()

    @property
    def read(self) -> str:
        """What the primary's pods have read."""
        return self.cluster.primary.followed if self.cluster.primary is not None else ""


@pytest.fixture
def world(canary: Make, story: Story) -> Callable[..., RotatingWorld]:
    def make(*changes: tuple[float, Deploy | Kill], until: float, **fields: object) -> RotatingWorld:
        made = RotatingWorld(story(canary(), *changes, **fields))
        made.run(timedelta(seconds=until))
        return made

    return make


World = Callable[..., RotatingWorld]


@pytest.mark.parametrize(
    ("phase", "until", "versions"),
    [
        (Phase.INITIALIZED, 30, {}),
        (Phase.PROGRESSING, 200, {}),
        (Phase.SUCCEEDED, 1000, {}),
        (Phase.FAILED, 1000, {"v2": Version(readings=(Reading(1.0),))}),
    ],
)
def test_a_rotated_secret_reaches_the_primary_at_rest_and_in_mid_rollout(
    world: World, phase: Phase, until: float, versions: dict[str, Version]
) -> None:
    going = world(V2, until=until, versions=versions)
    assert going.canary.status.phase is phase
    assert going.read == "old"
    going.rotate()
    assert going.read == "new"
    assert going.canary.status.phase is phase
    assert going.did.count(RollPrimary("new")) == 1


def test_no_rollout_begins_by_it(world: World) -> None:
    going = world(until=30)
    before = going.canary.status
    going.rotate()
    assert going.canary.status == before


def test_a_primary_that_is_being_promoted_is_left_alone_and_gets_it_with_the_copy_or_after(world: World) -> None:
    going = world(V2, until=367.5)
    assert going.canary.status.phase == Phase.PROMOTING
    going.rotate()
    assert RollPrimary("new") not in going.did
    ended = going.run().status.phase
    assert ended is Phase.SUCCEEDED
    assert going.read == "new"
    after = going.did[going.did.index(CopyToPrimary("v2")) :]
    assert after.count(RollPrimary("new")) == 1


def test_a_promotion_carries_what_is_there_by_then(world: World) -> None:
    """No second restart follows the first."""
    going = world((60, Deploy("v2")), until=30)
    going.rotate()
    going.run()
    assert going.canary.status.phase is Phase.SUCCEEDED
    assert [action for action in going.did if isinstance(action, RollPrimary)] == [RollPrimary("new")]


def test_pods_that_are_still_on_their_way_are_not_made_anew_again(world: World) -> None:
    going = world((100, Kill(Side.PRIMARY, None)), until=110)
    going.cluster.followed = "new"
    assert not [each for each in decide(going.canary, going.facts()).actions if isinstance(each, RollPrimary)]


def test_a_primary_that_sleeps_starts_with_what_is_there(world: World) -> None:
    """It has no pods that could serve anybody meanwhile."""
    going = world(until=110)
    assert going.cluster.primary is not None
    going.cluster.primary.scale(0, going.now)
    going.cluster.followed = "new"
    assert RollPrimary("new") in decide(going.canary, going.facts()).actions


def test_where_nothing_is_followed_any_more_nothing_is_made_anew(world: World) -> None:
    going = world(until=110)
    going.rotate("")
    assert going.read == "old"


def test_a_primary_that_never_followed_anything_is_made_anew_once(world: World) -> None:
    """Nobody knows what its pods have read."""
    going = world(until=110)
    facts = going.facts()
    assert facts.primary is not None
    unknown: Workload = replace(facts.primary, followed="")
    assert RollPrimary("old") in decide(going.canary, replace(facts, primary=unknown)).actions


def test_a_suspended_canary_follows_nothing(world: World) -> None:
    going = world(until=110)
    suspended = going.canary.replace(spec=going.canary.spec.replace(suspend=True))
    going.cluster.followed = "new"
    assert decide(suspended, going.facts()).actions == ()
