"""A gateway that does not do what its route says is no fault of the new version."""

from collections.abc import Callable
from datetime import timedelta

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.simulation import Deploy, Reading, Reply, SafeWorld, Scenario, Scheduled, Version
from canary.rollout.simulation.timeline import Entry, Timeline

Make = Callable[..., Canary]
Hook = Callable[..., dict[str, object]]

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
RATE = {"metrics": [{"name": "request-success-rate", "threshold": 99}]}
WHY = "the gateway has not yet seen the route"
BAD = Version(readings=(Reading(0.0, "request-success-rate"),))


def rolled_out(canary: Canary, tells: timedelta, new: Version, *, replies: tuple[Reply, ...] = ()) -> Timeline:
    """A new version after a minute, behind a gateway that says that it has taken its route after so long."""
    return SafeWorld(
        Scenario(
            canary=canary,
            versions={"v1": Version(), "v2": new},
            changes=(Scheduled(MINUTE, Deploy("v2")),),
            replies=replies,
            tells=tells,
        )
    ).run()


def held(line: Timeline) -> list[Entry]:
    return [each for each in line.entries if each.reason == WHY]


def told(line: Timeline) -> list[str]:
    return [event.message for entry in line.entries for event in entry.events]


def test_nothing_is_judged_until_the_route_is_taken(canary: Make) -> None:
    """And then a good version is promoted as ever, without a check that failed."""
    line = rolled_out(canary(**RATE), 3 * MINUTE, Version())
    first, *_ = held(line)
    assert (first.phase, first.failed_checks) == (Phase.PROGRESSING, 0)
    assert first.split is not None
    assert first.split.canary > 0, "the weight stays as it was asked for"
    assert line.status.phase is Phase.SUCCEEDED
    assert "RouteNotTaken" in {each.status.reason for each in stored(canary(**RATE))}


def stored(canary: Canary) -> list[Canary]:
    """What the status says while the route is not taken."""
    story = Scenario(
        canary=canary,
        versions={"v1": Version(), "v2": Version()},
        changes=(Scheduled(MINUTE, Deploy("v2")),),
        tells=DAY,
        limit=5 * MINUTE,
    )
    world = SafeWorld(story)
    world.run()
    return [world.canary]


def test_a_gateway_that_is_quick_holds_nothing_up(canary: Make) -> None:
    line = rolled_out(canary(**RATE), SECOND, Version())
    assert held(line) == []
    assert line.status.phase is Phase.SUCCEEDED


def test_a_bad_version_is_taken_back_once_its_route_is_taken(canary: Make) -> None:
    line = rolled_out(canary(threshold=2, **RATE), 90 * SECOND, BAD)
    assert held(line)
    assert line.status.phase is Phase.FAILED
    assert any("failed checks threshold reached" in each for each in told(line))


def test_one_that_never_takes_it_ends_the_rollout_with_its_words(canary: Make) -> None:
    line = rolled_out(canary(**RATE), DAY, Version())
    assert line.status.phase is Phase.FAILED
    assert line.status.failed_checks == 0
    assert any(each.startswith("Halt") and each.endswith(f"advancement {WHY}") for each in told(line))
    assert any(f"progress deadline exceeded {WHY}" in each for each in told(line))


def test_people_on_call_hear_of_it_once(canary: Make) -> None:
    line = rolled_out(canary(**RATE), DAY, Version())
    assert len(held(line)) > 1
    alerts = [alert.message for entry in line.entries for alert in entry.alerts]
    assert [each for each in alerts if each.startswith("Canary analysis is held")] == [
        f"Canary analysis is held, the gateway does not do what its route says: {WHY}"
    ]


def test_who_wants_it_back_by_hook_gets_it_back_meanwhile(canary: Make, hook: Hook) -> None:
    made = canary(webhooks=[hook("rollback", "back")], **RATE)
    line = rolled_out(made, DAY, Version(), replies=(Reply(approved=True, name="back", start=4 * MINUTE),))
    assert line.status.phase is Phase.FAILED
    assert any("manual webhook invoked" in each for each in told(line))
