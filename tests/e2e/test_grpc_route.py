"""A good and a bad version of a gRPC service behind a GRPCRoute, through Traefik's Gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from canary.kube.types import GRPC_ROUTE, Json
from canary.sandbox import addresses
from canary.sandbox.grpc import call, connection
from canary.sandbox.harness import Rig, application
from canary.sandbox.protobuf import text
from canary.sandbox.scenario import NAME, PORT, STEPS, SUCCESS_RATE, Scenario, canary_of

ECHO = "/sample.Echo/Echo"


def echo(namespace: str, version: str, **environment: str) -> Json:
    variables = {"PORT": str(PORT), **environment}
    deployment = application(NAME, namespace, version, image="sample/echo", environment=variables)
    template = deployment["spec"]["template"]
    del template["metadata"]["annotations"]
    template["spec"]["containers"][0]["readinessProbe"] = {"grpc": {"port": PORT}, "periodSeconds": 1}
    return deployment


def canary(namespace: str) -> Json:
    """Calls to the service's methods are told by the path of the service."""
    service = {
        "port": PORT,
        "routeKind": "GRPCRoute",
        "gatewayRefs": [{"name": "traefik", "namespace": "gateway", "sectionName": "app"}],
        "match": [{"uri": {"prefix": "/sample.Echo/"}}],
    }
    return canary_of(namespace, {"metrics": [SUCCESS_RATE]}, provider="gatewayapi:v1", service=service)


async def answer(channel: Channel) -> str:
    """The version that answers a call, or how it fails."""
    try:
        return text(await call(channel, ECHO, {1: b"hello"}), 2)
    except GRPCError as error:
        return error.status.name


@asynccontextmanager
async def calls() -> AsyncIterator[list[str]]:
    """What became of steady calls through the gateway."""
    answers: list[str] = []

    async def go_on() -> None:
        async with connection(addresses.GATEWAY, PORT) as channel:
            while True:
                answers.append(await answer(channel))
                await asyncio.sleep(0.02)

    task = asyncio.create_task(go_on())
    yield answers
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task.exception()


async def test_a_good_and_a_bad_version_behind_a_grpc_route(rig: Rig) -> None:
    """Every answer is 200 to HTTP: what is judged is the call's own code."""
    async with Scenario.on(rig, GRPC_ROUTE) as scenario:
        await scenario.initialise(canary(rig.namespace), echo(rig.namespace, "1.0.0"))
        async with calls() as answers:
            await rig.apply(echo(rig.namespace, "1.0.1"))
            await scenario.phase("Progressing")
            assert await scenario.ended() == "Succeeded"
        assert (scenario.serving, scenario.weights) == ("sample/echo:1.0.1", STEPS)
        assert set(answers) == {"1.0.0", "1.0.1"}

        async with calls() as answers:
            await rig.apply(echo(rig.namespace, "1.0.2", FAULT_ERROR_RATE="1"))
            await scenario.phase("Progressing")
            assert await scenario.ended() == "Failed"
        assert scenario.serving == "sample/echo:1.0.1"
        assert set(answers) == {"1.0.1", Status.INTERNAL.name}
        (check,) = scenario.status["checks"]
        assert check["verdict"] == "Fail"
        assert scenario.unserved == []
