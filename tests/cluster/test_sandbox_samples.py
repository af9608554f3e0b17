"""The samples without HTTP as Deployments: a worker that is ready by its file, a gRPC service by its health."""

import asyncio

import httpx
from grpclib.exceptions import GRPCError

from canary.kube.client import KubeClient
from canary.kube.types import DEPLOYMENT, POD, SERVICE, Json
from canary.sandbox import grpc
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.protobuf import text


def deployment(name: str, image: str, port: int, probe: Json, **variables: str) -> Json:
    container: Json = {
        "name": name,
        "image": image,
        "ports": [{"containerPort": port}],
        "readinessProbe": {**probe, "periodSeconds": 1},
        "env": [{"name": key, "value": value} for key, value in variables.items()],
    }
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


async def available(api: KubeClient, namespace: str, name: str) -> None:
    async def ask() -> int:
        return int((await api.get(DEPLOYMENT, namespace, name)).get("status", {}).get("availableReplicas", 0))

    await eventually(ask, lambda count: count == 1, within=20)


async def create(api: KubeClient, namespace: str, workload: Json) -> None:
    workload["metadata"]["namespace"] = namespace
    await api.create(DEPLOYMENT, workload)


async def address(api: KubeClient, namespace: str, name: str) -> str:
    pods = (await api.list(POD, namespace))["items"]
    return next(str(pod["status"]["podIP"]) for pod in pods if pod["metadata"]["labels"]["app"] == name)


async def test_a_worker_is_ready_by_its_file_and_shows_its_jobs(cluster: Cluster, namespace: str) -> None:
    probe = {"exec": {"command": ["test", "-f", "ready"]}}
    worker = deployment("worker", "sample/worker:1", 9100, probe, FAULT_ERROR_RATE="1", RATE="50", READY_DELAY="1")
    async with KubeClient.connect(cluster.kubeconfig) as api, httpx.AsyncClient() as client:
        await create(api, namespace, worker)
        await available(api, namespace, "worker")
        page = await client.get(f"http://{await address(api, namespace, 'worker')}:9100/metrics")
    count = next(line for line in page.text.splitlines() if line.startswith("jobs_total{"))
    assert count.startswith('jobs_total{status="failed"} ')
    assert int(count.rpartition(" ")[2]) >= 10


async def test_an_echo_is_ready_by_its_health_and_answers_through_its_service(cluster: Cluster, namespace: str) -> None:
    probe = {"grpc": {"port": 50051, "service": "sample.Echo"}}
    service = {"selector": {"app": "echo"}, "ports": [{"name": "grpc", "port": 80, "targetPort": 50051}]}
    async with KubeClient.connect(cluster.kubeconfig) as api:
        await create(api, namespace, deployment("echo", "sample/echo:1.2.3", 50051, probe))
        await api.create(SERVICE, {"metadata": {"name": "echo", "namespace": namespace}, "spec": service})
        await available(api, namespace, "echo")

        async def ask() -> tuple[str, str]:
            # The Service learns of the pod a moment after the Deployment counts it.
            try:
                async with asyncio.timeout(5), grpc.connection(f"echo.{namespace}", 80) as channel:
                    reply = await grpc.call(channel, "/sample.Echo/Echo", {1: b"hello"})
                    return text(reply, 1), text(reply, 2)
            except OSError as error:
                return str(error), ""

        assert await eventually(ask, lambda said: said[0] == "hello", within=5) == ("hello", "1.2.3")


async def test_a_grpc_probe_asks_for_health_and_not_only_for_a_connection(cluster: Cluster, namespace: str) -> None:
    probe = {"grpc": {"port": 50051}}
    async with KubeClient.connect(cluster.kubeconfig) as api:
        await create(api, namespace, deployment("echo", "sample/echo:1", 50051, probe, READY_DELAY="never"))

        async def ask() -> str | None:
            pods = (await api.list(POD, namespace))["items"]
            if not pods or "podIP" not in pods[0]["status"]:
                return "no pod"
            try:
                async with asyncio.timeout(5), grpc.connection(pods[0]["status"]["podIP"], 50051) as channel:
                    return await grpc.unhealthy(channel)
            except (OSError, GRPCError) as error:
                return str(error)

        await eventually(ask, lambda problem: problem == "the service is NOT_SERVING", within=20)
        await asyncio.sleep(1)
        status = (await api.list(POD, namespace))["items"][0]["status"]
    assert status["phase"] == "Running"
    assert status["containerStatuses"][0]["ready"] is False
