"""`canary report`: what a rollout came to, for pipelines."""

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.cli.cluster.report import junit, markdown, report
from canary.cli.cluster.view import view_of
from tests.unit.cli.canaries_server import SPEC, CanariesServer, Run

Json = dict[str, Any]

FAILED: Json = {
    "revision": "5c6d",
    "images": {"web": "shop:2"},
    "changes": ["image of web"],
    "started": "2026-01-01T00:01:00.000000Z",
    "ended": "2026-01-01T00:04:05.000000Z",
    "outcome": "RolledBack",
    "cause": "request-success-rate 84.2% is below 99% | at last",
    "checks": [
        {"name": "request-success-rate", "verdict": "Fail", "value": 84.2, "threshold": ">= 99"},
        {"name": "request-duration", "verdict": "NoData"},
    ],
    "highestWeight": 30,
}
PROMOTED: Json = {**FAILED, "revision": "4b5c", "outcome": "Promoted", "cause": "", "checks": []}
UNDER_WAY: Json = {"revision": "6d7e", "started": "2026-01-01T01:00:00.000000Z", "step": 1, "steps": 3}


def canary(**status: Any) -> Json:
    return {"metadata": {"name": "shop", "namespace": "prod"}, "spec": SPEC, "status": status}


def suite_of(text: str) -> ET.Element:
    suite = ET.fromstring(text).find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    return suite


def test_the_last_rollout_is_told_with_its_cause_and_checks() -> None:
    told = list(markdown(report(view_of(canary(phase="Failed", history=[FAILED, PROMOTED])))))
    assert told[0] == "## ✗ prod/shop: RolledBack"
    assert "| revision | 5c6d |" in told
    assert "| took | 3m5s |" in told
    assert any(line.startswith("| request-success-rate | ✗ Fail | 84.2 |") for line in told)
    assert told[2] == r"request-success-rate 84.2% is below 99% \| at last"


def test_the_one_under_way_comes_first_and_any_by_its_revision() -> None:
    view = view_of(canary(phase="Progressing", rollout=UNDER_WAY, history=[FAILED, PROMOTED], message="look"))
    assert (report(view).outcome, report(view).under_way, report(view).cause) == ("Progressing", True, "look")
    assert report(view, "4b5c").outcome == "Promoted"
    assert report(view, "4b5c").checks == ()


def test_a_promoted_version_has_the_last_verdicts() -> None:
    checks = [{"name": "request-duration", "verdict": "Pass", "value": 12.0, "threshold": "<= 500"}]
    told = report(view_of(canary(phase="Succeeded", history=[PROMOTED, FAILED], checks=checks)))
    assert [each.name for each in told.checks] == ["request-duration"]


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ({"phase": "Failed", "history": [FAILED]}, ("3", "2", "1")),
        ({"phase": "Succeeded", "history": [PROMOTED]}, ("1", "0", "0")),
        ({"phase": "Progressing", "rollout": UNDER_WAY}, ("1", "0", "1")),
    ],
)
def test_junit_counts_what_it_has(status: Json, counts: tuple[str, str, str]) -> None:
    suite = suite_of(junit(report(view_of(canary(**status)))))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == counts
    cases = suite.findall("testcase")
    assert len(cases) == int(counts[0])
    assert len(suite.findall("testcase/failure")) == int(counts[1])
    assert len(suite.findall("testcase/skipped")) == int(counts[2])


@given(st.text(), st.text())
def test_whatever_words_there_are_both_forms_can_be_read(cause: str, name: str) -> None:
    entry = {**FAILED, "cause": cause, "checks": [{"name": name, "verdict": "Fail", "message": cause}]}
    told = report(view_of(canary(phase="Failed", history=[entry])))
    assert len(suite_of(junit(told)).findall("testcase")) == 2
    assert all("\n" not in line for line in markdown(told))


def test_for_programs_it_is_data(run: Run, server: CanariesServer) -> None:
    server.put("shop", status={"phase": "Failed", "history": [FAILED]})
    code, lines = run("report", "shop", "-o", "json")
    assert code == 0
    data = json.loads("\n".join(lines))
    assert list(data) == [
        *("canary", "target", "revision", "outcome", "underWay", "cause", "started", "ended", "highestWeight"),
        *("images", "changes", "checks"),
    ]
    assert run("report", "shop", "-o", "junit")[1][0] == '<?xml version="1.0" encoding="UTF-8"?>'


def test_what_is_in_the_way_is_one_line_with_its_code(run: Run, server: CanariesServer) -> None:
    assert run("report", "none") == (1, ['canary report: canaries.flagger.app "none" not found'])
    server.put("shop", status={"phase": "Initialized"})
    assert run("report", "shop") == (1, ["canary report: prod/shop: its status has no rollout"])
    assert run("report", "shop", "--revision", "x")[1] == [
        "canary report: prod/shop: its status has no rollout of revision x"
    ]
    server.refuses = (403, "Forbidden", "User mia cannot get it")
    assert run("report", "shop") == (2, ["canary report: not allowed: User mia cannot get it"])
