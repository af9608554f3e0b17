"""How the demonstration stands at a moment, and how that is shown."""

from dataclasses import replace

import pytest
from rich.console import Console

from canary.kube.types import Json
from canary.sandbox.demo.lines import lines
from canary.sandbox.demo.load import Load
from canary.sandbox.demo.screen import bar, render
from canary.sandbox.demo.story import EVENTS_SHOWN, Act, Check, Frame, Objects, Row, Told, brief, frame, reason_of, rows
from canary.sandbox.traffic import Answer

NARROW, LOW = 80, 24


def deployment(version: str) -> Json:
    return {"spec": {"template": {"spec": {"containers": [{"image": f"sample/web:{version}"}]}}}}


def route(canary: int) -> Json:
    services = [{"name": "app-primary", "weight": 100 - canary}, {"name": "app-canary", "weight": canary}]
    return {"spec": {"weighted": {"services": services}}}


def objects(primary: str, target: str, weight: int, canary: Json | None = None) -> Objects:
    return Objects(canary or {}, route(weight), deployment(target), deployment(primary) if primary else {})


def weights(found: tuple[Row, ...]) -> dict[str, tuple[str, int]]:
    return {row.version: (row.role, row.weight) for row in found}


def test_primary_and_canary_share_the_requests_as_the_gateways_object_says() -> None:
    found = rows(objects("1.0.0", "1.1.0", 30), [], 0.0)
    assert weights(found) == {"1.0.0": ("primary", 70), "1.1.0": ("canary", 30)}


def test_one_version_for_both_has_all_requests() -> None:
    """While the primary takes over the new version the gateway still divides between the two."""
    assert weights(rows(objects("1.1.0", "1.1.0", 50), [], 0.0)) == {"1.1.0": ("primary", 100)}


def test_a_version_that_only_ends_what_it_began_is_leaving() -> None:
    found = rows(objects("1.1.0", "1.1.0", 0), [Answer(9.5, 0.1, 200, "1.0.0")], 10.0)
    assert weights(found) == {"1.1.0": ("primary", 100), "1.0.0": ("leaving", 0)}


def test_there_is_no_row_before_there_is_a_primary() -> None:
    assert rows(objects("", "1.0.0", 0), [], 0.0) == ()


def test_a_row_tells_of_late_and_overall_apart() -> None:
    early = [Answer(float(second), 0.1, 500, "1.0.0") for second in range(5)]
    late = [Answer(97.0 + number / 10, 0.2, 200, "1.0.0") for number in range(30)]
    (row,) = rows(objects("1.0.0", "1.0.0", 0), early + late, 100.0)
    assert (row.rate, row.lately.success, row.lately.p99) == (10.0, 100.0, 0.2)
    assert (row.overall.served, row.overall.failed) == (30, 5)


def test_a_request_without_an_answer_is_of_no_version_but_counts() -> None:
    told = frame(10.0, [], objects("1.0.0", "1.0.0", 0), [Answer(9.0, 1.0, 0, "", "refused")], [])
    assert [row.version for row in told.rows] == ["1.0.0"]
    assert told.total.failed == 1


def test_a_frame_takes_the_canarys_own_word() -> None:
    check = {"name": "request-success-rate", "verdict": "Fail", "value": 79.2, "threshold": ">= 99", "message": "low"}
    canary = {
        "spec": {"analysis": {"threshold": 2}},
        "status": {"phase": "Progressing", "failedChecks": 1, "checks": [check, {"name": "x", "verdict": "NoData"}]},
    }
    told = frame(1.0, [], objects("1.0.0", "1.1.0", 10, canary), [], [Told(0.5, str(n)) for n in range(9)])
    assert (told.phase, told.failed_checks, told.threshold) == ("Progressing", 1, 2)
    assert told.checks == (
        Check("request-success-rate", "Fail", 79.2, ">= 99", "low"),
        Check("x", "NoData", None, "", ""),
    )
    assert [event.text for event in told.events] == [str(n) for n in range(9)][-EVENTS_SHOWN:]


def test_the_reason_names_the_checks_that_failed() -> None:
    checks = [
        {"name": "request-success-rate", "verdict": "Fail", "value": 70.833333, "threshold": ">= 99"},
        {"name": "request-duration", "verdict": "Pass", "value": 12.0, "threshold": "<= 500"},
    ]
    assert reason_of({"message": "failed checks threshold reached 2", "checks": checks}) == (
        "failed checks threshold reached 2; request-success-rate was 70.83, >= 99 is asked"
    )
    assert reason_of({}) == ""


