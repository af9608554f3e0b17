"""A rollout is one trace: a span for all of it, one for each step, without a gap, and the same ones after a restart."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.rollout.decision import Decision
from canary.rollout.simulation import Annotate, Crash, Deploy, Reading, Scenario, Side, Version
from canary.rollout.spans import MOST_MOMENTS, Span, Standing, place_of, span_id, traced
from tests.unit.rollout.faulty_world import AFTER_STORE, BAD, CLOSED, NEVER, ONCE, QUICK, V2, FaultyWorld, gated

Make = Callable[..., Canary]
Story = Callable[..., Scenario]

START = datetime(2026, 1, 1, tzinfo=UTC)
BAKES_BADLY = {"v2": Version(readings=(Reading(1.0, side=Side.PRIMARY, after=timedelta(seconds=100)),))}

STORIES: dict[str, tuple[dict[str, Any], tuple[Any, ...], dict[str, Any]]] = {
    "good": (QUICK, (V2,), {}),
    "bad": (QUICK, (V2,), {"versions": BAD}),
    "iterations": ({"iterations": 3}, (V2,), {}),
    "a newer one": (QUICK, (V2, (150, Deploy("v1"))), {}),
    "never ready": (QUICK, (V2,), {"versions": NEVER}),
    "gated": (gated("confirm-promotion"), (V2,), {"replies": CLOSED}),
    "again": (QUICK, (V2, (900, Annotate("flagger.app/retry", "1"))), {"versions": BAD}),
    "bakes": ({**ONCE, "bake": "90s"}, (V2,), {}),
}


class TracedWorld(FaultyWorld):
    """A world whose controller traces; one that starts anew knows nothing of what it has traced."""

    standing: Standing | None = None
    spans: tuple[Span, ...] = ()
    begun: tuple[int, ...] = ()

    def after_store(self, canary: Canary, decision: Decision) -> None:
        super().after_store(canary, decision)
        self._observe(canary.replace(status=decision.status))

    def pass_once(self) -> bool:
        if self.standing is None:
            self._observe(self.canary)
        return super().pass_once()

    def restart(self) -> None:
        super().restart()
        self.standing = None

    def _observe(self, canary: Canary) -> None:
        self.standing, over = traced(canary, self.standing, self.now)
        self.spans += over
        place = place_of(canary)
        if place is not None and place.parent not in self.begun:
            self.begun += (place.parent,)


def played(canary: Make, story: Story, name: str) -> TracedWorld:
    analysis, changes, fields = STORIES[name]
    world = TracedWorld(story(canary(**analysis), *changes, **fields))
    world.run()
    return world


def roots(spans: tuple[Span, ...]) -> list[Span]:
    return [each for each in spans if not each.parent]


def steps(spans: tuple[Span, ...], root: Span) -> list[Span]:
    return [each for each in spans if each.trace == root.trace and each.parent == root.id and each.name != "bake"]


@pytest.mark.parametrize("name", STORIES)
def test_every_rollout_is_one_trace_whose_steps_follow_each_other_without_a_gap(
    canary: Make, story: Story, name: str
) -> None:
    world = played(canary, story, name)
    history = world.canary.status.history

    assert len(roots(world.spans)) == len(history) >= 1
    for root, past in zip(reversed(roots(world.spans)), history, strict=True):
        assert (root.start, root.end) == (past.started, past.ended)
        assert root.attributes["canary.revision"] == past.revision
        assert root.attributes["canary.outcome"] == past.outcome.value
        own = steps(world.spans, root)
        assert [each.start for each in own] == [root.start, *(each.end for each in own[:-1])]
        assert own[-1].end == root.end
    assert len({each.id for each in world.spans}) == len(world.spans), "no two spans have one id"


@pytest.mark.parametrize("name", ["good", "bad", "again", "bakes"])
def test_whoever_goes_on_after_a_crash_goes_on_with_the_same_trace(canary: Make, story: Story, name: str) -> None:
    """At whichever store it dies: every rollout is told of, and each step, save the one that was left by that store."""
    world = played(canary, story, name)
    tried = 0
    for recording in world.recordings:
        if AFTER_STORE not in recording.points:
            continue
        again = world.again(recording, AFTER_STORE, Crash)
        assert isinstance(again, TracedWorld)
        again.run()
        tried += 1
        ids = {each.id for each in again.spans}
        assert [each.attributes["canary.revision"] for each in roots(again.spans)] == [
            each.revision for each in reversed(again.canary.status.history)
        ]
        assert {each.parent for each in again.spans} - {0} <= ids
        assert len(set(again.begun) - ids) <= 1
        assert len(ids) == len(again.spans), "nothing is told twice"
    assert tried


def test_steps_say_where_the_rollout_stood_and_what_was_told_and_measured_there(canary: Make, story: Story) -> None:
    world = played(canary, story, "good")
    (root,) = roots(world.spans)
    assert root.name == "rollout of app.prod"
    assert root.error == ""
    assert root.attributes["canary.images"] == ("app=app:v2",)
    own = {each.name: each for each in steps(world.spans, root)}
    assert [name for name in own if "weight" in name and name.startswith("Progressing")] == [
        "Progressing, weight 25",
        "Progressing, weight 50",
    ]
    first = own["Progressing, weight 25"]
    assert first.attributes["canary.weight"] == 25
    told = [each.name for each in first.moments]
    assert "Advance app.prod canary weight 25" in told
    assert "request-success-rate: Pass" in told
    (measured,) = (each for each in first.moments if each.name == "request-success-rate: Pass")
    assert measured.attributes["check.passed"] is True
    assert first.start < measured.time <= first.end


def test_a_rollback_is_an_error_of_the_whole_with_its_cause(canary: Make, story: Story) -> None:
    (root,) = roots(played(canary, story, "bad").spans)
    assert root.attributes["canary.outcome"] == "RolledBack"
    assert root.error.startswith("failed checks threshold reached 2: request-success-rate")


def test_a_bake_that_fails_is_a_span_behind_the_rollout_that_had_ended(canary: Make, story: Story) -> None:
    world = TracedWorld(story(canary(**ONCE, bake="5m"), V2, versions=BAKES_BADLY))
    world.run()
    (root,) = roots(world.spans)
    (baked,) = (each for each in world.spans if each.name == "bake")
    assert root.attributes["canary.outcome"] == "Promoted"
    assert (baked.trace, baked.parent, baked.start) == (root.trace, root.id, root.end)
    assert baked.attributes["canary.outcome"] == "BakeFailed"
    assert baked.error.startswith("failed checks threshold reached 2")


def test_the_same_revision_that_is_tried_again_is_another_trace(canary: Make, story: Story) -> None:
    first, second = roots(played(canary, story, "again").spans)
    assert first.attributes["canary.revision"] == second.attributes["canary.revision"]
    assert first.trace != second.trace


def test_another_canary_of_that_name_has_other_traces(canary: Make, story: Story) -> None:
    world = played(canary, story, "good")
    other = world.canary.replace(metadata=world.canary.metadata.replace(uid="0-2"))
    notice = {"status": world.canary.status.replace(outbox=(), told=None)}
    at = world.canary.status.history[0].ended
    places = [place_of(each.replace(**notice), at) for each in (world.canary, other)]
    assert None not in places
    assert len({each.trace for each in places if each is not None}) == 2


def test_at_rest_nothing_belongs_to_a_rollout_but_what_is_told_of_its_end(canary: Make, story: Story) -> None:
    world = played(canary, story, "good")
    (root,) = roots(world.spans)
    assert place_of(world.canary) is None
    told = place_of(world.canary, world.canary.status.history[0].ended)
    assert told is not None
    assert (told.trace, told.parent) == (root.trace, root.id)
    assert place_of(world.canary, root.end + timedelta(seconds=1)) is None


def test_of_a_step_that_lasts_the_last_moments_are_kept(canary: Make, story: Story) -> None:
    world = TracedWorld(story(canary(**gated("confirm-promotion")), V2, replies=CLOSED))
    world.run(timedelta(seconds=200))
    status, standing = world.canary.status, world.standing
    assert status.rollout is not None
    (check,) = status.checks[:1]
    for second in range(2 * MOST_MOMENTS):
        asked = check.replace(time=START + timedelta(hours=1, seconds=second))
        standing, _ = traced(world.canary.replace(status=status.replace(checks=(asked,))), standing, world.now)
    assert standing is not None
    assert len(standing.moments) == MOST_MOMENTS
    assert standing.moments[-1].time == START + timedelta(hours=1, seconds=2 * MOST_MOMENTS - 1)


def test_ids_fit_and_are_never_zero() -> None:
    ids = [span_id("a", number) for number in range(1000)]
    assert all(0 < each < 1 << 64 for each in ids)
    assert len(set(ids)) == len(ids)
