"""Every strategy, on routers with weights and without, to every end: each cell of the matrix."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.decision import Ending
from canary.rollout.simulation import (
    Change,
    Delete,
    Deploy,
    Edit,
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

MATCH = [{"headers": {"x-canary": {"exact": "yes"}}}]
PANIC = [{"name": "panic", "type": "rollback", "url": "http://hooks.test/"}]

STRATEGIES: dict[str, dict[str, Any]] = {
    "canary": {"stepWeight": 25, "maxWeight": 50},
    "canary to the end": {"stepWeights": [10, 100]},
    "canary with steps back": {"stepWeight": 25, "maxWeight": 50, "stepWeightPromotion": 25},
    "blue/green": {"iterations": 2},
    "a/b": {"iterations": 2, "match": MATCH},
}

AT = 130
"""A second at which every strategy is in the middle of its analysis."""


@dataclass(frozen=True)
class Outcome:
    """What happens, and how it must end."""

    phase: Phase
    serves: str
    endings: tuple[Ending, ...]
    changes: tuple[tuple[float, Change], ...] = ()
    fields: tuple[tuple[str, Any], ...] = ()
    deleted: bool = False


def bad(**readings: Any) -> tuple[tuple[str, Any], ...]:
    return (("versions", {"v2": Version(readings=(Reading(1.0, **readings),))}),)


PROMOTED, FAILED = (Ending.PROMOTED,), (Ending.FAILED,)
NEVER = Version(ready_after=None)
OUTCOMES: dict[str, Outcome] = {
    "promoted": Outcome(Phase.SUCCEEDED, "v2", PROMOTED),
    "rolled back": Outcome(Phase.FAILED, "v1", FAILED, fields=bad()),
    "rolled back by hook": Outcome(
        Phase.FAILED, "v1", FAILED, fields=(("replies", (Reply(approved=True, start=timedelta(seconds=AT)),)),)
    ),
    "never ready": Outcome(Phase.FAILED, "v1", FAILED, fields=(("versions", {"v2": NEVER}),)),
    "no data": Outcome(Phase.FAILED, "v1", FAILED, fields=(("versions", {"v2": Version(readings=(Reading(None),))}),)),
    "metrics down for a while": Outcome(
        Phase.SUCCEEDED,
        "v2",
        PROMOTED,
        fields=(("metrics_down", (Window(timedelta(seconds=100), timedelta(seconds=200)),)),),
    ),
    "API server down for a while": Outcome(
        Phase.SUCCEEDED,
        "v2",
        PROMOTED,
        fields=(("api_down", (Window(timedelta(seconds=120), timedelta(seconds=140)),)),),
    ),
    "superseded": Outcome(Phase.SUCCEEDED, "v3", PROMOTED, ((AT, Deploy("v3")),)),
    "superseded by a bad one": Outcome(
        Phase.FAILED,
        "v1",
        FAILED,
        ((AT, Deploy("v3")),),
        (("versions", {"v3": Version(readings=(Reading(1.0),))}),),
    ),
    "set back": Outcome(Phase.SUCCEEDED, "v1", (), ((AT, Deploy("v1")),)),
    "pods die": Outcome(Phase.SUCCEEDED, "v2", PROMOTED, ((AT, Kill(Side.CANARY)),)),
    "pods die for good": Outcome(Phase.FAILED, "v1", FAILED, ((AT, Kill(Side.CANARY, None)),)),
    "primary dies for a while": Outcome(Phase.SUCCEEDED, "v2", PROMOTED, ((AT, Kill(Side.PRIMARY)),)),
    "deleted": Outcome(Phase.TERMINATING, "", (), ((AT, Delete()),), deleted=True),
}


@pytest.mark.parametrize("weighted", [True, False], ids=["weights", "no weights"])
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_cell_ends_as_it_should(canary: Make, story: Story, strategy: str, outcome: str, weighted: bool) -> None:
    """The phase, the revision that serves, how the rollout is counted; and nothing is left on the canary."""
    expected = OUTCOMES[outcome]
    made = canary(**STRATEGIES[strategy], webhooks=PANIC, threshold=2)
    changes = ((60, Deploy("v2")), *expected.changes)
    world = SafeWorld(story(made, *changes, weighted=weighted, **dict(expected.fields)))
    line = world.run()

    assert line.over
    assert world.gone is expected.deleted
    assert line.status.phase is expected.phase
    assert line.endings == expected.endings
    assert "" not in world.cluster.served(world.now)
    if not expected.deleted:
        assert world.cluster.primary is not None
        assert world.cluster.target is not None
        assert world.cluster.primary.revision == expected.serves
        assert world.cluster.target.desired == 0
        assert line.status.canary_weight == 0
        assert line.weights[-1] == 0


@pytest.mark.parametrize("weighted", [True, False], ids=["weights", "no weights"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_can_be_suspended_and_go_on(canary: Make, story: Story, strategy: str, weighted: bool) -> None:
    made = canary(**STRATEGIES[strategy])
    stop, go = Edit(made.spec.replace(suspend=True)), Edit(made.spec)
    changes = ((60, Deploy("v2")), (AT, stop), (2000, go))
    plain = SafeWorld(story(made, changes[0], weighted=weighted)).run()
    line = SafeWorld(story(made, *changes, weighted=weighted)).run()

    assert line.weights == plain.weights
    assert line.events == plain.events
    assert line.lasted >= timedelta(seconds=2000)


@pytest.mark.parametrize("weighted", [True, False], ids=["weights", "no weights"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_strategy_loses_a_request_in_a_good_rollout(
    canary: Make, story: Story, strategy: str, weighted: bool
) -> None:
    """Whoever is asked has ready pods, at every moment."""
    line = SafeWorld(story(canary(**STRATEGIES[strategy]), (60, Deploy("v2")), weighted=weighted)).run()

    assert line.served.keys() == {"v1", "v2"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_users_meet_of_a_bad_version_is_bounded(canary: Make, story: Story, strategy: str) -> None:
    """Its first step for as many looks as the threshold, and not a moment longer."""
    versions = {"v2": Version(readings=(Reading(1.0),))}
    made = canary(**STRATEGIES[strategy], threshold=1)
    line = SafeWorld(story(made, (60, Deploy("v2")), versions=versions)).run()
    first = {"blue/green": 0, "a/b": 10, "canary to the end": 10}.get(strategy, 25)

    assert line.served.get("v2", timedelta(0)) <= timedelta(seconds=0.61 * first)
