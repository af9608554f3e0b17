"""`canary sandbox`: what is typed, and what is said."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from canary.api.canary import Canary
from canary.cli.main import main
from canary.cli.parser import double_dashes
from canary.cli.sandbox_command import how_to_use
from canary.sandbox import addresses, background, binaries, instance
from canary.sandbox.installation import installed
from canary.sandbox.instance import Status
from canary.sandbox.options import CONTROLLER, Options

READY = Status("ready", "/a b/kubeconfig", "/a b/bin", "/a b/logs", {"gateway": "http://127.0.0.1:18080"})


@pytest.fixture(autouse=True)
def _own_desk(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_SANDBOX_HOME", str(tmp_path_factory.mktemp("sandbox") / "instance"))


def test_what_is_printed_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    text = how_to_use(READY).splitlines()
    assert text[:3] == [
        "export KUBECONFIG='/a b/kubeconfig'",
        "export PATH='/a b/bin':$PATH",
        "kubectl get canaries -A",
    ]
    assert "kubectl     /a b/bin/kubectl" in text
    assert "Gateway     http://127.0.0.1:18080" in text


def test_status_and_down_say_that_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "status"]) == 1
    assert main(["sandbox", "down"]) == 0
    assert capsys.readouterr().out == "No sandbox runs; `canary sandbox up` starts one.\nNo sandbox runs.\n"


def test_a_part_that_died_is_named_with_the_end_of_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    own = instance.Instance.of_user()
    own.folder.mkdir(parents=True)
    own.write(Status("failed", "", "", "", failure="etcd exited with status 1; the end of its log (…):\n  no space"))
    assert main(["sandbox", "status"]) == 1
    assert capsys.readouterr().out.endswith("etcd exited with status 1; the end of its log (…):\n  no space\n")


def test_up_where_one_runs_says_how_to_use_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(background, "status", lambda: READY)
    assert main(["sandbox", "up"]) == 0
    assert capsys.readouterr().out == f"A sandbox runs already.\n\n{how_to_use(READY)}\n"


def test_what_goes_wrong_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "exec", "--", "ls", "-la"]) == 1
    assert capsys.readouterr().err == "canary sandbox: no sandbox is running; `up` starts one\n"


def test_elsewhere_than_on_linux_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert main(["sandbox", "up"]) == 1
    assert "needs Linux" in capsys.readouterr().err


def test_commands_for_inside_are_not_touched() -> None:
    assert double_dashes(["sandbox", "exec", "--", "ls", "-la"]) == ["sandbox", "exec", "--", "ls", "-la"]
    assert double_dashes(["run", "-log-level=info"]) == ["run", "--log-level=info"]


def test_the_example_is_a_canary_that_the_controller_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "example"]) == 0
    deployment, route, canary = yaml.safe_load_all(capsys.readouterr().out)
    assert [deployment["kind"], route["kind"]] == ["Deployment", "IngressRoute"]
    spec = Canary.model_validate(canary).spec
    assert (spec.target_ref.name, spec.service.port) == (deployment["metadata"]["name"], 9898)


def test_a_cluster_comes_with_the_controller_and_the_load_tester() -> None:
    options = installed(Options(), [])
    assert [companion.name for companion in options.companions] == ["controller", "loadtester"]
    assert options.companions[0].user == CONTROLLER in options.users
    assert "flagger-loadtester.test" in options.names


def test_what_flaggers_tutorial_calls_the_gateway_and_prometheus_leads_there() -> None:
    names = installed(Options(), []).names
    assert names["traefik.traefik"] == addresses.GATEWAY
    assert names["flagger-prometheus.traefik"] == names["prometheus.monitoring"] == addresses.PROMETHEUS


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = tmp_path / "canary-controller" / "bin" / binaries.RECIPES[2].key / "hey"
    program.parent.mkdir(parents=True)
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    return program


def test_the_cache_is_listed_and_cleaned(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "cache"]) == 0
    folder = kept.parents[2]
    assert capsys.readouterr().out == f"    0 MiB  {kept.parent}\n    0 MiB  in {folder}\n"
    assert main(["sandbox", "cache", "--clean"]) == 0
    assert capsys.readouterr().out == f"Removed 0 MiB from {folder}.\n"
    assert not folder.exists()


def test_what_runs_is_not_cleaned_away(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither under a sandbox nor under a cluster of somebody else's."""
    with instance.Instance.of_user().held():
        assert main(["sandbox", "cache", "--clean"]) == 1
        assert "a sandbox uses what is there" in capsys.readouterr().err
    assert main(["sandbox", "down"]) == 0
    with subprocess.Popen(["sleep", "1000"], executable=kept) as running:
        assert main(["sandbox", "cache", "--clean"]) == 1
        running.kill()
    assert f"process {running.pid} runs a program that is there" in capsys.readouterr().err
    assert kept.exists()
