"""Each command, by the parser's own list of them, so that none is forgotten: its help, and what may be in its way."""

import argparse
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from canary.cli.arguments import SubjectWords
from canary.cli.parser import parse
from tests.unit.cli import argo
from tests.unit.cli.canaries_server import CanariesServer, Run, write_kubeconfig
from tests.unit.cli.wrong_input import GOOD

COMMANDS: dict[str, argparse.ArgumentParser] = parse(["completion", "bash"]).commands.choices


def with_those_within(commands: dict[str, argparse.ArgumentParser]) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command, and those within it, such as `gate open`."""
    for name, parser in commands.items():
        yield name, parser
        for each in parser._actions:
            if isinstance(each, argparse._SubParsersAction):
                yield from with_those_within({f"{name} {inner}": found for inner, found in each.choices.items()})


EVERY = dict(with_those_within(COMMANDS))


def flags_of(name: str) -> set[str]:
    return {option for action in EVERY[name]._actions for option in action.option_strings}


OF_CANARIES = ("restart", "override")
"""Orders that fleets don't know, and say so."""


def takes_fleets(name: str) -> bool:
    return name not in OF_CANARIES and any(isinstance(action, SubjectWords) for action in EVERY[name]._actions)


SERVING = ("run", "hub")
"""Those that go on until they are told to stop."""

ASKING = [
    line
    for name in EVERY
    if {"--kubeconfig", "--context", "--namespace"} <= flags_of(name) and name not in SERVING
    for line in (f"{name} none", *([f"{name} fleet/none"] if takes_fleets(name) else []))
]
"""What people type to ask a cluster, or to order something there, about something called `none`."""

OFFLINE = [name for name in EVERY if any(action.dest == "places" for action in EVERY[name]._actions)]
"""Those that read files, and ask nobody."""

ABSENT = {"diff": 2}
"""The code where there is none of that name: 1, save where that has another meaning."""


def name_of(line: str) -> str:
    return line.split(maxsplit=1)[0]


def test_fleets_are_asked_about_and_so_are_commands_within_others() -> None:
    assert {"get fleet/none", "wait fleet/none", "gate open none", "override none"} <= {*ASKING}
    assert {*OFFLINE} == {"convert", "lint"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_the_exit_codes(name: str) -> None:
    parser = COMMANDS[name]
    example = (parser.description or "").partition("Example: ")[2].removeprefix("source <(")
    assert example.startswith(f"canary {name}")
    assert (parser.epilog or "").startswith("exit codes: 0 ")


@pytest.mark.parametrize("line", ASKING)
def test_a_wrong_name_is_one_line_that_has_it(run: Run, server: CanariesServer, line: str) -> None:
    server.beside = {"deployments": [], "canaryfleets": []}
    code, lines = run(*line.split())
    assert (code, len(lines)) == (ABSENT.get(name_of(line), 1), 1)
    assert lines[0].startswith(f"canary {name_of(line)}: ")
    assert '"none" not found' in lines[0]


@pytest.mark.parametrize("line", ASKING)
def test_without_rights_it_is_one_line_with_what_the_server_says(run: Run, server: CanariesServer, line: str) -> None:
    told = f"canary {name_of(line)}: "
    server.refuses = (403, "Forbidden", "User mia cannot do that")
    assert run(*line.split()) == (2, [f"{told}not allowed: User mia cannot do that"])
    server.refuses = (401, "Unauthorized", "Unauthorized")
    assert run(*line.split()) == (2, [f"{told}the cluster does not accept these credentials; log in again"])


@pytest.mark.parametrize("line", ASKING)
def test_without_a_cluster_it_is_one_line_that_says_how_to_name_one(
    run: Run, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    code, lines = run(*line.split())
    assert (code, len(lines)) == (2, 1)
    assert lines[0].endswith("name one by --kubeconfig or KUBECONFIG")


@pytest.mark.parametrize("line", ASKING)
def test_a_cluster_that_is_away_is_one_line(run: Run, line: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        write_kubeconfig(tmp_path / "away", taken.getsockname()[1])
        code, lines = run(*line.split(), "--kubeconfig", str(tmp_path / "away"))
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"canary {name_of(line)}: the cluster does not answer: ")


@pytest.mark.parametrize("line", ["get fleets", "get fleets -A", "explain fleet/none", "wait fleet/none"])
def test_a_cluster_that_knows_no_fleets_is_one_line(run: Run, line: str) -> None:
    """Its definition is not installed."""
    code, lines = run(*line.split())
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"canary {name_of(line)}: ")


@pytest.mark.parametrize("name", OF_CANARIES)
def test_what_fleets_do_not_know_is_one_line_that_says_what_they_do(run: Run, name: str) -> None:
    code, lines = run(name, "fleet/none")
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"canary {name}: a fleet has no {name}; ")


