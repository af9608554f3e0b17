"""What a rollout is watched and driven with on a cluster: the controller, the load tester, and what happened when."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from canary.kube.backoff import Backoff
from canary.kube.client import KubeClient
from canary.kube.diff import covers
from canary.kube.errors import KubeError
from canary.kube.source import WatchTiming
from canary.kube.store import Change
from canary.kube.types import CANARY, DEPLOYMENT, EVENT, TRAEFIK_SERVICE, Json, Resource, name_of, resource_of
from canary.kube.watch import WatchCache
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.options import CONTROLLER
from canary.sandbox.process import Part

_AT_ONCE = WatchTiming(backoff=Backoff(first=0.05, cap=0.2))
"""Back before anybody else after an outage, so that no state is missed."""

_DEADLINE = 60.0
"""Seconds that an answer of the API server may take: a large definition, beside other work, takes more than ten."""

CRD = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
INGRESS_ROUTE = Resource("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute")
_RBAC = "rbac.authorization.k8s.io"
_USERS = {
    resource.kind: resource
    for resource in (
        INGRESS_ROUTE,
        Resource(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
        Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
        Resource(_RBAC, "v1", "roles", "Role"),
        Resource(_RBAC, "v1", "rolebindings", "RoleBinding"),
        Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway"),
    )
}
"""Kinds that users apply and the controller has nothing to do with."""

CONTROLLER_PORT = 10080
LOADTESTER_PORT = 80
AUTHOR = "kubectl"
"""The field manager that plays the users: what they apply is theirs."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of an object, and when it began.

    Args:
        at: loop time, in seconds.
        value: the object; None when it is gone.
    """

    at: float
    value: Json | None


@dataclass(slots=True)
class Recording:
    """Every state that an object went through, as its watch told, oldest first."""

    moments: list[Moment] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, change: Change[Json]) -> None:
        """Take in what the watch tells."""
        self.moments.append(Moment(asyncio.get_running_loop().time(), change.new))
        self._news.set()

    @property
    def last(self) -> Json:
        """The state it is in; empty when it is gone or was never seen."""
        return (self.moments[-1].value if self.moments else None) or {}

    async def until(self, accept: Callable[[Json], bool], *, within: float, what: str) -> Moment:
        """Wait for a state; the past does not count, the present does.

        Args:
            accept: whether it is the one waited for.
            within: seconds.
            what: what is waited for, in words.

        Raises:
            AssertionError: it did not come in time; the text has the last state.
        """
        seen = max(0, len(self.moments) - 1)
        try:
            async with asyncio.timeout(within):
                while True:
                    for moment in self.moments[seen:]:
                        if accept(moment.value or {}):
                            return moment
                    seen = len(self.moments)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            msg = f"no {what} within {within:g} s; last: {self.last.get('status') or self.last}"
            raise AssertionError(msg) from None


@cache
def objects_of(path: Path) -> tuple[Json, ...]:
    """What a file of manifests says; it is read once, as that of a large definition takes most of a second."""
    return tuple(yaml.safe_load_all(path.read_text()))


def phase_of(canary: Json) -> str:
    """The phase of a Canary; empty before the first."""
    return str((canary.get("status") or {}).get("phase", ""))


def backends_of(route: Json) -> dict[str, int]:
    """The weight of each Service that a route divides requests between, or the first of its rules."""
    spec = route.get("spec") or {}
    if rules := spec.get("http") or spec.get("tcp"):  # a VirtualService
        return {str(each["destination"]["host"]): int(each.get("weight", 100)) for each in rules[0].get("route") or ()}
    said = (route.get("metadata") or {}).get("annotations") or {}
    if (weight := said.get("nginx.ingress.kubernetes.io/canary-weight")) is not None:
        canary = str(spec["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"])
        return {f"{canary.removesuffix('-canary')}-primary": 100 - int(weight), canary: int(weight)}
    rules = spec.get("rules") or spec.get("routes") or [{}]
    services = (spec.get("weighted") or {}).get("services") or rules[0].get("backendRefs") or rules[0].get("services")
    return {str(each["name"]): int(each.get("weight", 1)) for each in services or [] if not each.get("mirror")}


def weight_of(route: Json) -> int | None:
    """The percent of requests that the gateway's own object gives to the canary; None where it says nothing."""
    backends = backends_of(route)
    return sum(weight for name, weight in backends.items() if name.endswith("-canary")) if backends else None


def without_repeats(values: Sequence[int | None]) -> list[int]:
    """The values that differ from the one before, None left out."""
    kept: list[int] = []
    for value in values:
        if value is not None and (not kept or kept[-1] != value):
            kept.append(value)
    return kept


