"""A backtest ends when it is told to, whatever its Prometheus does, and trusts that one as the command line says."""

import asyncio
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from canary.cli.backtest.gather import Access
from metrics.question import Question
from metrics.threshold import Threshold
from tests.unit.outbound.servers import Play, serving

SPEC = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: app, namespace: shop}
spec:
  provider: traefik
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
  service: {port: 80}
  analysis:
    {interval: 1m, threshold: 5, maxWeight: 50, stepWeight: 10, metrics: [{name: lag, query: lag, threshold: 1}]}
"""


async def silent(writer: asyncio.StreamWriter, _: int) -> None:
    await asyncio.Event().wait()


async def dripping(writer: asyncio.StreamWriter, _: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await asyncio.sleep(0.05)
        writer.write(b" ")
        await writer.drain()


async def endless(writer: asyncio.StreamWriter, _: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()


async def started(tmp_path: Path, url: str, *options: str) -> asyncio.subprocess.Process:
    spec = tmp_path / "canary.yaml"
    spec.write_text(SPEC)
    command = ("-m", "canary", "backtest", "-f", str(spec), "--prometheus", url, "-q", *options)
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


@pytest.mark.parametrize("play", [silent, dripping])
async def test_an_interrupt_ends_it_while_the_server_does_not_answer(play: Play, tmp_path: Path) -> None:
    async with serving(play) as server:
        process = await started(tmp_path, server.url, "--timeout", "3600")
        await server.asked.wait()
        process.send_signal(signal.SIGINT)
        assert await process.communicate() == (b"", b"canary backtest: interrupted\n")
        assert process.returncode == 130


@pytest.mark.parametrize(
    ("play", "words"),
    [
        (silent, "no answer within 1 s"),
        (dripping, "no answer within 1 s"),
        (endless, "the answer is larger than 32 MiB|no answer within 1 s"),
    ],
)
async def test_an_answer_without_end_is_left_at_the_time_limit_or_at_that_of_size(
    play: Play, words: str, tmp_path: Path
) -> None:
    async with serving(play) as server:
        process = await started(tmp_path, server.url, "--timeout", "1")
        out, said = await process.communicate()
        assert (process.returncode, out) == (2, b"")
        assert said.decode().count("\n") == 1
        assert any(each in said.decode() for each in words.split("|"))


def test_no_template_leaves_the_certificate_unchecked_of_a_server_that_the_command_line_names() -> None:
    question = Question(name="lag", query="lag", threshold=Threshold(), interval=timedelta(minutes=1), insecure=True)
    assert not Access("https://prometheus").grant(question).insecure
    assert Access("https://prometheus", insecure=True).grant(replace(question, insecure=False)).insecure
