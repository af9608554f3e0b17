import io
import sys

import pytest

from canary.cli.backtest import progress


def test_lines_come_now_and_then_and_at_the_end() -> None:
    out, clock = io.StringIO(), iter([0.0, 0.5, 1.0, 2.5, 2.6, 3.0])
    told = progress.Lines(out, lambda: next(clock)).begin("errors", 5_000)
    for _ in range(5):
        told(1_000)
    assert out.getvalue().splitlines() == ["errors: 3,000 of 5,000", "errors: 5,000 of 5,000"]


def test_a_terminal_gets_bars_that_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress.shown(quiet=False) as told:
        told.begin("errors", 2)(1)
    assert "errors" in terminal.getvalue()
    assert terminal.getvalue().rstrip().endswith("\x1b[2K")


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown(quiet=True) as told:
        told.begin("errors", 1)(1)
    assert capsys.readouterr().err == ""
