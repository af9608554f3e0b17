"""Who holds the sandbox in the background, and what is written down of it."""

import os
from pathlib import Path

import pytest

from canary.sandbox import background, daemon
from canary.sandbox.instance import AlreadyRunningError, Instance, Status
from canary.sandbox.options import Companion, Options


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path / "sandbox")


READY = Status("ready", "kubeconfig", "bin", "logs", {"gateway": "http://127.0.0.1:1"})


def test_a_sandbox_is_alive_while_somebody_holds_it(instance: Instance) -> None:
    assert not instance.alive()
    with instance.held():
        assert instance.alive()
        assert instance.holder() is None
        instance.sign()
        assert instance.holder() == os.getpid()
        with pytest.raises(AlreadyRunningError), instance.held():
            pass
        assert instance.holder() == os.getpid()
    assert not instance.alive()
    assert instance.holder() is None


def test_what_is_written_is_read(instance: Instance) -> None:
    assert instance.read() is None
    with instance.held():
        instance.write(READY)
        assert instance.read() == READY


def test_a_sandbox_that_was_killed_has_failed(instance: Instance) -> None:
    assert background.status(instance) is None
    with instance.held():
        instance.write(READY)
        assert background.status(instance) == READY
    found = background.status(instance)
    assert found is not None
    assert found.phase == "failed"
    assert "killed" in found.failure


def test_down_removes_what_a_killed_sandbox_left(instance: Instance) -> None:
    assert background.down(instance) is False
    with instance.held():
        instance.write(READY)
    assert background.down(instance) is True
    assert not instance.folder.exists()


def test_there_is_nothing_to_enter_where_no_sandbox_runs(instance: Instance) -> None:
    with pytest.raises(background.SandboxError, match="no sandbox is running"):
        background.execute(["true"], instance)


def test_a_second_sandbox_is_refused(instance: Instance) -> None:
    with instance.held(), pytest.raises(AlreadyRunningError, match="`down` ends it"):
        background.up(Options(), lambda line: None, instance)


def test_options_survive_the_way_to_the_daemon(instance: Instance) -> None:
    companion = Companion("controller", ("canary", "run"), environment={"A": "1"}, ready_url="http://x/")
    options = Options(folder=Path("a"), names={"x": "10.0.0.1"}, fake_delay=0.5, companions=(companion,))
    instance.folder.mkdir()
    daemon.write_options(instance, options)
    assert daemon.read_options(instance) == options


def test_the_users_own_place_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CANARY_SANDBOX_HOME", str(tmp_path))
    assert Instance.of_user().folder == tmp_path
    monkeypatch.delenv("CANARY_SANDBOX_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Instance.of_user().folder == tmp_path / "canary-controller" / "sandbox"
