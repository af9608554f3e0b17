"""An application behind a Canary, in a namespace of its own: the stage of the tests that play rollouts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self

import aiohttp

from canary.kube.types import CANARY, DEPLOYMENT, POD, TRAEFIK_SERVICE, Json, Resource
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import (
    LOADTESTER_PORT,
    Recording,
    Rig,
    application,
    ingress_route,
    phase_of,
    weight_of,
    without_repeats,
)
from canary.sandbox.history import unserved
from canary.sandbox.traffic import Traffic

NAME = "app"
PORT = 9898
LOADTESTER = "http://flagger-loadtester.test"
TRAEFIK_URL = f"http://{addresses.GATEWAY}:{PORT}/"
ENDED = frozenset({"Succeeded", "Failed"})
READY_SECONDS = 60.0
ROLLOUT_SECONDS = 90.0

SUCCESS_RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "4s"}
DURATION = {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "4s"}
STEPS = (0, 25, 50, 0)
"""The weights of a good rollout by `canary_of`'s analysis."""


def canary_of(namespace: str, analysis: Json | None = None, **spec: object) -> Json:
    """A Canary in two steps of 25 percent a second, with what a test changes of it.

    Args:
        namespace: where it lives.
        analysis: fields of its analysis; where they count iterations there are no weights.
        spec: fields of its spec.
    """
    analysis = {"interval": "1s", "threshold": 1, **(analysis or {})}
    if "iterations" not in analysis:
        analysis = {"stepWeight": 25, "maxWeight": 50, **analysis}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    return {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"targetRef": target, "service": {"port": PORT}, "analysis": analysis, **spec},
    }


def hook(kind: str, path: str, name: str = "") -> Json:
    """A webhook of the load tester, such as the gate at `/gate/check`."""
    return {"name": name or kind, "type": kind, "url": LOADTESTER + path, "timeout": "5s"}


