"""`canary promote`, `abort`, `pause`, `resume`, `retry`, `restart`, `override`: what they write, and what not."""

import re
from typing import Any

import pytest

from canary.cli.cluster.orders import ORDERS
from canary.rollout.orders import order_in
from tests.unit.cli.canaries_server import CanariesServer, Run

UNDER_WAY = {"phase": "Progressing", "canaryWeight": 30, "lastAppliedSpec": "5c6d8f7b9d"}
ORDER, PAUSE, RETRY = "flagger.app/order", "flagger.app/pause", "flagger.app/retry"
PAUSED = {"annotations": {PAUSE: "by joe at noon"}}
AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def written(server: CanariesServer) -> dict[str, Any]:
    """The annotations that were written, and by which manager, with the time taken out."""
    ((query, patch),) = server.patches
    assert query["fieldManager"] == "kubectl-canary"
    annotations: dict[str, Any] = patch["metadata"]["annotations"]
    return {name: AT.sub("NOW", value) if value else value for name, value in annotations.items()}


@pytest.mark.parametrize("verb", ["promote", "abort", "restart"])
def test_an_order_names_the_revision_who_when_and_why(run: Run, server: CanariesServer, verb: str) -> None:
    """So that it never hits a version that nobody has seen."""
    server.put("shop", status=UNDER_WAY)
    code, lines = run(verb, "shop", "--reason", "the team\n has decided")
    assert (code, len(lines)) == (0, 1)
    assert lines[0].startswith("prod/shop is to be")
    assert written(server) == {ORDER: f"{verb} revision=5c6d8f7b9d by=mia at=NOW the team has decided"}
    read = order_in(server.objects["prod", "shop"]["metadata"]["annotations"][ORDER])
    assert (read.verb, read.revision, read.by, read.why) == (verb, "5c6d8f7b9d", "mia", "the team has decided")


def test_an_order_for_a_paused_rollout_ends_the_pause(run: Run, server: CanariesServer) -> None:
    server.put("shop", status=UNDER_WAY, metadata=PAUSED)
    assert run("abort", "shop")[0] == 0
    assert written(server) == {ORDER: "abort revision=5c6d8f7b9d by=mia at=NOW", PAUSE: None}


def test_one_that_waits_for_its_approval_can_be_aborted(run: Run, server: CanariesServer) -> None:
    server.put("shop", status={"phase": "Waiting", "lastAppliedSpec": "old"})
    assert run("promote", "shop")[0] == 1
    assert run("abort", "shop")[0] == 0
    assert written(server) == {ORDER: "abort by=mia at=NOW"}


@pytest.mark.parametrize("status", [{"phase": "Succeeded", "reason": "Baking"}, {"phase": "Failed", "reason": "Held"}])
def test_a_promoted_version_that_bakes_can_be_aborted(run: Run, server: CanariesServer, status: dict[str, str]) -> None:
    bake = {"startTime": "2026-01-01T00:00:00Z"}
    server.put("shop", status={**status, "lastPromotedSpec": "new", "lastAppliedSpec": "new", "bake": bake})
    assert run("promote", "shop")[0] == 1
    assert run("abort", "shop")[0] == 0
    assert written(server) == {ORDER: "abort revision=new by=mia at=NOW"}


def test_pause_and_resume(run: Run, server: CanariesServer) -> None:
    server.put("shop", status=UNDER_WAY)
    assert run("pause", "shop", "--reason", "lunch")[0] == 0
    assert written(server) == {PAUSE: "by mia at NOW: lunch"}
    assert run("pause", "shop")[1][0].startswith("canary pause: prod/shop: it is paused already, by mia at ")
    server.patches.clear()
    assert run("resume", "shop")[0] == 0
    assert written(server) == {PAUSE: None, ORDER: "resume by=mia at=NOW"}


def test_a_step_that_waits_for_a_person_is_resumed(run: Run, server: CanariesServer) -> None:
    server.put("shop", status={**UNDER_WAY, "reason": "WaitingToBeResumed"})
    assert run("resume", "shop")[0] == 0
    assert written(server) == {ORDER: "resume revision=5c6d8f7b9d by=mia at=NOW"}


def test_a_failed_version_is_tried_again(run: Run, server: CanariesServer) -> None:
    server.put("shop", status={"phase": "Failed"})
    assert run("retry", "shop")[0] == 0
    assert written(server) == {RETRY: "by mia at NOW"}


@pytest.mark.parametrize(
    ("verb", "status", "why"),
    [
        ("abort", {"phase": "Succeeded"}, "no version is rolled out; it is Succeeded"),
        ("promote", {}, "no version is rolled out; it is not seen by a controller yet"),
        ("promote", {"phase": "Promoting"}, "the version is being promoted already"),
        ("resume", UNDER_WAY, "it is not paused"),
        ("retry", UNDER_WAY, "there is nothing to try again; it is Progressing"),
    ],
)
def test_what_could_not_be_heeded_is_not_ordered(
    run: Run, server: CanariesServer, verb: str, status: dict[str, Any], why: str
) -> None:
    server.put("shop", status=status)
    assert run(verb, "shop") == (1, [f"canary {verb}: prod/shop: {why}"])
    assert server.patches == []


def test_what_the_spec_stops_is_let_go_there(run: Run, server: CanariesServer) -> None:
    server.put("shop", status=UNDER_WAY, spec={"suspend": True})
    assert run("resume", "shop") == (
        1,
        ["canary resume: prod/shop: spec.suspend stops it: take that out of the spec"],
    )


@pytest.mark.parametrize("verb", ORDERS)
def test_what_is_in_the_way_is_one_line_with_its_code(run: Run, server: CanariesServer, verb: str) -> None:
    assert run(verb, "none") == (1, [f'canary {verb}: canaries.flagger.app "none" not found'])
    server.refuses = (403, "Forbidden", "canaries.flagger.app is forbidden: User mia cannot patch it")
    assert run(verb, "shop") == (2, [f"canary {verb}: not allowed: {server.refuses[2]}"])
    assert run(verb)[0] == 2


@pytest.mark.parametrize("phase", ["Waiting", "Progressing"])
def test_an_override_says_who_when_and_why(run: Run, server: CanariesServer, phase: str) -> None:
    server.put("shop", status={"phase": phase, "reason": "Frozen"})
    code, lines = run("override", "shop", "--reason", "fixes a CVE")
    assert (code, lines[0].startswith("prod/shop passes by what holds it")) == (0, True)
    assert written(server) == {"flagger.app/override": "by mia at NOW: fixes a CVE"}


def test_there_is_nothing_to_override_at_rest(run: Run, server: CanariesServer) -> None:
    server.put("shop", status={"phase": "Succeeded"})
    assert run("override", "shop")[0] == 1
    assert server.patches == []
