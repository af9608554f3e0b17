"""What takes more than it may is ended: small harmless programs, and small limits."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

import loadtest
from loadtest.command import parse
from loadtest.family import EVERY, Family, threads
from loadtest.limits import LARGEST_FILE, LATE, MIB, SLACK, Limits, Usage
from loadtest.processes import KILLED_BY, Output, OverLimitError, run

ROOT = Path(loadtest.__file__).parents[1]
PLENTY = Limits()
LONG = 60
FORKS = "i=0; while test $i -lt 10; do sleep 60 & i=$((i+1)); done; wait"
TAKES = "import time; taken = b'x' * (96 << 20); time.sleep(60)"
HIDES = "env -i setsid sh -c 'echo $$ > {pid}; exec sleep 60' & while ! test -s {pid}; do sleep 0.01; done; wait"


async def execute(line: str, limits: Limits) -> tuple[int, str]:
    output, family = Output(1000, limits), Family(limits)
    watching = asyncio.create_task(family.watch())
    try:
        async with asyncio.timeout(LONG):
            return await run(parse(line), output, family), output.text
    finally:
        watching.cancel()


@pytest.mark.parametrize(
    ("usages", "word"),
    [
        ([Usage(memory=400 * MIB), Usage(memory=113 * MIB)], "513 MiB of memory, where --task-memory allows 512Mi"),
        ([Usage(cpu=3500.0), Usage(cpu=100.5)], "3600.5 s of processor time, where --task-cpu allows 3600 s"),
        ([Usage()] * 65, "65 processes, where --task-processes allows 64"),
    ],
)
def test_all_processes_of_a_task_count_together(usages: list[Usage], word: str) -> None:
    assert word in (PLENTY.broken(usages) or "")
    assert PLENTY.broken(usages[1:]) is None


@pytest.mark.parametrize(
    ("line", "limits", "word"),
    [
        (f"sh -c '{FORKS}'", replace(PLENTY, processes=6), "11 processes"),
        (f'{sys.executable} -c "{TAKES}"', replace(PLENTY, memory=64 * MIB), "MiB of memory"),
        ("sh -c 'while :; do :; done'", replace(PLENTY, cpu=timedelta(seconds=0.2)), "of processor time"),
        ("yes", replace(PLENTY, output=64 * 1024), "it wrote more than the 64Ki that --task-output allows"),
        ("yes >&2", replace(PLENTY, output=64 * 1024), "it wrote more"),
        ("sh -c 'yes & wait' | cat", replace(PLENTY, output=64 * 1024), "it wrote more"),
    ],
)
async def test_a_task_that_takes_more_than_it_may_is_ended(line: str, limits: Limits, word: str) -> None:
    with pytest.raises(OverLimitError, match=word):
        await execute(line, limits)


async def test_what_hides_from_its_group_and_its_mark_counts_while_its_parent_runs(tmp_path: Path) -> None:
    (tmp_path / "hides").write_text(HIDES.format(pid=tmp_path / "pid"))

    with pytest.raises(OverLimitError, match="processes"):
        await execute(f"sh {tmp_path}/hides", replace(PLENTY, processes=1))


async def test_within_its_limits_a_task_is_left_alone() -> None:
    limits = Limits(processes=11, output=64 * 1024, memory=64 * MIB)

    assert await execute(f"sh -c 'seq 1 1000 | tail -n 1; sleep {2 * EVERY}'", limits) == (0, "1000\n")


async def test_the_kernel_holds_each_process_to_its_limits_and_takes_it_first() -> None:
    code = (
        "import resource as r; n = [r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_DATA, r.RLIMIT_NPROC, r.RLIMIT_CORE]\n"
        "print([r.getrlimit(each) for each in n], open('/proc/self/oom_score_adj').read().strip())"
    )
    limits = Limits(cpu=timedelta(seconds=100), memory=64 * MIB, threads=threads() + 1000)

    status, text = await execute(f'{sys.executable} -c "{code}"', limits)

    bounds = [100 + int(LATE.total_seconds()), LARGEST_FILE, 64 * MIB + SLACK, limits.threads, 0]
    assert (status, text) == (0, f"{[(each, each) for each in bounds]} 1000\n")


async def test_memory_beyond_the_limit_is_not_had_even_between_two_looks() -> None:
    code = f"bytearray({64 * MIB + SLACK})"

    status, text = await execute(f'{sys.executable} -c "{code}"', Limits(memory=64 * MIB))

    assert (status, "MemoryError" in text) == (1, True)


async def test_a_process_that_the_kernel_ends_has_the_status_that_a_shell_gives() -> None:
    status, _ = await execute(f'{sys.executable} -c "import os; os.kill(os.getpid(), 24)"', PLENTY)

    assert status == KILLED_BY + 24


@asynccontextmanager
async def service(*flags: str) -> AsyncIterator[aiohttp.ClientSession]:
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest", "--port=0", "--address=127.0.0.1", *flags,
        cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert started.stderr is not None
    listening = json.loads(await started.stderr.readline())
    reading = asyncio.create_task(started.stderr.read())
    try:
        async with aiohttp.ClientSession(f"http://{listening['addresses'][0]}") as client:
            yield client
    finally:
        started.terminate()
        await started.wait()
        await reading


def is_there(pid: str) -> bool:
    return Path("/proc", pid).exists()


async def ask(client: aiohttp.ClientSession, command: str) -> tuple[int, str]:
    metadata = {"type": "bash", "cmd": command}
    body = {"name": "a", "namespace": "b", "type": "pre-rollout", "metadata": metadata}
    async with client.post("/", json=body) as response:
        return response.status, await response.text()


async def test_the_service_is_ready_whatever_tasks_do_and_nothing_of_them_is_left(tmp_path: Path) -> None:
    """All of it once, as a process that adopts: what forks, takes memory, prints without end, and hides."""
    limits = ("--task-processes=6", "--task-memory=64Mi", "--task-output=64Ki", "--allow-shell")
    pid = tmp_path / "pid"
    # Its parent stays until the number is written: from then on it may be found and killed at any moment.
    hides = f"(env -i setsid sh -c 'echo $$ > {pid}; exec sleep 60' & until test -s {pid}; do sleep 0.05; done);"
    async with asyncio.timeout(2 * LONG), service(*limits) as client:
        asked = [
            asyncio.create_task(ask(client, command))
            for command in (FORKS, f'{sys.executable} -c "{TAKES}"', "yes", f"{hides} sleep 2; echo done")
        ]
        while not all(each.done() for each in asked):
            async with client.get("/readyz") as response:
                assert response.status == 200
            await asyncio.sleep(0.05)
        forks, takes, prints, hid = [await each for each in asked]

        assert (forks[0], "processes" in forks[1]) == (500, True)
        assert (takes[0], "of memory" in takes[1]) == (500, True)
        assert (prints[0], "it wrote more" in prints[1]) == (500, True)
        assert hid == (200, "")
        assert not is_there(pid.read_text().strip())
        assert await ask(client, "true") == (200, "")
