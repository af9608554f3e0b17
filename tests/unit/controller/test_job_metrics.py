"""A metric that a Job answers: started once a step, waited for, and ended with the moment that it answers for."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from structlog.testing import capture_logs

from canary.kube.types import CANARY, METRIC_TEMPLATE
from tests.unit.controller import jobs_in_memory
from tests.unit.controller.api_in_memory import Answer, Asked, Json, now, refused
from tests.unit.controller.jobs_in_memory import FOLDER, start, stop
from tests.unit.controller.whole_controller import connect, eventually

pytestmark = pytest.mark.looptime(noop_cycles=1)

SMOKE: Json = {"name": "smoke", "templateRef": {"name": "smoke"}}


class Jobs(jobs_in_memory.Jobs):
    """A MetricTemplate that a Job answers."""

    def __init__(self) -> None:
        super().__init__()
        container = {"name": "test", "image": "t", "args": ["http://{{ service }}-canary.{{ namespace }}"]}
        job = {"spec": {"template": {"spec": {"containers": [container]}}}}
        self.put(METRIC_TEMPLATE, "smoke", spec={"provider": {"type": "job"}, "job": job})

    def check(self) -> Json:
        return next(iter(self.status().get("checks", [])), {})

    def is_waiting(self) -> bool:
        return self.status().get("reason") == "CheckRunning" and len(self.jobs) > 0


def rolling_out(
    monkeypatch: pytest.MonkeyPatch, api: Jobs, metrics: list[Json] | None = None, **analysis: Any
) -> AbstractAsyncContextManager[asyncio.Task[None]]:
    return jobs_in_memory.rolling_out(monkeypatch, api, **{"metrics": metrics or [SMOKE], "stepWeight": 25, **analysis})


async def test_a_step_waits_for_its_job_and_goes_on_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api):
        await eventually(api.is_waiting, 120, api.status)
        (job,) = api.jobs
        container = job["spec"]["template"]["spec"]["containers"][0]
        assert container["args"] == ["http://app-canary.prod"]
        assert api.check()["verdict"] == "NoData"
        assert api.check()["message"] == f"smoke: Job {job['metadata']['name']} to end"
        await asyncio.sleep(500)
        assert (api.status()["canaryWeight"], api.status()["failedChecks"]) == (25, 0), "it has a deadline of its own"
        assert api.created == [job["metadata"]["name"]]
        ended = now()
        api.end("Complete", 0)
        await eventually(lambda: api.status()["canaryWeight"] == 50, 20, api.status)
        assert now() - ended < 5, "it is seen at once"
        await eventually(api.is_waiting, 60, api.status)
        api.end("Complete", 0)
        await eventually(lambda: api.status()["phase"] == "Succeeded", 120, api.status)
        assert len(api.created) == 2, "one a step"


async def test_a_job_that_fails_is_a_failed_check_whatever_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    lenient = {**SMOKE, "thresholdRange": {"max": 5}}
    async with rolling_out(monkeypatch, api, [lenient], threshold=2):
        await eventually(api.is_waiting, 120, api.status)
        api.end("Failed", 3, "no such page")
        await eventually(lambda: api.status()["failedChecks"] == 1, 20, api.status)
        assert (api.check()["verdict"], api.check()["value"]) == ("Fail", 0.0)
        await eventually(lambda: len(api.jobs) == 2, 60, api.status)
        api.end("Failed", 3, "no such page")
        await eventually(lambda: api.status()["phase"] == "Failed", 60, api.status)
        assert "has failed (exit code 3): no such page" in str(api.status())
        assert len(api.created) == 2, "a further one for the next look"


@pytest.mark.parametrize(("number", "verdict"), [("4.5", "Pass"), ("7", "Fail")])
async def test_a_number_that_it_prints_is_held_against_the_threshold(
    monkeypatch: pytest.MonkeyPatch, number: str, verdict: str
) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, [{**SMOKE, "thresholdRange": {"max": 5}}]):
        await eventually(api.is_waiting, 120, api.status)
        api.end("Complete", 0, number)
        await eventually(lambda: api.check().get("verdict") == verdict, 20, api.status)
        assert api.check()["value"] == float(number)


async def test_a_controller_that_is_killed_finds_its_job_again(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api) as first:
        await eventually(lambda: len(api.jobs) == 1, 120, api.status)
        latest = first
        for _ in range(5):
            await stop(latest)
            latest = start()
            await asyncio.sleep(7)
        assert len(set(api.created)) == 1, "none is started twice"
        assert len(api.jobs) == 1
        api.end("Complete", 0)
        await eventually(lambda: api.status()["canaryWeight"] == 50, 60, api.status)
        await stop(latest)


async def test_another_version_ends_the_job_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api):
        await eventually(api.is_waiting, 120, api.status)
        (first,) = api.jobs
        api.put_app("v3")
        await eventually(lambda: first not in api.jobs, 60, api.status)


@pytest.mark.parametrize("how", ["rolled back", "skipped"])
async def test_a_rollout_that_ends_ends_its_job(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    api = Jobs()
    bad = {"name": "other", "templateRef": {"name": "other"}, "unavailable": "Fail", "thresholdRange": {"max": 1}}
    api.put(
        METRIC_TEMPLATE, "other", spec={"provider": {"type": "prometheus", "address": "http://[::1]:1"}, "query": "x"}
    )
    async with rolling_out(monkeypatch, api, [SMOKE, bad] if how == "rolled back" else [SMOKE], threshold=1):
        if how == "skipped":
            await eventually(api.is_waiting, 120, api.status)
            path = CANARY.path("prod", "app")
            spec = {**api.objects[path]["spec"], "skipAnalysis": True}
            api.store(path, {**api.objects[path], "spec": spec})
        await eventually(lambda: api.status()["phase"] in ("Failed", "Succeeded"), 120, api.status)
        assert len(api.created) >= 1
        await eventually(lambda: api.jobs == [], 60, api.status)


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [(403, "Forbidden", "the component jobs gives"), (422, "Invalid", "the API server refuses the Job: Invalid")],
)
async def test_a_job_that_is_refused_says_nothing_of_the_version(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: str, told: str
) -> None:
    api = Jobs()

    def ill(asked: Asked) -> Answer | None:
        return refused(code, reason) if asked.method == "POST" and asked.path == FOLDER else None

    api.ill = ill
    async with rolling_out(monkeypatch, api):
        await eventually(lambda: api.check().get("verdict") == "Unavailable", 120, api.status)
        assert told in api.check()["message"]
        assert api.status()["reason"] == "MetricsUnavailable"


async def test_without_the_right_to_see_jobs_nothing_begins_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    api.ill = lambda asked: refused(403, "Forbidden") if asked.path.endswith("/jobs") else None
    connect(monkeypatch, api)
    api.put_app()
    api.put_canary(metrics=[SMOKE])
    with capture_logs():
        controller = start()
        await eventually(lambda: "may not list or watch jobs" in api.condition("Stalled").get("message", ""), 60)
        await asyncio.sleep(200)
        assert api.status()["phase"] == ""
        await stop(controller)


async def test_a_job_of_somebody_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    api.orphan()
    async with rolling_out(monkeypatch, api):
        await eventually(lambda: "is not this Canary's" in api.check().get("message", ""), 120, api.status)
