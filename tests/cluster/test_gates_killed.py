"""The controller is killed fifty times while gates are waited for: it goes on, and nothing is started twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from canary.controller import run
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.kube.store import Change
from canary.kube.types import APPLICATION, CANARY, JOB, PIPELINE_RUN, POD, TASK_RUN, Json, Resource
from canary.kube.watch import WatchCache
from canary.rollout.votes import Vote
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, application
from tests.cluster.test_gates import NAME, STARTED, WITHIN, canary, only, running, succeed, synced, until

pytestmark = pytest.mark.usefixtures("pipelines")

PEOPLE, SYSTEM, RUNS = 15, 10, 25
"""How often the controller is killed: while people are waited for, while Argo CD is, and while what it started runs."""


def hooks(namespace: str, ends: Path) -> list[Json]:
    """Two people that are waited for, then an Application, and then what runs: until a file is there, the Job."""
    argocd = {"application": "db", "namespace": namespace}
    approval = {"approvers": ["alice", "bob"], "minApprovals": 2}
    return [
        {"name": "qa", "type": "confirm-rollout", "gate": {"approval": approval}},
        {"name": "db", "type": "confirm-rollout", "gate": {"argocd": argocd}},
        *running(f"until [ -e {ends} ]; do sleep 0.2; done"),
    ]


class _NoServer:
    """In place of `/metrics` and its kin."""

    def __init__(self, *_: object, **__: object) -> None: ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class Killable:
    """A controller of one namespace, that may be killed.

    Args:
        options: its settings.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(run.Controller(self._options).run())

    async def kill(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def kill_often(self, times: int) -> None:
        """Kill it and start it again, from right away to more than a second after it was started."""
        for number in range(times):
            await self.kill()
            self.start()
            await asyncio.sleep(number % 5 / 4)


@asynccontextmanager
async def created(client: KubeClient, namespace: str, *resources: Resource) -> AsyncIterator[Counter[str]]:
    """How many objects of each kind the API server has made, those included that are gone again."""
    counts, uids = Counter[str](), set[str]()

    def note(change: Change[Json]) -> None:
        if change.new is not None and (uid := change.new["metadata"]["uid"]) not in uids:
            uids.add(uid)
            counts[change.new["kind"]] += 1

    async with AsyncExitStack() as stack:
        for resource in resources:
            cache = WatchCache(client, resource, namespace=namespace)
            cache.subscribe(note)
            task = asyncio.create_task(cache.run())
            stack.push_async_callback(asyncio.wait, [task])
            stack.callback(task.cancel)
            async with asyncio.timeout(WITHIN):
                await cache.synced.wait()
        yield counts


async def vote(client: KubeClient, namespace: str, who: str) -> Json:
    """Somebody says yes; the approval, once the controller has counted it."""

    async def asked() -> Json:
        status = (await client.get(CANARY, namespace, NAME)).get("status") or {}
        return next(iter(status.get("approvals") or ()), {})

    moment = (await eventually(asked, bool, within=WITHIN))["moment"]
    said = Vote(who, approves=True, gate="qa", moment=moment)
    await client.merge_patch(CANARY, namespace, NAME, {"metadata": {"annotations": {said.key: said.text()}}})
    return await eventually(asked, lambda each: who in str(each.get("votes")), within=WITHIN)


async def test_nothing_is_started_twice_however_often_the_controller_is_killed(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster, namespace: str, installation: Path
) -> None:
    """While a gate waits, an approval has half its votes, and a Job, a TaskRun and a PipelineRun run."""
    monkeypatch.setattr(run, "Server", _NoServer)
    options = Options(
        kubeconfig=cluster.kubeconfig, namespace=namespace, mesh_provider="kubernetes", leader_election=False
    )
    controller, ends = Killable(options), installation / "ends"
    await cluster.apply(installation)
    with capture_logs():
        async with Rig.on(cluster, namespace) as rig, created(rig.client, namespace, *STARTED) as counts:
            client = rig.client
            try:
                controller.start()
                await rig.apply(application(NAME, namespace, "1.0.0", replicas=1))
                await rig.apply(canary(namespace, hooks(namespace, ends)))
                await until(client, namespace, "Initialized")
                await rig.apply(application(NAME, namespace, "1.0.1", replicas=1))
                half = await vote(client, namespace, "alice")
                await controller.kill_often(PEOPLE)
                assert counts == {}
                full = await vote(client, namespace, "bob")
                assert full["moment"] == half["moment"]
                assert full["votes"][0] == half["votes"][0]
                await controller.kill_often(SYSTEM)
                assert counts == {}
                await client.create(APPLICATION, synced(namespace, "db"))
                await controller.kill_often(RUNS)
                for resource in STARTED:
                    assert (await only(client, resource, namespace))["metadata"]["generation"] == 1
                for resource in (TASK_RUN, PIPELINE_RUN):
                    await succeed(client, resource, namespace)
                ends.touch()
                job = await only(client, JOB, namespace)
                await until(client, namespace, "Succeeded")
                assert counts == {each.kind: 1 for each in STARTED}
                pods = await client.list(POD, namespace, label_selector=f"job-name={job['metadata']['name']}")
                assert len(pods["items"]) == 1
            finally:
                await controller.kill()
