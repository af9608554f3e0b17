"""What is watched, from when on, and who hears of it; in virtual time, against an API server in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from canary.controller.observe.caches import Caches, Freshness
from canary.controller.observe.index import Index, ref_to
from canary.controller.observe.needs import prepare
from canary.controller.options import Options
from canary.kube.errors import Unreachable
from canary.kube.store import Change
from canary.kube.types import (
    CANARY,
    CONFIG_MAP,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    METRIC_TEMPLATE,
    SCALED_OBJECT,
    SECRET,
    SERVICE,
    TRAEFIK_SERVICE,
    Resource,
)
from canary.routers.registry import ROUTES
from tests.unit.controller.api_in_memory import Answer, ApiInMemory, Asked, refused

Json = dict[str, Any]
KINDS = (DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, *ROUTES)


class Watched:
    """Caches over an API server in memory, with what they told."""

    def __init__(self, api: ApiInMemory) -> None:
        self.api = api
        self.index = Index()
        self.woken: list[str] = []
        self.changes: list[tuple[str, str]] = []
        self.caches = Caches(
            api.connect(),
            KINDS,
            namespace=None,
            named=self.index.names,
            changed=self._changed,
            wake=self.woken.append,
        )

    def _changed(self, resource: Resource, change: Change[Json]) -> None:
        self.changes.append((resource.kind, change.key.name))

    def asked_for(self) -> set[str]:
        """The collections that were listed or watched."""
        return {asked.path.rsplit("/", 1)[-1] for asked in self.api.asked}


@asynccontextmanager
async def running(caches: Caches) -> AsyncIterator[None]:
    task = asyncio.create_task(caches.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def put(api: ApiInMemory, resource: Resource, name: str = "app", **fields: Any) -> None:
    obj = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"namespace": "prod", "name": name},
        **fields,
    }
    api.store(resource.path("prod", name), obj)


def put_canary(api: ApiInMemory, name: str = "app", **spec: Any) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    analysis = {"interval": "1s", "threshold": 2, "maxWeight": 50, "stepWeight": 50}
    whole = {"provider": "traefik", "targetRef": target, "service": {"port": 80}, "analysis": analysis, **spec}
    put(api, CANARY, name, spec=whole)


def forbid(*resources: Resource) -> Any:
    """Answers that keep some kinds from being listed and watched."""
    paths = {resource.path() for resource in resources}

    def ill(asked: Asked) -> Answer | None:
        return refused(403, "Forbidden") if asked.path in paths else None

    return ill


@pytest.mark.looptime
async def test_a_kind_is_watched_from_when_it_is_needed(looptime: int) -> None:
    watched = Watched(ApiInMemory())
    async with running(watched.caches):
        await asyncio.sleep(60)
        assert watched.api.asked == []

        states = await watched.caches.need("prod/app", [DEPLOYMENT])

        assert states[DEPLOYMENT].freshness is Freshness.FRESH
        assert watched.asked_for() == {"deployments"}


@pytest.mark.looptime
async def test_the_canaries_there_are_say_what_is_needed(looptime: int) -> None:
    """No autoscaler, no template, no configuration: no right to any of them is needed, and nobody asks for them."""
    api = ApiInMemory()
    put_canary(api)
    put(api, DEPLOYMENT, spec={"template": {"spec": {"containers": [{"name": "c"}]}}})
    watched = Watched(api)
    async with running(watched.caches):
        await prepare(watched.caches, watched.index, Options())

        assert watched.asked_for() == {
            "canaries",
            "deployments",
            "services",
            "traefikservices",
            "controllerrevisions",
        }


@pytest.mark.looptime
async def test_what_pods_read_is_needed_too(looptime: int) -> None:
    api = ApiInMemory()
    put_canary(api)
    container = {"name": "c", "envFrom": [{"configMapRef": {"name": "settings"}}]}
    put(api, DEPLOYMENT, spec={"template": {"spec": {"containers": [container]}}})
    put(api, CONFIG_MAP, "settings")
    put(api, CONFIG_MAP, "of-others")
    watched = Watched(api)
    async with running(watched.caches):
        await prepare(watched.caches, watched.index, Options())

        assert "secrets" not in watched.asked_for()
        assert watched.caches.get(CONFIG_MAP, "prod", "settings") is not None
        assert watched.caches.list(DEPLOYMENT) != []
        assert [name for kind, name in watched.changes if kind == "ConfigMap"] == ["settings"]


@pytest.mark.looptime
async def test_a_kind_that_may_not_be_listed_stops_nobody(looptime: int) -> None:
    api = ApiInMemory()
    api.ill = forbid(SCALED_OBJECT)
    put_canary(api, "one", autoscalerRef={"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "one"})
    put_canary(api, "two")
    watched = Watched(api)
    async with running(watched.caches):
        async with asyncio.timeout(5):
            await prepare(watched.caches, watched.index, Options())

        state = watched.caches.state(SCALED_OBJECT)
        assert (state.freshness, state.reason) == (Freshness.FORBIDDEN, "Forbidden")
        assert state.since is not None
        assert watched.caches.state(DEPLOYMENT).freshness is Freshness.FRESH

        await watched.caches.need("prod/one", [SCALED_OBJECT])
        await watched.caches.need("prod/two", [DEPLOYMENT])
        api.ill = lambda _: None
        await asyncio.sleep(30)
        assert watched.woken == ["prod/one"], "as soon as it can be seen"
        assert watched.caches.state(SCALED_OBJECT).freshness is Freshness.FRESH


@pytest.mark.looptime
async def test_a_kind_that_is_not_installed_is_absent_until_it_is(looptime: int) -> None:
    api = ApiInMemory()
    api.ill = lambda asked: refused(404, "NotFound") if asked.path == TRAEFIK_SERVICE.path() else None
    watched = Watched(api)
    async with running(watched.caches):
        states = await watched.caches.need("prod/app", [TRAEFIK_SERVICE])
        assert states[TRAEFIK_SERVICE].freshness is Freshness.ABSENT

        await asyncio.sleep(3600)
        assert len(api.asked) < 3600 / 7
        api.ill = lambda _: None
        await asyncio.sleep(30)
        assert watched.woken == ["prod/app"]


@pytest.mark.looptime
async def test_a_short_break_is_none_and_wakes_nobody(looptime: int) -> None:
    """Proxies cut watches once a minute."""
    watched = Watched(ApiInMemory())
    async with running(watched.caches):
        for number in range(500):
            await watched.caches.need(f"prod/{number}", [DEPLOYMENT, SERVICE])
        await asyncio.sleep(60)
        watched.api.cut()
        for _ in range(20):
            await asyncio.sleep(0.01)
            assert watched.caches.state(DEPLOYMENT).freshness is Freshness.FRESH

        assert watched.woken == []


@pytest.mark.looptime
async def test_an_outage_wakes_those_that_saw_it_and_nobody_else(looptime: int) -> None:
    watched = Watched(ApiInMemory())
    async with running(watched.caches):
        for number in range(500):
            await watched.caches.need(f"prod/{number}", [DEPLOYMENT, SERVICE])
        await asyncio.sleep(60)
        watched.api.ill = lambda asked: refused(503, "Unavailable") if "deployments" in asked.path else None
        watched.api.cut()
        await asyncio.sleep(20)
        assert watched.caches.state(DEPLOYMENT).freshness is Freshness.STALE
        assert watched.caches.state(SERVICE).freshness is Freshness.FRESH
        await watched.caches.need("prod/7", [DEPLOYMENT, SERVICE])
        await watched.caches.need("prod/8", [SERVICE])
        watched.api.ill = lambda _: None
        await asyncio.sleep(30)

        assert watched.woken == ["prod/7"]


@pytest.mark.looptime
async def test_that_a_kind_is_forbidden_from_now_on_concerns_all_that_need_it(looptime: int) -> None:
    watched = Watched(ApiInMemory())
    async with running(watched.caches):
        await watched.caches.need("prod/a", [SECRET])
        await watched.caches.need("prod/b", [SERVICE])
        await watched.caches.need("prod/gone", [SECRET])
        watched.caches.forget("prod/gone")
        await asyncio.sleep(60)
        watched.api.ill = forbid(SECRET)
        watched.api.cut()
        await asyncio.sleep(300)

        assert watched.woken == ["prod/a"], "once"


@pytest.mark.looptime
async def test_silence_makes_nothing_old(looptime: int) -> None:
    """An API server whose etcd reports no progress: nothing is said for hours where nothing happens."""
    api = ApiInMemory()
    api.bookmarks = False
    watched = Watched(api)
    async with running(watched.caches):
        await watched.caches.need("prod/a", [DEPLOYMENT, SECRET])
        for _ in range(3 * 60):
            await asyncio.sleep(60)
            assert watched.caches.state(SECRET).freshness is Freshness.FRESH
        put(api, SECRET)
        await asyncio.sleep(1)

        assert watched.caches.is_known(SECRET, "prod", "app")
        assert watched.woken == []


@pytest.mark.looptime
async def test_an_object_is_a_stub_until_a_canary_names_it(looptime: int) -> None:
    api = ApiInMemory()
    put(api, DEPLOYMENT, "mine")
    put(api, DEPLOYMENT, "others")
    watched = Watched(api)
    async with running(watched.caches):
        await watched.caches.need("prod/a", [DEPLOYMENT])
        assert (watched.caches.list(DEPLOYMENT), watched.caches.count(DEPLOYMENT)) == ([], 2)
        with pytest.raises(Unreachable, match="being read"):
            watched.caches.get(DEPLOYMENT, "prod", "mine")

        ref = ref_to(DEPLOYMENT, "prod", "mine")
        watched.index.put("prod/a", [ref])
        asked = len(api.asked)
        await watched.caches.fill([ref, ref_to(DEPLOYMENT, "prod", "not there")])

        assert watched.caches.get(DEPLOYMENT, "prod", "mine") is not None
        assert watched.caches.get(DEPLOYMENT, "prod", "not there") is None
        assert len(api.asked) == asked + 1
        put(api, DEPLOYMENT, "others", spec={"replicas": 2})
        put(api, DEPLOYMENT, "mine", spec={"replicas": 2})
        await asyncio.sleep(1)
        assert watched.changes == [("Deployment", "mine")]


@pytest.mark.looptime
async def test_what_was_asked_for_by_nobody_who_named_it_is_read_at_the_next_look(looptime: int) -> None:
    api = ApiInMemory()
    put(api, DEPLOYMENT)
    watched = Watched(api)
    async with running(watched.caches):
        await watched.caches.need("prod/a", [DEPLOYMENT])
        with pytest.raises(Unreachable):
            watched.caches.get(DEPLOYMENT, "prod", "app")
        await watched.caches.fill([])

        assert watched.caches.get(DEPLOYMENT, "prod", "app") is not None


@pytest.mark.looptime
async def test_what_was_made_for_a_canary_is_whole(looptime: int) -> None:
    api = ApiInMemory()
    put(api, SERVICE)
    path = SERVICE.path("prod", "app")
    owned = {**api.objects[path]}
    owned["metadata"] = {**owned["metadata"], "ownerReferences": [{"kind": "Canary", "name": "app", "uid": "1"}]}
    api.store(path, owned)
    watched = Watched(api)
    async with running(watched.caches):
        await watched.caches.need("prod/a", [SERVICE])

        assert watched.caches.get(SERVICE, "prod", "app") is not None


@pytest.mark.looptime
async def test_nobody_says_that_there_is_nothing_before_it_was_looked_for(looptime: int) -> None:
    api = ApiInMemory()
    put(api, METRIC_TEMPLATE)
    watched = Watched(api)
    async with running(watched.caches):
        await asyncio.sleep(1)
        with pytest.raises(Unreachable, match="being listed"):
            watched.caches.get(METRIC_TEMPLATE, "prod", "app")
        await asyncio.sleep(1)

        assert watched.caches.get(METRIC_TEMPLATE, "prod", "app") is not None
