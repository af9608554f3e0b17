"""The Canary of a well-known article rolls out, and rolls back, by itself: real gateway, Prometheus, load, hooks."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import yaml

from canary.kube.types import CANARY, DEPLOYMENT, Json
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Recording, Rig, application, ingress_route, phase_of, weight_of, without_repeats
from canary.sandbox.traffic import Traffic
from deploy.grafana.queries import dashboard as dashboard_of
from deploy.grafana.queries import queries

NAME, NAMESPACE = "my-app", "test"
URL = "http://my-app.canary:9898/"
STEPS = [0, 10, 20, 30, 40, 50, 0]
SHORT = {"1m": "4s", "hey -z 1m": "hey -z 4s"}
ENDED = {"Succeeded", "Failed"}


def article(shortened: dict[str, str]) -> Json:
    """The Canary, field for field, with other intervals where the test says so."""
    text = (Path(__file__).parent / "article.yaml").read_text()
    for long, short in shortened.items():
        text = text.replace(f"interval: {long}", f"interval: {short}").replace(long, short)
    canary: Json = yaml.safe_load(text)
    canary["metadata"]["namespace"] = NAMESPACE
    return canary


@pytest_asyncio.fixture
async def app(rig: Rig, cluster: Cluster) -> AsyncIterator[Rig]:
    """The application of the article in the namespace that its Canary expects, without a Canary yet."""
    async with Rig.on(cluster, NAMESPACE) as app:
        await app.apply(ingress_route(NAME, NAMESPACE, "my-app.canary"))
        await app.apply(application(NAME, NAMESPACE, "1.0.0"))
        yield app
        await app.client.delete(CANARY, NAMESPACE, NAME)
        await app.client.delete(DEPLOYMENT, NAMESPACE, NAME)


async def rolled_out(rig: Rig, canary: Recording, version: str, limit: float, **environment: str) -> str:
    """Apply a version and wait for the end of its rollout: the phase that it ended in."""
    await rig.apply(application(NAME, NAMESPACE, version, environment=environment))
    await canary.until(lambda each: phase_of(each) == "Progressing", within=20, what="start of the rollout")
    ended = await canary.until(lambda each: phase_of(each) in ENDED, within=limit, what="end of the rollout")
    return phase_of(ended.value or {})


async def play(app: Rig, shortened: dict[str, str], limit: float) -> None:
    """A good version, then one that answers 500 to everything."""
    async with app.watching(NAME) as (canary, route):
        await app.apply(article(shortened))
        await canary.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")

        async with Traffic(URL) as traffic:
            assert await rolled_out(app, canary, "1.0.1", limit) == "Succeeded"
        weights = without_repeats([weight_of(moment.value or {}) for moment in route.moments])
        assert weights == STEPS, "read from the gateway's own object"
        assert [str(lost) for lost in traffic.lost] == [], "no request is lost in a good rollout"
        assert set(traffic.versions()) == {"1.0.0", "1.0.1"}

        async with Traffic(URL) as traffic:
            assert await rolled_out(app, canary, "1.0.2", limit, FAULT_ERROR_RATE="1") == "Failed"
        weights = without_repeats([weight_of(moment.value or {}) for moment in route.moments])
        assert weights == [*STEPS, 10, 0], "it gets no further than the step in which it is found"
        share = traffic.versions()["1.0.2"] / len(traffic.answers)
        assert share <= 0.12, "a bad version reaches no more users than its weight says"
        status = canary.last["status"]
        verdicts = {check["name"]: check for check in status["checks"]}
        assert verdicts["request-success-rate"]["verdict"] == "Fail"
        assert verdicts["request-success-rate"]["value"] < 99
        assert verdicts["request-success-rate"]["threshold"] == ">= 99"
        bad, good = status["history"]
        assert [each["outcome"] for each in (bad, good)] == ["RolledBack", "Promoted"]
        assert bad["cause"].startswith("failed checks threshold reached 5: request-success-rate ")
        assert [image.rpartition(":")[2] for image in bad["images"].values()] == ["1.0.2"]
        assert bad["changes"] == [f"image of {name}" for name in bad["images"]]
        assert (bad["highestWeight"], good["highestWeight"]) == (10, STEPS[-2])
        assert {each["type"]: each["status"] for each in status["conditions"]} == {
            "Promoted": "False",
            "Ready": "False",
            "Stalled": "True",
        }


async def test_the_articles_canary_promotes_a_good_version_and_takes_a_bad_one_back(app: Rig) -> None:
    await play(app, SHORT, limit=90)

    told = {
        "Initialization done! my-app.test",
        "New revision detected! Scaling up my-app.test",
        "Starting canary analysis for my-app.test",
        "Pre-rollout check acceptance-test passed",
        *(f"Advance my-app.test canary weight {weight}" for weight in STEPS[1:-1]),
        "Copying my-app.test template spec to my-app-primary.test",
        "Routing all traffic to primary",
        "Promotion completed! Scaling down my-app.test",
        "Rolling back my-app.test failed checks threshold reached 5",
        "Canary failed! Scaling down my-app.test",
    }
    events = await eventually(lambda: app.events(NAME), told.issubset, within=10)
    assert any("< 99% (over " in each and "query " in each for each in events), "what a verdict rests on is told"
    await every_panel_of_the_dashboard_shows_this_rollout()


async def every_panel_of_the_dashboard_shows_this_rollout() -> None:
    """Each query of the Grafana dashboard has a number in the Prometheus that scraped the rollout.

    Save for rows that are folded up, which are about other gateways, and for what is told while a rollout is under way.
    """
    dashboard = dashboard_of("canary.json")
    under_way = {"Not moved for", "Why"}
    unfolded = [{**panel, "panels": []} for panel in dashboard["panels"] if panel["title"] not in under_way]
    async with httpx.AsyncClient(base_url=addresses.PROMETHEUS_URL, timeout=10) as prometheus:

        async def result(title: str, query: str) -> list[Json]:
            answer = (await prometheus.get("/api/v1/query", params={"query": query})).json()
            assert answer["status"] == "success", (title, query, answer)
            found: list[Json] = answer["data"]["result"]
            return found

        about = f'canary_controller_canary_info{{namespace="{NAMESPACE}",name="{NAME}"}}'
        (info,) = await result("info", about)
        variables = {
            "namespace": NAMESPACE,
            "name": NAME,
            "service": info["metric"]["service"],
            "ports": info["metric"]["ports"],
            "__rate_interval": "2m",
        }
        for title, query in queries({**dashboard, "panels": unfolded}, variables):
            values = [series["value"][1] for series in await result(title, query)]
            assert any(value != "NaN" for value in values), f"{title} shows nothing: {query}"
        for _, query in queries(dashboard, variables):
            await result("well formed", query)


@pytest.mark.slow
async def test_the_articles_canary_as_it_stands(app: Rig) -> None:
    await play(app, {}, limit=900)
