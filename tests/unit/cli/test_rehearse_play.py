"""What comes of stories: how rollouts end, when, and how many requests a bad version gets."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.cli.rehearse.builtin import BY_NAME, STORIES
from canary.cli.rehearse.play import Outcome, Rehearsal, Step
from canary.cli.rehearse.reading import model_of
from canary.cli.rehearse.staging import BEGINNING, Stage, scenario_of
from canary.cli.rehearse.story import Story
from canary.rollout.simulation import World

Make = Callable[..., Canary]
Play = Callable[..., Rehearsal]
Gate = Callable[..., dict[str, Any]]

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
STEPS = (10, 20, 30, 40, 50)
GATEWAY = {
    "provider": "gatewayapi:v1",
    "service": {"port": 80, "gatewayRefs": [{"name": "gateway", "namespace": "gateways"}]},
}
PODS = {
    "provider": "",
    "service": {},
    "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"},
}
MATCH = [{"headers": {"x-canary": {"exact": "yes"}}}]


@pytest.mark.parametrize(
    ("name", "outcome", "weights", "took", "bad"),
    [
        ("healthy", Outcome.PROMOTED, (0, *STEPS, 0), 313, 0),
        ("dead-on-arrival", Outcome.ROLLED_BACK, (0, 10, 0), 66, 91),
        ("fails-at-20-percent", Outcome.ROLLED_BACK, (0, 10, 20, 0), 126, 143),
        ("slow-leak", Outcome.ROLLED_BACK, (0, 10, 20, 0), 126, 143),
        ("latency-doubles", Outcome.ROLLED_BACK, (0, 10, 0), 66, 91),
        ("no-traffic", Outcome.ROLLED_BACK, (0, 10, 0), 366, 0),
        ("metrics-server-down", Outcome.ROLLED_BACK, (0, 10, 0), 366, 0),
        ("new-revision-in-mid-rollout", Outcome.PROMOTED, (0, 10, 20, 30, 0, *STEPS, 0), 469, 0),
        ("pods-never-ready", Outcome.ROLLED_BACK, (0,), 300, 0),
    ],
)
def test_stories_of_the_program_end_as_they_say(
    canary: Make, play: Play, name: str, outcome: Outcome, weights: tuple[int, ...], took: int, bad: int
) -> None:
    """Steps of a minute, 6 s until pods are ready and known: 10 % for 60 of 66 s are 91 of 1,000 requests."""
    seen = play(canary(), BY_NAME[name])

    assert (seen.outcome, seen.weights, seen.took, seen.bad_requests) == (outcome, weights, took * SECOND, bad)


@pytest.mark.parametrize("limits", [{}, {"thresholdRange": {"max": 500}}])
@pytest.mark.parametrize(("name", "outcome"), [("healthy", Outcome.PROMOTED), ("latency-doubles", Outcome.ROLLED_BACK)])
def test_latency_that_is_compared_is_played(
    canary: Make, play: Play, name: str, outcome: Outcome, limits: dict[str, Any]
) -> None:
    compared = {"name": "request-duration", "compareTo": "primary", **limits}
    assert play(canary(metrics=[compared]), BY_NAME[name]).outcome is outcome


def test_a_closed_gate_is_waited_for_without_end(canary: Make, play: Play, gate: Gate) -> None:
    seen = play(canary(webhooks=[gate()]), BY_NAME["gate-never-opens"])

    assert (seen.outcome, seen.took) == (Outcome.WAITING, None)
    assert seen.why == "gate: nobody has opened it"
    assert (seen.phases, seen.weights) == ((Phase.PROGRESSING, Phase.WAITING_PROMOTION), (0, *STEPS))


@pytest.mark.parametrize("type_", ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion"])
def test_a_gate_that_opens_late_is_waited_for_and_passed(canary: Make, play: Play, gate: Gate, type_: str) -> None:
    closed = [{"type": type_, "approves": False, "until": "3h"}]
    seen = play(canary(webhooks=[gate(type_)]), {"hooks": closed})

    assert seen.outcome is Outcome.PROMOTED
    assert seen.took is not None
    assert timedelta(hours=3) < seen.took < timedelta(hours=3, minutes=7)


def test_a_version_that_fails_while_a_gate_is_closed_is_rolled_back(canary: Make, play: Play, gate: Gate) -> None:
    """Waiting for people is not the end while a version can still turn bad."""
    seen = play(
        canary(webhooks=[gate()]),
        {
            "hooks": [{"approves": False}],
            "versions": {"new": {"stretches": [{"after": "2h", "errors": 50}]}},
        },
    )

    assert seen.outcome is Outcome.ROLLED_BACK


def test_a_bad_version_that_nothing_notices_gets_all_requests(canary: Make, play: Play) -> None:
    """No metric, no verdict: it is promoted, and from then on never out."""
    seen = play(canary(metrics=[]), BY_NAME["dead-on-arrival"])

    assert (seen.outcome, seen.bad_requests, seen.out) == (Outcome.PROMOTED, 1000, False)


def test_a_bad_version_behind_a_closed_gate_keeps_its_share(canary: Make, play: Play, gate: Gate) -> None:
    """What nothing notices stays at the weight at which the gate holds it."""
    seen = play(
        canary(metrics=[], webhooks=[gate()]),
        {"hooks": [{"approves": False}], "versions": {"new": {"bad": True}}},
    )

    assert (seen.outcome, seen.bad_requests, seen.out) == (Outcome.WAITING, 500, False)


def test_chosen_requests_of_an_ab_test_are_a_part_of_all(canary: Make, play: Play) -> None:
    """All of a tenth of the requests, the part that is taken to match, for one interval."""
    seen = play(canary(iterations=5, match=MATCH, spec=GATEWAY), BY_NAME["dead-on-arrival"])

    assert (seen.outcome, seen.bad_requests) == (Outcome.ROLLED_BACK, 91)


def test_pods_that_are_replaced_in_place_get_requests_by_their_number(canary: Make, play: Play) -> None:
    """One of four, for a minute and until it is back; the rollout has taken the pod's 5 s and a little longer."""
    stage = Stage(ready_after=5 * SECOND, replicas=4)
    seen = play(canary(stepWeight=25, maxWeight=75, spec=PODS), BY_NAME["dead-on-arrival"], stage)

    assert (seen.outcome, seen.out) == (Outcome.ROLLED_BACK, True)
    assert seen.weights == (0, 25, 0)
    assert 220 < seen.bad_requests < 260


