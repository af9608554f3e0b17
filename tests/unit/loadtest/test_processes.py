import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import loadtest
from loadtest import family
from loadtest.command import parse
from loadtest.family import Family
from loadtest.processes import BEHIND, Output, run

ROOT = Path(loadtest.__file__).parents[1]


async def execute(line: str, keep: int = 1000) -> tuple[int, str]:
    output = Output(keep)
    status = await asyncio.wait_for(run(parse(line), output, Family()), timeout=60)
    return status, output.text


@pytest.mark.parametrize(
    ("line", "status", "text"),
    [
        ("true", 0, ""),
        ("false", 1, ""),
        ("echo a b", 0, "a b\n"),
        ("echo ok | grep ok", 0, "ok\n"),
        ("echo no | grep ok", 1, ""),
        ("false | true", 0, ""),
        ("echo x | cat | cat | tr x y", 0, "y\n"),
        ("yes | head -n 2", 0, "y\ny\n"),
        ("true && echo a || echo b", 0, "a\n"),
        ("false && echo a || echo b", 0, "b\n"),
        ("false || true && echo a", 0, "a\n"),
        ("false; echo a", 0, "a\n"),
        ("echo a; false", 1, "a\n"),
        ("A=1 env | grep ^A=", 0, "A=1\n"),
        ("echo a > /dev/null", 0, ""),
        ("echo a >&2", 0, "a\n"),
        ("echo a >&2 | cat > /dev/null", 0, "a\n"),
        ("ls /none 2>/dev/null", 2, ""),
        ("ls /none 2>&1 | grep -c none", 0, "1\n"),
        ("echo a | cat < /dev/null", 0, ""),
        ("cat", 0, ""),
        ("sh -c 'kill -9 $$'", 137, ""),
        ("sh -c 'exit 300'", 44, ""),
        ("no-such-program", 127, "no-such-program: not found\n"),
        ("no-such-program || echo a", 0, "no-such-program: not found\na\n"),
        ("echo a | no-such-program", 127, "no-such-program: not found\n"),
        ("no-such-program | cat", 0, "no-such-program: not found\n"),
        ("false || exit 3", 3, ""),
        ("true || exit 3", 0, ""),
        ("true && exit; echo a", 0, ""),
        ("false; exit; echo a", 1, ""),
        ("exit 0; false", 0, ""),
        ("exit 257", 1, ""),
        ("set -e\nfalse\necho a", 1, ""),
        ("set -e\nfalse && true\necho a", 0, "a\n"),
        ("set -e; true && false; echo a", 1, ""),
        ("set -e; false || true; echo a", 0, "a\n"),
        ("false | true; echo a", 0, "a\n"),
        ("set -euo pipefail; false | true; echo a", 1, ""),
        ("set -o pipefail; sh -c 'exit 4' | sh -c 'exit 3' | true", 3, ""),
    ],
)
async def test_a_script_ends_as_in_sh(line: str, status: int, text: str) -> None:
    assert await execute(line) == (status, text)


