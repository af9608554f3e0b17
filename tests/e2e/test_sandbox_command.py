"""`canary sandbox up | status | exec | down`, as people type them."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from canary.sandbox.instance import FOLDER, HOME

ASK = "import urllib.request as r; print(r.urlopen('http://app-primary.test:9898/version').read().decode(), end='')"


@pytest.fixture
def home() -> Iterator[Path]:
    """Where the sandbox keeps its files; a short path, because there is a socket in it."""
    with tempfile.TemporaryDirectory(prefix="canary-") as folder:
        home = Path(folder) / FOLDER
        yield home
        sandbox(home, "down")


def sandbox(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "canary", "sandbox", *words]
    environment = {**os.environ, HOME: str(home.parent)}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)


def kubectl(home: Path, *words: str, given: str = "") -> str:
    """What the kubectl that came with the sandbox says, from outside its network."""
    command = [str(home / "cluster" / "bin" / "kubectl"), *words]
    environment = {**os.environ, "KUBECONFIG": str(home / "kubeconfig")}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=environment, input=given
    ).stdout


def test_a_sandbox_starts_is_used_names_the_part_that_dies_and_leaves_nothing(home: Path) -> None:
    up = sandbox(home, "up")
    assert up.returncode == 0, up.stderr
    assert up.stdout.splitlines()[1] == f"export KUBECONFIG={home / 'kubeconfig'}"
    assert "starting the API server" in up.stderr, "it says what takes time"

    assert "created" in kubectl(home, "apply", "-f", "-", given=sandbox(home, "example").stdout)
    waited = kubectl(home, "-n", "test", "wait", "canary/app", "--for=jsonpath={.status.phase}=Initialized")
    assert "condition met" in waited
    assert "app" in kubectl(home, "get", "canaries", "-A")

    inside = sandbox(home, "exec", "--", sys.executable, "-c", ASK)
    assert inside.stdout == '{"version": "1.0.0"}\n', inside.stderr

    status = sandbox(home, "status")
    assert (status.returncode, status.stdout.splitlines()[0]) == (0, "The sandbox is ready.")
    os.kill(_pid_of(home, "kube-controller-manager"), signal.SIGKILL)
    died = wait_for_failure(home)
    assert "kcm was ended by signal 9; the end of its log" in died

    assert sandbox(home, "down").stdout == "The sandbox is gone.\n"
    assert not home.exists()
    deadline = time.monotonic() + 5  # the process that held it may be a moment behind
    while processes_of(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(home) == []


def processes_of(home: Path) -> list[int]:
    """The processes that name the sandbox's folder on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(home).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def _pid_of(home: Path, program: str) -> int:
    (pid,) = [pid for pid in processes_of(home) if program in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]]
    return pid


def wait_for_failure(home: Path) -> str:
    for _ in range(20):
        status = sandbox(home, "status")
        if status.returncode != 0:
            break
    return status.stdout
