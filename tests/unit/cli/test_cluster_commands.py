"""`canary get`, `explain` and `history`, run whole against a server on loopback."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.cli.cluster import live
from canary.cli.cluster.view import number, span, view_of
from tests.unit.cli.canaries_server import CanariesServer, Run, write_kubeconfig

Out = pytest.CaptureFixture[str]


def ago(seconds: float, now: datetime | None = None) -> str:
    return ((now or datetime.now(UTC)) - timedelta(seconds=seconds)).isoformat()


def under_way(now: datetime | None = None) -> dict[str, Any]:
    """A status whose times count from now."""
    success = {
        "name": "request-success-rate",
        "verdict": "Fail",
        "value": 84.2,
        "threshold": ">= 99",
        "time": ago(20, now),
        "message": "request-success-rate 84.2% is below 99%",
    }
    duration = {
        "name": "request-duration",
        "verdict": "Pass",
        "value": 212.0,
        "threshold": "<= 500",
        "time": ago(20, now),
    }
    return {
        "phase": "Progressing",
        "canaryWeight": 30,
        "failedChecks": 1,
        "reason": "CheckFailed",
        "message": "success rate 84.20% < 99%",
        "lastTransitionTime": ago(75, now),
        "lastCheckTime": ago(20, now),
        "lastAppliedSpec": "5c6d8f7b9d",
        "checks": [success, duration],
    }


PAST = {
    "revision": "5c6d8f7b9d",
    "started": "2026-01-01T00:01:00.000000Z",
    "ended": "2026-01-01T00:04:05.000000Z",
    "outcome": "RolledBack",
    "cause": "failed checks threshold reached 3",
    "highestWeight": 20,
    "changes": ["image of web"],
}


def test_get_is_a_table_as_kubectl_prints_them(run: Run, server: CanariesServer) -> None:
    server.put("shop", status=under_way())
    server.put("cart", status={"phase": "Succeeded", "canaryWeight": 0, "failedChecks": 0})
    server.put("other", "test", status={})
    code, lines = run("get")

    assert code == 0
    assert [line.split() for line in lines] == [
        ["NAME", "STATUS", "WEIGHT", "STEP", "FAILED", "SINCE", "WAITS", "FOR"],
        ["cart", "Succeeded", "0%", "-", "0/3", "-", "-"],
        ["shop", "Progressing", "30%", "3/5", "1/3", lines[2].split()[5], "next", "look", "in", lines[2].split()[-1]],
    ]


def test_get_in_other_places(run: Run, server: CanariesServer) -> None:
    server.put("shop", status=under_way())
    server.put("other", "test", status={})
    assert [line.split()[:2] for line in run("get", "-A")[1]] == [
        ["NAMESPACE", "NAME"],
        ["prod", "shop"],
        ["test", "other"],
    ]
    assert run("get", "-n", "test")[1][1].split()[0] == "other"
    assert run("get", "-n", "none") == (0, ["no Canaries in this namespace; -A looks in all"])
    assert run("get", "shop", "-A")[0] == 2


def test_wide_tells_target_provider_interval_revision_and_reason(run: Run, server: CanariesServer) -> None:
    server.put("shop", status=under_way())
    line = run("get", "shop", "-o", "wide")[1][1].split()
    assert line[6:11] == ["Deployment/shop", "traefik", "1m", "5c6d8f7b9d", "CheckFailed"]


def test_data_is_what_the_cluster_has(run: Run, server: CanariesServer) -> None:
    status = under_way()
    server.put("shop", status=status, metadata={"managedFields": [{}]})
    one = json.loads("\n".join(run("get", "shop", "-o", "json")[1]))
    assert (one["kind"], one["status"]) == ("Canary", status)
    assert "managedFields" not in one["metadata"]
    several = yaml.safe_load("\n".join(run("get", "-o", "yaml")[1]))
    assert several["kind"] == "List"
    assert several["items"] == [one]


WAITS = [
    ({"phase": "Succeeded"}, {}, "-"),
    ({"phase": "Initializing"}, {}, "the primary's pods"),
    ({}, {}, "the controller"),
    ({"phase": "Waiting", "reason": "WaitingForApproval", "message": "gate: closed"}, {}, "approval: gate: closed"),
    ({"phase": "WaitingPromotion", "reason": "WaitingForApproval"}, {}, "approval"),
    ({"phase": "Progressing", "reason": "WaitingForPods", "message": "1 of 2"}, {}, "pods: 1 of 2"),
    (
        {"phase": "Progressing", "reason": "MetricsUnavailable", "message": "no answer"},
        {},
        "the metrics server: no answer",
    ),
    ({"phase": "Progressing", "reason": "Held", "message": "too bad"}, {}, "a person: too bad"),
    ({"phase": "Progressing"}, {"suspend": True}, "spec.suspend: false"),
    (
        {"phase": "Progressing", "conditions": [{"type": "Stalled", "status": "True", "message": "it is refused"}]},
        {},
        "stalled: it is refused",
    ),
]


@pytest.mark.parametrize(("status", "spec", "waits"), WAITS)
def test_get_tells_what_each_waits_for(
    run: Run, server: CanariesServer, status: dict[str, Any], spec: dict[str, Any], waits: str
) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    server.put("shop", status=status, spec={"targetRef": target, "analysis": {"interval": "1m"}, **spec})
    assert run("get", "shop")[1][1].endswith(f"   {waits}")


def test_explain_tells_where_why_what_next_and_what_was_measured(run: Run, server: CanariesServer) -> None:
    server.put("shop", status={**under_way(), "history": [PAST]})
    code, lines = run("explain", "shop")
    text = "\n".join(lines)

    assert code == 0
    assert lines[0] == "prod/shop (Deployment/shop)"
    assert "Progressing, 30 % of the requests go to the new version, step 3 of 5, 1/3 failed checks" in text
    assert "  CheckFailed: success rate 84.20% < 99%" in lines
    assert "  Fail: request-success-rate 84.2% is below 99%" in lines
    assert "; 2 more failed checks and it is taken back." in text
    assert any(line.split()[:4] == ["request-duration", "Pass", "212", "<="] for line in lines)
    assert "RolledBack" in lines[-1]
    assert "failed checks threshold reached 3" in lines[-1]


def test_explain_for_programs(run: Run, server: CanariesServer) -> None:
    status = under_way()
    server.put("shop", status=status)
    told = json.loads("\n".join(run("explain", "shop", "-o", "json")[1]))
    assert (told["phase"], told["weight"], told["step"], told["steps"]) == ("Progressing", 30, 3, 5)
    assert told["checks"] == status["checks"]
    assert told["next"].startswith("The checks must pass at the next look")


def test_programs_are_not_told_a_moment_that_is_over_where_a_gate_is_waited_for(
    run: Run, server: CanariesServer
) -> None:
    """What says the same at each look is written once."""
    server.put("shop", status={**under_way(), "phase": "Waiting", "lastCheckTime": ago(86_400)})
    assert json.loads("\n".join(run("explain", "shop", "-o", "json")[1]))["nextLook"] is None
    server.put("shop", status={**under_way(), "lastCheckTime": ago(20)})
    assert json.loads("\n".join(run("explain", "shop", "-o", "json")[1]))["nextLook"] is not None


def test_explain_tells_what_is_rolled_out_where_the_status_has_it(run: Run, server: CanariesServer) -> None:
    rollout = {"revision": "5c6d", "changes": ["image of web"], "step": 2, "steps": 9, "earliestEnd": ago(-3700)}
    server.put("shop", status={**under_way(), "rollout": rollout})
    lines = run("explain", "shop")[1]
    assert "step 2 of 9" in lines[1]
    assert lines[2].startswith("  revision 5c6d; changed: image of web; ends in 1h")
    server.put("shop", status={**under_way(), "rollout": {"changes": 1, "earliestEnd": 5, "steps": "x"}})
    assert run("explain", "shop")[0] == 0


def test_explain_tells_of_an_order_that_is_not_done_yet(run: Run, server: CanariesServer) -> None:
    ordered = {"annotations": {"flagger.app/order": "promote by=mia"}}
    server.put("shop", status=under_way(), metadata=ordered)
    assert "  Ordered, and not done yet: promote by=mia" in run("explain", "shop")[1]
    server.put("shop", status={**under_way(), "lastOrder": "promote by=mia"})
    assert not any("Ordered" in line for line in run("explain", "shop")[1])


def test_history_is_the_newest_first_with_causes(run: Run, server: CanariesServer) -> None:
    server.put("shop", status={"phase": "Failed", "history": [PAST, {**PAST, "outcome": "Promoted", "cause": ""}]})
    code, lines = run("history", "shop")
    assert code == 0
    assert lines[0].split() == ["ENDED", "OUTCOME", "REVISION", "TOOK", "HIGHEST", "CHANGED", "CAUSE"]
    assert lines[1].startswith(
        "2026-01-01 00:04:05Z   RolledBack   5c6d8f7b9d   3m5s   20%       image of web   failed"
    )
    assert "Promoted" in lines[2]
    assert json.loads("\n".join(run("history", "shop", "-o", "json")[1]))[0] == PAST


def test_without_history_a_line_says_so(run: Run, server: CanariesServer) -> None:
    server.put("shop", status={"phase": "Initialized"})
    assert run("history", "shop") == (0, ["no rollout of prod/shop has ended yet, as far as its status says"])
    assert run("history", "shop", "-o", "json") == (0, ["[]"])


@pytest.mark.parametrize("command", ["get", "explain", "history"])
def test_what_is_in_the_way_is_one_line_with_its_code(
    command: str, run: Run, server: CanariesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(command, "none") == (1, [f'canary {command}: canaries.flagger.app "none" not found'])
    server.refuses = (403, "Forbidden", "canaries.flagger.app is forbidden: User mia cannot get it")
    assert run(command, "shop") == (2, [f"canary {command}: not allowed: {server.refuses[2]}"])
    server.refuses = (401, "Unauthorized", "Unauthorized")
    assert run(command, "shop")[1] == [f"canary {command}: the cluster does not accept these credentials; log in again"]
    server.refuses = (404, "NotFound", "the server could not find the requested resource")
    code, lines = run(command, "shop")
    assert (code, len(lines)) == (2, 1)
    assert "definitions of flagger.app are not installed" in lines[0]
    write_kubeconfig(tmp_path / "kubeconfig", 1)
    code, lines = run(command, "shop")
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"canary {command}: the cluster does not answer: ")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    assert run(command, "shop")[1] == [
        f"canary {command}: no cluster: no kubeconfig at {tmp_path}/nowhere; name one by --kubeconfig or KUBECONFIG"
    ]


@pytest.mark.parametrize("status", [{}, {"phase": 3, "checks": "x", "history": {"a": 1}, "conditions": [1]}, "text"])
def test_a_status_that_others_wrote_is_read_as_far_as_it_goes(run: Run, server: CanariesServer, status: Any) -> None:
    server.put("shop", status=status, spec={"targetRef": {}, "analysis": {"interval": "soon", "threshold": "x"}})
    for words in (["get"], ["get", "-o", "wide"], ["explain", "shop"], ["history", "shop"]):
        code, lines = run(*words)
        assert code == 0
        assert lines


class Interrupting:
    """Interrupts a watch once so many things were shown."""

    def __init__(self, server: CanariesServer, **puts: Any) -> None:
        self.seen = 0
        self.server = server
        self.puts = puts

    def __call__(self, *_: object, **__: object) -> None:
        self.seen += 1
        if self.seen == 1:
            threading.Thread(target=self.put).start()
        elif self.seen == 2:
            raise KeyboardInterrupt

    def put(self) -> None:
        time.sleep(0.05)
        self.server.put("shop", **self.puts)


def test_a_watch_tells_each_change_until_it_is_interrupted(
    run: Run, server: CanariesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("shop", status=under_way())
    told = live._tell
    then = Interrupting(server, status={"phase": "Promoting"})

    def tell(*given: Any, **named: Any) -> None:
        told(*given, **named)
        then()

    monkeypatch.setattr(live, "_tell", tell)
    code, lines = run("get", "shop", "-w")
    assert code == 130
    assert [line.split()[:2] for line in lines] == [
        ["NAME", "STATUS"],
        ["shop", "Progressing"],
        ["shop", "Promoting"],
        ["canary", "get:"],
    ]


def test_a_watch_of_none_is_told_at_once(run: Run, server: CanariesServer) -> None:
    assert run("get", "none", "-w")[0] == 1
    server.refuses = (403, "Forbidden", "no")
    assert run("get", "-w") == (2, ["canary get: not allowed: no"])


def test_the_picture_shows_weight_step_checks_and_what_it_waits_for() -> None:
    now = datetime.now(UTC)
    raw = {
        "metadata": {"name": "shop", "namespace": "prod"},
        "spec": {"targetRef": {"name": "shop", "kind": "Deployment"}, "analysis": {"interval": "1m", "threshold": 3}},
        "status": {**under_way(now), "rollout": {"step": 3, "steps": 5}},
    }
    resting = {"metadata": {"name": "cart", "namespace": "prod"}, "spec": {}, "status": {"phase": "Succeeded"}}
    lines = live.frame([view_of(raw), view_of(resting)], now, live.plain)

    assert lines[:5] == [
        "prod/shop  Progressing         1m15s  ████████░░░░░░░░░░░░░░░░  30 %  step 3/5  failed 1/3",
        "    ✗ request-success-rate      84.2  >= 99           request-success-rate 84.2% is below 99%",
        "    ✓ request-duration           212  <= 500",
        "    → next look in 40s",
        "prod/cart  Succeeded",
    ]


def test_colours_are_for_terminals_alone() -> None:
    assert live.painted("x", "Failed") == "\x1b[31mx\x1b[0m"
    assert live.plain("x", "Failed") == "x"


@pytest.mark.parametrize(("weight", "full"), [(0, 0), (1, 1), (50, 12), (100, 24)])
def test_the_bar_is_as_full_as_the_weight(weight: int, full: int) -> None:
    assert live.bar(weight) == "█" * full + "░" * (24 - full)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0.4, "0s"), (59, "59s"), (60, "1m"), (200, "3m20s"), (7200, "2h"), (187_200, "2d4h")],
)
def test_a_span_has_two_units_at_most(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(84.2, "84.2"), (99.987, "99.99"), (1234567, "1,234,567")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_on_a_terminal_the_picture_has_a_screen_of_its_own_and_stays_behind(
    capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    raw = {"metadata": {"name": "shop", "namespace": "prod"}, "spec": {}, "status": under_way()}
    with live.shown("table", everywhere=False) as show:
        show([raw], "")
        show([raw], "the cluster does not answer: it is away")
    seen = capsys.readouterr().out

    assert seen.startswith("\x1b[?1049h\x1b[?25l")
    drawn, _, left = seen.partition("\x1b[?25h\x1b[?1049l")
    assert drawn.count("request-success-rate 84.2% is below 99%") == 2
    assert "the cluster does not answer: it is away" in drawn
    assert left.startswith("prod/shop  Progressing")
    assert "\x1b" not in left


def test_of_several_kubeconfigs_the_namespace_is_that_of_the_context_in_use(
    run: Run, server: CanariesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which one of them names counts in the same way as for the cluster."""
    server.put("shop", namespace="other")
    further = json.loads((tmp_path / "kubeconfig").read_text())
    further["contexts"][0] = {"name": "y", "context": {"cluster": "c", "user": "u", "namespace": "other"}}
    further["current-context"] = "y"
    (tmp_path / "further").write_text(json.dumps(further))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/kubeconfig:{tmp_path}/further")
    assert run("get", "shop")[0] == 0
    assert run("get", "shop", "--context", "x")[0] == 1
