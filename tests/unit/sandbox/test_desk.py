"""Who holds the sandbox in the background, and what is written down of it."""

import os
from pathlib import Path

import pytest

from canary.sandbox import background, daemon
from canary.sandbox.desk import AlreadyRunningError, Desk, Status
from canary.sandbox.options import Companion, Options


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "sandbox")


READY = Status("ready", "kubeconfig", "bin", "logs", {"gateway": "http://127.0.0.1:1"})


def test_a_sandbox_is_alive_while_somebody_holds_it(desk: Desk) -> None:
    assert not desk.alive()
    with desk.held():
        assert desk.alive()
        assert desk.holder() is None
        desk.sign()
        assert desk.holder() == os.getpid()
        with pytest.raises(AlreadyRunningError), desk.held():
            pass
        assert desk.holder() == os.getpid()
    assert not desk.alive()
    assert desk.holder() is None


def test_what_is_written_is_read(desk: Desk) -> None:
    assert desk.read() is None
    with desk.held():
        desk.write(READY)
        assert desk.read() == READY


def test_a_sandbox_that_was_killed_has_failed(desk: Desk) -> None:
    assert background.status(desk) is None
    with desk.held():
        desk.write(READY)
        assert background.status(desk) == READY
    found = background.status(desk)
    assert found is not None
    assert found.phase == "failed"
    assert "killed" in found.failure


def test_down_removes_what_a_killed_sandbox_left(desk: Desk) -> None:
    assert background.down(desk) is False
    with desk.held():
        desk.write(READY)
    assert background.down(desk) is True
    assert not desk.folder.exists()


def test_there_is_nothing_to_enter_where_no_sandbox_runs(desk: Desk) -> None:
    with pytest.raises(background.SandboxError, match="no sandbox is running"):
        background.execute(["true"], desk)


def test_a_second_sandbox_is_refused(desk: Desk) -> None:
    with desk.held(), pytest.raises(AlreadyRunningError, match="`down` ends it"):
        background.up(Options(), lambda line: None, desk)


def test_options_survive_the_way_to_the_daemon(desk: Desk) -> None:
    companion = Companion("controller", ("canary", "run"), environment={"A": "1"}, ready_url="http://x/")
    options = Options(folder=Path("a"), names={"x": "10.0.0.1"}, fake_delay=0.5, companions=(companion,))
    desk.folder.mkdir()
    daemon.write_options(desk, options)
    assert daemon.read_options(desk) == options


def test_the_users_own_place_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CANARY_SANDBOX_HOME", str(tmp_path))
    assert Desk.of_user().folder == tmp_path
    monkeypatch.delenv("CANARY_SANDBOX_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Desk.of_user().folder == tmp_path / "canary-controller" / "sandbox"
