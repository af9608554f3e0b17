"""Revisions side by side: what of each is compiled before it runs."""

from pathlib import Path

from bench.lane import ROOT, packages


def test_what_a_revision_ships_is_what_it_runs_of(tmp_path: Path) -> None:
    """By its own word: another revision may have other packages."""
    text = '[tool.hatch.build.targets.wheel]\npackages = ["canary", "judge"]\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    assert packages(tmp_path) == ["canary", "judge"]
    assert {"canary", "metrics", "outbound", "inbound"} <= {*packages(ROOT)}
