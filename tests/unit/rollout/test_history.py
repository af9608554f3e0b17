"""The rollout that is under way, and the last ones: one entry each, with its cause, whatever comes in between."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Outcome, PastRollout
from canary.rollout import history
from canary.rollout.simulation import (
    Annotate,
    Delete,
    Deploy,
    Reading,
    Remove,
    Reply,
    SafeWorld,
    Scenario,
    Side,
    Timeline,
    Version,
)
from tests.unit.rollout.counting_world import CountingWorld
from tests.unit.rollout.faulty_world import BAD, CLOSED, NEVER, ONCE, QUICK, V2, gated

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Play = Callable[..., Timeline]

IN_PLACE = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}}
EACH: dict[str, Any] = {"stepWeight": 1, "maxWeight": 100, "spec": IN_PLACE}
PODS: dict[str, Any] = {"in_place": True, "replicas": 3}
WORSE = {"v2": Version(readings=(Reading(1.0, weight=60),))}

START = datetime(2026, 1, 1, tzinfo=UTC)


def told(line: Timeline) -> list[tuple[str, str, int]]:
    """What is remembered, the newest first."""
    return [(each.revision, each.outcome.value, each.highest_weight) for each in line.status.history]


def test_a_good_one_is_promoted(canary: Make, play: Play) -> None:
    line = play(canary(**QUICK), V2)
    (entry,) = line.status.history

    assert told(line) == [("v2", "Promoted", 50)]
    assert entry.cause == "the analysis was completed"
    assert (entry.images, entry.changes) == ({"app": "app:v2"}, ("image of app",))
    assert entry.started == START + timedelta(seconds=60)
    assert entry.started < entry.ended
    assert line.status.rollout is None


def test_while_it_is_under_way_it_says_since_when_and_how_far_it_came(canary: Make, story: Story) -> None:
    status = SafeWorld(story(canary(**QUICK), V2)).run(timedelta(seconds=150)).status
    assert status.rollout is not None
    assert (status.rollout.revision, status.rollout.highest_weight) == ("v2", 50)
    assert (status.rollout.started, status.history) == (START + timedelta(seconds=60), ())


def test_a_bad_one_says_which_check_failed_with_its_number_its_threshold_and_since_when(
    canary: Make, play: Play
) -> None:
    line = play(canary(**QUICK), V2, versions=BAD)
    (entry,) = line.status.history

    assert told(line) == [("v2", "RolledBack", 50)]
    assert entry.cause == (
        "failed checks threshold reached 2: request-success-rate 1% is below 99% over 1m (since 2026-01-01T00:03:06Z)"
    )
    (check,) = entry.checks
    assert (check.name, check.value, check.threshold) == ("request-success-rate", 1.0, ">= 99")
    assert check.since is not None
    assert check.time is not None
    assert check.since < check.time


@pytest.mark.parametrize(
    ("analysis", "changes", "fields", "expected", "cause"),
    [
        (ONCE, (V2,), {"versions": NEVER}, [("v2", "RolledBack", 0)], "progress deadline exceeded"),
        (ONCE, (V2,), {"versions": NEVER}, [("v2", "RolledBack", 0)], "ImagePullBackOff"),
        (
            gated("rollback"),
            (V2,),
            {"replies": (Reply(approved=True, start=timedelta(seconds=100)),)},
            [("v2", "RolledBack", 50)],
            "manual webhook invoked: gate",
        ),
        (
            QUICK,
            (V2, (140, Deploy("v3"))),
            {},
            [("v3", "Promoted", 50), ("v2", "Superseded", 50)],
            "a newer revision came",
        ),
        (QUICK, (V2, (140, Deploy("v1"))), {}, [("v2", "Reverted", 50)], "set back to the promoted revision"),
        (
            gated("confirm-rollout"),
            (V2, (100, Deploy("v3"))),
            {"replies": CLOSED},
            [("v3", "Promoted", 50), ("v2", "Superseded", 0)],
            "a newer revision came while it waited for gate",
        ),
        (
            gated("confirm-rollout"),
            (V2, (100, Deploy("v1"))),
            {"replies": CLOSED},
            [("v2", "Reverted", 0)],
            "while it waited for gate",
        ),
        ({**QUICK, "spec": {"skipAnalysis": True}}, (V2,), {}, [("v2", "PromotedUnchecked", 0)], "was skipped"),
        (QUICK, (V2, (100, Remove(Side.CANARY))), {}, [("v2", "RolledBack", 25)], "does not exist any more"),
        (
            {**QUICK, "onFailure": "hold"},
            (V2, (900, Annotate("flagger.app/retry", "1")), (901, Deploy("v1"))),
            {"versions": BAD},
            [("v2", "Reverted", 25), ("v2", "Superseded", 50)],
            "held as failed: failed checks threshold reached 2; another try was asked for by flagger.app/retry",
        ),
        (EACH, (V2,), PODS, [("v2", "Promoted", 100)], "the analysis was completed"),
        (EACH, (V2,), {**PODS, "versions": WORSE}, [("v2", "RolledBack", 67)], "request-success-rate 1% is below 99%"),
        (
            {**ONCE, "bake": "5m"},
            (V2,),
            {"versions": {"v2": Version(readings=(Reading(1.0, side=Side.PRIMARY, after=timedelta(seconds=100)),))}},
            [("v2", "BakeFailed", 50)],
            "failed checks threshold reached 2; the last good version is put back: request-success-rate 1%",
        ),
    ],
)
def test_each_end_has_its_cause(
    canary: Make,
    play: Play,
    analysis: dict[str, Any],
    changes: tuple[Any, ...],
    fields: dict[str, Any],
    expected: list[tuple[str, str, int]],
    cause: str,
) -> None:
    line = play(canary(**analysis), *changes, **fields)
    assert told(line) == expected
    assert cause in line.status.history[-1].cause


def test_a_deleted_canary_says_so_while_it_goes(canary: Make, story: Story) -> None:
    scenario = story(canary(**QUICK, spec={"revertOnDeletion": True}), V2, (140, Delete()))
    status = SafeWorld(scenario).run(timedelta(seconds=141)).status
    assert [(each.outcome, each.cause) for each in status.history] == [(Outcome.ABORTED, "the Canary is deleted")]


def test_the_last_ones_are_kept_the_newest_first(canary: Make, play: Play) -> None:
    changes = [(1000 * number, Deploy(f"v{number}")) for number in range(2, 20)]
    line = play(
        canary(**ONCE),
        *changes,
        versions={f"v{number}": Version() for number in range(20)},
        limit=timedelta(days=2),
    )
    assert [each.revision for each in line.status.history] == [f"v{number}" for number in range(19, 9, -1)]


STORIES: dict[str, tuple[dict[str, Any], tuple[Any, ...], dict[str, Any]]] = {
    "good": (QUICK, (V2,), {}),
    "bad": (QUICK, (V2,), {"versions": BAD}),
    "superseded": (QUICK, (V2, (140, Deploy("v3"))), {}),
    "waits for its approval": (gated("confirm-rollout"), (V2, (500, Deploy("v3"))), {"replies": CLOSED}),
    "pod by pod": (EACH, (V2, (500, Deploy("v3"))), {**PODS, "versions": WORSE}),
    "bakes": ({**ONCE, "bake": "90s"}, (V2,), {}),
}


@pytest.mark.parametrize("name", STORIES)
def test_it_costs_no_write_of_its_own(canary: Make, story: Story, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is remembered is written with the transition that it tells of."""
    analysis, changes, fields = STORIES[name]

    def writes() -> int:
        world = CountingWorld(story(canary(**analysis), *changes, **fields))
        assert world.run().over
        return world.stored

    remembering = writes()
    monkeypatch.setattr("canary.rollout.decide.remembered", lambda _, decision: decision.status)
    assert remembering == writes()


