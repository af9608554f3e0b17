"""Files that are made of what the code says: written anew, or held against what they are to be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import rights, sandbox
from deploy.generated import write_or_check

Out = pytest.CaptureFixture[str]


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """The one file that there is, of two that there are to be."""
    path = tmp_path / "one.yaml"
    path.write_text("a: 1\n", encoding="utf-8")
    return path


def test_a_check_shows_what_differs_and_writes_nothing(one: Path, capsys: Out) -> None:
    new = one.parent / "more" / "two.yaml"
    assert write_or_check({one: "a: 2\n", new: "b: 1\n"}, "what makes them", ["--check"]) == 1

    told = capsys.readouterr().out
    assert [each for each in told.splitlines() if each[:1] in "+-"] == [
        *(f"--- {one}", "+++ what makes them", "-a: 1", "+a: 2"),
        *(f"--- {new}", "+++ what makes them", "+b: 1"),
    ]
    assert (one.read_text(encoding="utf-8"), new.exists()) == ("a: 1\n", False)


def test_what_is_written_passes_the_check(one: Path, capsys: Out) -> None:
    wanted = {one: "a: 2\n", one.parent / "more" / "two.yaml": "b: 1\n"}
    assert write_or_check(wanted, "what makes them", []) == 0
    assert {path: path.read_text(encoding="utf-8") for path in wanted} == wanted
    assert write_or_check(wanted, "what makes them", ["--check"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("main", [rights.main, sandbox.main])
def test_the_files_of_the_installation_are_as_they_are_made(main: Callable[[list[str]], int], capsys: Out) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_lint_checks_each_of_them() -> None:
    makefile = (Path(__file__).parents[3] / "Makefile").read_text(encoding="utf-8")
    lint = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    for module in ("deploy.rights", "deploy.sandbox"):
        assert f"python -m {module} --check" in lint
