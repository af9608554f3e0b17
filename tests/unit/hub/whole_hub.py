"""A whole hub and its members on API servers in memory, in virtual time."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from canary.controller.clock import Clock
from canary.hub import run
from canary.hub.options import HubOptions
from canary.hub.telemetry import Telemetry
from canary.kube.access import Access
from canary.kube.client import KubeClient
from canary.kube.library import ConfigError
from canary.kube.types import CANARY, CANARY_FLEET, EVENT, SECRET
from tests.tools.played_members import PlayedMember
from tests.unit.controller.api_in_memory import Answer, ApiInMemory, Asked, Json, answered, now
from tests.unit.fleet.fleets import fleet_of

START = datetime(2026, 11, 28, tzinfo=UTC)
PLACE = ("prod", "shop")
WAVES = [{"name": "pilot", "selector": {"matchLabels": {"env": "pilot"}}}, {"name": "all"}]
PILOT = {"env": "pilot"}
FIRST = "t1"
USER = "system:serviceaccount:canary-system:canary-hub"


def shown(telemetry: Telemetry) -> dict[str, float]:
    """What Prometheus would read, such as `canary_hub_leader` or `canary_hub_fleet_wave{name=shop,namespace=prod}`."""
    text = generate_latest(telemetry.registry).decode()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {f"{each.name}{labelled(each.labels)}": each.value for each in samples}


def labelled(labels: dict[str, str]) -> str:
    """Labels in the order of their names; nothing where there are none."""
    return f"{{{','.join(f'{key}={value}' for key, value in sorted(labels.items()))}}}" if labels else ""


def clock() -> datetime:
    """The time."""
    return START + timedelta(seconds=now())


class Api(ApiInMemory):
    """An API server, of which one may take the network away."""

    namespace = "canary-system"

    def __init__(self) -> None:
        super().__init__()
        self.ill = self.away
        self.is_away = False
        self.hangs = False

    def away(self, _: Asked) -> Answer | None:
        """No answer at all while it is away."""
        if self.is_away:
            raise ConnectionRefusedError(111, "Connection refused")
        return Answer(after=3600) if self.hangs else None

    def answer(self, asked: Asked) -> Answer:
        """As an API server does, and who asks is the account of `deploy/kustomize/fleet/member`."""
        if asked.path.endswith("/selfsubjectreviews"):
            return answered({"kind": "SelfSubjectReview", "status": {"userInfo": {"username": USER}}})
        return super().answer(asked)

    def reached_from_inside(self) -> KubeClient:
        """A client that no network keeps from it, as a member's own controller has one."""
        inside = Inside(self)
        return inside.connect()

    def put_secret(self, name: str, **data: str) -> None:
        """A Secret without labels, with data in base64."""
        metadata = {"name": name, "namespace": self.namespace}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
        self.store(SECRET.path(self.namespace, name), secret)

    def leave(self, *, hangs: bool = False) -> None:
        """It can't be reached any more."""
        self.is_away, self.hangs = not hangs, hangs
        self.cut()

    def come_back(self) -> None:
        """It can be reached again."""
        self.is_away = self.hangs = False

    @property
    def canary(self) -> Json:
        """The Canary in it; empty where there is none."""
        found: Json = self.objects.get(CANARY.path(*PLACE), {})
        return found

    @property
    def writes(self) -> list[Asked]:
        """What a hub has written into it."""
        ours = [each for each in self.asked if each.method != "GET" and not each.path.endswith("/status")]
        return [each for each in ours if not each.path.endswith("/selfsubjectreviews")]


class Inside(ApiInMemory):
    """The same API server for who is beside it."""

    namespace = Api.namespace

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api = api

    async def send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> Answer:
        """Answered whatever keeps others from being."""
        url = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        return self._api.answer(Asked(method, url.path, query, json.loads(body) if body else None))


