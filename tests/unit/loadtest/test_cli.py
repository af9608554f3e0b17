import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

import loadtest
from loadtest.cli import settings
from loadtest.durations import parse_duration
from loadtest.limits import Limits, parse_size, size_text

ROOT = Path(loadtest.__file__).parents[1]


@pytest.mark.parametrize("dashes", ["-", "--"])
def test_flaggers_flags_are_taken_with_one_dash_or_two(dashes: str) -> None:
    words = ["port=8080", "log-level=info", "timeout=1m30s", "namespace-regexp=^a", "zap-encoding=console"]

    found = settings([f"{dashes}{word}" for word in words] + [f"{dashes}zap-replace-globals"])

    assert (found.port, found.log_level, found.log_encoding) == (8080, "info", "console")
    assert found.limits.time == timedelta(seconds=90)
    assert found.namespaces is not None
    assert found.namespaces.pattern == "^a"


def test_without_flags_nothing_is_restricted_and_no_shell_is_allowed() -> None:
    found = settings([])

    assert (found.port, found.limits, found.namespaces) == (9090, Limits(), None)
    assert (found.allow_shell, found.gate_file) == (False, None)
    assert {"hey", "curl"} <= found.programs


def test_the_list_of_programs_can_be_another_one() -> None:
    assert settings(["--programs=hey,wrk"]).programs == {"hey", "wrk"}


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--port=70000", "not a port"),
        ("--port=x", "not a port"),
        ("--timeout=soon", "not a duration"),
        ("--timeout=0s", "some time"),
        ("--namespace-regexp=(", "not a regular expression"),
        ("--max-tasks=0", "not a number from 1"),
        ("--task-memory=much", "not a size"),
        ("--task-output=0", "some"),
        ("--task-processes=0", "not a number from 1"),
        ("--log-level=loud", "invalid choice"),
        ("--programs=hey,bash", "takes --allow-shell"),
        ("--programs=python3.13", "takes --allow-shell"),
        ("--programs=/bin/hey", "not the name of a program"),
        ("--programs=", "not the name of a program"),
        ("--nosuch", "unrecognized"),
        ("--por=1", "unrecognized"),
    ],
)
def test_a_wrong_flag_is_named(argument: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        settings([argument])

    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", 3600), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("0", 0), ("0s", 0), (".5s", 0.5)],
)
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("text", "size"), [("512Mi", 512 << 20), ("1Gi", 1 << 30), ("4Ki", 4096), ("1000", 1000)])
def test_sizes_are_kubernetes(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert size_text(size) == text


@pytest.mark.parametrize("text", ["", "1M", "-1Mi", "1.5Gi", "Mi", "9" * 13, "\u0661Mi", "1Mi "])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "1", "1d", "-1s", "1 s", "s", "1s ", "9" * 30 + "h", "\u0661s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_duration(text)


def test_help_does_not_load_the_service() -> None:
    code = (
        "import sys; from loadtest.cli import settings\n"
        "try: settings(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'aiohttp', 'structlog', 'asyncio', 'prometheus_client'} & set(sys.modules)))"
    )

    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("flags", [(), ("--allow-shell",)])
async def test_the_service_starts_runs_real_commands_and_ends_in_order(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """The whole of it once, as a process, on a machine without curl: acceptance tests, shutdown with a load running."""
    for name in ("bash", "grep", "sleep", "sh"):
        path = shutil.which(name)
        assert path is not None
        (tmp_path / name).symlink_to(path)
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest", "-port=0", "--address", "127.0.0.1", *flags,
        cwd=ROOT, stderr=asyncio.subprocess.PIPE, env=os.environ | {"PATH": str(tmp_path)},
    )  # fmt: skip
    assert service.stderr is not None
    try:
        async with asyncio.timeout(60):
            listening = json.loads(await service.stderr.readline())
            address = f"http://127.0.0.1:{listening['addresses'][0].rpartition(':')[2]}"
            line = f"curl -s {address}/healthz | grep"
            async with aiohttp.ClientSession(address) as client:
                test = await ask(client, "pre-rollout", f"{line} OK")
                fail = await ask(client, "pre-rollout", f"{line} no")
                load = await ask(client, "rollout", "sleep 60")
            service.send_signal(signal.SIGTERM)
            log = (await service.stderr.read()).decode()
            status = await service.wait()
    finally:
        if service.returncode is None:
            service.kill()
            await service.wait()

    assert (test, fail, load) == (200, 500, 202)
    assert status == 0
    assert "task stopped" in log


async def ask(client: aiohttp.ClientSession, hook: str, command: str) -> int:
    metadata = {"type": "bash" if hook == "pre-rollout" else "cmd", "cmd": command}
    body = {"name": "a", "namespace": "b", "type": hook, "metadata": metadata}
    async with client.post("/", json=body) as response:
        return response.status


INTERRUPTED = """
import os, signal, sys
left = int(sys.argv[1])
def hook(frame, event, argument):
    global left
    left -= event == "call"
    if left == 0:
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGINT)
sys.argv[:] = ["canary-loadtest", "--address=127.0.0.1", "--port=0"]
from loadtest.cli import main
sys.setprofile(hook)
sys.exit(main())
"""
"""A program that is sent a signal at its n-th call of a function: a moment that does not hang on the machine."""


@pytest.mark.parametrize("at", [5, 300, 3_000, 20_000])
def test_an_interruption_while_it_loads_is_a_quiet_one(at: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(at)],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    assert (ran.returncode, ran.stderr) == (130, "")


@pytest.mark.parametrize("address", ["a..b", "x" * 64, "\N{LATIN SMALL LETTER U WITH DIAERESIS}" * 64])
def test_an_address_that_no_resolver_takes_is_told_in_a_line(address: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "loadtest", "--port=0", "--address", address],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert ran.returncode == 1
    assert [json.loads(line)["msg"] for line in ran.stderr.splitlines()] == ["can't listen"]


def test_a_gate_file_of_another_kind_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "gates").write_text("nonsense")

    ran = subprocess.run(
        [sys.executable, "-m", "loadtest", "--port=0", "--gate-file", str(tmp_path / "gates")],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert ran.returncode == 1
    assert "gate file" in ran.stderr


def test_a_gate_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "loadtest", "--port=0", "--gate-file", str(tmp_path / "gone" / "gates")],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert ran.returncode == 1
    assert "No such file" in ran.stderr
