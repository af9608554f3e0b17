"""Commands about fleets that a cluster has: how they stand, why, and what is ordered of them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from canary.cli.cluster.live import bar, plain
from canary.cli.fleets.live import FLEETS
from canary.fleet.orders import ORDER_ANNOTATION, PAUSE_ANNOTATION
from canary.fleet.shifts import GONE
from canary.rollout.orders import order_in
from tests.unit.cli.canaries_server import CanariesServer, Run
from tests.unit.cli.test_order_commands import written
from tests.unit.fleet.fleets import fleet_of

PAUSED = {PAUSE_ANNOTATION: "by joe at noon"}
WAVES: list[dict[str, Any]] = [
    {"name": "pilot", "count": 1, "soak": "1h"},
    {"name": "rest", "gates": [{"name": "team"}]},
]
MEMBERS = [
    {"name": "c1", "wave": 1, "state": "Passed", "revision": "5c6d", "since": "2026-01-01T00:00:00Z"},
    {
        "name": "c2",
        "wave": 2,
        "state": "Progressing",
        "message": "unreachable since 2026-01-01T00:00:00Z: its API server does not answer",
        "unreachableSince": "2026-01-01T00:00:00Z",
    },
]


def under_way(**fields: Any) -> dict[str, Any]:
    """The status of a release whose first wave has passed."""
    waves = [
        {"name": "pilot", "state": "Passed", "members": 1, "required": 1, "passed": 1},
        {"name": "rest", "state": "Open", "members": 1, "required": 1},
    ]
    return {
        "phase": "Progressing",
        "reason": "Rolling",
        "message": "waits for c2",
        "release": "r2",
        "wave": 2,
        "progress": "1/2",
        "started": "2026-01-01T00:00:00Z",
        "waves": waves,
        "members": MEMBERS,
        **fields,
    }


GATED = under_way(
    wave=1,
    reason="WaitingForGate",
    message="wave rest waits for team (until it is resumed)",
    waves=[{"name": "pilot", "state": "Passed"}, {"name": "rest", "state": "Gated"}],
)


def put(server: CanariesServer, status: dict[str, Any] | None = None, *, name: str = "shop", **fields: Any) -> None:
    """Put a fleet into the cluster: keyword arguments are annotations, and fields of its spec."""
    raw = fleet_of(WAVES, **fields.pop("spec", {})).to_json()
    raw["metadata"] |= {"name": name, "annotations": dict(fields.pop("annotations", {}))}
    raw["status"] = under_way() if status is None else status
    server.version += 1
    raw["metadata"]["resourceVersion"] = str(server.version)
    others = [each for each in server.beside.get("canaryfleets", []) if each["metadata"]["name"] != name]
    server.beside["canaryfleets"] = [*others, raw]


class TestOrders:
    @pytest.mark.parametrize(
        ("verb", "status"),
        [
            ("promote", under_way()),
            ("abort", under_way()),
            ("abort", under_way(phase="Succeeded")),
            ("abort", under_way(phase="Failed", reason="Held")),
            ("retry", under_way(phase="Failed")),
            ("resume", GATED),
        ],
    )
    def test_one_names_the_release_who_when_and_why(
        self, run: Run, server: CanariesServer, verb: str, status: dict[str, Any]
    ) -> None:
        put(server, status)
        code, lines = run(verb, "fleet/shop", "--reason", "the team\n says so")
        assert (code, len(lines)) == (0, 1)
        assert lines[0].endswith("see it by: canary explain fleet/shop -n prod")
        assert written(server) == {ORDER_ANNOTATION: f"{verb} revision=r2 by=mia at=NOW the team says so"}

    def test_one_about_a_release_with_a_space_in_its_name_is_read_as_it_was_meant(
        self, run: Run, server: CanariesServer
    ) -> None:
        put(server, under_way(release="big one"), spec={"release": "big one"})
        assert run("abort", "fleet/shop")[0] == 0
        order = order_in(str(written(server)[ORDER_ANNOTATION]))
        assert (order.verb, order.revision, order.by) == ("abort", "", "mia")

    def test_pause_and_resume(self, run: Run, server: CanariesServer) -> None:
        """Who has ended a pause stands in an order, which the hub tells of."""
        put(server)
        assert run("pause", "fleet/shop", "--reason", "lunch")[0] == 0
        assert written(server) == {PAUSE_ANNOTATION: "by mia at NOW: lunch"}
        assert run("pause", "fleet/shop")[1][0].startswith("canary pause: prod/shop: it is paused already, by mia at ")
        server.patches.clear()
        assert run("resume", "fleet/shop")[0] == 0
        assert written(server) == {PAUSE_ANNOTATION: None, ORDER_ANNOTATION: "resume revision=r2 by=mia at=NOW"}

    def test_a_pause_after_the_end_is_taken_off_without_an_order_that_could_not_be_heeded(
        self, run: Run, server: CanariesServer
    ) -> None:
        put(server, under_way(phase="Succeeded"), annotations=PAUSED)
        assert run("resume", "fleet/shop")[0] == 0
        assert written(server) == {PAUSE_ANNOTATION: None}

    def test_an_order_for_a_paused_release_ends_the_pause(self, run: Run, server: CanariesServer) -> None:
        put(server, annotations=PAUSED)
        assert run("promote", "fleet/shop")[0] == 0
        assert written(server) == {ORDER_ANNOTATION: "promote revision=r2 by=mia at=NOW", PAUSE_ANNOTATION: None}

    @pytest.mark.parametrize(
        ("verb", "status", "spec", "why"),
        [
            ("promote", under_way(phase="Succeeded"), {}, "prod/shop: the release is Succeeded"),
            ("retry", under_way(), {}, "prod/shop: the release has not failed"),
            ("resume", under_way(), {}, "prod/shop: it is not paused, and no wave waits for a person"),
            ("abort", {}, {}, "prod/shop: no hub has seen it yet: does one run that looks at this namespace?"),
            ("abort", under_way(phase="RollingBack"), {}, "prod/shop: the release is RollingBack"),
            ("promote", under_way(), {"mode": "watch"}, "prod/shop: the fleet only watches"),
            (
                "pause",
                under_way(),
                {"mode": "watch"},
                "prod/shop: the fleet only watches: there is nothing that a pause would hold",
            ),
        ],
    )
    def test_one_that_could_not_be_heeded_is_told_in_a_line_and_not_written(
        self, run: Run, server: CanariesServer, verb: str, status: dict[str, Any], spec: dict[str, Any], why: str
    ) -> None:
        put(server, status, spec=spec)
        assert run(verb, "fleet/shop") == (1, [f"canary {verb}: {why}"])
        assert server.patches == []

    @pytest.mark.parametrize("verb", ["restart", "override"])
    def test_what_fleets_do_not_have_is_told(self, run: Run, server: CanariesServer, verb: str) -> None:
        put(server)
        code, lines = run(verb, "fleet/shop")
        assert (code, len(lines)) == (2, 1)
        assert f"a fleet has no {verb}" in lines[0]


class TestGet:
    def test_the_table_has_release_wave_members_and_what_each_waits_for(self, run: Run, server: CanariesServer) -> None:
        put(server)
        put(server, under_way(phase="Succeeded", message="released"), name="cart")
        code, lines = run("get", "fleets")
        assert code == 0
        assert lines[0].split() == ["NAME", "STATUS", "RELEASE", "WAVE", "PASSED", "FOR", "WAITS", "FOR"]
        assert lines[1].split()[:5] == ["cart", "Succeeded", "r2", "2/2", "1/2"]
        assert lines[2].split()[:5] == ["shop", "Progressing", "r2", "2/2", "1/2"]
        assert lines[2].endswith("waits for c2")

    def test_one_that_cannot_be_read_stands_in_the_table_with_the_reason(
        self, run: Run, server: CanariesServer
    ) -> None:
        put(server)
        put(server, {"phase": "Dreaming"}, name="later")
        code, lines = run("get", "fleets", "-A", "-o", "wide")
        assert (code, len(lines)) == (0, 3)
        assert "prod/later can't be read: " in lines[1]

    @pytest.mark.parametrize("kind", ["fleet", "fleets", "canaryfleet", "canaryfleets", "cfl"])
    def test_the_kind_has_the_names_that_kubectl_knows(self, run: Run, server: CanariesServer, kind: str) -> None:
        put(server)
        listed = json.loads("\n".join(run("get", kind, "-o", "json")[1]))
        assert [each["metadata"]["name"] for each in listed["items"]] == ["shop"]
        (one,) = [json.loads("\n".join(run("get", f"{kind}/shop", "-o", "json")[1]))]
        assert (one["kind"], one["status"]["release"]) == ("CanaryFleet", "r2")

    def test_none_is_a_line(self, run: Run, server: CanariesServer) -> None:
        server.beside["canaryfleets"] = []
        assert run("get", "fleets") == (0, ["no CanaryFleets in this namespace; -A looks in all"])

    def test_a_cluster_without_the_definition_is_a_line_that_says_so(self, run: Run, server: CanariesServer) -> None:
        told = "the cluster has no CanaryFleets: the definitions of fleet.canary.dev are not installed there"
        assert run("get", "fleets") == (2, [f"canary get: {told}"])
        assert run("abort", "fleet/shop") == (2, [f"canary abort: {told}"])

    def test_a_canary_may_be_named_with_its_kind(self, run: Run, server: CanariesServer) -> None:
        server.put("shop", status={"phase": "Succeeded"})
        assert run("get", "canary/shop") == run("get", "shop") == run("get", "canaries")


class TestLive:
    """The picture of `canary get fleets -w`."""

    def _of(self, *statuses: dict[str, Any]) -> list[str]:
        raws = [{**fleet_of(WAVES).to_json(), "status": status} for status in statuses]
        return FLEETS.picture(raws, datetime(2026, 1, 1, 12, tzinfo=UTC), plain, "")

    def test_a_release_under_way_has_a_bar_and_the_members_that_are_neither_at_rest_nor_through(self) -> None:
        first, member, waits, *_ = self._of(under_way())
        assert first == f"prod/shop  Progressing   r2  {bar(50)} 1/2"
        assert member.split()[:2] == ["c2", "Progressing"]
        assert waits == "    → waits for c2"

    def test_one_that_is_done_is_a_line(self) -> None:
        assert len(self._of(under_way(phase="Succeeded", progress="2/2"))) == 3

    def test_one_that_cannot_be_read_is_a_line_beside_the_others(self) -> None:
        lines = self._of({"phase": "Dreaming"}, under_way())
        assert "prod/shop can't be read" in lines[0]
        assert lines[1].startswith("prod/shop  Progressing")

    def test_none_is_told(self) -> None:
        assert self._of()[0] == "no CanaryFleets here"


class TestExplain:
    def test_it_says_where_why_what_is_next_and_how_waves_and_members_stand(
        self, run: Run, server: CanariesServer
    ) -> None:
        put(server)
        code, lines = run("explain", "fleet/shop")
        assert code == 0
        assert lines[0] == "prod/shop (release r2)"
        assert lines[1].startswith("  Progressing, wave 2 of 2 (rest), 1/2 members have passed, begun ")
        assert lines[lines.index("Why") + 1] == "  Rolling: waits for c2"
        assert [line.split()[:3] for line in lines[-2:]] == [["c1", "1", "Passed"], ["c2", "2", "Progressing"]]
        assert lines[-1].endswith("unreachable since 2026-01-01T00:00:00Z: its API server does not answer")

    @pytest.mark.parametrize(
        ("status", "following"),
        [
            ({}, "A hub must see it: is one running that looks at this namespace?"),
            (GATED, "A person must open the gate: canary resume fleet/shop -n prod."),
            (under_way(reason="Paused"), "It must be resumed: canary resume fleet/shop -n prod."),
            (under_way(), "c2 must be reached again (its API server does not answer). It is tried by itself; with"),
            (
                under_way(members=[{**MEMBERS[0], "state": "Open", "message": "its Canary can't be written: no"}]),
                "c1 must take what the hub writes (no). It is tried again by itself.",
            ),
            (
                under_way(phase="Succeeded", traffic=[{"name": "c2", "state": "Away", "message": GONE}]),
                "c2 must be a member again to get its share of requests back. Another name in",
            ),
            (
                under_way(phase="Failed", reason="NotAllBack", members=[{**MEMBERS[0], "state": "NotBack"}]),
                "In c1 the target must be set back. Try it again by: canary retry fleet/shop -n prod.",
            ),
            (
                under_way(
                    conditions=[
                        {
                            "type": "Ready",
                            "status": "Unknown",
                            "reason": "Invalid",
                            "message": "spec.release is empty",
                            "lastUpdateTime": "2026-01-01T00:00:00Z",
                            "lastTransitionTime": "2026-01-01T00:00:00Z",
                        }
                    ]
                ),
                "Its spec must be put right: spec.release is empty.",
            ),
        ],
    )
    def test_what_must_happen_next_names_the_command(
        self, run: Run, server: CanariesServer, status: dict[str, Any], following: str
    ) -> None:
        put(server, status)
        _, lines = run("explain", "fleet/shop")
        assert lines[lines.index("What must happen next") + 1].strip().startswith(following)

    def test_a_member_that_can_not_be_reached_counts_as_failed_after_its_deadline(
        self, run: Run, server: CanariesServer
    ) -> None:
        put(server, spec={"unreachableDeadline": "30m"})
        _, lines = run("explain", "fleet/shop")
        following = lines[lines.index("What must happen next") + 1]
        assert following.endswith("It is tried by itself, and counts as failed after 30m.")

    def test_what_members_say_together_is_shown_with_its_numbers(self, run: Run, server: CanariesServer) -> None:
        joint = {
            "name": "request-success-rate",
            "verdict": "Fail",
            "value": 4,
            "threshold": "1 and 0.1",
            "samples": 300,
            "pValue": 0.00823,
            "members": 3,
            "message": "it is worse",
        }
        put(server, under_way(joint=[joint]))
        _, lines = run("explain", "fleet/shop")
        row = " ".join(lines[lines.index("Together") + 2].split())
        assert row == "request-success-rate Fail 4 1 and 0.1 300 0.0082 3 it is worse"
        assert json.loads("\n".join(run("explain", "fleet/shop", "-o", "json")[1]))["joint"] == [joint]

    def test_it_says_what_each_cluster_gets_of_all_requests_and_why(self, run: Run, server: CanariesServer) -> None:
        own = [{"name": "c1", "share": 60}, {"name": "c2", "share": 40}]
        route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "shop"}
        gone = {"name": "c2", "state": "Leaving", "weight": 0, "message": "HTTPRoute shop: it is not accepted"}
        traffic = [{"name": "c1", "state": "Whole", "weight": 100, "since": "2026-01-01T00:00:00Z"}, gone]
        put(server, under_way(traffic=traffic), spec={"traffic": {"routes": [route], "members": own}})
        _, lines = run("explain", "fleet/shop")
        shown = lines[lines.index("Traffic") + 2 :]
        assert [each.split()[:6] for each in shown] == [
            ["c1", "Whole", "100", "%", "60", "%"],
            ["c2", "Leaving", "0", "%", "40", "%"],
        ]
        assert shown[1].endswith("HTTPRoute shop: it is not accepted")

    def test_programs_get_the_same_as_json(self, run: Run, server: CanariesServer) -> None:
        put(server, GATED)
        told = json.loads("\n".join(run("explain", "fleet/shop", "-o", "json")[1]))
        assert (told["phase"], told["wave"], told["waveCount"], told["reason"]) == (
            "Progressing",
            1,
            2,
            "WaitingForGate",
        )
        assert [each["name"] for each in told["members"]] == ["c1", "c2"]
        assert told["next"].startswith("A person must open the gate")

    def test_one_that_cannot_be_read_is_a_line(self, run: Run, server: CanariesServer) -> None:
        put(server, {"phase": "Dreaming"})
        code, lines = run("explain", "fleet/shop")
        assert (code, len(lines)) == (1, 1)
        assert lines[0].startswith("canary explain: prod/shop can't be read: ")


@pytest.mark.parametrize("name", ["history", "report", "undo", "approve", "diff"])
def test_what_is_about_canaries_alone_says_so_of_a_fleet(run: Run, name: str) -> None:
    code, lines = run(name, "fleet/shop")
    assert (code, len(lines)) == (2, 1)
    assert "'fleet/shop' is a fleet, and this is about a Canary" in lines[0]


@pytest.mark.parametrize("kind", ["fleet", "fleets", "cfl", "canaryfleet"])
def test_kind_and_name_may_be_two_words_as_kubectl_takes_them(run: Run, server: CanariesServer, kind: str) -> None:
    put(server)
    for command in (["get", kind, "shop"], ["get", "-o", "wide", kind, "shop"], ["explain", kind, "shop"]):
        assert run(*command) == run(*command[:-2], f"fleet/{command[-1]}")
    code, lines = run("pause", kind, "shop", "--reason", "lunch")
    assert (code, len(lines)) == (0, 1)
    assert run("wait", kind, "shop", "--for", "progressing")[0] == run("wait", "fleet/shop", "--for", "progressing")[0]


def test_more_words_than_a_kind_and_a_name_are_a_line(run: Run) -> None:
    for words in (["shop", "cart"], ["fleet", "shop", "cart"], ["deploy", "shop"]):
        code, lines = run("get", *words)
        assert (code, len(lines)) == (2, 1)
        assert f"{' '.join(words)!r} is neither NAME, for a Canary, nor fleet NAME" in lines[0]


@pytest.mark.parametrize("text", ["deploy/shop", "fleet/", "fleet/a/b", "/shop"])
def test_a_kind_that_is_neither_is_a_line(run: Run, text: str) -> None:
    code, lines = run("explain", text)
    assert (code, len(lines)) == (2, 1)
    assert f"{text!r} is neither NAME, for a Canary, nor fleet/NAME" in lines[0]


class TestWait:
    @contextmanager
    def _becoming(self, server: CanariesServer, status: dict[str, Any]) -> Iterator[None]:
        """The fleet has this status a moment later."""
        timer = threading.Timer(0.05, lambda: put(server, status))
        timer.start()
        yield
        timer.join()

    def test_it_ends_with_the_release(self, run: Run, server: CanariesServer) -> None:
        put(server)
        with self._becoming(server, under_way(phase="Succeeded", progress="2/2")):
            code, lines = run("wait", "fleet/shop", "--timeout", "60s")
        assert (code, lines[-1]) == (0, "prod/shop is promoted")

    def test_it_fails_with_the_release(self, run: Run, server: CanariesServer) -> None:
        put(server, under_way(phase="Failed", message="wave pilot can't pass"))
        code, lines = run("wait", "fleet/shop", "--timeout", "60s")
        assert (code, lines) == (1, ["canary wait: prod/shop: release r2 is Failed: wave pilot can't pass"])

    def test_what_stands_there_of_the_release_before_does_not_count(self, run: Run, server: CanariesServer) -> None:
        put(server, under_way(phase="Succeeded"), spec={"release": "r3"})
        code, lines = run("wait", "fleet/shop", "--timeout", "300ms", "-q")
        assert (code, lines) == (1, ["canary wait: prod/shop: not in time; it waits for release r3 to begin"])

    def test_a_phase_that_fleets_do_not_have_is_a_line(self, run: Run, server: CanariesServer) -> None:
        put(server)
        code, lines = run("wait", "fleet/shop", "--for", "Finalising")
        assert (code, len(lines)) == (2, 1)
        assert "--for: a fleet has no phase Finalising; write one of promoted, Progressing" in lines[0]