def test_without_weights_nobody_meets_a_version_that_is_seen_to_be_bad(canary: Make, play: Play) -> None:
    stage = Stage(weighted=False, ready_after=5 * SECOND)
    seen = play(canary(iterations=3), BY_NAME["dead-on-arrival"], stage)

    assert (seen.outcome, seen.weights, seen.bad_requests) == (Outcome.ROLLED_BACK, (0,), 0)


def test_a_target_that_is_set_back_ends_the_rollout(canary: Make, play: Play) -> None:
    seen = play(canary(), {"changes": [{"at": "90s", "deploy": "current"}]})

    assert (seen.outcome, seen.took) == (Outcome.REVERTED, 90 * SECOND)


def test_a_suspended_rollout_stays_where_it_is(canary: Make, play: Play) -> None:
    seen = play(canary(), {"changes": [{"at": "90s", "suspend": True}]})

    assert (seen.outcome, seen.took, seen.weights) == (Outcome.SUSPENDED, None, (0, 10, 20))


def test_what_people_order_is_played(canary: Make, play: Play) -> None:
    assert play(canary(), {"changes": [{"at": "90s", "pause": True}]}).outcome is Outcome.SUSPENDED
    assert play(canary(), {"changes": [{"at": "90s", "order": "abort"}]}).outcome is Outcome.ROLLED_BACK
    changes = [{"at": "90s", "order": "promote"}]
    ordered, whole = play(canary(), {"changes": changes}), play(canary(), {})
    assert ordered.outcome is whole.outcome is Outcome.PROMOTED
    assert len(ordered.weights) < len(whole.weights)


def test_a_suspended_rollout_goes_on_when_it_is_let(canary: Make, play: Play) -> None:
    changes = [{"at": "90s", "suspend": True}, {"at": "1h", "suspend": False}]
    seen = play(canary(), {"changes": changes})

    assert seen.outcome is Outcome.PROMOTED
    assert seen.took is not None
    assert seen.took > timedelta(hours=1)


def test_a_version_that_does_not_start_in_the_primary_is_held(canary: Make, play: Play) -> None:
    seen = play(canary(), {"versions": {"new": {"fitsPrimary": False}}})

    assert (seen.outcome, seen.took) == (Outcome.HELD, None)


@pytest.mark.parametrize("webhooks", [[], [{"name": "back", "type": "rollback", "url": "http://hooks.test/"}]])
def test_a_failed_version_that_is_held_keeps_its_requests(
    canary: Make, play: Play, webhooks: list[dict[str, Any]]
) -> None:
    """From then on, until people decide: by a rollback hook or otherwise."""
    seen = play(canary(onFailure="hold", webhooks=webhooks), BY_NAME["dead-on-arrival"])

    assert (seen.outcome, seen.took, seen.bad_requests, seen.out) == (Outcome.HELD, None, 100, False)


def test_another_try_begins_again(canary: Make, play: Play) -> None:
    """A metrics server that was down is back, and somebody asks for another try."""
    seen = play(canary(), {"metricsDown": [{"until": "10m"}], "changes": [{"at": "20m", "retry": True}]})

    assert (seen.outcome, seen.weights) == (Outcome.PROMOTED, (0, 10, 0, *STEPS, 0))


def test_pods_that_are_lost_begin_again(canary: Make, play: Play) -> None:
    seen = play(canary(threshold=2), {"changes": [{"at": "100s", "kill": "canary", "backAfter": "20s"}]})

    assert (seen.outcome, seen.weights) == (Outcome.PROMOTED, (0, 10, 20, 0, *STEPS, 0))


