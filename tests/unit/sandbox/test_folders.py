"""Temporary folders of clusters."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from canary.sandbox import folders


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_folder_goes_with_its_cluster() -> None:
    folder = folders.make()
    (folder.path / "file").touch()
    folder.remove()
    assert not folder.path.exists()


def test_a_folder_whose_process_was_killed_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from canary.sandbox import folders; folder = folders.make(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    folder = folders.make()
    assert not left.exists()
    folder.remove()


def test_a_folder_in_use_stays() -> None:
    one, two = folders.make(), folders.make()
    assert one.path.exists()
    one.remove()
    two.remove()


def test_other_folders_stay(tmp_path: Path) -> None:
    (tmp_path / "canary-sandbox-mine").mkdir()
    folders.make().remove()
    assert (tmp_path / "canary-sandbox-mine").exists()
