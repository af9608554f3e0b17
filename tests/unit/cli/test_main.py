"""The one place where commands end: what people are told, and the exit code."""

import errno
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, field_serializer
from pydantic_core import PydanticSerializationError

from canary.cli import failures, rehearse_command
from canary.cli.failures import CommandError
from canary.cli.main import main
from tests.unit.cli.wrong_input import GOOD

Out = pytest.CaptureFixture[str]

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], int]:
    """Has a command end by an error; the exit code."""

    def run(error: BaseException) -> int:
        def command(_: object) -> int:
            raise error

        monkeypatch.setattr(rehearse_command, "run", command)
        return main(["rehearse"])

    return run


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (CommandError("one", "two", code=1), 1, "canary rehearse: one\ncanary rehearse: two\n"),
        (CommandError("a log:", "  its end"), 2, "canary rehearse: a log:\n  its end\n"),
        (CommandError("a\nb\x1b[31m\a c"), 2, "canary rehearse: a b [31m c\n"),
        (CommandError("x" * 10_000), 2, f"canary rehearse: {'x' * 1983}…\n"),
        (KeyboardInterrupt(), 130, "canary rehearse: interrupted\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
        (FULL, 2, "canary rehearse: can't write or read: No space left on device\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), 2, "canary rehearse: /a/b: Permission denied\n"),
        (OSError("the socket is gone"), 2, "canary rehearse: can't write or read: the socket is gone\n"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), 2, "canary rehearse: what was given is no text in UTF-8\n"),
        (RecursionError(), 2, "canary rehearse: what was given is nested too deeply\n"),
        (MemoryError(), 1, "canary rehearse: there is not enough memory\n"),
    ],
)
def test_what_people_and_machines_may_do_is_told_in_words(
    raising: Callable[[BaseException], int], error: BaseException, code: int, told: str, capsys: Out
) -> None:
    assert raising(error) == code
    assert capsys.readouterr() == ("", told)


def test_an_interruption_that_pydantic_makes_an_error_of_its_own_of_is_one(
    raising: Callable[[BaseException], int],
) -> None:
    class Model(BaseModel):
        field: int = 1

        @field_serializer("field")
        def interrupted(self, _: int) -> int:
            raise KeyboardInterrupt

    for dump in (Model().model_dump, Model().model_dump_json):
        with pytest.raises(PydanticSerializationError) as caught:
            dump()
        assert raising(caught.value) == 130


def test_a_bug_keeps_its_traceback(raising: Callable[[BaseException], int]) -> None:
    with pytest.raises(ZeroDivisionError):
        raising(ZeroDivisionError())


class Failing(io.RawIOBase):
    """What takes nothing."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def writable(self) -> bool:
        return True

    def write(self, _: object) -> int:
        raise self.error


def stream(error: OSError) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(Failing(error)), write_through=True)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["rehearse", "--scenarios"], ["sandbox", "example"]])
def test_what_cannot_be_written_is_told(words: list[str], capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stream(FULL))
    assert main(words) == 2
    assert capsys.readouterr().err.endswith("can't write or read: No space left on device\n")


def test_where_nobody_can_be_told_it_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream(FULL))
    assert main(["rehearse"]) == 2


def test_streams_that_are_closed_are_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert [main(["rehearse", "--scenarios"]), main(["rehearse", "-f", "-"])] == [0, 2]
    for each in (sys.stdin, sys.stdout, sys.stderr):
        each.close()


def test_characters_that_the_output_does_not_have_are_written_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    path = tmp_path / "Grüße.yaml"
    assert main(["rehearse", "-f", str(path), "-f", str(tmp_path)]) == 2
    assert b"Gr\\xfc\\xdfe.yaml: it can't be read" in written.getvalue()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "canary: the following arguments are required: COMMAND; see `canary --help`"),
        (["nosuch"], "canary: there is no command 'nosuch'; `canary --help` lists those that there are"),
        (["linr"], "canary: there is no command 'linr'; did you mean `canary lint`? `canary --help` lists those that"),
        (["Get"], "canary: there is no command 'Get'; did you mean `canary get`?"),
        (["sandbox", "donw"], "canary sandbox: there is no command 'donw'; did you mean `canary sandbox down`?"),
        (["completion", "tcsh"], "canary completion: argument shell: invalid choice: 'tcsh' (choose from"),
        (["run", "--thread", "3"], "canary run: unrecognized arguments: --thread 3; see `canary run --help`"),
        (
            ["run", "--threadiness", "x"],
            "canary run: argument --threadiness: 'x' is not a whole number from 1 to 1000;",
        ),
        (["run", "-port=99999999"], "canary run: argument --port: '99999999' is not a whole number from 0 to 65535;"),
        (
            ["run", "-ingress-annotations-prefix=custom.example.com"],
            "canary run: argument --ingress-annotations-prefix: 'custom.example.com' is not supported; write nginx.ing",
        ),
        (
            ["run", "--mesh-provider=osm"],
            "canary run: argument --mesh-provider: traffic provider 'osm' is not supp",
        ),
        (
            ["run", "--slack-url", "T0/B1"],
            "canary run: argument --slack-url: this is not an http:// or https:// address",
        ),
        (
            ["sandbox", "up", "--nodes=0"],
            "canary sandbox up: argument --nodes: '0' is not a whole number from 1 to",
        ),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(words: list[str], told: str, capsys: Out) -> None:
    """Which flag is wrong, and no usage of forty lines."""
    assert main(words) == 2
    seen = capsys.readouterr()
    assert (seen.out, seen.err.count("\n")) == ("", 1)
    assert seen.err.startswith(told)


def test_a_hook_that_is_refused_is_not_shown(capsys: Out) -> None:
    """It lets in whoever knows it."""
    assert main(["run", "--slack-url=hooks.slack.com/services/SECRET"]) == 2
    assert "SECRET" not in capsys.readouterr().err


def test_the_readme_tells_every_exit_code() -> None:
    text = (Path(__file__).parents[3] / "README.md").read_text()
    rows = re.findall(r"^\| `(\d+)` \|", text, re.MULTILINE)
    codes = {value for name, value in vars(failures).items() if name.isupper()}
    assert {int(row) for row in rows} == codes


def process(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script of bash's in which `canary` is the command."""
    function = f'canary() {{ "{sys.executable}" -m canary "$@"; }}; '
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    command = ["bash", "-c", function + script]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.parametrize(
    ("script", "code", "told"),
    [
        (
            "canary rehearse -f good.yaml > /dev/full",
            2,
            "canary rehearse: can't write or read: No space left on device\n",
        ),
        ("canary rehearse -f good.yaml | true; exit ${PIPESTATUS[0]}", 141, ""),
        ("canary --help > /dev/full", 2, "canary: can't write or read: No space left on device\n"),
        ("canary rehearse -f - <&- >&-", 2, None),
        ("canary rehearse -f none 2>&- >&-", 2, ""),
        ("canary sandbox status > /dev/full", 2, "canary sandbox: can't write or read: No space left on device\n"),
    ],
)
def test_as_a_process(script: str, code: int, told: str | None, tmp_path: Path) -> None:
    """What Python itself would say at its end is not said."""
    (tmp_path / "good.yaml").write_text(GOOD)
    ended = process(script, tmp_path)
    assert ended.returncode == code, ended.stderr
    assert told is None or ended.stderr == told
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
