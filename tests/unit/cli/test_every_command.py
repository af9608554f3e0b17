"""Each command, by the parser's own list of them, so that none is forgotten: its help, and what may be in its way."""

import argparse
import json
import socket
from pathlib import Path

import pytest

from canary.cli.parser import parse
from tests.unit.cli.canaries_server import CanariesServer, Run, write_kubeconfig

COMMANDS: dict[str, argparse.ArgumentParser] = parse(["completion", "bash"]).commands.choices


def flags_of(name: str) -> set[str]:
    return {option for action in COMMANDS[name]._actions for option in action.option_strings}


SERVING = ("run", "hub")
"""Those that go on until they are told to stop."""

ASKING = [
    name for name in COMMANDS if {"--kubeconfig", "--context", "--namespace"} <= flags_of(name) and name not in SERVING
]
"""Those that people type to ask a cluster, or to order something there."""

ABSENT = {"diff": 2}
"""The code where there is none of that name: 1, save where that has another meaning."""


def words_of(name: str) -> list[str]:
    """The command, about something called `none`."""
    return [name, "none"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_the_exit_codes(name: str) -> None:
    parser = COMMANDS[name]
    example = (parser.description or "").partition("Example: ")[2].removeprefix("source <(")
    assert example.startswith(f"canary {name}")
    assert (parser.epilog or "").startswith("exit codes: 0 ")


@pytest.mark.parametrize("name", ASKING)
def test_a_wrong_name_is_one_line_that_has_it(run: Run, server: CanariesServer, name: str) -> None:
    server.beside = {"deployments": []}
    code, lines = run(*words_of(name))
    assert (code, len(lines)) == (ABSENT.get(name, 1), 1)
    assert lines[0].startswith(f"canary {name}: ")
    assert '"none" not found' in lines[0]


@pytest.mark.parametrize("name", ASKING)
def test_without_rights_it_is_one_line_with_what_the_server_says(run: Run, server: CanariesServer, name: str) -> None:
    server.refuses = (403, "Forbidden", "User mia cannot do that")
    assert run(*words_of(name)) == (2, [f"canary {name}: not allowed: User mia cannot do that"])
    server.refuses = (401, "Unauthorized", "Unauthorized")
    assert run(*words_of(name)) == (2, [f"canary {name}: the cluster does not accept these credentials; log in again"])


@pytest.mark.parametrize("name", ASKING)
def test_without_a_cluster_it_is_one_line_that_says_how_to_name_one(
    run: Run, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    code, lines = run(*words_of(name))
    assert (code, len(lines)) == (2, 1)
    assert lines[0].endswith("name one by --kubeconfig or KUBECONFIG")


@pytest.mark.parametrize("name", ASKING)
def test_a_cluster_that_is_away_is_one_line(run: Run, name: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        write_kubeconfig(tmp_path / "away", taken.getsockname()[1])
        code, lines = run(*words_of(name), "--kubeconfig", str(tmp_path / "away"))
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"canary {name}: the cluster does not answer: ")


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
