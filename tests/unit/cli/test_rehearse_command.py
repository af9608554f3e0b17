"""`canary rehearse`: what is printed, and the exit code."""

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from canary.cli.main import main
from canary.cli.rehearse.builtin import STORIES

Raw = Callable[..., dict[str, Any]]
Out = pytest.CaptureFixture[str]

GOOD = "{scenarios: {healthy: {ending: promoted, maxDuration: 6m}, dead-on-arrival: {maxBadRequests: 100}}}"
SLOW = "{scenarios: {healthy: {maxDuration: 5m}, dead-on-arrival: {ending: promoted, weights: [0, 20]}}}"


def typed(text: str) -> io.TextIOWrapper:
    """A standard input that says this."""
    return io.TextIOWrapper(io.BytesIO(text.encode()))


@pytest.fixture
def folder(tmp_path: Path, raw: Raw) -> Path:
    """One spec that is as expected, one that is otherwise, one of which nothing is expected, and other files."""
    for name in ("good", "slow", "free"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(raw(name=name)))
    (tmp_path / "good.rehearsal.yaml").write_text(GOOD)
    (tmp_path / "values.yaml").write_text("{{ this is a template of a Canary }}")
    return tmp_path


@pytest.fixture
def spec(tmp_path: Path, raw: Raw) -> Path:
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump(raw()))
    return path


def test_a_share_of_those_that_match_is_told_as_one(tmp_path: Path, raw: Raw, capsys: Out) -> None:
    """All of those that a header chooses are not all requests; from the first weight on the percent are of all."""
    chosen = {"header": {"match": [{"headers": {"x-tester": {"exact": "yes"}}}]}}
    steps = [chosen, {"pause": {"duration": "2m"}}, {"weight": 20}]
    spec = tmp_path / "app.yaml"
    written = raw(spec={"provider": "istio"})
    written["spec"]["analysis"] = {"interval": "1m", "threshold": 1, "steps": steps}
    spec.write_text(yaml.safe_dump(written))

    assert main(["rehearse", "-f", str(spec), "--scenario", "healthy"]) == 0

    shares = re.findall(r"(?<= )(\d+%.*?)  ", capsys.readouterr().out)
    assert list(dict.fromkeys(shares)) == ["0%", "100% of those that match", "20%"]


def test_one_spec_is_told_at_length(spec: Path, capsys: Out) -> None:
    """A timeline for each scenario, how each ends, and how long a rollout can take."""
    assert main(["rehearse", "-f", str(spec), "--scenario", "healthy", "dead-on-arrival"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines if line] == [
        "healthy: The new version is good.",
        "   TIME  PHASE        WEIGHT  EVENT, OR (WHY)",
        "     0s  Initialized      0%  (version new is deployed)",
        "     0s  Progressing      0%  New revision detected! Scaling up app.prod",
        "    10s  Progressing     10%  Starting canary analysis for app.prod",
        "                              Advance app.prod canary weight 10",
        "  1m10s  Progressing     20%  Advance app.prod canary weight 20",
        "  2m10s  Progressing     30%  Advance app.prod canary weight 30",
        "  3m10s  Progressing     40%  Advance app.prod canary weight 40",
        "  4m10s  Progressing     50%  Advance app.prod canary weight 50",
        "  5m10s  Promoting       50%  Copying app.prod template spec to app-primary.prod",
        "  5m10s  Promoting       50%  (the primary takes the new version over)",
        "  5m20s  Finalising       0%  Routing all traffic to primary",
        "  5m25s  Succeeded        0%  Promotion completed! Scaling down app.prod",
        "promoted after 5m25s",
        "dead-on-arrival: All requests to the new version fail.",
        "   TIME  PHASE        WEIGHT  EVENT, OR (WHY)",
        "     0s  Initialized      0%  (version new is deployed)",
        "     0s  Progressing      0%  New revision detected! Scaling up app.prod",
        "    10s  Progressing     10%  Starting canary analysis for app.prod",
        "                              Advance app.prod canary weight 10",
        "  1m10s  Failed           0%  Halt app.prod advancement success rate 0.00% < 99%",
        "                              Rolling back app.prod failed checks threshold reached 1",
        "                              Canary failed! Scaling down app.prod",
        "  1m15s  Failed           0%  (the canary's pods are let go)",
        "rolled back after 1m10s: failed checks threshold reached 1; 86 of 1,000 requests reach a bad version",
        "prod/app: 5 steps of 1m: 10, 20, 30, 40, 50 %",
        "  SCENARIO         ENDS         AFTER  BAD REQUESTS  WHY",
        "  healthy          promoted     5m25s             -",
        "  dead-on-arrival  rolled back  1m10s   86 of 1,000  failed checks threshold reached 1",
        "To promote a version takes 5m25s at least and 40m15s at most.",
    ]


def test_looks_that_tell_the_same_are_taken_together(tmp_path: Path, raw: Raw, capsys: Out) -> None:
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump(raw(threshold=5)))
    main(["rehearse", "-f", str(path), "--scenario", "dead-on-arrival"])

    out = capsys.readouterr().out
    assert " 1m10s  Progressing     10%  Halt app.prod advancement success rate 0.00% < 99%\n" in out
    assert "(3 times more, until 4m10s)\n" in out


