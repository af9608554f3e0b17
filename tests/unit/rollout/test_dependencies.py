"""A rollout begins when the Canaries that it depends on serve what is deployed of theirs."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.dependencies import circle
from canary.rollout.simulation import Deploy, Reading, Scenario, Scheduled, Version
from tests.unit.rollout.fleet import Fleet, canary_of, story_of

AFTER = timedelta(seconds=10)


def depending(name: str, *others: str, namespace: str = "shop") -> Canary:
    refs = [dict(zip(("name", "namespace"), other.split("/")[::-1], strict=False)) for other in others]
    return canary_of(namespace, name, scheduling={"dependsOn": refs})


def began(fleet: Fleet, key: str) -> float:
    """Seconds since the start at which its rollout began."""
    at = fleet.worlds[key].canary.status.rollout_start_time
    assert at is not None
    return (at - fleet.worlds[key].scenario.start).total_seconds()


def ended(fleet: Fleet, key: str) -> float:
    history = fleet.worlds[key].canary.status.history
    return (history[0].ended - fleet.worlds[key].scenario.start).total_seconds()


@pytest.mark.field("spec.scheduling.dependsOn[].name", "spec.scheduling.dependsOn[].namespace")
@pytest.mark.parametrize("apart", [-9.0, 0.0, 9.0])
def test_what_is_deployed_together_is_rolled_out_one_after_the_other(apart: float) -> None:
    """Whichever of the two is noticed first, as long as one commit brings them within seconds."""
    backend, frontend = canary_of("data", "backend"), depending("frontend", "data/backend")
    fleet = Fleet([story_of(backend, at=100 + apart), story_of(frontend, at=100)])
    fleet.run(timedelta(hours=1))
    assert began(fleet, "shop/frontend") >= ended(fleet, "data/backend")
    assert fleet.worlds["shop/frontend"].canary.status.phase is Phase.SUCCEEDED


def test_it_begins_a_moment_after_it_came_where_the_other_stays_as_it_is() -> None:
    fleet = Fleet([story_of(canary_of("shop", "backend"), at=90_000), story_of(depending("frontend", "backend"))])
    fleet.run(timedelta(hours=1))
    assert began(fleet, "shop/frontend") == 70


def test_it_waits_for_one_that_has_failed_and_says_so_until_that_is_mended() -> None:
    bad = Version(readings=(Reading(1.0),))
    backend = Scenario(
        canary=canary_of("shop", "backend"),
        versions={"v1": Version(), "v2": bad, "v3": Version()},
        changes=(Scheduled(timedelta(seconds=60), Deploy("v2")), Scheduled(timedelta(hours=2), Deploy("v3"))),
    )
    fleet = Fleet([backend, story_of(depending("frontend", "backend"), at=61)])
    fleet.run(timedelta(hours=1))
    frontend = fleet.worlds["shop/frontend"]
    status = frontend.canary.status
    assert (status.phase, status.reason) == (Phase.WAITING, "WaitingForDependency")
    assert status.message == "depends on shop/backend, which has failed"
    passes = frontend.passes
    fleet.run(timedelta(minutes=59))
    assert frontend.passes == passes, "it is looked at though nothing happens"
    fleet.run(timedelta(hours=1))
    assert began(fleet, "shop/frontend") >= ended(fleet, "shop/backend") > 7200


def test_one_that_does_not_exist_is_named() -> None:
    fleet = Fleet([story_of(depending("frontend", "backend"))])
    fleet.run(timedelta(hours=1))
    status = fleet.worlds["shop/frontend"].canary.status
    assert status.message == "depends on shop/backend, which does not exist here"


def test_one_that_waits_for_another_takes_no_place_in_the_queue() -> None:
    """With one rollout at once, two that wait for one another's turn and end would never begin."""
    stories = [story_of(depending("frontend", "backend"), at=60), story_of(canary_of("shop", "backend"), at=62)]
    fleet = Fleet(stories, 1)
    fleet.run(timedelta(hours=1))
    assert {each.canary.status.phase for each in fleet.worlds.values()} == {Phase.SUCCEEDED}
    assert began(fleet, "shop/frontend") >= ended(fleet, "shop/backend")


def test_a_chain_is_rolled_out_from_its_end_and_survives_restarts() -> None:
    names = [f"app{number}" for number in range(5)]
    chain = [depending(name, other) for name, other in pairwise(names)]
    fleet = Fleet([story_of(each) for each in (*chain, canary_of("shop", names[-1]))])
    for _ in range(40):
        fleet.run(timedelta(seconds=47))
        fleet.restart()
    order = sorted(names, key=lambda name: began(fleet, f"shop/{name}"))
    assert order == names[::-1]
    assert all(began(fleet, f"shop/{a}") >= ended(fleet, f"shop/{b}") for a, b in pairwise(names))


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"a": "a"}, ("a", "a")),
        ({"a": "b", "b": "a"}, ("a", "b", "a")),
        ({"a": "bc", "b": "d", "c": "a", "d": "a"}, ("a", "c", "a")),
        ({"a": "b", "b": "c", "c": "b"}, ()),
        ({"a": "bc", "b": "c"}, ()),
    ],
)
def test_a_circle_is_found_by_its_shortest_way(named: dict[str, str], expected: tuple[Any, ...]) -> None:
    """One that it only leads to is others' circle."""
    assert circle("a", lambda key: named.get(key, "")) == expected
