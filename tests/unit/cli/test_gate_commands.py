"""`canary approve` and `canary gate`: whose vote is written, and what would count for nothing is not."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.rollout.links import Link, opened
from canary.rollout.votes import PREFIX, Vote, votes_in
from tests.unit.cli.canaries_server import SPEC, CanariesServer, Run


def spec(**approval: Any) -> dict[str, Any]:
    hook = {"name": "qa", "type": "confirm-promotion", "gate": {"approval": approval}}
    return {**SPEC, "analysis": {**SPEC["analysis"], "webhooks": [hook]}}


def entry(**fields: Any) -> dict[str, Any]:
    asked = {"gate": "qa", "type": "confirm-promotion", "moment": "0123456789", "since": "2026-01-01T00:00:00Z"}
    return {**asked, "state": "Waiting", "message": "has 0 of 1 approvals", **fields}


def status(*entries: dict[str, Any]) -> dict[str, Any]:
    return {
        "phase": "WaitingPromotion",
        "reason": "WaitingForApproval",
        "message": "qa: has 0 of 1 approvals",
        "approvals": [*entries],
    }


def written(server: CanariesServer) -> Vote:
    ((query, patch),) = server.patches
    assert query["fieldManager"] == "kubectl-canary"
    ((key, vote),) = votes_in(patch["metadata"]["annotations"])
    assert vote is not None
    assert key == vote.key
    return vote


@pytest.mark.parametrize(
    ("words", "yes"),
    [
        (("approve", "shop"), True),
        (("approve", "shop", "--gate", "qa"), True),
        (("approve", "shop", "--reject"), False),
        (("gate", "open", "shop"), True),
        (("gate", "close", "shop", "--gate", "qa"), False),
    ],
)
def test_the_vote_is_of_whom_the_cluster_knows_us_as(
    run: Run, server: CanariesServer, words: tuple[str, ...], yes: bool
) -> None:
    server.put("shop", spec=spec(approvers=["joe", "mia"]), status=status(entry()))
    code, lines = run(*words, "--message", "seen\nit")
    said = "approves" if yes else "rejects"
    assert (code, lines) == (0, [f"prod/shop: mia {said} gate qa; see it by: canary explain shop -n prod"])
    vote = written(server)
    assert (vote.by, vote.approves, vote.gate, vote.moment, vote.why) == ("mia", yes, "qa", "0123456789", "seen it")


@pytest.mark.parametrize(
    ("given", "words", "why"),
    [
        ({"spec": spec(approvers=["joe"])}, (), "mia is none of the approvers of gate qa"),
        ({"status": {"phase": "Progressing"}}, (), "no gate waits for anybody; it is Progressing"),
        ({"status": status(entry(state="Rejected"))}, (), "no gate waits for anybody; it is WaitingPromotion"),
        ({}, ("--gate", "ops"), "gate ops waits for nobody; qa does"),
        ({"status": status(entry(), entry(gate="ops"))}, (), "several gates wait; name one of ops, qa"),
        ({"spec": SPEC}, (), "the spec has no gate qa that people open any more"),
    ],
)
def test_what_would_count_for_nothing_is_not_written(
    run: Run, server: CanariesServer, given: dict[str, Any], words: tuple[str, ...], why: str
) -> None:
    server.put("shop", **{"spec": spec(), "status": status(entry()), **given})
    assert run("approve", "shop", *words) == (1, [f"canary approve: prod/shop: {why}"])
    assert server.patches == []


def test_a_second_vote_takes_the_place_of_the_first(run: Run, server: CanariesServer) -> None:
    server.put("shop", spec=spec(), status=status(entry()))
    assert run("approve", "shop")[0] == 0
    assert run("gate", "close", "shop")[0] == 0
    annotations = server.objects["prod", "shop"]["metadata"]["annotations"]
    (vote,) = (each for _, each in votes_in(annotations))
    assert vote is not None
    assert not vote.approves
    assert all(key.startswith(PREFIX) for key in annotations)


def test_gates_are_listed_with_who_has_said_what(run: Run, server: CanariesServer) -> None:
    server.put("other")
    assert run("gate", "list")[1] == ["no gate waits for people, or was opened by them in a rollout that is under way"]
    yes = {"by": "mia", "approves": True, "time": "2026-01-01T00:00:00Z", "message": "fine"}
    server.put("shop", spec=spec(approvers=["joe", "mia"], minApprovals=2), status=status(entry(votes=[yes])))
    for words in (("gate", "list"), ("gate", "list", "-A"), ("gate", "list", "shop")):
        code, lines = run(*words)
        assert code == 0
        assert lines[0].split() == ["CANARY", "GATE", "TYPE", "STATE", "APPROVALS", "APPROVERS", "SAID"]
        assert lines[1].split() == [
            "prod/shop",
            "qa",
            "confirm-promotion",
            "Waiting",
            "1/2",
            "joe,",
            "mia",
            "mia:",
            "yes",
        ]
    told = "\n".join(run("explain", "shop")[1])
    assert "gate qa: mia approves at 2026-01-01T00:00:00Z: fine" in told
    assert "canary approve shop --gate qa. There is no deadline." in told


KEY = "k" * 64
SECRET = {
    "key": b64encode(f"{KEY}\nold".ljust(100, "x").encode()).decode(),
    "url": b64encode(b"https://votes.test/\n").decode(),
}


def with_secret(server: CanariesServer, **data: str) -> None:
    metadata = {"namespace": "canary-system", "name": "canary-controller-links"}
    server.beside["secrets"] = [{"metadata": metadata, "data": data}]


def linked(lines: list[str]) -> list[Link]:
    now = datetime.now(UTC)
    texts = [line.rpartition("https://votes.test/link/")[2] for line in lines[1:]]
    return [opened(text, [KEY.encode()], now) for text in texts]


def test_links_are_made_for_each_approver_and_each_answer(run: Run, server: CanariesServer) -> None:
    server.put("shop", spec=spec(approvers=["joe", "mia"]), status=status(entry()))
    with_secret(server, **SECRET)
    code, lines = run("gate", "link", "shop")
    assert code == 0
    assert lines[0].split()[:2] == ["APPROVER", "SAYS"]
    assert [line.split()[:2] for line in lines[1:]] == [["joe", "yes"], ["joe", "no"], ["mia", "yes"], ["mia", "no"]]
    links = linked(lines)
    assert [(each.by, each.approves) for each in links] == [
        ("joe", True),
        ("joe", False),
        ("mia", True),
        ("mia", False),
    ]
    assert {(each.namespace, each.name, each.gate, each.moment) for each in links} == {
        ("prod", "shop", "qa", "0123456789")
    }
    assert len({each.nonce for each in links}) == 4
    assert server.patches == [], "what is made is written nowhere"


def test_one_link_may_be_asked_for_and_works_as_long_as_is_said(run: Run, server: CanariesServer) -> None:
    server.put("shop", spec=spec(), status=status(entry()))
    with_secret(server, key=SECRET["key"])
    words = ("--approver", "zoe", "--answer", "no", "--expires", "2h", "--url", "https://votes.test")
    code, lines = run("gate", "link", "shop", "--gate", "qa", *words)
    assert code == 0
    (link,) = linked(lines)
    assert (link.by, link.approves) == ("zoe", False)
    assert timedelta(hours=1, minutes=59) < link.expires - datetime.now(UTC) <= timedelta(hours=2)


@pytest.mark.parametrize(
    ("approval", "secret", "words", "code", "why"),
    [
        ({"approvers": ["joe"]}, SECRET, ("--approver", "zoe"), 1, "zoe is none of the approvers of gate qa"),
        ({}, SECRET, (), 2, "gate qa names no approvers; say whose link it is to be by --approver"),
        ({"approvers": ["joe"]}, SECRET, ("--gate", "ops"), 1, "gate ops waits for nobody; qa does"),
        ({"approvers": ["joe"]}, {}, (), 1, "key: there is no key; make one by: openssl rand -hex 32"),
        ({"approvers": ["joe"]}, {"key": "c2hvcnQ="}, (), 1, "a key has fewer than 32 characters"),
        ({"approvers": ["joe"]}, {"key": "/w=="}, (), 1, "does not hold text"),
        ({"approvers": ["joe"]}, {"key": SECRET["key"]}, (), 2, "or give it by --url"),
        ({"approvers": ["joe"]}, SECRET, ("--expires", "745h"), 2, "--expires: 745h is not from 1s to 744h"),
        ({"approvers": ["joe"]}, SECRET, ("--expires", "0s"), 2, "is not from 1s"),
        ({"approvers": ["joe"]}, SECRET, ("--secret", "links"), 2, "is not NAMESPACE/NAME"),
        ({"approvers": ["joe"]}, SECRET, ("--secret", "prod/none"), 1, 'secrets "none" not found'),
    ],
)
def test_what_keeps_a_link_from_being_made_is_one_line(
    run: Run,
    server: CanariesServer,
    approval: dict[str, Any],
    secret: dict[str, str],
    words: tuple[str, ...],
    code: int,
    why: str,
) -> None:
    server.put("shop", spec=spec(**approval), status=status(entry()))
    with_secret(server, **secret)
    found, lines = run("gate", "link", "shop", *words)
    assert (found, len(lines)) == (code, 1)
    assert why in lines[0]
    assert "kkkk" not in lines[0]


@pytest.mark.parametrize("words", [("approve",), ("gate", "open"), ("gate", "close")])
def test_what_is_in_the_way_is_one_line_with_its_code(run: Run, server: CanariesServer, words: tuple[str, ...]) -> None:
    assert run(*words, "none") == (1, [f'canary {words[0]}: canaries.flagger.app "none" not found'])
    server.refuses = (403, "Forbidden", "canaries.flagger.app is forbidden: User mia cannot patch it")
    assert run(*words, "shop") == (2, [f"canary {words[0]}: not allowed: {server.refuses[2]}"])
    assert run(*words)[0] == 2
    assert run("gate", "list", "shop", "-A")[0] == 2