async def test_a_file_that_is_no_program_is_status_126(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert await execute(f"{tmp_path}/file") == (126, f"{tmp_path}/file: not a program\n")


async def test_only_the_end_of_the_output_is_kept() -> None:
    status, text = await execute("seq 1 100000", keep=20)

    assert (status, text) == (0, "…" + "".join(f"{n}\n" for n in range(1, 100001))[-20:])


async def test_bytes_that_are_no_text_do_not_matter() -> None:
    status, _ = await execute("head -c 1000 /dev/urandom")

    assert status == 0


async def test_cancelling_kills_every_process_of_the_script(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    line = f"sh -c 'sleep 60 & echo $$ $! > {pids}; wait' | cat"
    task = asyncio.create_task(execute(line))
    await until(lambda: pids.exists() and pids.read_text().endswith("\n"))

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await until(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


async def test_what_a_program_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with asyncio.timeout(30):
        status, _ = await execute(f"sh -c 'sleep 60 & echo $! > {pids}'")

    assert status == 0
    await until(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


async def test_what_has_left_its_group_ends_with_its_script(tmp_path: Path) -> None:
    """A daemon makes a session of its own, and its parent ends."""
    (tmp_path / "daemon").write_text(f"echo $$ > {tmp_path}/pid\nexec sleep 60\n")
    (tmp_path / "script").write_text(
        f"setsid sh {tmp_path}/daemon &\nwhile ! test -s {tmp_path}/pid; do sleep 0.01; done\n"
    )
    async with asyncio.timeout(30):
        status, _ = await execute(f"sh {tmp_path}/script")

    assert status == 0
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_tasks_come_behind_the_answers_to_calls() -> None:
    """However much their load takes of the machine."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    status, _ = await execute(f"sh -c 'until test $(nice) -ge {min(own + BEHIND, 19)}; do sleep 0.01; done'")
    assert status == 0


async def test_however_many_tasks_begin_and_end_at_once_calls_are_answered_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No two programs are started, and no two searches for what is left are made, before the loop has gone round."""
    turn, starts, searches = 0, list[int](), list[int]()

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def noting(turns: list[int], function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **settings: Any) -> Any:
            turns.append(turn)
            return function(*arguments, **settings)

        return noted

    monkeypatch.setattr(subprocess, "Popen", noting(starts, subprocess.Popen))
    monkeypatch.setattr(family, "_processes", noting(searches, family._processes))
    counting, ours = asyncio.create_task(count()), Family()
    async with asyncio.timeout(60):
        ended = await asyncio.gather(*(run(parse("true | true"), Output(), ours) for _ in range(10)))
    counting.cancel()

    assert ended == [0] * 10
    assert (len(starts), len(set(starts))) == (20, 20)
    assert len(searches) == len(set(searches)) >= 10


async def test_a_script_leaves_those_of_others_alone() -> None:
    family, output = Family(), Output()
    other = asyncio.create_task(run(parse("sh -c 'echo begun; exec sleep 60'"), output, family))
    await until(lambda: output.text == "begun\n")

    assert await run(parse("true"), Output(), family) == 0

    assert not other.done()
    assert family.started
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    assert not family.started


ADOPTING = """
import asyncio, pathlib, sys
from loadtest.command import parse
from loadtest.family import Family
from loadtest.processes import BEHIND, Output, run
async def main(folder):
    family = Family()
    family.adopt()
    await run(parse(f"sh {folder}/script"), Output(), family)
    pid = pathlib.Path(folder, "pid").read_text().strip()
    print(pathlib.Path("/proc", pid).exists())
asyncio.run(main(sys.argv[1]))
"""


async def test_what_has_lost_its_mark_too_is_ended_by_a_load_tester_that_adopts(tmp_path: Path) -> None:
    """In a process of its own: this one must not become everybody's parent."""
    (tmp_path / "daemon").write_text(f"echo $$ > {tmp_path}/pid\nexec sleep 60\n")
    (tmp_path / "script").write_text(
        f"env -i PATH=$PATH setsid sh {tmp_path}/daemon &\nwhile ! test -s {tmp_path}/pid; do sleep 0.01; done\n"
    )
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ADOPTING, str(tmp_path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        said, _ = await ran.communicate()

    assert said == b"False\n", "it is neither running nor left as a zombie"


async def test_no_file_descriptor_is_left_open() -> None:
    await execute("true")
    before = open_files()

    for line in ("echo a | cat | cat", "no-such-program | cat", "true && false"):
        await execute(line)
    await asyncio.sleep(0)

    assert open_files() == before


def open_files() -> list[Path]:
    return sorted(Path("/proc/self/fd").iterdir())


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fails when it doesn't within a minute."""
    async with asyncio.timeout(60):
        for wait in itertools.repeat(0.005):
            if holds():
                return
            await asyncio.sleep(wait)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has reaped yet doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
