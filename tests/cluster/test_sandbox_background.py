"""A sandbox in the background: started, used from outside, entered, ended, and named when a part dies."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from canary.kube.client import KubeClient
from canary.kube.types import NAMESPACE
from canary.sandbox import background
from canary.sandbox.background import SandboxError
from canary.sandbox.conditions import eventually
from canary.sandbox.instance import FOLDER, HOME, Instance
from canary.sandbox.options import Companion, Options

SMALL = Options(gateways=(), prometheus=False, namespaces=("shop",))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    instance = Instance(tmp_path / FOLDER)
    yield instance
    background.down(instance)


def run(instance: Instance, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, HOME: str(instance.folder.parent)}
    words = [sys.executable, "-m", "canary", "sandbox", *command]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def namespaces(kubeconfig: str) -> set[str]:
    async with KubeClient.connect(Path(kubeconfig)) as client:
        return {item["metadata"]["name"] for item in (await client.list(NAMESPACE))["items"]}


def _alive(instance: Instance, init: int) -> Callable[[], Awaitable[bool]]:
    """Whether the sandbox is held, or its network's first process is there."""

    async def ask() -> bool:
        return instance.alive() or await asyncio.to_thread(Path(f"/proc/{init}").exists)

    return ask


def test_it_is_used_from_outside_and_leaves_nothing_behind(instance: Instance) -> None:
    lines: list[str] = []
    companion = Companion("talker", ("sh", "-c", "echo $WHERE; sleep 1000"), environment={"WHERE": "{kubeconfig}"})
    status = background.up(replace(SMALL, companions=(companion,)), lines.append, instance)
    assert status.phase == "ready"
    assert lines[-1] == "the cluster is ready"
    assert (Path(status.logs) / "talker.log").read_text().strip() == str(instance.cluster / "admin.kubeconfig")

    assert "shop" in asyncio.run(namespaces(status.kubeconfig))
    inside = run(
        instance, "exec", "--", "sh", "-c", "kubectl get ns shop -o name && getent hosts kubernetes.default; exit 5"
    )
    assert inside.stdout.split() == ["namespace/shop", "10.96.0.1", "kubernetes.default"], inside.stderr
    assert inside.returncode == 5
    said = run(instance, "status")
    assert said.returncode == 0
    assert f"export KUBECONFIG={status.kubeconfig}" in said.stdout

    assert run(instance, "down").stdout == "The sandbox is gone.\n"
    assert not instance.folder.exists()
    assert run(instance, "status").returncode == 1


def test_a_part_that_dies_is_named_by_status(instance: Instance) -> None:
    companion = Companion("doomed", ("sh", "-c", "sleep 2; echo the reason; exit 3"))
    background.up(replace(SMALL, companions=(companion,)), lambda line: None, instance)

    async def ask() -> str:
        found = background.status(instance)
        return "" if found is None else found.failure

    failure = asyncio.run(eventually(ask, bool, within=10))
    assert failure.startswith("doomed exited with status 3")
    assert failure.endswith("the reason")
    pid = instance.holder()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    init = int(instance.init_pid.read_text())
    asyncio.run(eventually(_alive(instance, init), lambda alive: not alive, within=5))
    assert run(instance, "down").stdout == "The sandbox is gone.\n"


def test_a_start_that_fails_says_why(instance: Instance) -> None:
    companion = Companion("doomed", ("sh", "-c", "echo the reason; exit 3"), ready_url="http://10.0.0.9/")
    with pytest.raises(SandboxError, match=r"doomed exited with status 3(.*\n)+ +the reason"):
        background.up(replace(SMALL, companions=(companion,)), lambda line: None, instance)
    assert not instance.alive()
