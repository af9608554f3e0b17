"""Whatever a story tells, it comes to an end, and what is said of it hangs together."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.cli.rehearse.play import OVER, REQUESTS, Outcome, Rehearsal
from canary.cli.rehearse.reading import model_of
from canary.cli.rehearse.staging import BEGINNING, Stage, scenario_of
from canary.cli.rehearse.story import Story
from canary.rollout.simulation import World

Row = tuple[timedelta, Phase, int, tuple[str, ...]]
GATES = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback", "pre-rollout")
HOOKS = [{"name": kind, "type": kind, "url": "http://hooks.test/"} for kind in GATES]
times = st.one_of(st.integers(0, 1200).map(lambda at: f"{at}s"), st.integers(0, 100).map(lambda part: f"{part}%"))
names = st.sampled_from(["new", "newer", "current"])
stretches = st.fixed_dictionaries(
    {},
    optional={
        "after": times,
        "weight": st.integers(0, 100),
        "errors": st.sampled_from([0, 0.5, 5, 100]),
        "latency": st.sampled_from(["1x", "3x", "700ms"]),
        "metrics": st.dictionaries(st.sampled_from(["request-duration", "other"]), st.sampled_from([None, 0, 600])),
        "noData": st.booleans(),
    },
)
behaviours = st.fixed_dictionaries(
    {},
    optional={
        "readyAfter": st.sampled_from(["0s", "7s", "400s", "never"]),
        "stretches": st.lists(stretches, max_size=3),
        "fitsPrimary": st.booleans(),
        "bad": st.booleans(),
    },
)
changes = st.one_of(
    st.fixed_dictionaries({"at": times, "deploy": names}),
    st.fixed_dictionaries({"at": times, "kill": st.sampled_from(["canary", "primary"])}),
    st.fixed_dictionaries({"at": times, "kill": st.just("canary"), "backAfter": st.just("never")}),
    st.fixed_dictionaries({"at": times, "route": st.integers(0, 100)}),
    st.fixed_dictionaries({"at": times, "suspend": st.booleans()}),
)
sayings = st.fixed_dictionaries(
    {"approves": st.booleans()}, optional={"type": st.sampled_from(GATES), "from": times, "until": times}
)
outages = st.lists(st.fixed_dictionaries({}, optional={"from": times, "until": times}), max_size=2)
stories = st.fixed_dictionaries(
    {},
    optional={
        "versions": st.dictionaries(st.sampled_from(["new", "newer"]), behaviours),
        "changes": st.lists(changes, max_size=4),
        "hooks": st.lists(sayings, max_size=3),
        "metricsDown": outages,
        "apiDown": outages,
        "limit": st.just("12h"),
    },
)
analyses = st.fixed_dictionaries(
    {"webhooks": st.lists(st.sampled_from(HOOKS), max_size=3), "interval": st.sampled_from(["20s", "1m", "5m"])},
    optional={
        "iterations": st.integers(1, 4),
        "threshold": st.integers(1, 3),
        "onFailure": st.sampled_from(["rollback", "hold"]),
        "stepWeightPromotion": st.sampled_from([0, 20]),
    },
)


@settings(deadline=None, max_examples=80)
@given(story=stories, analysis=analyses, weighted=st.booleans(), at_once=st.booleans())
def test_any_story_has_an_end_that_hangs_together(
    canary: Callable[..., Canary],
    play: Callable[..., Rehearsal],
    story: dict[str, Any],
    analysis: dict[str, Any],
    weighted: bool,
    at_once: bool,
) -> None:
    stage = Stage(weighted=weighted, ready_after=timedelta(seconds=0 if at_once else 5))
    seen = play(canary(**analysis), story, stage)

    assert (seen.took is not None) == (seen.outcome in OVER)
    assert seen.took is None or timedelta(0) <= seen.took <= seen.steps[-1].at
    assert 0 <= seen.bad_requests <= REQUESTS
    assert all(before.at <= after.at for before, after in pairwise(seen.steps))
    if not any(behaviour.get("bad", True) for behaviour in story.get("versions", {}).values()):
        assert (seen.bad_requests, seen.out) == (0, True)
    if seen.outcome is Outcome.ROLLED_BACK:
        assert seen.weights[-1] == 0


@settings(deadline=None, max_examples=60)
@given(story=stories, analysis=analyses)
@example(
    story={"metricsDown": [{}], "changes": [{"at": "0s", "deploy": "new"}, {"at": "20%", "route": 0}]},
    analysis={"webhooks": [], "interval": "20s"},
)
def test_short_cuts_change_no_story(
    canary: Callable[..., Canary], play: Callable[..., Rehearsal], story: dict[str, Any], analysis: dict[str, Any]
) -> None:
    """The plain simulation, without shared beginnings and answers at once, tells the same."""
    stage = Stage(ready_after=timedelta(seconds=5))
    made = canary(**analysis)
    seen = play(made, story, stage)
    told = model_of(Story, {"name": "story", **story})
    line = World(scenario_of(made, told, stage)).run(BEGINNING + seen.steps[-1].at)

    plain = [
        (each.at - BEGINNING, each.phase, each.weight, tuple(event.message for event in each.events))
        for each in line.entries
        if each.at >= BEGINNING
    ]
    assert _news([(step.at, step.phase, step.weight, step.events) for step in seen.steps]) == _news(plain)


def _news(rows: list[Row]) -> dict[str, list[tuple[timedelta, object]]]:
    """What changes when: one pass may do at once what two do that wait for answers in between."""
    return {
        "phases": _changes([(row[0], row[1]) for row in rows]),
        "weights": _changes([(row[0], row[2]) for row in rows]),
        "events": [(row[0], event) for row in rows for event in row[3]],
    }


def _changes(values: list[tuple[timedelta, object]]) -> list[tuple[timedelta, object]]:
    return [each for index, each in enumerate(values) if not index or each[1] != values[index - 1][1]]