class World:
    """A hub's cluster and those of its members."""

    def __init__(self) -> None:
        self.hub = Api()
        self.members: dict[str, Api] = {}
        self.played: dict[str, PlayedMember] = {}
        self.unusable: set[str] = set()
        self.tokens: list[tuple[str, str]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.telemetry: Telemetry | None = None
        self._hub: asyncio.Task[None] | None = None

    def add(self, name: str, labels: Json | None = None, *, token: str = FIRST, **user: Any) -> Api:
        """A cluster, and the Secret that makes it known."""
        api = self.members.setdefault(name, Api())
        self.register(name, labels, token=token, **user)
        if name not in self.played:
            player = self.played[name] = PlayedMember(name, api.reached_from_inside(), PLACE, clock)
            self._tasks.append(asyncio.create_task(player.run()))
        return api

    def register(self, name: str, labels: Json | None = None, *, token: str = FIRST, **user: Any) -> None:
        """Write the Secret of a cluster."""
        kubeconfig = {
            "clusters": [{"name": "c", "cluster": {"server": f"https://{name}.example.com"}}],
            "users": [{"name": "u", "user": {"token": token, **user}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        data = {"kubeconfig": base64.b64encode(yaml.safe_dump(kubeconfig).encode()).decode()}
        metadata: Json = {"name": name, "namespace": Api.namespace}
        metadata["labels"] = {"fleet.canary.dev/member": "kubeconfig", **(labels or {})}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
        self.hub.store(SECRET.path(Api.namespace, name), secret)

    @property
    def metrics(self) -> dict[str, float]:
        """What the hub's metrics are, by name and labels."""
        assert self.telemetry is not None
        return shown(self.telemetry)

    def put_fleet(self, release: str = "r1", generation: int = 1, **spec: Any) -> None:
        """The fleet, applied."""
        fleet = fleet_of(**{"waves": WAVES, "release": release, **spec})
        path = CANARY_FLEET.path(*PLACE)
        kept = {key: value for key, value in self.hub.objects.get(path, {}).items() if key == "status"}
        raw = {**fleet.to_json(), **kept}
        raw["metadata"] = {"name": PLACE[1], "namespace": PLACE[0], "generation": generation, "uid": "fleet"}
        self.hub.store(path, raw)

    @property
    def status(self) -> Json:
        """The status of the fleet."""
        found: Json = self.hub.objects[CANARY_FLEET.path(*PLACE)].get("status") or {}
        return found

    @property
    def ready(self) -> Json:
        """The condition Ready."""
        found: Json = self.status["conditions"][0]
        return found

    def member(self, name: str) -> Json:
        """Where a member stands; empty where it is none."""
        return next((each for each in self.status.get("members", []) if each["name"] == name), {})

    @property
    def states(self) -> dict[str, str]:
        """Where all stand."""
        return {each["name"]: each["state"] for each in self.status.get("members", [])}

    @property
    def events(self) -> list[str]:
        """What was told of the fleet."""
        folder = EVENT.path(PLACE[0])
        return [obj["message"] for path, obj in self.hub.objects.items() if path.startswith(folder)]

    def start(self, **options: Any) -> None:
        """Start a hub."""
        hub = run.Hub(HubOptions(**{"leader_election": False, **options}), self.reach)
        self.telemetry = hub.telemetry
        self._hub = asyncio.create_task(hub.run())

    async def kill(self) -> None:
        """End the hub at once."""
        assert self._hub is not None
        self._hub.cancel()
        await asyncio.gather(self._hub, return_exceptions=True)

    async def end(self) -> None:
        """End everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self.kill(), *self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def reach(self, access: Access) -> AsyncIterator[KubeClient]:
        """Connect to a member."""
        name = access.server.removeprefix("https://").partition(".")[0]
        (token,) = access.credentials
        self.tokens.append((name, token.text.reveal()))  # type: ignore[union-attr]  # they have tokens here
        if name in self.unusable:
            raise ConfigError("the certificate can't be used")
        yield self.members[name].connect()


async def eventually(what: Callable[[], bool], within: float, seen: Callable[[], object] = lambda: "") -> None:
    """Wait until something is so."""
    ends = now() + within
    while not what():
        assert now() < ends, seen()
        await asyncio.sleep(0.1)


def connect(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """Have hubs that are run speak to these API servers, by virtual time."""

    @asynccontextmanager
    async def connection(*_: object, **__: object) -> AsyncIterator[KubeClient]:
        yield world.hub.connect()

    class NoListener:
        async def start(self) -> None:
            """Nobody asks."""

        async def close(self) -> None:
            """As it began."""

    monkeypatch.setattr(KubeClient, "connect", connection)
    monkeypatch.setattr(run, "Server", lambda *_, **__: NoListener())
    monkeypatch.setattr(run, "Clock", lambda: Clock(clock, now))
