"""The private network: what it passes on, and that nothing outlives it."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path

from canary.sandbox.conditions import eventually

NETNS = (sys.executable, "-m", "canary.sandbox.netns", "--")


async def start(*command: str) -> Process:
    return await asyncio.create_subprocess_exec(*NETNS, *command, stdout=PIPE, stderr=PIPE)


def processes(mark: str) -> list[int]:
    """The processes whose command line has a mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().decode()
            except OSError:
                continue
            if mark in command:
                found.append(int(entry.name))
    return found


async def test_a_commands_output_and_exit_status_are_passed_on() -> None:
    process = await start("sh", "-c", "echo out; echo err >&2; exit 7")
    assert await process.communicate() == (b"out\n", b"err\n")
    assert process.returncode == 7


async def test_a_signal_reaches_the_command() -> None:
    process = await start("sh", "-c", "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done")
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 9


async def test_an_unknown_command_is_named() -> None:
    process = await start("/none/ghost")
    _, errors = await process.communicate()
    assert process.returncode == 127
    assert b"/none/ghost: No such file or directory" in errors


async def test_all_of_10_is_local_and_nothing_else_is_reachable() -> None:
    code = (
        "import socket; s = socket.create_server(('10.244.3.7', 80)); socket.create_connection(('10.244.3.7', 80), 1);"
        "print('local');\n"
        "try: socket.create_connection(('192.0.2.1', 80), 1)\n"
        "except OSError as error: print(error.strerror)\n"
    )
    process = await start(sys.executable, "-W", "ignore", "-c", code)
    output, errors = await process.communicate()
    assert output.decode().splitlines() == ["local", "Network is unreachable"], errors


async def test_whatever_the_command_left_behind_ends_with_it() -> None:
    process = await start("sh", "-c", "sleep 987001 & setsid sleep 987001 & echo done")
    await process.communicate()
    await eventually(_alive("987001"), lambda found: not found, within=5)


async def test_everything_ends_when_the_starter_is_killed() -> None:
    process = await start("sh", "-c", "setsid sleep 987002 & echo up; sleep 987002")
    assert process.stdout is not None
    await process.stdout.readline()
    assert await asyncio.to_thread(processes, "987002")
    process.kill()
    await process.wait()
    await eventually(_alive("987002"), lambda found: not found, within=5)


def _alive(mark: str) -> Callable[[], Awaitable[list[int]]]:
    async def ask() -> list[int]:
        return await asyncio.to_thread(processes, mark)

    return ask