def test_a_folder_is_told_in_lines(folder: Path, capsys: Out) -> None:
    """One line a file, and a last one with the counts; what is no spec is passed over."""
    assert main(["rehearse", "-f", str(folder)]) == 0

    *lines, last = capsys.readouterr().out.splitlines()
    assert lines == [
        f"ok        {folder}/free.yaml  prod/free: 5m25s to 40m15s; 9 scenarios",
        f"ok        {folder}/good.yaml  prod/good: 5m25s to 40m15s; 9 scenarios, 2 with expectations",
        f"ok        {folder}/slow.yaml  prod/slow: 5m25s to 40m15s; 9 scenarios",
    ]
    assert last.startswith("3 Canaries in ")
    assert last.endswith("; all as expected")


def test_what_is_otherwise_than_expected_fails(folder: Path, capsys: Out) -> None:
    (folder / "slow.rehearsal.yaml").write_text(SLOW)

    assert main(["rehearse", "-f", str(folder)]) == 1
    out = capsys.readouterr().out
    assert f"FAILED    {folder}/slow.yaml  prod/slow: 3 otherwise than expected\n" in out
    assert "healthy: maxDuration: it takes 5m25s, 5m at most are expected\n" in out
    assert "dead-on-arrival: ending: it ends rolled-back (failed checks threshold reached 1), not promoted\n" in out
    assert "dead-on-arrival: weights: [0, 10, 0], not [0, 20]\n" in out
    assert out.endswith("; 1 otherwise than expected\n")


def test_one_spec_is_held_against_what_is_written_beside_it(folder: Path, capsys: Out) -> None:
    (folder / "slow.rehearsal.yaml").write_text(SLOW)

    assert main(["rehearse", "-f", str(folder / "slow.yaml")]) == 1
    assert "FAILED healthy: maxDuration: it takes 5m25s, 5m at most are expected\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("expected", "failure"),
    [
        (
            "phases: [Progressing, Failed]",
            "phases: [Progressing, Promoting, Finalising, Succeeded], not [Progressing, F",
        ),
        ("events: [weight 10, weight 30, Promotion]", ""),
        ("events: [weight 30, weight 10]", "events: 'weight 10' is not told, or not in this order"),
        ("maxBadRequests: 0", ""),
        ("weights: [0, 10, 20, 30, 40, 50, 0]", ""),
    ],
)
def test_every_expectation_is_looked_at(spec: Path, capsys: Out, expected: str, failure: str) -> None:
    spec.with_name("app.rehearsal.yml").write_text(f"scenarios:\n  healthy:\n    {expected}\n")
    code = main(["rehearse", "-f", str(spec), "-o", "json"])

    (told,) = json.loads(capsys.readouterr().out)["canaries"]
    assert code == bool(failure)
    assert len(told["failures"]) == code
    assert all(line.startswith(f"healthy: {failure}") for line in told["failures"])


