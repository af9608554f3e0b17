"""A baseline around the whole controller: made, led to, given up, and found again whatever the spec says by then."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from canary.controller.options import Options
from canary.controller.run import Controller
from canary.kube.types import CANARY, DEPLOYMENT, SERVICE, TRAEFIK_SERVICE
from tests.unit.controller.api_in_memory import Answer, Asked, Json, refused
from tests.unit.controller.whole_controller import Cluster, connect, eventually

BESIDE = {"metrics": [{"name": "request-success-rate", "compareTo": "baseline"}], "stepWeight": 20}
WORKLOAD, ITS_SERVICE = DEPLOYMENT.path("prod", "app-baseline"), SERVICE.path("prod", "app-baseline")
ROUTE, CANARY_PATH = TRAEFIK_SERVICE.path("prod", "app"), CANARY.path("prod", "app")

pytestmark = pytest.mark.looptime(noop_cycles=1)


def shares(api: Cluster) -> dict[str, int]:
    services = api.objects[ROUTE]["spec"]["weighted"]["services"]
    return {each["name"]: each["weight"] for each in services}


def is_led(api: Cluster) -> bool:
    return "app-baseline" in shares(api)


def left(api: Cluster) -> set[str]:
    return {path for path in api.objects if "baseline" in path.rpartition("/")[2]}


@asynccontextmanager
async def rolling_out(monkeypatch: pytest.MonkeyPatch, **analysis: Any) -> AsyncIterator[Cluster]:
    """A cluster in which a controller has led requests to a canary; nothing is deleted while a route leads there."""
    api = Cluster()
    connect(monkeypatch, api)
    api.put_app()
    api.put_canary(**(analysis or BESIDE))

    def watch(asked: Asked) -> Answer | None:
        assert asked.method != "DELETE" or not is_led(api), "its requests go first"
        return None

    api.ill = watch
    with capture_logs():
        async with controlled():
            await eventually(lambda: api.status().get("phase") == "Initialized", 120)
            api.put_app("i:2")
            await eventually(lambda: shares(api).get("app-canary", 0) > 0, 300, api.status)
            yield api


@asynccontextmanager
async def controlled() -> AsyncIterator[None]:
    controller = asyncio.create_task(Controller(Options(mesh_provider="traefik")).run())
    try:
        yield
    finally:
        controller.cancel()
        await asyncio.gather(controller, return_exceptions=True)


def edit(api: Cluster, **changes: Any) -> None:
    canary = api.objects[CANARY_PATH]
    api.store(CANARY_PATH, {**canary, "spec": {**canary["spec"], **changes}})


PLAIN: Json = {"interval": "1m", "threshold": 2, "maxWeight": 50, "stepWeight": 20}


async def test_it_is_made_of_the_primary_beside_the_canary_and_gets_as_large_a_share(
    looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rolling_out(monkeypatch) as api:
        assert shares(api) == {"app-primary": 60, "app-canary": 20, "app-baseline": 20}
        pods = api.objects[WORKLOAD]["spec"]["template"]["spec"]["containers"]
        assert pods == [{"name": "c", "image": "i"}]
        assert api.objects[WORKLOAD]["metadata"]["ownerReferences"][0]["name"] == "app"


async def test_a_canary_that_does_not_ask_for_one_costs_no_request_about_it(
    looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rolling_out(monkeypatch, metrics=[]) as api:
        assert not left(api)
        assert not [each for each in api.asked if "baseline" in f"{each.path} {each.query} {each.body}"]


@pytest.mark.parametrize(
    "changes",
    [
        {"analysis": PLAIN},
        {"analysis": PLAIN, "service": {"port": 80, "name": "other"}},
        {"service": {"port": 80, "name": "other"}, "skipAnalysis": True},
    ],
)
async def test_whatever_the_spec_says_by_then_nothing_is_left(
    looptime: int, monkeypatch: pytest.MonkeyPatch, changes: Json
) -> None:
    async with rolling_out(monkeypatch) as api:
        edit(api, **changes)
        await eventually(lambda: not left(api), 600, lambda: (left(api), api.status()))
        assert not is_led(api)
        await eventually(lambda: api.status().get("baselineRemovedTime") is None, 60)


async def test_a_controller_that_starts_later_finds_what_one_before_has_made(
    looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rolling_out(monkeypatch) as api:
        pass
    edit(api, analysis=PLAIN)
    assert left(api) == {WORKLOAD, ITS_SERVICE}
    with capture_logs():
        async with controlled():
            await eventually(lambda: not left(api), 600, api.status)
    assert not is_led(api)


async def test_one_whose_service_is_deleted_gets_no_requests_before_that_is_made_again(
    looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traefik drops a weighted service whole of which it can't find a part."""
    async with rolling_out(monkeypatch) as api:
        api.ill = lambda asked: refused(403, "Forbidden") if asked.path == ITS_SERVICE else None
        api.remove(ITS_SERVICE)
        await eventually(lambda: not is_led(api), 5)
        api.ill = lambda _: None
        await eventually(lambda: is_led(api), 200, api.status)


async def test_a_right_that_is_missing_is_told_by_name(looptime: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rolling_out(monkeypatch) as api:
        api.ill = lambda asked: refused(403, "Forbidden") if asked.method == "DELETE" else None
        edit(api, analysis=PLAIN)
        await eventually(lambda: api.condition("Stalled").get("status") == "True", 300, api.status)
        assert "can't delete the baseline" in api.condition("Stalled")["message"]
        assert not is_led(api)
        api.ill = lambda _: None
        await eventually(lambda: not left(api), 300, api.status)


async def test_a_stranger_of_its_name_is_refused_and_stays(looptime: int, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Cluster()
    connect(monkeypatch, api)
    api.put_app()
    api.put_canary(**BESIDE)
    api.put(SERVICE, "app-baseline", spec={"selector": {"app": "others"}, "ports": [{"port": 1}]})
    with capture_logs():
        async with controlled():
            await eventually(lambda: api.condition("Stalled").get("status") == "True", 100, api.status)
    assert "Service app-baseline is not this Canary's" in api.condition("Stalled")["message"]
    assert api.objects[ITS_SERVICE]["spec"]["selector"] == {"app": "others"}


async def test_it_goes_with_a_canary_that_leaves_its_primary(looptime: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target runs what nobody has promoted: the primary goes on serving, and keeps no owner that is gone."""
    async with rolling_out(monkeypatch) as api:
        metadata = {**api.objects[CANARY_PATH]["metadata"], "deletionTimestamp": "2026-11-28T01:00:00Z"}
        api.store(CANARY_PATH, {**api.objects[CANARY_PATH], "metadata": metadata})
        await eventually(lambda: not api.objects[CANARY_PATH]["metadata"].get("finalizers"), 300)
        assert shares(api) == {"app-primary": 100}
        owned = {path for path, obj in api.objects.items() if obj["metadata"].get("ownerReferences")}
        assert not {path for path in left(api) if path not in owned}, "what is left of it is collected with the Canary"
        assert DEPLOYMENT.path("prod", "app-primary") not in owned
