"""Whatever is given to a command: a line that says what is wrong, and the documented exit code."""

import argparse
import gc
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from canary.cli import (
    backtest_command,
    cluster_commands,
    convert_command,
    diff_command,
    gate_commands,
    init_command,
    lint_command,
    order_commands,
    rehearse_command,
    report_command,
    run_command,
    undo_command,
    wait_command,
)
from canary.cli.arguments import Parser
from canary.cli.main import main
from canary.controller import logs
from canary.sandbox import binaries, netns
from canary.sandbox.binaries import ToolMissingError
from tests.unit.cli.wrong_input import FILES, GOOD, PLACES, VALUES

Out = pytest.CaptureFixture[str]

SEVERAL = 12
"""Lines: a spec may be wrong in several places."""


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The process is left as it was, with nothing running."""
    monkeypatch.setattr(logs, "configure", lambda level, encoding: None)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CANARY_SANDBOX_HOME", str(tmp_path / "sandbox"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    threshold, threads = gc.get_threshold(), set(threading.enumerate())
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()
    for each in set(threading.enumerate()) - threads:
        # Nobody can break off a resolver: whoever asked has gone on without it, and it ends by itself.
        if each.name == "look up a host":
            each.join(60)
    assert set(threading.enumerate()) == threads
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no cluster can be started."""

    def missing(*_: object, **__: object) -> None:
        raise ToolMissingError("traefik is missing")

    monkeypatch.setattr(binaries, "ensure", missing)
    monkeypatch.setattr(netns, "probe", lambda: None)


def ends(arguments: list[str], code: int, out: Out, *, most: int = 1) -> str:
    """See that the command ends so, and says it in lines that name it; what it said."""
    assert main(arguments) == code
    seen = out.readouterr()
    assert seen.out == "", arguments
    lines = seen.err.splitlines()
    assert 0 < len(lines) <= most, seen.err
    assert "Traceback" not in seen.err
    assert all(len(line) < 2200 and line.isprintable() for line in lines)
    return seen.err


def options_of(add: Callable[..., None], *words: str) -> list[str]:
    """The flags of a command that take a value."""
    parser = Parser()
    add(parser.add_subparsers())
    for word in words:
        (subparsers,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
        parser = subparsers.choices[word]
    return [each.option_strings[-1] for each in parser._actions if each.option_strings and each.nargs != 0]


def spec(folder: Path) -> str:
    path = folder / "good.yaml"
    path.write_text(GOOD)
    return str(path)


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "nothing to measure"])
def test_rehearse_says_what_is_wrong_with_a_file(kind: str, tmp_path: Path, capsys: Out) -> None:
    assert main(["rehearse", "-f", FILES[kind](tmp_path)]) == 2
    seen = capsys.readouterr()
    assert 0 < len((seen.out + seen.err).splitlines()) <= SEVERAL


@pytest.mark.parametrize("kind", FILES)
def test_rehearse_says_what_is_wrong_with_a_file_of_scenarios(kind: str, tmp_path: Path, capsys: Out) -> None:
    given = FILES[kind](tmp_path)
    assert main(["rehearse", "-f", spec(tmp_path), "--scenario", given]) == 2
    assert 0 < len(capsys.readouterr().err.splitlines()) <= SEVERAL


@pytest.mark.parametrize("kind", FILES)
def test_backtest_says_what_is_wrong_with_a_file(kind: str, tmp_path: Path, capsys: Out) -> None:
    given = FILES[kind](tmp_path)
    prometheus = ["--prometheus", "http://prometheus.test"]
    told = ends(["backtest", "-f", given, *prometheus], 2, capsys, most=SEVERAL)
    assert all(line.startswith("canary backtest: ") for line in told.splitlines())


