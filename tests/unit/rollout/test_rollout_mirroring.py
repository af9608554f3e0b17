"""Requests are copied to the canary before it answers any."""

from collections.abc import Callable
from datetime import timedelta

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.api.traffic import Split
from canary.rollout.simulation import Deploy, Edit, Reading, Reply, Timeline, Version

V2 = (60, Deploy("v2"))
CLOSED = Reply(approved=False)
DAY = timedelta(days=1)

Make = Callable[..., Canary]
Play = Callable[..., Timeline]


def splits(line: Timeline) -> list[Split]:
    """What the route carried, without repeats."""
    seen: list[Split] = []
    for entry in line.entries:
        if entry.split is not None and (not seen or seen[-1] != entry.split):
            seen.append(entry.split)
    return seen


def test_one_interval_of_copies_comes_before_the_first_weight(canary: Make, play: Play) -> None:
    line = play(canary(mirror=True, mirrorWeight=40, stepWeight=25, maxWeight=50), V2)

    assert line.status.phase is Phase.SUCCEEDED
    assert splits(line) == [Split(0), Split(0, mirror=40), Split(25), Split(50), Split(0)]


def test_without_a_mirror_weight_all_requests_are_copied(canary: Make, play: Play) -> None:
    assert Split(0, mirror=100) in splits(play(canary(mirror=True), V2))


def test_a_version_that_fails_its_copies_answers_no_user(canary: Make, play: Play) -> None:
    line = play(canary(mirror=True), V2, versions={"v2": Version(readings=(Reading(90.0),))})

    assert line.status.phase is Phase.FAILED
    assert splits(line) == [Split(0), Split(0, mirror=100), Split(0)]
    assert "v2" not in line.served


def test_blue_green_copies_in_every_iteration_until_everybody_is_sent_over(canary: Make, play: Play) -> None:
    line = play(canary(mirror=True, iterations=3), V2)

    assert line.status.phase is Phase.SUCCEEDED
    assert splits(line) == [Split(0), Split(0, mirror=100), Split(100), Split(0)]
    told = [event.message for entry in line.entries for event in entry.events]
    assert "Stop traffic mirroring and route all traffic to canary" in told


def test_each_step_is_asked_for_as_without_copies(canary: Make, play: Play) -> None:
    """Copies are no users: the gate is asked before the first of them, too, and promotion only at the end."""
    gate = {"name": "gate", "type": "confirm-traffic-increase", "url": "http://hooks.test/"}
    promotion = {**gate, "type": "confirm-promotion"}
    opens_at = Reply(approved=True, name="gate", start=timedelta(minutes=10))
    made = canary(mirror=True, stepWeight=50, maxWeight=100, webhooks=[gate])
    line = play(made, V2, replies=(CLOSED, opens_at))
    waiting = play(
        canary(mirror=True, stepWeight=50, maxWeight=100, webhooks=[promotion]), V2, replies=(CLOSED,), limit=DAY
    )

    assert line.weights == (0, 50, 100, 0)
    assert all(at >= timedelta(minutes=10) for at, weight in line.weight_changes if weight)
    assert waiting.weights == (0, 50, 100)
    assert waiting.status.phase is Phase.WAITING_PROMOTION


def test_a_router_without_weights_copies_nothing(canary: Make, play: Play) -> None:
    line = play(canary(mirror=True, iterations=2), V2, weighted=False)

    assert splits(line) == [Split(0)]


def test_mirroring_that_is_edited_out_in_mid_step_goes_on_with_weights(canary: Make, play: Play) -> None:
    line = play(canary(mirror=True), V2, (90, Edit(canary().spec)))

    assert line.status.phase is Phase.SUCCEEDED
    assert splits(line)[-6:] == [Split(weight) for weight in (10, 20, 30, 40, 50, 0)]
