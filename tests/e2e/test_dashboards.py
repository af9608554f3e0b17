"""Every query of every dashboard has a number in the Prometheus that has scraped rollouts: good, bad, and under way."""

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
import pytest_asyncio

from canary.kube.types import Json
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import NAME, SUCCESS_RATE, Scenario, canary_of, hook
from deploy.grafana.queries import dashboard, queries

ELSEWHERE = {"Traffic through Contour", "Traffic through Istio's gateway", "Traffic as the application tells of it"}
"""Rows of one Canary's dashboard on gateways that this one is not behind: well formed, and without a number."""


@pytest_asyncio.fixture
async def prometheus() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=addresses.PROMETHEUS_URL, timeout=10) as client:
        yield client


async def result(prometheus: httpx.AsyncClient, query: str) -> list[Json]:
    answer = (await prometheus.get("/api/v1/query", params={"query": query})).json()
    assert answer["status"] == "success", (query, answer)
    found: list[Json] = answer["data"]["result"]
    return found


async def empty(prometheus: httpx.AsyncClient, board: Json, variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """The queries of a dashboard, by the title of their panel, that have no number."""
    here = [{**each, "panels": []} if each["title"] in ELSEWHERE else each for each in board["panels"]]
    found = []
    for title, query in queries({**board, "panels": here}, variables):
        values = [series["value"][1] for series in await result(prometheus, query)]
        if not any(value != "NaN" for value in values):
            found.append((title, query))
    for _, query in queries(board, variables):
        await result(prometheus, query)
    return found


async def test_every_query_of_every_dashboard_has_a_number(rig: Rig, prometheus: httpx.AsyncClient) -> None:
    """A rollout is taken back, one promoted, one waits at a gate; and another Canary can't work."""
    spec = canary_of(rig.namespace, {"metrics": [SUCCESS_RATE], "webhooks": [hook("confirm-promotion", "/gate/check")]})
    lost = canary_of(rig.namespace)
    lost["metadata"]["name"] = lost["spec"]["targetRef"]["name"] = "lost"
    lost["spec"]["provider"] = "osm"  # one that Flagger once had
    async with Scenario.on(rig) as scenario:
        await scenario.gate("gate/open")
        await scenario.initialise(spec)
        await rig.apply(lost)
        async with scenario.traffic():
            assert await scenario.roll_out("1.0.1", environment={"FAULT_ERROR_RATE": "1"}) == "Failed"
            assert await scenario.roll_out("1.0.2") == "Succeeded"
            await scenario.gate("gate/close")
            await scenario.deploy("1.0.3")
            await scenario.phase("WaitingPromotion")
            about = f'canary_controller_canary_info{{namespace="{rig.namespace}",name="{NAME}"}}'
            (info,) = await eventually(lambda: result(prometheus, about), bool, within=20)
            variables = {
                **{name: info["metric"][name] for name in ("namespace", "name", "service", "ports")},
                "job": ".*",
                "__rate_interval": "2m",
            }
            for name in ("fleet.json", "canary.json", "controller.json"):
                missing = await eventually(
                    lambda name=name: empty(prometheus, dashboard(name), variables),  # type: ignore[misc]
                    # Metrics whose server is away are told of in the same table as what can't work.
                    lambda missing: all("unavailable_checks" in query for _, query in missing),
                    within=30,
                )
                assert {title for title, _ in missing} <= {"In whose way something stands"}
            await scenario.gate("gate/open")
            assert await scenario.ended() == "Succeeded"


@pytest.mark.long
async def test_what_is_under_way_and_what_has_failed_is_counted_as_it_is(
    rig: Rig, prometheus: httpx.AsyncClient
) -> None:
    board, namespace = dashboard("fleet.json"), {"namespace": rig.namespace}
    asked = dict(queries(board, namespace))

    async def numbers() -> dict[str, float]:
        shown = {}
        for title in ("Canaries", "Under way", "Waiting at a gate", "Failed", "Stalled"):
            (series,) = await result(prometheus, asked[title]) or [{"value": (0, "nan")}]
            shown[title] = float(series["value"][1])
        return shown

    rest = {"Canaries": 1.0, "Under way": 0.0, "Waiting at a gate": 0.0, "Failed": 0.0, "Stalled": 0.0}
    async with Scenario.on(rig) as scenario:
        await scenario.gate("gate/close")
        webhooks = [hook("confirm-promotion", "/gate/check")]
        await scenario.initialise(canary_of(rig.namespace, {"webhooks": webhooks}))
        await eventually(numbers, lambda shown: shown == rest, within=20)
        await scenario.deploy("1.0.1")
        await scenario.phase("WaitingPromotion")
        await eventually(
            numbers, lambda shown: shown == {**rest, "Under way": 1.0, "Waiting at a gate": 1.0}, within=20
        )
        await scenario.gate("gate/open")
        assert await scenario.ended() == "Succeeded"
        await eventually(numbers, lambda shown: shown == rest, within=20)