@pytest.mark.parametrize("flag", ["--token-file", "--password-file"])
@pytest.mark.parametrize("kind", [kind for kind in FILES if not kind.startswith("a ")])
def test_backtest_says_what_is_wrong_with_a_secret(kind: str, flag: str, tmp_path: Path, capsys: Out) -> None:
    given = FILES[kind](tmp_path)
    arguments = ["backtest", "-f", str(tmp_path / "none"), "-f", spec(tmp_path), flag, given]
    ends([*arguments, "--prometheus", "http://prometheus.test"], 2, capsys)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1", "http://nosuch.test", "nosuch", "file:///etc/passwd", "http://"]
)
def test_backtest_says_that_nobody_answers(
    address: str, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = socket.getaddrinfo

    def lookup(host: str, *arguments: Any, **settings: Any) -> Any:
        if host == "nosuch.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known(host, *arguments, **settings)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    ends(["backtest", "-q", "-f", spec(tmp_path), "--prometheus", address], 2, capsys)


@pytest.mark.parametrize("kind", FILES)
def test_run_says_what_is_wrong_with_a_kubeconfig(kind: str, tmp_path: Path, capsys: Out) -> None:
    told = ends(["run", "--kubeconfig", FILES[kind](tmp_path), "--port", "0"], 2, capsys)
    assert told.startswith("canary run: ")


@pytest.mark.parametrize("flag", options_of(run_command.add, "run"))
def test_run_never_fails_by_a_flag(flag: str, capsys: Out) -> None:
    """At the latest it ends because there is no kubeconfig."""
    for value in VALUES:
        ends(["run", f"{flag}={value}"], 2, capsys, most=2)


@pytest.mark.parametrize("flag", options_of(rehearse_command.add, "rehearse"))
def test_rehearse_never_fails_by_a_flag(flag: str, capsys: Out) -> None:
    """At the latest it ends because there is no spec."""
    for value in VALUES:
        assert main(["rehearse", "-f", "none.yaml", f"{flag}={value}"]) == 2
        assert 0 < len("".join(capsys.readouterr()).splitlines()) <= SEVERAL


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("command", ["get", "abort", "init", "approve", "report", "diff", "undo"])
def test_what_asks_a_cluster_says_what_is_wrong_with_a_kubeconfig(
    kind: str, command: str, tmp_path: Path, capsys: Out
) -> None:
    told = ends([command, "shop", "--kubeconfig", FILES[kind](tmp_path)], 2, capsys)
    assert told.startswith(f"canary {command}: ")


@pytest.mark.parametrize(
    ("add", "command"),
    [
        *((cluster_commands.add, each) for each in ("get", "explain", "history")),
        *((order_commands.add, each) for each in ("promote", "pause")),
        (gate_commands.add, "approve"),
        (wait_command.add, "wait"),
        (init_command.add, "init"),
        (report_command.add, "report"),
        (undo_command.add, "undo"),
        (convert_command.add, "convert"),
        (lint_command.add, "lint"),
    ],
)
def test_the_others_never_fail_by_a_flag(add: Callable[..., None], command: str, capsys: Out) -> None:
    """At the latest they end because there is no kubeconfig, or no file."""
    for flag in options_of(add, command):
        for value in VALUES:
            ends([command, "none.yaml", f"{flag}={value}"], 2, capsys)


def test_diff_never_fails_by_a_flag(capsys: Out) -> None:
    """At the latest it ends because there is no kubeconfig, or no file."""
    for flag in options_of(diff_command.add, "diff"):
        for value in VALUES:
            ends(["diff", f"{flag}={value}", *([] if flag == "--filename" else ["shop"])], 2, capsys)


@pytest.mark.parametrize("kind", FILES)
def test_diff_says_what_is_wrong_with_a_file(kind: str, tmp_path: Path, capsys: Out) -> None:
    ends(["diff", "-f", FILES[kind](tmp_path)], 2, capsys)


@pytest.mark.parametrize("kind", FILES)
def test_convert_says_what_is_wrong_with_a_file(kind: str, tmp_path: Path, capsys: Out) -> None:
    told = ends(["convert", FILES[kind](tmp_path)], 2, capsys, most=SEVERAL)
    assert all(line.startswith("canary convert: ") for line in told.splitlines())


@pytest.mark.parametrize("verb", ["list", "open", "close", "link"])
def test_gates_never_fail_by_a_flag(verb: str, capsys: Out) -> None:
    """At the latest they end because there is no kubeconfig."""
    for flag in options_of(gate_commands.add, "gate", verb):
        for value in VALUES:
            ends(["gate", verb, "none.yaml", f"{flag}={value}"], 2, capsys)


@pytest.mark.parametrize("flag", options_of(backtest_command.add, "backtest"))
def test_backtest_never_fails_by_a_flag(flag: str, capsys: Out) -> None:
    """At the latest it ends because there is no spec."""
    for value in VALUES:
        ends(["backtest", "-f", "none.yaml", "--prometheus", "http://prometheus.test", f"{flag}={value}"], 2, capsys)


@pytest.mark.parametrize("words", [["up", "--nodes"], ["demo", "--pictures"], ["cache", "--clean"], ["nosuch"]])
def test_sandbox_never_fails_by_a_flag(words: list[str], capsys: Out, bare: None) -> None:
    """At the latest it ends because a program is missing."""
    *before, flag = words
    for value in VALUES:
        assert main(["sandbox", *before, f"{flag}={value}"]) in {1, 2}
        seen = capsys.readouterr()
        assert (seen.out, seen.err.count("\n")) == ("", 1)


@pytest.mark.parametrize("command", ["status", "down", "up", "exec", "cache --clean"])
@pytest.mark.parametrize("kind", PLACES)
def test_sandbox_says_what_is_wrong_with_its_home(
    kind: str, command: str, tmp_path: Path, capsys: Out, bare: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it leaves what it finds there."""
    given = PLACES[kind](tmp_path)
    before = _files(tmp_path)
    monkeypatch.setenv("CANARY_SANDBOX_HOME", given)
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert main(["sandbox", *command.split()]) in {0, 1, 2}
    assert "".join(capsys.readouterr()).replace(given, "").count("\n") == 1
    assert before <= _files(tmp_path)


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


def test_a_pipe_is_a_file(tmp_path: Path, capsys: Out) -> None:
    """As a shell's <(...) is."""
    reading, writing = os.pipe()
    os.write(writing, GOOD.encode())
    os.close(writing)
    try:
        assert main(["rehearse", "-f", f"/dev/fd/{reading}", "--scenario", "healthy"]) == 0
    finally:
        os.close(reading)
    assert "promoted" in capsys.readouterr().out