@pytest.mark.parametrize("further", [[], ["--to", "v1beta1"], ["--to", "v1beta2"]])
@pytest.mark.parametrize("name", OFFLINE)
def test_a_file_that_is_not_there_is_one_line_and_nobody_is_asked(run: Run, name: str, further: list[str]) -> None:
    words = further if name == "convert" else []
    code, lines = run(name, "none.yaml", *words)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"canary {name}: ")
    assert "none.yaml" in lines[0]


def test_another_version_is_refused_with_those_that_there_are(run: Run) -> None:
    code, lines = run("convert", "--to", "v1", "none.yaml")
    assert (code, len(lines)) == (2, 1)
    assert "v1beta1" in lines[0]
    assert "v1beta2" in lines[0]


OBJECT = {"apiVersion", "kind", "metadata", "spec"}
SAID: dict[str, set[str]] = {
    "get shop": {*OBJECT, "status"},
    "get": {"apiVersion", "kind", "metadata", "items"},
    "explain shop": {
        *("name", "namespace", "target", "phase", "reason", "message", "since", "weight", "step", "steps", "rollout"),
        *("failedChecks", "threshold", "checks", "conditions", "stalled", "suspended", "paused", "ordered"),
        *("waitsFor", "next", "nextLook"),
    },
    "history shop": {"revision", "outcome", "ended"},
    "report shop": {
        *("canary", "target", "revision", "images", "changes", "outcome", "cause", "checks", "highestWeight"),
        *("started", "ended", "underWay"),
    },
    "lint good.yaml": {"problems", "unusable", "summary"},
    "rehearse -f good.yaml --scenario healthy": {"canaries", "summary"},
    "convert rollout.yaml": {"objects", "notes", "refused"},
    "convert --to v1beta2 good.yaml": OBJECT,
}
"""The fields that programs find in what commands say as JSON, or in each entry of it."""

ELSEWHERE = {"backtest", "diff", "init", "undo"}
"""Those whose own tests hold the same."""


@pytest.mark.parametrize("line", SAID)
def test_programs_find_the_same_fields_always(
    run: Run, server: CanariesServer, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    argo.written(tmp_path, argo.rollout(), argo.SERVICE)
    entry = {"revision": "r", "outcome": "Promoted", "ended": "2026-01-01T00:00:00Z"}
    server.put("shop", status={"phase": "Succeeded", "history": [entry]})
    code, lines = run(*line.split(), "-o", "json")
    said = json.loads("\n".join(lines))
    assert code == 0
    assert [{*each} for each in (said if isinstance(said, list) else [said])] == [SAID[line]]


def test_whatever_is_said_as_json_is_held_somewhere() -> None:
    outputs = ((name, each) for name in EVERY for each in EVERY[name]._actions if "--output" in each.option_strings)
    assert {name for name, each in outputs if "json" in (each.choices or ())} == {*map(name_of, SAID)} | ELSEWHERE


@pytest.mark.parametrize("name", ["get", "explain", "history", "report"])
def test_what_programs_read_is_json_whatever_is_in_it(run: Run, server: CanariesServer, name: str) -> None:
    words = 'a "b" \\ \x1b[31m \N{SNOWMAN}'
    entry = {"revision": words, "outcome": "RolledBack", "cause": words, "ended": "2026-01-01T00:00:00Z"}
    server.put("shop", status={"phase": "Failed", "message": words, "history": [entry], "checks": [{"name": words}]})
    code, lines = run(name, "shop", "-o", "json")
    assert code == 0
    assert words in _texts(json.loads("\n".join(lines)))


def _texts(value: object) -> list[str]:
    """All texts of an answer."""
    if isinstance(value, str):
        return [value]
    inner = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for each in inner for text in _texts(each)]
