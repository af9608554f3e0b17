"""Ctrl-C at any moment: a word, exit code 130, and nothing left running."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.cli.failures import INTERRUPTED
from canary.cli.main import main
from tests.unit.cli.wrong_input import GOOD

ROOT = Path(__file__).parents[3]
NEVER = 1 << 60

AT = """
import os, signal, sys
left = int(sys.argv[1])
def hook(frame, event, argument):
    global left
    left -= event == "call"
    if left == 0:
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGINT)
sys.argv[:] = ["canary", *sys.argv[2:]]
from canary.cli import main
sys.setprofile(hook)
sys.exit(main())
"""
"""A program that is sent a signal at its n-th call of a function: a moment that does not hang on the machine."""


class Interruption:
    """Sends this process a SIGINT at the n-th call of a function."""

    def __init__(self, at: int) -> None:
        self.calls = 0
        self._at = at

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        self.calls += event == "call"
        if self.calls == self._at:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    def during(self, words: list[str]) -> int:
        """The exit code of a command that is so interrupted; of one that can't be raised, as a process ends by it.

        A loop that asyncio was making just then belongs to nobody: it is collected here, as a process's end does, and
        not in the middle of another test.
        """
        lost: list[type[BaseException]] = []
        hook, sys.unraisablehook = sys.unraisablehook, lambda what: lost.append(what.exc_type)
        gc.freeze()
        sys.setprofile(self)
        try:
            code = main(words)
        finally:
            sys.setprofile(None)
            gc.collect()
            gc.unfreeze()
            sys.unraisablehook = hook
        return INTERRUPTED if KeyboardInterrupt in lost else code


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return str(path)


def commands(spec: str) -> Iterator[list[str]]:
    yield ["rehearse", "-f", spec, "--scenario", "healthy"]
    yield ["rehearse", "--scenarios", "-o", "json"]
    yield ["backtest", "-f", spec, "--prometheus", "http://127.0.0.1:1"]
    yield ["sandbox", "example"]


@pytest.mark.parametrize("index", range(4))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_command_that_is_interrupted_says_so(
    index: int, spec: str, capsys: pytest.CaptureFixture[str], data: st.DataObject
) -> None:
    words = list(commands(spec))[index]
    main(words)  # what is loaded once is loaded
    whole = Interruption(NEVER)
    whole.during(words)
    capsys.readouterr()

    share = data.draw(st.floats(0.01, 0.9), label="share of the calls")
    assert Interruption(max(5, int(whole.calls * share))).during(words) == INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("at", [5, 100, 3_000, 30_000])
@pytest.mark.parametrize("command", ["run", "rehearse"])
def test_an_interruption_while_it_loads_is_a_quiet_one(command: str, at: int, spec: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    given = {"run": ["--kubeconfig", str(kubeconfig)], "rehearse": ["-f", spec]}[command]
    words = [sys.executable, "-c", AT, str(at), command, *given]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == INTERRUPTED, ended.stderr
    assert ended.stderr in {f"canary {command}: interrupted\n", ""}


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}]
clusters: [{name: a, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: a, user: {}}]
"""


def test_a_controller_that_is_told_to_stop_has_done_what_it_should(tmp_path: Path) -> None:
    """Also one that has found no API server yet."""
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    words = [sys.executable, "-m", "canary", "run", "--kubeconfig", str(path), "--address=127.0.0.1", "--port=0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        assert run.stderr is not None
        assert "watch broke off" in run.stderr.readline()
        run.send_signal(signal.SIGINT)
        told = run.stderr.read()
        assert run.wait() == 0
    assert "Traceback" not in told
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)