def service(namespace: str) -> Json:
    """The Service that users of the application have without any Canary."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"selector": {"app": NAME}, "ports": [{"name": "http", "port": PORT, "targetPort": PORT}]},
    }


@dataclass(slots=True)
class Scenario:
    """The application, its Canary, and every state that they went through.

    Args:
        rig: the cluster.
        canary: the Canary.
        route: the object that divides requests.
        target: the Deployment that users change.
        primary: the Deployment that serves.
        url: where the gateway is.
    """

    rig: Rig
    canary: Recording
    route: Recording
    target: Recording
    primary: Recording
    url: str = TRAEFIK_URL

    @classmethod
    @asynccontextmanager
    async def on(cls, rig: Rig, route: Resource = TRAEFIK_SERVICE, url: str = TRAEFIK_URL) -> AsyncIterator[Self]:
        """Watch the application of a namespace; nothing is there yet.

        Args:
            rig: the cluster.
            route: the kind of the object that divides requests.
            url: where the gateway is.
        """
        async with AsyncExitStack() as stack:
            watched = ((CANARY, NAME), (route, NAME), (DEPLOYMENT, NAME), (DEPLOYMENT, f"{NAME}-primary"))
            canary, split, target, primary = [await stack.enter_async_context(rig.recording(*each)) for each in watched]
            yield cls(rig, canary, split, target, primary, url)

    @property
    def host(self) -> str:
        """The host name by which the gateway knows the application."""
        return f"{NAME}.{self.rig.namespace}"

    def traffic(self, rate: float = 50.0, query: str = "", headers: Mapping[str, str] | None = None) -> Traffic:
        """Steady requests through the gateway."""
        return Traffic(f"{self.url}{query}", self.host, rate=rate, headers=headers or {})

    def direct_traffic(self, rate: float = 50.0, *, fresh: bool = False) -> Traffic:
        """Steady requests to the Service that users call, past the gateway; each on its own connection if `fresh`."""
        return Traffic(f"http://{NAME}.{self.rig.namespace}:{PORT}/", rate=rate, fresh=fresh)

    async def deploy(self, version: str, **changes: object) -> None:
        """Apply a version of the application, with changes as `application` takes them."""
        await self.rig.apply(application(NAME, self.rig.namespace, version, **changes))  # type: ignore[arg-type]  # its own

    async def initialise(self, canary: Json, app: Json | None = None) -> None:
        """Have a first version behind the gateway and the Canary, and wait until the primary has taken over.

        Args:
            canary: the Canary.
            app: the Deployment; None for version 1.0.0 as it comes.
        """
        await self.rig.apply(ingress_route(NAME, self.rig.namespace, self.host, PORT))
        await self.rig.apply(app or application(NAME, self.rig.namespace, "1.0.0"))
        await self.rig.apply(canary)
        await self.phase("Initialized", within=READY_SECONDS)
        await self.asleep()

    async def phase(self, *phases: str, within: float = ROLLOUT_SECONDS) -> str:
        """Wait until the Canary is in one of these phases; which."""
        what = " or ".join(phases)
        moment = await self.canary.until(lambda each: phase_of(each) in phases, within=within, what=f"phase {what}")
        return phase_of(moment.value or {})

    async def weight(self, percent: int, *, within: float = ROLLOUT_SECONDS) -> None:
        """Wait until the gateway's own object gives the canary this share."""
        await self.route.until(lambda each: weight_of(each) == percent, within=within, what=f"weight {percent}")

    async def settled(self) -> None:
        """Wait until all pods of the target are ready."""
        ready = "ready pods of the target"
        await self.target.until(lambda each: each.get("status", {}).get("readyReplicas", 0) == 2, within=30, what=ready)

    async def asleep(self) -> None:
        """Wait until the target has no pods of its own any more."""
        gone = "the target's pods are let go"
        await self.target.until(lambda each: each.get("status", {}).get("replicas", 0) == 0, within=30, what=gone)

    async def gone_to_the_last(self) -> None:
        """Wait until the pods that nobody needs have ended: only then it shows whether users still met them."""

        async def ending() -> int:
            pods = await self.rig.client.list(POD, self.rig.namespace)
            return sum("deletionTimestamp" in pod["metadata"] for pod in pods["items"])

        await eventually(ending, lambda count: count == 0)

    async def ended(self, *, within: float = ROLLOUT_SECONDS) -> str:
        """Wait for the end of a rollout that has begun, until its pods are gone: the phase that it ended in."""
        phase = await self.phase(*ENDED, within=within)
        await self.asleep()
        return phase

    async def roll_out(self, version: str, *, within: float = ROLLOUT_SECONDS, **changes: object) -> str:
        """Apply a version and wait for the end of its rollout: the phase that it ended in."""
        await self.deploy(version, **changes)
        await self.phase("Progressing")
        return await self.ended(within=within)

    @property
    def weights(self) -> Sequence[int]:
        """The shares that the canary had, one after the other, by the gateway's own object."""
        return tuple(without_repeats([weight_of(moment.value or {}) for moment in self.route.moments]))

    @property
    def unserved(self) -> list[str]:
        """Every instant at which requests were led to a workload without ready pods."""
        return unserved(self.route, {f"{NAME}-primary": self.primary, f"{NAME}-canary": self.target})

    @property
    def status(self) -> Json:
        """The Canary's status as it is."""
        status: Json = self.canary.last.get("status") or {}
        return status

    @property
    def serving(self) -> str:
        """The image that the primary runs."""
        return image_of(self.primary.last)

    async def gate(self, action: str) -> None:
        """Open or close a gate of the Canary at the load tester: `gate/open`, `rollback/close`."""
        url = f"http://{addresses.TOOLS}:{LOADTESTER_PORT}/{action}"
        async with aiohttp.ClientSession() as session:
            body = {"name": NAME, "namespace": self.rig.namespace}
            async with session.post(url, json=body) as answer:
                answer.raise_for_status()

    async def gone(self) -> None:
        """Wait until the Canary, which is being deleted, is gone, and its primary with it."""
        await self.canary.until(lambda each: not each, within=READY_SECONDS, what="end of the Canary")
        await self.primary.until(lambda each: not each, within=READY_SECONDS, what="end of the primary")


def image_of(deployment: Json) -> str:
    """The image of a Deployment's first container; empty where it is gone."""
    containers = deployment.get("spec", {}).get("template", {}).get("spec", {}).get("containers")
    return str(containers[0]["image"]) if containers else ""
