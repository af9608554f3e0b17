"""Who holds the sandbox in the background, and what is written down of it."""

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from canary.sandbox import background, daemon
from canary.sandbox.instance import AlreadyRunningError, Instance, Phase, PlaceError, Status
from canary.sandbox.options import Companion, Options


@pytest.fixture
def instance() -> Iterator[Instance]:
    """In a folder with a short name, as a socket needs one."""
    with tempfile.TemporaryDirectory(prefix="canary-") as folder:
        yield Instance(Path(folder) / "sandbox")


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
    assert Instance.of_user().folder == tmp_path / "canary-sandbox"
    monkeypatch.delenv("CANARY_SANDBOX_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Instance.of_user().folder == tmp_path / "canary-controller" / "sandbox"


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["lock", "pid", "cluster", "thesis/chapter1.txt"])
def test_a_folder_that_no_sandbox_made_is_left_alone(instance: Instance, name: str) -> None:
    """Whatever its files are called: only our lock says that it is ours."""
    (instance.folder / name).parent.mkdir(parents=True)
    (instance.folder / name).write_text("years of work")

    assert background.down(instance) is False
    with pytest.raises(PlaceError, match=r"no sandbox's; set CANARY_SANDBOX_HOME"):
        background.up(Options(), lambda line: None, instance)
    assert files_of(instance.folder) == {name}


def test_of_its_own_folder_it_removes_only_what_it_wrote(instance: Instance) -> None:
    with instance.held():
        instance.write(READY)
        instance.sign()
        daemon.write_options(instance, Options())
        (instance.cluster / "logs").mkdir(parents=True)
        (instance.folder / "notes.txt").write_text("mine")

    assert background.down(instance) is True
    assert files_of(instance.folder) == {"notes.txt"}


def test_an_empty_folder_can_be_given(instance: Instance) -> None:
    instance.folder.mkdir()
    instance.make()
    assert instance.ours


def test_a_path_that_no_socket_can_have_is_refused_before_anything_starts(tmp_path: Path) -> None:
    instance = Instance(tmp_path / ("x" * 100))
    with pytest.raises(PlaceError, match=r"bytes too long for a socket in it; set CANARY_SANDBOX_HOME to a shorter"):
        background.up(Options(), lambda line: None, instance)
    assert not instance.folder.exists()


def test_a_folder_that_cannot_be_made_is_named(instance: Instance) -> None:
    instance.folder.touch()
    instance = Instance(instance.folder / "below")
    assert background.status(instance) is None
    assert background.down(instance) is False
    with pytest.raises(PlaceError, match=r"sandbox/below: Not a directory; set CANARY_SANDBOX_HOME"):
        background.up(Options(), lambda line: None, instance)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"phase": "hovering"}', "\udcff"])
def test_a_status_that_cannot_be_read_is_a_failed_sandbox(instance: Instance, text: str) -> None:
    with instance.held():
        (instance.folder / "status.json").write_bytes(text.encode(errors="surrogateescape"))
        found = background.status(instance)
        assert found is not None
        assert (found.phase, found.failure) == ("failed", f"{instance.folder}/status.json can't be read")
    assert background.down(instance) is True


def test_a_status_of_a_newer_version_may_say_more(instance: Instance) -> None:
    with instance.held():
        instance.write(READY)
        path = instance.folder / "status.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "nodes": 3}))
        assert background.status(instance) == READY


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1", "99999999999999999999", "\udcff", "own"])
def test_a_process_that_is_not_the_sandbox_is_not_ended(
    instance: Instance, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "_SIGN_SECONDS", 0.0)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("ended"))
    with instance.held():
        if text == "own":
            instance.sign()
        else:
            (instance.folder / "pid").write_bytes(text.encode(errors="surrogateescape"))
        (instance.folder / "init.pid").write_text("x")
        with pytest.raises(background.SandboxError, match="does not say which process holds it"):
            background.down(instance)
        with pytest.raises(background.SandboxError, match="no sandbox is running"):
            background.execute(["true"], instance)


@pytest.mark.parametrize(
    ("phase", "told"), [("ready", "runs already"), ("starting", "being started"), ("failed", "has failed.*: etcd died")]
)
def test_up_beside_another_says_how_that_one_is(instance: Instance, phase: Phase, told: str) -> None:
    with instance.held():
        instance.write(replace(READY, phase=phase, failure="etcd died"))
        with pytest.raises(AlreadyRunningError, match=told):
            background.up(Options(), lambda line: None, instance)