def test_only_the_scenarios_that_are_asked_for_are_looked_at(folder: Path, capsys: Out) -> None:
    (folder / "slow.rehearsal.yaml").write_text(SLOW)

    assert main(["rehearse", "-f", str(folder), "--scenario", "no-traffic"]) == 0
    assert "prod/slow: 5m25s to 40m15s; 1 scenario\n" in capsys.readouterr().out


def test_a_gate_is_expected_of_a_spec_without_any(spec: Path, capsys: Out) -> None:
    spec.with_name("app.rehearsal.yaml").write_text("scenarios: {gate-never-opens: {ending: waiting}}")

    assert main(["rehearse", "-f", str(spec)]) == 1
    assert "gate-never-opens: the spec has no gate; take the expectation out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"spec": {"service": {}}}, "spec.service.port: is missing; set the port that users call, such as 80"),
        (
            {"stepWeight": 0},
            "spec.analysis.stepWeight: is missing, so that no request would ever reach the canary",
        ),
        ({"spec": {"provider": "smoke"}}, "spec.provider: traffic provider smoke is not supported; write one of"),
        ({"mirror": True, "iterations": 5}, "spec.analysis.mirror: the provider traefik can't honour it; take it out"),
        (
            {"spec": {"targetRef": {"apiVersion": "v1", "kind": "Pod", "name": "app"}}},
            "spec.targetRef.kind: targets of kind Pod are not supported; write one of",
        ),
        ({"interval": "1 minute"}, "spec.analysis.interval: '1 minute' is not a duration; write a duration such as"),
    ],
)
def test_a_spec_that_cannot_run_is_explained_as_the_controller_would(
    tmp_path: Path, raw: Raw, capsys: Out, change: dict[str, Any], problem: str
) -> None:
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump(raw(**change)))

    assert main(["rehearse", "-f", str(path)]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    told = (line.partition("  prod/app: ") for line in seen.err.splitlines())
    assert any(where.startswith(f"REFUSED   {path}:") and words.startswith(problem) for where, _, words in told)


def test_a_folder_goes_on_after_what_cannot_be_used(folder: Path, raw: Raw, capsys: Out) -> None:
    """Each is told; the exit code says that there was one."""
    (folder / "broken.yaml").write_text("kind: Canary\napiVersion: flagger.app/v1beta1\n  spec: {")
    (folder / "refused.yaml").write_text(yaml.safe_dump(raw(stepWeight=0)))
    (folder / "gone.rehearsal.yaml").write_text("scenarios: {}")
    (folder / "free.rehearsal.yaml").write_text("scenarios: {healthy: {maxduration: 5m}}")

    assert main(["rehearse", "-f", str(folder)]) == 2
    out = capsys.readouterr().out
    assert f"UNUSABLE  {folder}/broken.yaml: line 3, column 7: mapping values are not allowed" in out
    assert (
        f"UNUSABLE  {folder}/free.rehearsal.yaml: scenarios.healthy.maxduration: is not known; did you mean maxDur"
        in out
    )
    assert f"UNUSABLE  {folder}/gone.rehearsal.yaml: there is no gone.yaml beside it" in out
    assert f"REFUSED   {folder}/refused.yaml:19:5  prod/app: spec.analysis.stepWeight: is missing" in out
    assert f"ok        {folder}/good.yaml" in out
    assert out.endswith("; 1 can't run; 3 files can't be used\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "canary rehearse: -f: is missing; name a file, a folder, or - for the standard input"),
        (["-f", "/none/such.yaml"], "UNUSABLE  /none/such.yaml: it can't be read: No such file or directory"),
        (["-f", "-", "--scenario", "none.yaml"], "canary rehearse: none.yaml: it can't be read: No such file"),
        (["-f", "-", "--ready-after", "soon"], "canary rehearse: --ready-after: 'soon' is not a duration; write a dur"),
        (["-f", "-", "--replicas", "0"], "canary rehearse: --replicas: 0 is no number of pods; write 1 or more"),
        (
            ["-f", "-"],
            "UNUSABLE  standard input: it holds no Canary of flagger.app, and no CanaryFleet; name another file",
        ),
    ],
)
def test_wrong_input_gets_one_clear_line(
    arguments: list[str], problem: str, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", typed("kind: Deployment\n"))

    assert main(["rehearse", *arguments]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert problem in seen.err
    assert seen.err.count("\n") == 1


def test_a_scenario_that_is_told_nowhere_is_named(spec: Path, capsys: Out) -> None:
    assert main(["rehearse", "-f", str(spec), "--scenario", "heathy"]) == 2
    assert "--scenario: there is no scenario 'heathy'; name a file, or one of healthy" in capsys.readouterr().err


def test_a_scenario_may_be_told_beside_the_spec(spec: Path, capsys: Out) -> None:
    spec.with_name("app.rehearsal.yaml").write_text("scenarios: {own: {scenario: {limit: 1m}, ending: under-way}}")

    assert main(["rehearse", "-f", str(spec), "--scenario", "own"]) == 0
    assert "  own       cut off" in capsys.readouterr().out


def test_specs_come_from_the_standard_input(raw: Raw, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several Canaries in a stream are told one after the other."""
    text = yaml.safe_dump_all([raw(), {"kind": "Deployment"}, raw(name="shop")])
    monkeypatch.setattr(sys, "stdin", typed(text))

    assert main(["rehearse", "-f", "-", "--scenario", "healthy"]) == 0
    out = capsys.readouterr().out
    assert "prod/app: 5 steps of 1m" in out
    assert "prod/shop: 5 steps of 1m" in out


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_data_holds_all_there_is(spec: Path, capsys: Out, form: str) -> None:
    assert main(["rehearse", "-f", str(spec), "-o", form]) == 0

    told = yaml.safe_load(capsys.readouterr().out)
    (canary,) = told["canaries"]
    assert told["summary"] == {"canaries": 1, "failed": 0, "refused": 0, "objects": 0, "unusable": 0}
    assert (canary["canary"], canary["shortest"], canary["longest"]) == ("prod/app", "5m25s", "40m15s")
    assert canary["weights"] == [10, 20, 30, 40, 50]
    scenarios = {each["name"]: each for each in canary["scenarios"]}
    assert [*scenarios] == [story.name for story in STORIES if not story.needs_gate]
    arrival = scenarios["dead-on-arrival"]
    assert {key: arrival[key] for key in ("ending", "duration", "badRequests", "weights", "phases")} == {
        "ending": "rolled-back",
        "duration": "1m10s",
        "badRequests": 86,
        "weights": [0, 10, 0],
        "phases": ["Progressing", "Failed"],
    }
    assert arrival["timeline"][1] == {
        "at": "0s",
        "phase": "Progressing",
        "weight": 0,
        "matched": False,
        "events": ["New revision detected! Scaling up app.prod"],
        "reason": "a new revision is rolled out",
        "by": "controller",
    }


def test_data_holds_why_a_spec_cannot_run(tmp_path: Path, raw: Raw, capsys: Out) -> None:
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump(raw(stepWeight=0)))

    assert main(["rehearse", "-f", str(path), "-o", "json"]) == 2
    (canary,) = json.loads(capsys.readouterr().out)["canaries"]
    assert canary["problems"][0].startswith(f"{path}:19:5: spec.analysis.stepWeight: is missing")


def test_a_picture_has_weights_phases_and_events(spec: Path, capsys: Out) -> None:
    assert main(["rehearse", "-f", str(spec), "-o", "svg", "--scenario", "healthy", "no-traffic"]) == 0

    root = ET.fromstring(capsys.readouterr().out)  # noqa: S314 - our own
    words = {each.text for each in root.iter() if each.text}
    assert {
        "prod/app: healthy",
        "prod/app: no-traffic",
        "Progressing",
        "Failed",
        "Requests to the new version",
    } <= words
    assert "Advance app.prod canary weight 50" in words


def test_a_service_has_no_pods_to_wait_for(tmp_path: Path, raw: Raw, capsys: Out) -> None:
    """As a target it is ready as soon as it is there, and nothing is told of pods that never are."""
    target = {"apiVersion": "v1", "kind": "Service", "name": "app"}
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump(raw(spec={"targetRef": target})))
    main(["rehearse", "-f", str(path), "-o", "json"])

    (canary,) = json.loads(capsys.readouterr().out)["canaries"]
    assert canary["shortest"] == "5m15s"
    assert "pods-never-ready" not in [each["name"] for each in canary["scenarios"]]


def test_a_target_of_the_same_stream_tells_how_many_pods_there_are(tmp_path: Path, raw: Raw, capsys: Out) -> None:
    """Save where the command line does."""
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}
    pods = {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
    workload = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "app", "namespace": "prod"},
        "spec": {"replicas": 5, "selector": {"matchLabels": {"app": "app"}}, "template": pods},
    }
    made = raw(stepWeight=20, spec={"targetRef": target})
    del made["spec"]["provider"], made["spec"]["service"]
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump_all([made, workload]))

    assert main(["rehearse", "-f", str(path), "--scenario", "healthy"]) == 0
    out = capsys.readouterr().out
    assert "prod/app: 5 pods, one after the other, steps of 1m\n" in out
    assert "To promote a version takes" in out
    assert "no traffic provider is named" not in out
    main(["rehearse", "-f", str(path), "--scenario", "healthy", "--replicas", "3"])
    assert "prod/app: 3 pods" in capsys.readouterr().out


def test_pods_take_as_long_as_the_command_line_says(spec: Path, capsys: Out) -> None:
    main(["rehearse", "-f", str(spec), "-o", "json", "--ready-after", "30s", "--scenario", "healthy"])

    (canary,) = json.loads(capsys.readouterr().out)["canaries"]
    assert canary["scenarios"][0]["duration"] == canary["shortest"] == "6m15s"


def test_a_spec_without_provider_is_taken_to_have_weights(tmp_path: Path, raw: Raw, capsys: Out) -> None:
    """And is told so; the command line may name the controller's own, which then is held against the spec."""
    made = raw()
    del made["spec"]["provider"]
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump(made))

    assert main(["rehearse", "-f", str(path), "--scenario", "healthy"]) == 0
    assert "no traffic provider is named: rehearsed on one with weights" in capsys.readouterr().out
    assert main(["rehearse", "-f", str(path), "--mesh-provider", "kubernetes"]) == 2
    assert "spec.analysis.stepWeight: the provider kubernetes can't honour it" in capsys.readouterr().err


def test_templates_of_the_stream_are_tried(tmp_path: Path, raw: Raw, capsys: Out) -> None:
    """A query that can't be filled in holds every rollout; a template that is elsewhere is taken for good."""
    metrics = [
        {"name": "broken", "templateRef": {"name": "broken"}, "thresholdRange": {"max": 1}},
        {"name": "elsewhere", "templateRef": {"name": "elsewhere"}, "thresholdRange": {"max": 1}},
    ]
    template = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "MetricTemplate",
        "metadata": {"name": "broken", "namespace": "prod"},
        "spec": {"provider": {"type": "prometheus"}, "query": "up{{ nonsense }}"},
    }
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump_all([template, raw(metrics=metrics)]))
    main(["rehearse", "-f", str(path), "-o", "json", "--scenario", "healthy"])

    (canary,) = json.loads(capsys.readouterr().out)["canaries"]
    (note,) = canary["notes"]
    assert note.startswith("metric broken can't be asked for, so that every rollout is held: ")
    assert canary["scenarios"][0]["ending"] == "rolled-back"


def test_a_terminal_gets_tables(spec: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert main(["rehearse", "-f", str(spec), "--scenario", "healthy"]) == 0
    assert "──" in capsys.readouterr().out


def test_the_scenarios_of_the_program_are_listed(capsys: Out) -> None:
    assert main(["rehearse", "--scenarios"]) == 0
    of_canaries, _ = capsys.readouterr().out.split("\nof CanaryFleets:\n")
    assert [line.split()[0] for line in of_canaries.splitlines()] == [story.name for story in STORIES]

    assert main(["rehearse", "--scenarios", "-o", "yaml"]) == 0
    assert [each["name"] for each in yaml.safe_load_all(capsys.readouterr().out)] == [story.name for story in STORIES]