@pytest.mark.parametrize(
    ("order", "outcome", "cause"),
    [
        ("promote by=mia it is urgent", "Promoted", "as ordered: promote by=mia it is urgent"),
        ("abort by=mia too slow", "Aborted", "aborted by mia: too slow"),
        ("promote revision=v1 by=mia", "Promoted", "the analysis was completed"),
        ("resume by=mia", "Promoted", "the analysis was completed"),
    ],
)
def test_whoever_ended_it_by_an_order_is_named(canary: Make, play: Play, order: str, outcome: str, cause: str) -> None:
    """An order that is not heeded ended nothing."""
    line = play(canary(**QUICK), V2, (75, Annotate("flagger.app/order", order)))
    (entry,) = line.status.history
    assert (entry.outcome, entry.cause) == (outcome, cause)


def test_one_that_an_earlier_release_has_begun_is_remembered_too(canary: Make, story: Story) -> None:
    world = SafeWorld(story(canary(**QUICK), V2))
    world.run(timedelta(seconds=150))
    world.canary = world.canary.replace(status=world.canary.status.replace(rollout=None))
    assert told(world.run()) == [("v2", "Promoted", 50)]


def past(number: int, cause: str) -> PastRollout:
    return PastRollout(revision=f"v{number}", started=START, ended=START, outcome=Outcome.ROLLED_BACK, cause=cause)


def test_they_take_a_bounded_number_of_bytes() -> None:
    """The newest is kept whatever it takes."""
    large = tuple(past(number, "ü" * 2000) for number in range(history.KEPT))
    kept = history._bounded(large)
    assert kept == large[: len(kept)]
    assert 0 < len(kept) < history.KEPT
    assert len(CanaryStatus(history=kept).model_dump_json()) < 2 * history.MOST_BYTES
    assert history._bounded((past(1, "x" * 10**6), past(2, ""))) == (past(1, "x" * 10**6),)
