"""The sample gRPC service and the health checks of kubelets, over a connection in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from grpclib.client import Channel, UnaryStreamMethod
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream
from grpclib.testing import ChannelFor

from canary.sandbox.grpc import HEALTH, Codec, Serving, call, unhealthy
from canary.sandbox.protobuf import Message, text
from canary.sandbox.samples.echo import Echo, Health
from canary.sandbox.samples.life import Faults

ECHO = "/sample.Echo/Echo"


class Unchecked:
    """A server that answers as one without the health service."""

    def __mapping__(self) -> Mapping[str, Handler]:
        return {f"/{HEALTH}/Check": Handler(self.check, Cardinality.UNARY_UNARY, dict, dict)}

    async def check(self, stream: "Stream[Message, Message]") -> None:
        raise GRPCError(Status.UNIMPLEMENTED)


@pytest.fixture
def health() -> Health:
    return Health(Faults())


@pytest_asyncio.fixture
async def channel(health: Health) -> AsyncIterator[Channel]:
    async with ChannelFor([health], codec=Codec()) as channel:
        yield channel


async def test_it_says_what_it_is_told_and_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERSION", "1.2")
    monkeypatch.setenv("POD_NAME", "echo-1")
    async with ChannelFor([Echo()], codec=Codec()) as channel:
        reply = await call(channel, ECHO, {1: "Grüße".encode()})
        assert [text(reply, field) for field in (1, 2, 3)] == ["Grüße", "1.2", "echo-1"]
        assert await call(channel, ECHO, {}) == {2: b"1.2", 3: b"echo-1"}


@pytest.mark.parametrize(("asked", "status"), [("", Status.INTERNAL), ("14", Status.UNAVAILABLE)])
async def test_calls_fail_where_that_is_switched_on(
    monkeypatch: pytest.MonkeyPatch, asked: str, status: Status
) -> None:
    monkeypatch.setenv("FAULT_ERROR_RATE", "1")
    monkeypatch.setenv("FAULT_STATUS", asked)
    async with ChannelFor([Echo()], codec=Codec()) as channel:
        with pytest.raises(GRPCError) as caught:
            await call(channel, ECHO, {})
    assert caught.value.status is status


async def test_calls_are_counted_by_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULT_STATUS", "14")
    echo = Echo()
    async with ChannelFor([echo], codec=Codec()) as channel:
        await call(channel, ECHO, {})
        echo.faults = Faults(error_rate=1.0)
        with pytest.raises(GRPCError):
            await call(channel, ECHO, {})
        echo.faults = Faults(latency=1000.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await call(channel, ECHO, {})
    counts = [line for line in echo.metrics() if line.startswith("grpc_server_handled_total{")]
    start = 'grpc_server_handled_total{grpc_service="sample.Echo",grpc_method="Echo",grpc_code='
    assert counts == [f'{start}"{code}"}} 1' for code in ("OK", "Unavailable", "Canceled")]


@pytest.mark.parametrize("service", ["", "sample.Echo"])
async def test_a_server_that_is_ready_is_healthy(channel: Channel, service: str) -> None:
    assert await unhealthy(channel, service) is None


@pytest.mark.parametrize("faults", [Faults(ready_after=1e9), Faults(ready_after=float("inf"))])
async def test_a_server_that_is_not_ready_is_not_healthy(channel: Channel, health: Health, faults: Faults) -> None:
    health.faults = faults
    assert await unhealthy(channel) == "the service is NOT_SERVING"


async def test_a_server_that_stops_is_not_healthy(channel: Channel, health: Health) -> None:
    health.stopping = True
    assert await unhealthy(channel, "sample.Echo") == "the service is NOT_SERVING"


async def test_a_service_that_is_not_there_is_not_healthy(channel: Channel) -> None:
    assert await unhealthy(channel, "none") == "gRPC status NOT_FOUND: unknown service"


async def test_a_server_without_health_checks_is_not_healthy() -> None:
    async with ChannelFor([Unchecked()], codec=Codec()) as channel:
        assert await unhealthy(channel) == f"the server has no {HEALTH}"


async def test_a_watch_tells_each_change(channel: Channel, health: Health) -> None:
    watch = UnaryStreamMethod[Message, Message](channel, f"/{HEALTH}/Watch", dict, dict)
    async with watch.open() as stream:
        await stream.send_message({}, end=True)
        assert await stream.recv_message() == {1: Serving.SERVING}
        health.stopping = True
        assert await stream.recv_message() == {1: Serving.NOT_SERVING}
        await stream.cancel()