class Rig:
    """A cluster with a controller on it, and a notebook.

    Args:
        cluster: where.
        client: the users' access.
        namespace: where the application lives.
    """

    def __init__(self, cluster: Cluster, client: KubeClient, namespace: str) -> None:
        self.cluster = cluster
        self.client = client
        self.namespace = namespace

    @classmethod
    @asynccontextmanager
    async def on(cls, cluster: Cluster, namespace: str) -> AsyncIterator["Rig"]:
        """Use a running cluster, with the administrator's rights."""
        async with KubeClient.connect(cluster.kubeconfig, user_agent=AUTHOR, deadline=_DEADLINE) as client:
            yield cls(cluster, client, namespace)

    async def install(self, *manifests: Path) -> None:
        """Apply files of manifests, and wait until the kinds that they define are served."""
        for path in manifests:
            await self.put(*objects_of(path))

    async def put(self, *objects: Json) -> None:
        """Apply objects, and wait until the kinds that they define are served."""
        for obj in objects:
            if obj["kind"] != CRD.kind:
                await self.apply(obj)
                continue
            # To write a large definition takes the API server seconds, also where nothing changes.
            existing = await self.client.find(CRD, None, name_of(obj))
            if existing is None or not covers(existing, obj):
                await self.client.apply(CRD, obj, field_manager=AUTHOR)
            await self._served(obj)

    async def _served(self, definition: Json) -> None:
        spec = definition["spec"]
        version = next(each["name"] for each in spec["versions"] if each["served"])
        resource = Resource(spec["group"], version, spec["names"]["plural"], spec["names"]["kind"])
        async with asyncio.timeout(_DEADLINE):
            while True:
                try:
                    await self.client.list(resource, limit=1)
                except KubeError:
                    await asyncio.sleep(0.05)
                else:
                    return

    async def apply(self, obj: Json) -> Json:
        """Apply an object as its author."""
        resource = _USERS.get(obj["kind"]) or resource_of(obj)
        return await self.client.apply(resource, obj, field_manager=AUTHOR)

    async def start_controller(
        self,
        *flags: str,
        name: str = "controller",
        user: str = CONTROLLER,
        port: int = CONTROLLER_PORT,
        kubeconfig: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Part:
        """Start a controller, and wait until it answers.

        Args:
            flags: further words of its command line.
            name: what it is called among the cluster's parts.
            user: who it is to the API server.
            port: where it serves.
            kubeconfig: its way to the API server; the user's own where absent.
            environment: variables added to those of this process.
        """
        access = kubeconfig or self.cluster.kubeconfig_for(user)
        command = [sys.executable, "-m", "canary", "run", "--kubeconfig", str(access)]
        command += [
            "--metrics-server",
            addresses.PROMETHEUS_URL,
            f"--address={addresses.TOOLS}",
            f"--port={port}",
            *flags,
        ]
        ready_url = f"http://{addresses.TOOLS}:{port}/readyz"
        return await self.cluster.run(name, command, environment=environment, ready_url=ready_url)

    async def start_loadtester(self, *flags: str, name: str = "loadtester") -> Part:
        """Start the load tester where the host name `flagger-loadtester.NAMESPACE` leads."""
        command = [
            sys.executable,
            "-m",
            "loadtest",
            f"--address={addresses.TOOLS}",
            f"--port={LOADTESTER_PORT}",
            *flags,
        ]
        return await self.cluster.run(name, command, ready_url=f"http://{addresses.TOOLS}:{LOADTESTER_PORT}/healthz")

    @asynccontextmanager
    async def recording(self, resource: Resource, name: str) -> AsyncIterator[Recording]:
        """Write down every state of an object while the context lasts."""
        recording = Recording()
        cache = WatchCache(self.client, resource, namespace=self.namespace, timing=_AT_ONCE)
        cache.subscribe(lambda change: recording.add(change) if change.key.name == name else None)
        task = asyncio.create_task(cache.run(), name=f"recording {resource.plural}")
        try:
            async with asyncio.timeout(20):
                await cache.synced.wait()
            yield recording
        finally:
            task.cancel()
            await asyncio.wait([task])

    @asynccontextmanager
    async def watching(self, name: str) -> AsyncIterator[tuple[Recording, Recording]]:
        """Write down a Canary and its TraefikService."""
        async with self.recording(CANARY, name) as canary, self.recording(TRAEFIK_SERVICE, name) as route:
            yield canary, route

    async def events(self, name: str) -> list[str]:
        """What the events of a Canary say, oldest first."""
        listed = await self.client.list(EVENT, self.namespace)
        own = [each for each in listed["items"] if each["involvedObject"] == {**each["involvedObject"], "name": name}]
        own = [each for each in own if each["involvedObject"]["kind"] == CANARY.kind]
        return [str(each["message"]) for each in sorted(own, key=lambda each: str(each["firstTimestamp"]))]

    async def deployment(self, name: str) -> Json:
        """A Deployment as it is."""
        return await self.client.get(DEPLOYMENT, self.namespace, name)


def _listen(port: int) -> list[str]:
    return [f"--address={addresses.TOOLS}", f"--port={port}"]


_PATIENT = {"TERM_SECONDS": "6"}
"""A gateway that takes one change in two seconds, as Traefik does, leads some to a pod for seconds after its end."""


def application(
    name: str,
    namespace: str,
    version: str,
    *,
    replicas: int = 2,
    port: int = 9898,
    image: str = "sample/web",
    environment: dict[str, str] | None = None,
) -> Json:
    """The Deployment of the sample web service; after SIGTERM it serves on for as long as the gateway may need it."""
    container: Json = {
        "name": "app",
        "image": f"{image}:{version}",
        "ports": [{"name": "http", "containerPort": port}],
        "env": [{"name": key, "value": value} for key, value in {**_PATIENT, **(environment or {})}.items()],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": port}, "periodSeconds": 1},
    }
    template: Json = {
        "metadata": {
            "labels": {"app": name},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)},
        },
        "spec": {"terminationGracePeriodSeconds": 15, "containers": [container]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def ingress_route(name: str, namespace: str, host: str, port: int = 9898) -> Json:
    """Traefik's route from a host name to the Canary's TraefikService."""
    service = {"name": name, "kind": TRAEFIK_SERVICE.kind, "port": port}
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": INGRESS_ROUTE.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"routes": [{"match": f"Host(`{host}`)", "kind": "Rule", "services": [service]}]},
    }
