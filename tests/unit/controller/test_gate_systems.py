"""Gates of Tekton, Trivy, Argo CD and Flux: their systems' part is played step by step, and away, and not there.

Every gate passes, fails, is not answered in time, ends with its version, can't be had for a minute, is not installed
and is not allowed: those of Jobs in test_gate_jobs.py, of Jenkins in test_gate_builds.py, the others here. Argo CD and
Flux never fail: what is not well is waited for until the time is over. On a real API server with the real definitions
they pass and end with their version in tests/cluster/test_gates.py, and test_gates_killed.py counts what is started.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from canary.kube.types import APPLICATION, KUSTOMIZATION, PIPELINE_RUN, POD, VULNERABILITY_REPORT, Resource
from tests.unit.controller.api_in_memory import Json, refused
from tests.unit.controller.jobs_in_memory import rolling_out, start, stop
from tests.unit.controller.test_gate_jobs import Jobs
from tests.unit.controller.whole_controller import eventually

pytestmark = pytest.mark.looptime(noop_cycles=1)

OWNER = {"kind": "ReplicaSet", "name": "app-1", "uid": "r", "controller": True}


@dataclass(frozen=True)
class System:
    """A system beside the cluster.

    Args:
        gate: the gate.
        resource: the kind of object that it is about.
        play: has its part done: well, or not.
        waits: what is said until then.
        system: its name, where it is not installed.
    """

    gate: Json
    resource: Resource
    play: Callable[[Jobs, bool], None]
    waits: str
    system: str


def run_pipeline(api: Jobs, good: bool) -> None:
    for path, run in list(api.objects.items()):
        if path.startswith(PIPELINE_RUN.path("prod")) and "status" not in run:
            condition = {"type": "Succeeded", "status": str(good), "reason": "Failed", "message": "Tasks Completed: 4"}
            results = [{"name": "report", "value": "all is well"}]
            api.store(path, {**run, "status": {"conditions": [condition], "results": results}})


def sync(api: Jobs, good: bool) -> None:
    health = {"status": "Healthy" if good else "Degraded"}
    api.put(APPLICATION, "db", status={"sync": {"status": "Synced", "revision": "r1"}, "health": health})


def reconcile(api: Jobs, good: bool) -> None:
    conditions = [{"type": "Ready", "status": str(good), "message": "health check failed"}]
    api.put(KUSTOMIZATION, "infra", status={"conditions": conditions, "lastAppliedRevision": "main@sha1:1"})


def scan(api: Jobs, good: bool) -> None:
    container, bad = {"name": "c", "image": "shop:2"}, {"severity": "CRITICAL", "vulnerabilityID": "CVE-7"}
    owned = {"namespace": "prod", "ownerReferences": [OWNER]}
    pod = {"metadata": {**owned, "name": "app-1-x"}, "spec": {"containers": [container]}}
    api.store(POD.path("prod", "app-1-x"), pod)
    labels = {"trivy-operator.container.name": "c"}
    content = {"artifact": {"tag": "2"}, "vulnerabilities": [] if good else [bad]}
    report = {"metadata": {**owned, "name": "r1", "labels": labels}, "report": content}
    api.store(VULNERABILITY_REPORT.path("prod", "r1"), report)


PIPELINE: Json = {"pipelineRun": {"spec": {"pipelineRef": {"name": "ci"}}}}
TEKTON = System({"tekton": PIPELINE}, PIPELINE_RUN, run_pipeline, "to end", "Tekton Pipelines")
ARGOCD = System({"argocd": {"application": "db", "namespace": "prod"}}, APPLICATION, sync, "does not exist", "Argo CD")
FLUX = System({"flux": {"kustomization": "infra"}}, KUSTOMIZATION, reconcile, "does not exist", "Flux")
TRIVY = System({"trivy": {}}, VULNERABILITY_REPORT, scan, "nobody has scanned", "the Trivy operator")
ALL = [pytest.param(each, id=each.resource.plural) for each in (TEKTON, ARGOCD, FLUX, TRIVY)]


def hook(system: System, kind: str = "pre-rollout", timeout: str = "30m") -> Json:
    return {"name": "check", "type": kind, "gate": system.gate, "timeout": timeout}


def runs(api: Jobs) -> list[Json]:
    return [run for path, run in api.objects.items() if path.startswith(PIPELINE_RUN.path("prod"))]


@pytest.mark.parametrize("system", ALL)
@pytest.mark.parametrize("kind", ["pre-rollout", "confirm-promotion"])
async def test_a_rollout_waits_for_the_system_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, system: System, kind: str
) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, hook(system, kind)):
        await eventually(lambda: system.waits in api.said(), 300, api.said)
        await asyncio.sleep(200)
        assert not api.is_in("Failed", "Succeeded")()
        system.play(api, True)
        await eventually(api.is_in("Succeeded"), 400, api.said)
        assert api.status().get("failedChecks", 0) == 0


@pytest.mark.parametrize("system", [TEKTON, TRIVY], ids=["tekton", "trivy"])
async def test_a_no_is_a_failed_check(monkeypatch: pytest.MonkeyPatch, system: System) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, hook(system), threshold=1):
        await eventually(lambda: system.waits in api.said(), 300, api.said)
        system.play(api, False)
        await eventually(api.is_in("Failed"), 200, api.said)
        assert ("has failed (Failed): Tasks Completed: 4" in api.said()) or ("c: 1 CRITICAL (CVE-7" in api.said())


@pytest.mark.parametrize("system", [ARGOCD, FLUX], ids=["argocd", "flux"])
async def test_what_is_not_well_is_waited_for_until_the_timeout(
    monkeypatch: pytest.MonkeyPatch, system: System
) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, hook(system, timeout="3m"), threshold=1):
        system.play(api, False)
        await eventually(api.is_in("Failed"), 400, api.said)
        assert "not within 3m: " in api.said()


@pytest.mark.parametrize("system", [TEKTON, TRIVY], ids=["tekton", "trivy"])
async def test_one_that_never_answers_is_a_failed_check_once_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch, system: System
) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, hook(system, timeout="3m"), threshold=1):
        await eventually(lambda: system.waits in api.said(), 300, api.said)
        await asyncio.sleep(90)
        assert not api.is_in("Failed")()
        await eventually(api.is_in("Failed"), 200, api.said)
        assert "not within 3m: " in api.said()
        if system is TEKTON:
            await eventually(lambda: runs(api)[0]["spec"].get("status") == "Cancelled", 90, api.said)


@pytest.mark.parametrize("system", ALL)
@pytest.mark.parametrize("asked", [False, True], ids=["not asked yet", "asked"])
async def test_what_can_not_be_had_for_a_minute_speaks_against_nobody(
    monkeypatch: pytest.MonkeyPatch, system: System, asked: bool
) -> None:
    """The API server answers nothing of that kind; what ran meanwhile is found again, and not run twice."""
    api = Jobs()
    async with rolling_out(monkeypatch, api, hook(system)):
        if asked:
            await eventually(lambda: system.waits in api.said(), 300, api.said)
        api.ill = lambda each: refused(503, "ServiceUnavailable") if f"/{system.resource.plural}" in each.path else None
        api.cut()
        await asyncio.sleep(60)
        system.play(api, True)
        await asyncio.sleep(30)
        api.ill = lambda _: None
        if not asked:
            await eventually(lambda: bool(runs(api)) or api.is_in("Succeeded")(), 400, api.said)
            system.play(api, True)
        await eventually(api.is_in("Succeeded"), 500, api.said)
        assert api.status().get("failedChecks", 0) == 0
        assert len(runs(api)) == (system is TEKTON)


@pytest.mark.parametrize("system", ALL)
async def test_a_version_that_is_taken_back_waits_for_nobody(monkeypatch: pytest.MonkeyPatch, system: System) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, hook(system)):
        await eventually(lambda: system.waits in api.said(), 300, api.said)
        api.put_app("shop:1")
        await eventually(lambda: "is back at the promoted revision" in api.said(), 120, api.said)
        await asyncio.sleep(60)
        before = len(api.asked)
        await asyncio.sleep(300)
        asked = [each for each in api.asked[before:] if f"/{system.resource.plural}" in each.path]
        assert all(each.is_watch for each in asked)


@pytest.mark.parametrize("system", ALL)
@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [(404, "NotFound", "are not installed in this cluster; install {}"), (403, "Forbidden", "the component gates/")],
)
async def test_what_is_not_there_or_not_allowed_speaks_against_nobody(
    monkeypatch: pytest.MonkeyPatch, system: System, code: int, reason: str, told: str
) -> None:
    api = Jobs()
    plural = f"/{system.resource.plural}"
    api.ill = lambda asked: refused(code, reason) if plural in asked.path else None
    if system is TRIVY:
        scan(api, good=True)
    async with rolling_out(monkeypatch, api, hook(system)):
        await eventually(lambda: told.format(system.system) in api.said(), 300, api.said)
        await eventually(lambda: api.status().get("reason") == "GateUnavailable", 60, api.status)
        assert api.status().get("failedChecks", 0) == 0
        api.ill = lambda _: None
        if system is TEKTON:
            await eventually(lambda: bool(runs(api)), 400, api.said)
        system.play(api, True)
        await eventually(api.is_in("Succeeded"), 500, api.said)


async def test_a_run_is_cancelled_with_its_version_and_stays_for_people_to_look_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, hook(TEKTON, "rollout")):
        await eventually(lambda: bool(runs(api)), 300, api.said)
        api.put_app("shop:3")
        await eventually(lambda: runs(api)[0]["spec"].get("status") == "Cancelled", 90, api.said)


async def test_a_controller_that_is_killed_again_and_again_makes_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    async with rolling_out(monkeypatch, api, hook(TEKTON)) as first:
        await eventually(lambda: bool(runs(api)), 300, api.said)
        latest = first
        for number in range(20):
            await stop(latest)
            latest = start()
            await asyncio.sleep(number % 7)
        await asyncio.sleep(60)
        asked = [each for each in api.asked if each.method == "POST" and each.path == PIPELINE_RUN.path("prod")]
        assert len({each.body["metadata"]["name"] for each in asked}) == 1
        assert len(runs(api)) == 1
        await stop(latest)


async def test_an_older_tekton_is_asked_in_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Jobs()
    api.ill = lambda asked: refused(404, "NotFound") if "/tekton.dev/v1/" in asked.path else None
    async with rolling_out(monkeypatch, api, hook(TEKTON)):
        older = PIPELINE_RUN.path("prod", version="v1beta1")
        await eventually(lambda: any(path.startswith(older) for path in api.objects), 300, api.said)
        (run,) = (run for path, run in api.objects.items() if path.startswith(older))
        assert run["apiVersion"] == "tekton.dev/v1beta1"
