"""`canary sandbox up --clusters 3`, and one release over them, by the very commands of `docs/sandbox.md`."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from canary.sandbox.conditions import eventually
from canary.sandbox.instance import HOME, Instance
from canary.sandbox.traffic import Traffic
from tests.e2e.test_sandbox_command import home, processes_of, sandbox, wait_for_failure

__all__ = ["home"]

pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]

PAGE = Path(__file__).parents[2] / "docs/sandbox.md"
WITHIN = 900.0
"""Seconds for one block of commands: a release over three clusters takes some ninety on two idle cores."""
HOST = "shop.test"


def documented() -> list[str]:
    """The commands of the section, a text for each block."""
    _, section = PAGE.read_text().split("\n## Several clusters\n")
    return re.findall(r"```sh\n(.*?)```", section.split("\n## ")[0], re.DOTALL)


class Desk:
    """Where somebody types.

    Args:
        home: where the sandbox keeps its files.
        folder: for what stands in for an installed `canary`.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        program = folder / "canary"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m canary "$@"\n')
        program.chmod(0o755)
        path = os.pathsep.join([str(folder), str(home / "cluster/bin"), os.environ["PATH"]])
        self._variables = {**os.environ, HOME: str(home.parent), "KUBECONFIG": str(home / "kubeconfig"), "PATH": path}

    async def types(self, commands: str) -> str:
        """Type commands, and see each of them end well: what they said."""

        def run() -> subprocess.CompletedProcess[str]:
            words = ["bash", "-euo", "pipefail", "-c", commands]
            return subprocess.run(
                words, env=self._variables, capture_output=True, text=True, timeout=WITHIN, check=False
            )

        done = await asyncio.to_thread(run)
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    async def in_each(self, what: str) -> list[str]:
        """What a command says of each member."""
        return [(await self.types(f"kubectl --context cluster{each} -n test {what}")).strip() for each in (1, 2, 3)]


async def answered(url: str) -> int:
    """How one request is answered; 0 where it is not."""
    async with httpx.AsyncClient(headers={"Host": HOST}, timeout=30) as client:
        try:
            return (await client.get(url)).status_code
        except httpx.TransportError:
            return 0


async def from_now(users: Traffic) -> set[str]:
    """The versions that users meet in the next two seconds."""
    now = asyncio.get_running_loop().time()
    await asyncio.sleep(2)
    return set(users.versions(now))


async def test_a_good_release_passes_three_waves_and_a_bad_one_stops_in_the_first(home: Path, tmp_path: Path) -> None:
    """No request of the good one's time fails; of the bad one's only those that reach it, in the first cluster."""
    desk = Desk(home, tmp_path)
    up, first, good, bad = documented()
    assert "kubectl --context cluster3" in await desk.types(up)
    status = Instance(home).read()
    assert status is not None
    assert [*status.members] == ["cluster1", "cluster2", "cluster3"]
    url = status.urls["gateway"]

    await desk.types(first)
    await eventually(lambda: answered(url), lambda found: found == 200, within=300)
    async with Traffic(url, HOST, rate=20, limit=30) as users:
        await desk.types(good)
        assert await eventually(lambda: from_now(users), lambda met: met == {"1.1.0"}, within=300)
        assert users.lost == []
        assert set(users.versions()) == {"1.0.0", "1.1.0"}

        began = asyncio.get_running_loop().time()
        said = await desk.types(bad)
        assert "Held: wave wave1 can't pass" in said
        assert await eventually(lambda: from_now(users), lambda met: met == {"1.1.0"}, within=300)
        met = users.versions(began)
        assert {each.version for each in users.lost} <= {"1.2.0"}
        assert met["1.2.0"] <= met.total() * 0.6 / 3 + 20, "no more than the first cluster gives it, of its third"
    phases = await desk.in_each("get canary shop -o jsonpath={.status.phase}")
    assert phases == ["Failed", "Waiting", "Waiting"]
    images = await desk.in_each("get deployment shop-primary -o jsonpath={.spec.template.spec.containers[0].image}")
    assert images == ["sample/web:1.1.0"] * 3

    inside = sandbox(
        home, "exec", "--", "kubectl", "--context", "cluster3", "-n", "test", "get", "canaries", "-o", "name"
    )
    assert inside.stdout == "canary.flagger.app/shop\n", inside.stderr
    os.kill(controllers_of(home, "cluster2"), signal.SIGKILL)
    assert "cluster2: kcm was ended by signal 9; the end of its log" in wait_for_failure(home)
    end(home)


def end(home: Path) -> None:
    """End it: nothing of any of its clusters is left."""
    assert sandbox(home, "down").stdout == "The sandbox is gone.\n"
    assert not home.exists()
    deadline = time.monotonic() + 30  # the process that held it may be a moment behind
    while processes_of(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(home) == []


def controllers_of(home: Path, member: str) -> int:
    """The process of a member's controllers of workloads."""
    lines = {each: Path(f"/proc/{each}/cmdline").read_text() for each in processes_of(home)}
    (pid,) = [
        each
        for each, line in lines.items()
        if "kube-controller-manager" in line.split("\0")[0] and f"/members/{member}/" in line
    ]
    return pid
