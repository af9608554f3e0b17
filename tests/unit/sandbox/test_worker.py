"""The sample worker: jobs at a rate, and the faults that can be switched on."""

import asyncio

import pytest

from canary.sandbox.samples.worker import Worker


async def done(worker: Worker, seconds: float) -> dict[str, int]:
    """What it has done after some seconds of virtual time, by status."""
    jobs = asyncio.create_task(worker.run())
    await asyncio.sleep(seconds)
    worker.stopping.set()
    await jobs
    lines = (line for line in worker.metrics() if line.startswith("jobs_total{"))
    return {line.split('"')[1]: int(line.rpartition(" ")[2]) for line in lines}


@pytest.mark.looptime
async def test_it_does_jobs_at_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE", "20")
    assert await done(Worker(), 9.99) == {"ok": 200}


@pytest.mark.looptime
async def test_one_job_follows_the_other_where_they_take_longer_than_the_rate_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAULT_LATENCY", "0.99")
    assert await done(Worker(), 9.9) == {"ok": 10}


@pytest.mark.looptime
async def test_jobs_fail_where_that_is_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULT_ERROR_RATE", "1")
    assert await done(Worker(), 0.95) == {"failed": 10}


@pytest.mark.looptime
async def test_a_rate_of_zero_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE", "0")
    assert await done(Worker(), 100) == {}


@pytest.mark.looptime
async def test_it_ends_the_job_it_is_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_SECONDS", "30")
    assert await done(Worker(), 1) == {"ok": 1}
    assert asyncio.get_running_loop().time() == 30
