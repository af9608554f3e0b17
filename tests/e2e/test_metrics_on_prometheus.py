"""The built-in metrics see the canary's requests, and nothing else, in what Traefik and the application really export.

Two versions stand behind the gateway, half of the requests to each; what they answer and how fast is set apart.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from canary.kube.types import Json
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, application, ingress_route
from canary.sandbox.traffic import Traffic
from metrics.builtin import TRAFFIC, query_of
from metrics.connections import QUESTIONS, RANGES
from metrics.errors import EmptyRangeError, QueryError, UnreachableError
from metrics.question import Question
from metrics.ranges import query_range
from metrics.read import trouble
from metrics.reading import Cause, Unread
from metrics.templates import Model, render
from metrics.threshold import REQUEST_DURATION, REQUEST_RATE, REQUEST_SUCCESS_RATE, UNITS, Threshold
from metrics.verdict import Fail, NoData, Pass, Unavailable, Verdict
from outbound.connections import Connections
from tests.tools.judged import evaluate

PORT = 9898
INTERVAL = timedelta(seconds=6)
HERE = ("traefik", "gatewayapi:v1", "kubernetes")
"""The providers whose data planes run in the sandbox."""
LIMITS = {
    REQUEST_SUCCESS_RATE: Threshold(min=99),
    REQUEST_DURATION: Threshold(max=500),
    REQUEST_RATE: Threshold(min=1),
}


def model_of(namespace: str) -> Model:
    return Model(
        name="app",
        namespace=namespace,
        target="app",
        service="app",
        ingress="app",
        route="app",
        interval=f"{INTERVAL.seconds}s",
    )


def question(metric: str, provider: str, namespace: str) -> Question:
    return Question(
        name=metric,
        query=query_of(metric, provider, model_of(namespace)),
        threshold=LIMITS[metric],
        interval=INTERVAL,
        unit=UNITS[metric],
        address=addresses.PROMETHEUS_URL,
    )


def service(namespace: str, name: str, selects: str) -> Json:
    spec = {"selector": {"app": selects}, "ports": [{"name": "http", "port": PORT, "targetPort": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def routes(namespace: str) -> list[Json]:
    """Half of the requests to each version, for Traefik's own objects and for the Gateway API's."""
    named = {"name": "app", "namespace": namespace}
    halves = [{"name": name, "port": PORT, "weight": 50} for name in ("app-primary", "app-canary")]
    return [
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "TraefikService",
            "metadata": named,
            "spec": {"weighted": {"services": halves}},
        },
        ingress_route("app", namespace, f"traefik.{namespace}", PORT),
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": named,
            "spec": {
                "parentRefs": [{"name": "traefik", "namespace": "gateway"}],
                "hostnames": [f"gatewayapi.{namespace}"],
                "rules": [{"backendRefs": halves}],
            },
        },
    ]


@asynccontextmanager
async def versions(
    cluster: Cluster, namespace: str, *, primary: dict[str, str], canary: dict[str, str]
) -> AsyncIterator[None]:
    """Both versions behind both routes, with steady requests."""
    async with Rig.on(cluster, namespace) as rig:
        for name, environment in (("app-primary", primary), ("app", canary)):
            await rig.apply(application(name, namespace, "1", replicas=1, environment=environment))
        await rig.apply(service(namespace, "app-primary", "app-primary"))
        await rig.apply(service(namespace, "app-canary", "app"))
        for route in routes(namespace):
            await rig.apply(route)
        async with (
            Traffic(f"http://{addresses.GATEWAY}:{PORT}/", host=f"traefik.{namespace}", rate=20),
            Traffic(f"http://{addresses.GATEWAY}:{PORT}/", host=f"gatewayapi.{namespace}", rate=20),
        ):
            yield


def asking(clients: Connections, metric: str, provider: str, namespace: str) -> Callable[[], Awaitable[Verdict]]:
    return lambda: evaluate(question(metric, provider, namespace), clients, datetime.now(UTC))


async def settled(ask: Callable[[], Awaitable[Verdict]], accept: Callable[[Verdict], bool]) -> Verdict:
    """The verdict once the series are there and what happened before the versions were ready is out of the window."""
    return await eventually(ask, accept, within=40)


async def test_a_good_canary_passes_whatever_the_primary_does(cluster: Cluster, namespace: str) -> None:
    """The primary fails everything and is slow; none of that is counted."""
    bad = {"FAULT_ERROR_RATE": "1", "FAULT_LATENCY": "0.6"}
    async with versions(cluster, namespace, primary=bad, canary={}), Connections(QUESTIONS) as clients:
        for provider in HERE:
            rate = await settled(
                asking(clients, REQUEST_SUCCESS_RATE, provider, namespace), lambda verdict: verdict.value == 100
            )
            assert isinstance(rate, Pass), provider
            assert rate.message == "request-success-rate 100% is at least 99% over 6s"
            duration = await settled(
                asking(clients, REQUEST_DURATION, provider, namespace), lambda verdict: isinstance(verdict, Pass)
            )
            assert duration.value is not None
            assert 0 < duration.value < 500, provider


async def test_behind_a_gateway_it_is_the_gateway_that_is_asked(cluster: Cluster, namespace: str) -> None:
    """The application is another source of the same numbers; here it is left out of the query."""
    source = TRAFFIC["gatewayapi"][0]
    async with (
        versions(cluster, namespace, primary={"FAULT_ERROR_RATE": "1"}, canary={}),
        Connections(QUESTIONS) as clients,
    ):
        for metric, template in ((REQUEST_SUCCESS_RATE, source.success_rate), (REQUEST_DURATION, source.milliseconds)):
            asked = replace(question(metric, "gatewayapi", namespace), query=render(template, model_of(namespace)))
            assert "traefik_service" in asked.query
            await settled(
                partial(evaluate, asked, clients, datetime.now(UTC)), lambda verdict: isinstance(verdict, Pass)
            )


async def test_a_bad_canary_fails_with_its_numbers(cluster: Cluster, namespace: str) -> None:
    """It fails everything, so that no successful request is among its series, and takes 0.6 s for it."""
    bad = {"FAULT_ERROR_RATE": "1", "FAULT_LATENCY": "0.6"}
    async with versions(cluster, namespace, primary={}, canary=bad), Connections(QUESTIONS) as clients:
        for provider in HERE:
            rate = await settled(
                asking(clients, REQUEST_SUCCESS_RATE, provider, namespace), lambda verdict: verdict.value == 0
            )
            assert isinstance(rate, Fail), provider
            assert rate.message == "request-success-rate 0% is below 99% over 6s"
            duration = await settled(
                asking(clients, REQUEST_DURATION, provider, namespace), lambda verdict: isinstance(verdict, Fail)
            )
            assert duration.value is not None
            assert 500 < duration.value <= 1300, provider


async def test_a_canary_that_fails_now_and_then_has_a_rate_in_between(cluster: Cluster, namespace: str) -> None:
    async with (
        versions(cluster, namespace, primary={}, canary={"FAULT_ERROR_RATE": "0.5"}),
        Connections(QUESTIONS) as clients,
    ):
        for provider in HERE:
            rate = await settled(
                asking(clients, REQUEST_SUCCESS_RATE, provider, namespace),
                lambda verdict: verdict.value is not None and 15 < verdict.value < 85,
            )
            assert isinstance(rate, Fail), provider


async def test_without_requests_there_is_no_data(cluster: Cluster, namespace: str) -> None:
    """Neither before the first request, nor in the pause after the last, where the series still stand: that is none.

    Of how many there are a second, 0 is the number.
    """
    async with Connections(QUESTIONS) as clients:
        for provider in HERE:
            for metric in UNITS:
                verdict = await asking(clients, metric, provider, namespace)()
                assert isinstance(verdict, NoData), (provider, metric)
        async with versions(cluster, namespace, primary={}, canary={}):
            for provider in HERE:
                await settled(
                    asking(clients, REQUEST_SUCCESS_RATE, provider, namespace),
                    lambda verdict: isinstance(verdict, Pass),
                )
        for provider in HERE:
            for metric in (REQUEST_SUCCESS_RATE, REQUEST_DURATION):
                await eventually(
                    asking(clients, metric, provider, namespace),
                    lambda verdict: isinstance(verdict, NoData),
                    within=15,
                )
            await eventually(
                asking(clients, REQUEST_RATE, provider, namespace), lambda verdict: verdict.value == 0, within=15
            )


@pytest.mark.parametrize("provider", sorted(TRAFFIC))
async def test_prometheus_understands_every_built_in_query(provider: str, cluster: Cluster) -> None:
    async with Connections(QUESTIONS) as clients:
        for metric in UNITS:
            verdict = await asking(clients, metric, provider, "nowhere")()
            assert isinstance(verdict, NoData), verdict.message


async def test_a_wrong_query_and_a_wrong_address_are_told_apart(cluster: Cluster) -> None:
    right = question(REQUEST_DURATION, "traefik", "test")
    now = datetime.now(UTC)
    async with Connections(QUESTIONS) as clients:
        assert await trouble(right, clients, now) is None
        wrong = await evaluate(replace(right, query="sum(rate(x[1m])"), clients, now)
        assert isinstance(wrong, Unavailable)
        assert wrong.cause is Cause.BAD_QUERY
        assert "unclosed left parenthesis" in wrong.message
        nobody = replace(right, address="http://10.0.0.99:9090")
        for found in (await evaluate(nobody, clients, now), await trouble(nobody, clients, now)):
            assert isinstance(found, Unavailable | Unread)
            assert found.cause is Cause.UNREACHABLE
            assert "http://10.0.0.99:9090" in found.reason
        page = await evaluate(
            replace(right, address=f"http://{addresses.GATEWAY}:{addresses.GATEWAY_METRICS_PORT}"), clients, now
        )
        assert isinstance(page, Unavailable)
        assert page.cause is Cause.UNREADABLE


async def test_an_outage_is_unavailable_and_ends_by_itself(cluster: Cluster) -> None:
    up = replace(question(REQUEST_DURATION, "traefik", "test"), query="vector(7)")
    async with Connections(QUESTIONS) as clients:
        assert isinstance(await evaluate(up, clients, datetime.now(UTC)), Pass)
        await cluster.parts["prometheus"].stop()
        try:
            down = await evaluate(up, clients, datetime.now(UTC))
            assert isinstance(down, Unavailable)
            assert down.cause is Cause.UNREACHABLE
        finally:
            await cluster.parts["prometheus"].start()
        await eventually(
            lambda: evaluate(up, clients, datetime.now(UTC)), lambda verdict: isinstance(verdict, Pass), within=20
        )


async def test_a_range_has_a_point_a_step(cluster: Cluster) -> None:
    asked = replace(question(REQUEST_DURATION, "traefik", "test"), query='up{job="traefik"}')

    async def span() -> timedelta:
        now = datetime.now(UTC)
        try:
            async with Connections(RANGES) as clients:
                (series,) = await query_range(
                    clients, asked, start=now - timedelta(seconds=5), end=now, step=timedelta(seconds=1)
                )
        except EmptyRangeError:
            return timedelta(0)
        assert series.labels["job"] == "traefik"
        assert {point.value for point in series.points} == {1.0}
        return series.points[-1].time - series.points[0].time

    assert await eventually(span, lambda length: length == timedelta(seconds=5)) == timedelta(seconds=5)


async def test_a_range_query_that_fails_says_why(cluster: Cluster) -> None:
    asked = replace(question(REQUEST_DURATION, "traefik", "test"), query="absent_series")
    end = datetime.now(UTC)
    start, step = end - timedelta(minutes=1), timedelta(seconds=1)
    async with Connections(RANGES) as clients:
        with pytest.raises(EmptyRangeError):
            await query_range(clients, asked, start=start, end=end, step=step)
        with pytest.raises(QueryError, match="parse error"):
            await query_range(clients, replace(asked, query="sum("), start=start, end=end, step=step)
        with pytest.raises(QueryError, match="exceeded maximum resolution"):
            await query_range(clients, asked, start=start - timedelta(days=30), end=end, step=step)
        with pytest.raises(UnreachableError):
            await query_range(clients, replace(asked, address="http://10.0.0.99:9090"), start=start, end=end, step=step)