ACTS = (
    Act("Kubernetes, Traefik, Prometheus, the controller", 0.0, 8.0),
    Act("1.0.0 serves 40 requests a second", 8.0, 12.0),
    Act("1.1.0, a good version", 12.0, 30.0, "promoted, 727 served, 0 failed"),
    Act("1.2.0, which turns bad after 9 s", 32.0),
)
FRAME = Frame(
    elapsed=53.2,
    acts=ACTS,
    phase="Progressing",
    rows=(
        Row("1.1.0", "primary", 60, 24.2, Load(72, 0, 0.0272), Load(771, 0, 0.1)),
        Row("1.2.0", "canary", 40, 15.1, Load(33, 12, 0.259), Load(132, 25, 0.2)),
        Row("1.0.0", "leaving", 0, 0.0, Load(), Load(1000, 0, 0.1)),
    ),
    checks=(
        Check("request-success-rate", "Fail", 79.24, ">= 99", "request-success-rate 79.24% is below 99% over 4s"),
        Check("request-duration", "Pass", 298.93, "<= 500", ""),
    ),
    failed_checks=1,
    threshold=2,
    events=tuple(Told(50.0 + n, f"Halt app.test advancement success rate 7{n}.24% < 99%", True) for n in range(5)),
    total=Load(1466, 25, 0.1),
)


def shown(told: Frame, width: int = NARROW) -> list[str]:
    console = Console(width=width, height=LOW, color_system=None)
    with console.capture() as capture:
        console.print(render(told, width))
    return capture.get().splitlines()


def test_the_view_has_everything_at_80_columns_and_24_lines() -> None:
    picture = shown(FRAME)
    text = "\n".join(picture)
    assert len(picture) <= LOW
    assert {len(line) for line in picture} == {NARROW}
    for words in (
        *(act.title for act in ACTS),
        "1 of 2 failed checks that end a rollout",
        " 60 %", "73.3 %", "259 ms", "132", "✗ Fail", "79.24", ">= 99", "✓ Pass", "<= 500",
        "1466 requests served, 25 failed", "success rate 74.24% < 99%",
    ):  # fmt: skip
        assert words in text, words


def test_the_view_shows_only_what_there_is() -> None:
    text = "\n".join(shown(Frame(1.0, (replace(ACTS[0], ended=None, note="starting the API server"),), total=Load())))
    assert "starting" in text
    assert "version" not in text
    assert "check" not in text


@pytest.mark.parametrize("width", [1, 12, 28])
def test_a_bar_is_as_wide_whatever_it_shows(width: int) -> None:
    assert {len(bar(percent, width)) for percent in range(101)} == {width}
    assert bar(0, width) == "░" * width
    assert bar(100, width) == "█" * width


def test_lines_tell_each_thing_once() -> None:
    assert lines(FRAME, FRAME) == []


def test_lines_tell_how_parts_begin_go_and_end() -> None:
    act = Act("A cluster")
    told = [
        lines(None, Frame(0.0, (act,))),
        lines(Frame(0.0, (act,)), Frame(1.0, (replace(act, began=0.5, note="starting"),))),
        lines(
            Frame(1.0, (replace(act, began=0.5, note="starting"),)),
            Frame(9.0, (replace(act, began=0.5, ended=8.5, note="6 parts"),)),
        ),
        lines(
            Frame(1.0, (replace(act, began=0.5),)), Frame(9.0, (replace(act, began=0.5, ended=8.5, well=False),))
        ),
    ]  # fmt: skip
    assert told == [
        [],
        ["[  1.0 s] > A cluster", "[  1.0 s]   starting"],
        ["[  9.0 s] ok after 8.0 s: 6 parts"],
        ["[  9.0 s] NOT OK after 8.0 s"],
    ]


def test_lines_tell_events_and_what_the_versions_answered_where_the_weights_change() -> None:
    before = replace(FRAME, rows=(replace(FRAME.rows[0], weight=70), replace(FRAME.rows[1], weight=30)), events=())
    after = replace(FRAME, events=(Told(53.0, "Advance app.test canary weight 40"),))
    assert lines(before, after) == [
        "[ 53.2 s]   Advance app.test canary weight 40",
        "[ 53.2 s]   1.1.0 60 %; 1.2.0 40 %",
        "[ 53.2 s]     1.1.0: 72 requests, 100.0 % served, p99 27 ms",
        "[ 53.2 s]     1.2.0: 45 requests, 73.3 % served, p99 259 ms",
    ]


def test_lines_are_plain_ascii() -> None:
    """They go to files and to consoles of any encoding."""
    assert all(line.isascii() for line in lines(None, FRAME))


@pytest.mark.parametrize(
    "message",
    [
        "Halt app.test advancement success rate 84.20% < 99% (over 10s, query sum(rate(x[10s])) / (1))",
        "Halt app.test advancement success rate 84.20% < 99%",
    ],
)
def test_of_an_event_what_happened_is_shown(message: str) -> None:
    assert brief(message) == "Halt app.test advancement success rate 84.20% < 99%"
