"""Tests on a real cluster begin with those that take longest."""

from pathlib import Path

from tests.tools.longest_first import SECONDS

TESTS = Path(__file__).parents[2]


def test_the_files_whose_seconds_are_known_are_there() -> None:
    assert [name for name in SECONDS if not (TESTS / f"{name}.py").exists()] == []