@pytest.mark.parametrize("share", [0, 80])
def test_a_route_that_others_write_is_put_right_at_once(canary: Make, play: Play, share: int) -> None:
    seen = play(canary(), {"changes": [{"at": "100s", "route": share}]})
    after = [step.weight for step in seen.steps if step.at == 100 * SECOND]

    assert (seen.outcome, seen.weights, after) == (Outcome.PROMOTED, (0, *STEPS, 0), [share, 20])


@pytest.mark.parametrize("outage", ["metricsDown", "apiDown"])
def test_an_outage_that_passes_costs_time_only(canary: Make, play: Play, outage: str) -> None:
    seen = play(canary(), {outage: [{"from": "1m", "until": "4m"}]})

    assert (seen.outcome, seen.weights) == (Outcome.PROMOTED, (0, *STEPS, 0))
    assert seen.took is not None
    assert 313 * SECOND < seen.took < 313 * SECOND + 4 * MINUTE


def test_an_api_server_that_is_gone_for_good_leaves_all_as_it_is(canary: Make, play: Play) -> None:
    seen = play(canary(), {"apiDown": [{"from": "70s"}]})

    assert (seen.outcome, seen.took, seen.weights[-1]) == (Outcome.UNDER_WAY, None, 20)
    assert seen.passes < 1_000


def test_a_story_is_cut_off_at_its_limit(canary: Make, play: Play) -> None:
    seen = play(canary(), {"limit": "2m"})

    assert (seen.outcome, seen.took, seen.weights) == (Outcome.UNDER_WAY, None, (0, 10, 20))


def test_a_metric_that_cannot_be_asked_for_holds_every_rollout(canary: Make, play: Play) -> None:
    stage = Stage(ready_after=5 * SECOND, unaskable={"request-duration": "no such thing"})
    seen = play(canary(), BY_NAME["healthy"], stage)

    why = "progress deadline exceeded request-duration can't be read, wanted <= 500 ms: no such thing"
    assert (seen.outcome, seen.why) == (Outcome.ROLLED_BACK, why)


def test_a_rollout_of_a_week_takes_few_decisions(canary: Make, play: Play) -> None:
    """What virtual time costs is decisions, some for each step, however long it is."""
    slow = canary(interval="8h", stepWeight=5, maxWeight=100)
    passes = [play(slow, story).passes for story in STORIES]

    assert sum(passes) < 600


OWN = (
    {"name": "late-gate", "hooks": [{"approves": False, "until": "7m"}]},
    {"name": "closed-from-the-start", "hooks": [{"type": "confirm-rollout", "approves": False, "until": "90s"}]},
    {"name": "lost", "changes": [{"at": "1s", "kill": "canary"}, {"at": "95s", "kill": "primary", "backAfter": "40s"}]},
    {"name": "early-newer", "changes": [{"at": "3s", "deploy": "newer"}]},
    {"name": "slow-pods", "versions": {"new": {"readyAfter": "70s"}}, "metricsDown": [{"from": "3m", "until": "5m"}]},
    {"name": "api", "apiDown": [{"from": "0s", "until": "20s"}]},
)
STRATEGIES: dict[str, dict[str, Any]] = {
    "weights": {},
    "gated": {
        "webhooks": [
            {"name": type_, "type": type_, "url": "http://hooks.test/"}
            for type_ in ("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion",
                          "post-rollout", "rollback")
        ]
    },
    "mirrored": {"mirror": True, "mirrorWeight": 30},
    "mirrored-blue-green": {"mirror": True, "iterations": 3},
    "held": {"onFailure": "hold"},
    "back-in-steps": {"stepWeights": [1, 40], "stepWeightPromotion": 15, "threshold": 3},
    "blue-green": {"iterations": 4, "threshold": 2},
    "a-b": {"iterations": 3, "match": MATCH, "spec": GATEWAY},
    "unjudged": {"spec": {"skipAnalysis": True}},
    "pod-by-pod": {"stepWeight": 50, "spec": PODS},
}  # fmt: skip


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("story", [*STORIES, *OWN], ids=lambda story: dict(story)["name"])
def test_short_cuts_change_nothing(canary: Make, play: Play, story: Story | dict[str, Any], strategy: str) -> None:
    """A rehearsal shares how stories begin, and answers before it is asked; the plain simulation tells the same."""
    told = story if isinstance(story, Story) else model_of(Story, story)
    made, stage = canary(**STRATEGIES[strategy]), Stage(ready_after=5 * SECOND, replicas=4)
    seen = play(made, told, stage)
    line = World(scenario_of(made, told, stage)).run(BEGINNING + seen.steps[-1].at)

    plain = [
        (each.at - BEGINNING, each.phase, each.weight, tuple(event.message for event in each.events))
        for each in line.entries
        if each.at >= BEGINNING
    ]
    assert [_told(step) for step in seen.steps] == plain


def _told(step: Step) -> tuple[timedelta, Phase, int, tuple[str, ...]]:
    return step.at, step.phase, step.weight, step.events
