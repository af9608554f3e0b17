"""A gate that is a Job: started once a step, waited for, told with its report, and ended with the rollout."""

import asyncio
from typing import Any

import pytest

from canary.kube.types import JOB
from tests.unit.controller import jobs_in_memory
from tests.unit.controller.api_in_memory import Answer, Asked, Json, refused
from tests.unit.controller.jobs_in_memory import FOLDER, rolling_out, start, stop
from tests.unit.controller.whole_controller import eventually

pytestmark = pytest.mark.looptime(noop_cycles=1)

ALL = ["confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion"]
CONTAINER = {"name": "test", "image": "t", "args": ["{{ tag }} {{ name }}-canary.{{ namespace }} {{ weight }}"]}


def gate(kind: str, **fields: Any) -> Json:
    job = {"spec": {"template": {"spec": {"containers": [CONTAINER]}}}}
    return {"name": "smoke", "type": kind, "gate": {"job": job}, "timeout": "10m", **fields}


class Jobs(jobs_in_memory.Jobs):
    """What is said of gates."""

    def said(self) -> str:
        return f"{self.status().get('message')} {self.status().get('checks')}"

    def has_job(self) -> bool:
        return any("status" not in each for each in self.jobs)


@pytest.mark.parametrize("kind", ALL)
async def test_a_rollout_waits_for_its_job_and_goes_on_at_once_when_it_ends(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, gate(kind)):
        await eventually(api.has_job, 200, api.status)
        await asyncio.sleep(300)
        (job,) = api.jobs
        weight = api.status().get("canaryWeight", 0)
        args = job["spec"]["template"]["spec"]["containers"][0]["args"]
        assert args == [f"2 app-canary.prod {weight}"]
        assert job["spec"]["activeDeadlineSeconds"] == 600
        assert f"Job {job['metadata']['name']} to end" in api.said()
        assert api.status().get("failedChecks", 0) == 0
        while not api.is_in("Succeeded")():
            before = api.status()
            api.end("Complete", 0, "all 7 pages are there")
            await eventually(lambda before=before: api.status() != before, 300, api.status)  # type: ignore[misc]
            await eventually(lambda: api.has_job() or api.is_in("Succeeded")(), 300, api.status)
        assert len(set(api.created)) == len(api.created)


async def test_one_that_fails_is_a_failed_check_and_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, gate("rollout"), threshold=2):
        await eventually(api.has_job, 200, api.status)
        api.end("Failed", 3, "no such page")
        await eventually(lambda: api.status().get("failedChecks") == 1, 20, api.status)
        assert "has failed (exit code 3): no such page" in api.said()
        await eventually(api.has_job, 60, api.status)
        api.end("Failed", 3, "no such page")
        await eventually(api.is_in("Failed"), 60, api.status)
        assert len(set(api.created)) == 2


async def test_one_that_confirms_and_fails_keeps_the_gate_closed_until_it_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, gate("confirm-promotion")):
        await eventually(api.has_job, 200, api.status)
        api.end("Failed", 1, "not today")
        await eventually(lambda: api.status().get("reason") == "WaitingForApproval", 60, api.status)
        await asyncio.sleep(600)
        assert len(api.created) == 1
        assert api.is_in("WaitingPromotion")()
        api.remove(JOB.path("prod", api.jobs[0]["metadata"]["name"]))
        await eventually(api.has_job, 60, api.status)
        api.end("Complete", 0)
        await eventually(api.is_in("Succeeded"), 120, api.status)


@pytest.mark.parametrize("kind", ALL)
async def test_a_controller_that_is_killed_again_and_again_starts_none_twice(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, gate(kind)) as first:
        await eventually(api.has_job, 200, api.status)
        latest = first
        for number in range(20):
            await stop(latest)
            latest = start()
            await asyncio.sleep(number % 7)
        await asyncio.sleep(60)
        assert len(api.jobs) == 1
        assert len(set(api.created)) == 1
        await stop(latest)


@pytest.mark.parametrize("kind", ALL)
async def test_another_version_ends_the_job_of_the_one_before(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, gate(kind)):
        await eventually(api.has_job, 200, api.status)
        await asyncio.sleep(60)
        (first,) = api.jobs
        api.put_app("shop:3")
        await eventually(lambda: first not in api.jobs, 90, api.status)


async def test_a_version_that_is_taken_back_while_it_waits_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, gate("confirm-rollout")):
        await eventually(api.has_job, 200, api.status)
        await asyncio.sleep(60)
        api.put_app("shop:1")
        await eventually(lambda: api.jobs == [], 90, api.status)


async def test_one_that_takes_longer_than_its_timeout_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, gate("rollout", timeout="2m"), threshold=1):
        await eventually(api.has_job, 200, api.status)
        await eventually(api.is_in("Failed"), 300, api.status)
        assert "not within 2m: Job" in api.said()
        await eventually(lambda: api.jobs == [], 60, api.status)


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [(403, "Forbidden", "the component jobs gives"), (422, "Invalid", "the API server refuses it: Invalid")],
)
@pytest.mark.parametrize("kind", ["rollout", "confirm-promotion"])
async def test_a_job_that_is_refused_says_nothing_of_the_version(
    monkeypatch: pytest.MonkeyPatch, kind: str, code: int, reason: str, told: str
) -> None:
    api = Jobs()

    def ill(asked: Asked) -> Answer | None:
        return refused(code, reason) if asked.method == "POST" and asked.path == FOLDER else None

    api.ill = ill
    async with rolling_out(monkeypatch, api, gate(kind)):
        await eventually(lambda: told in api.said(), 200, api.said)
        assert api.status().get("failedChecks", 0) == 0
        api.ill = lambda _: None
        await eventually(api.has_job, 90, api.status)


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [(403, "Forbidden", "may not list or watch jobs.batch"), (404, "NotFound", "jobs.batch are not installed")],
)
async def test_what_cant_be_seen_is_not_started(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: str, told: str
) -> None:
    api = Jobs()
    api.ill = lambda asked: refused(code, reason) if asked.path.endswith("/jobs") else None
    async with rolling_out(monkeypatch, api, gate("rollout")):
        await eventually(lambda: told in api.said(), 200, api.said)
        assert api.status().get("failedChecks", 0) == 0
        assert api.created == []
        api.ill = lambda _: None
        await eventually(api.has_job, 300, api.status)


async def test_an_outage_of_a_minute_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, gate("rollout")):
        await eventually(api.has_job, 200, api.status)
        api.ill = lambda _: refused(503, "ServiceUnavailable")
        api.cut()
        await asyncio.sleep(60)
        api.ill = lambda _: None
        api.end("Complete", 0)
        await eventually(lambda: api.status()["phase"] == "Succeeded", 300, api.status)
        assert api.status().get("failedChecks", 0) == 0
        assert len(set(api.created)) == 1


async def test_a_job_of_somebody_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    api.orphan()
    async with rolling_out(monkeypatch, api, gate("rollout")):
        await eventually(lambda: "is not this Canary's" in api.said(), 200, api.said)
