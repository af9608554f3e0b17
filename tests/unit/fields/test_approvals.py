"""Fields of gates that people open, and what the status says of them."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.rollout.approvals import standing
from canary.rollout.facts import Facts
from canary.rollout.simulation import Annotate, Deploy, Reply, SafeWorld, Scenario, Scheduled, Version
from canary.rollout.situation import Situation
from canary.rollout.votes import Vote

Make = Callable[..., Canary]
APPROVAL = "spec.analysis.webhooks[].gate.approval"
GATE = {
    "spec.analysis.stepWeight": 50,
    "spec.analysis.webhooks[].name": "qa",
    "spec.analysis.webhooks[].type": "confirm-promotion",
}
TWO: dict[str, Any] = {"approvers": ["alice", "bob"], "minApprovals": 2, "timeout": "1h"}


def at_the_gate(canary: Canary) -> SafeWorld:
    versions = {"v1": Version(), "v2": Version()}
    changes = (Scheduled(timedelta(seconds=60), Deploy("v2")),)
    world = SafeWorld(Scenario(canary, versions, changes, replies=(Reply(approved=False),)))
    world.run(timedelta(minutes=10))
    return world


def says(world: SafeWorld, who: Iterable[str], why: str = "") -> None:
    (entry,) = world.canary.status.approvals
    for each in who:
        vote = Vote(each, True, entry.gate, entry.moment, why=why)
        world.change(Annotate(vote.key, vote.text()))
    world.run(timedelta(minutes=20))


@pytest.mark.parametrize(
    ("field", "value", "voters", "phase"),
    [
        (f"{APPROVAL}.approvers", ["alice"], ["bob"], "WaitingPromotion"),
        (f"{APPROVAL}.approvers", ["alice"], ["alice"], "Succeeded"),
        (f"{APPROVAL}.minApprovals", 2, ["alice"], "WaitingPromotion"),
        (f"{APPROVAL}.minApprovals", 2, ["alice", "bob"], "Succeeded"),
        (f"{APPROVAL}.timeout", "5m", [], "Failed"),
        (f"{APPROVAL}.timeout", "1h", [], "WaitingPromotion"),
        (f"{APPROVAL}.onTimeout", "approve", [], "Succeeded"),
        (f"{APPROVAL}.onTimeout", "reject", [], "Failed"),
    ],
)
def test_it_says_what_a_gate_comes_to(make: Make, field: str, value: object, voters: list[str], phase: str) -> None:
    timeout = {f"{APPROVAL}.timeout": "5m"} if field.endswith("onTimeout") else {}
    world = at_the_gate(make({**GATE, **timeout, field: value}))
    if world.canary.status.approvals:
        says(world, voters)
    assert world.canary.status.phase.value == phase


def value_at(document: Any, path: str) -> object:
    for part in path.replace("[]", ".0").split("."):
        document = document[int(part)] if part.isdigit() else document.get(part)
    return document


CASES: dict[str, object] = {
    "gate": "qa",
    "type": "confirm-promotion",
    "state": "Waiting",
    "since": "2026-01-01T00:03:06.000000Z",
    "until": "2026-01-01T01:03:06.000000Z",
    "votes[].by": "alice",
    "votes[].approves": True,
    "votes[].time": "2026-01-01T00:10:00.000000Z",
    "votes[].message": "seen it",
    "message": "has 1 of 2 approvals, of alice, bob; rejected at 2026-01-01T01:03:06Z without",
}


@pytest.mark.parametrize(("field", "value"), [(f"status.approvals[].{name}", value) for name, value in CASES.items()])
def test_the_status_says_how_a_gate_stands(make: Make, field: str, value: object) -> None:
    world = at_the_gate(make({**GATE, APPROVAL: TWO}))
    says(world, ["alice"], "seen it")
    assert value_at({"status": world.canary.status.to_json()}, field) == value


@pytest.mark.parametrize("field", ["status.approvals[].moment"])
def test_the_status_names_what_is_asked(make: Make, field: str) -> None:
    world = at_the_gate(make({**GATE, APPROVAL: TWO}))
    (entry,) = world.canary.status.approvals
    hook = world.canary.analysis.webhooks[0]
    assert entry == standing(Situation(world.canary, world.facts()), hook)
    assert isinstance(world.facts(), Facts)


@pytest.mark.parametrize("field", ["status.approvals[].decided"])
def test_the_status_says_when_it_was_decided(make: Make, field: str) -> None:
    called = {"name": "ops", "type": "confirm-promotion", "url": "http://hooks.test/"}
    made = make({**GATE, APPROVAL: TWO})
    hooks = (*made.analysis.webhooks, type(made.analysis.webhooks[0]).model_validate(called))
    made = made.replace(spec=made.spec.replace(analysis=made.analysis.replace(webhooks=hooks)))
    world = at_the_gate(made)
    says(world, ["alice", "bob"])
    assert value_at({"status": world.canary.status.to_json()}, field) == "2026-01-01T00:10:00.000000Z"


@pytest.mark.parametrize(
    "field",
    [f"status.history[].approvals[].{name}" for name in (*CASES, "moment", "decided")],
)
def test_a_rollout_that_has_ended_keeps_who_has_said_what(make: Make, field: str) -> None:
    world = at_the_gate(make({**GATE, APPROVAL: TWO}))
    (entry,) = world.canary.status.approvals
    says(world, ["alice", "bob"], "seen it")
    found = value_at({"status": world.canary.status.to_json()}, field)
    name = field.rpartition("approvals[].")[2]
    decided = {
        "state": "Approved",
        "moment": entry.moment,
        "decided": "2026-01-01T00:10:00.000000Z",
        "message": "was approved by alice at 2026-01-01T00:10:00Z (seen it), bob at 2026-01-01T00:10:00Z (seen it)",
    }
    assert found == {**CASES, **decided}[name]
