"""The demonstration's own program."""

import sys
from pathlib import Path

import pytest

from canary.sandbox.demo import command
from canary.sandbox.demo.pictures import Record, Rollout
from canary.sandbox.demo.story import Act, Frame


def test_without_rich_it_says_what_to_install_and_goes_on_with_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich.live", None)
    with command._shown(plain=False) as show:
        show(Frame(1.0, (Act("A cluster", began=0.5),)))
    said = capsys.readouterr().out.splitlines()
    assert "pip install 'canary-controller[sandbox]'" in said[0]
    assert said[1] == "[  1.0 s] > A cluster"


def test_it_draws_all_and_each_rollout(tmp_path: Path) -> None:
    rollouts = (Rollout("1.1.0", 10.0, 30.0, promoted=True), Rollout("1.2.0", 40.0, 60.0, promoted=False))
    files = command.draw(Record("1.0.0", rollouts, ((0.0, 0),), ()), tmp_path)
    assert [path.name for path in files] == ["demo.svg", "good.svg", "bad.svg"]
    assert all(path.read_text().startswith("<svg ") for path in files)


def test_logs_are_kept_even_where_no_part_has_started(tmp_path: Path) -> None:
    (tmp_path / "demo.log").write_text("why\n")
    kept = command._keep_logs(tmp_path, tmp_path / "pictures")
    assert (kept / "demo.log").read_text() == "why\n"
