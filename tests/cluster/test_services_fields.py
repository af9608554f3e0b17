"""The Services of a Canary on a real API server: what shapes them in `spec.service`, put in and taken out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from canary.kube.types import CANARY, SERVICE, TRAEFIK_SERVICE, Json
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import AUTHOR, Recording, Rig, application, backends_of, phase_of

NAME = "app"
NAMES = (NAME, f"{NAME}-primary", f"{NAME}-canary")
AT_ONCE = 3.0
MARKS = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}
APPLIED = "flagger.app/applied"


@dataclass(frozen=True, slots=True)
class Stage:
    rig: Rig
    canary: Recording
    services: dict[str, Recording]

    async def say(self, **service: Any) -> None:
        """Change `spec.service` as its author: what is no longer there is taken out."""
        await self.rig.apply(canary_of(self.rig.namespace, service))

    async def until(self, name: str, accept: Callable[[Json], bool], what: str) -> Json:
        moment = await self.services[name].until(lambda each: bool(each) and accept(each), within=AT_ONCE, what=what)
        return moment.value or {}


def canary_of(namespace: str, service: Json, **spec: Any) -> Json:
    analysis = {"interval": "1s", "threshold": 1, "iterations": 1}
    return {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "service": {"port": 80, "targetPort": "http", **service},
            "analysis": analysis,
            **spec,
        },
    }


def two_ports(namespace: str, version: str) -> Json:
    """The sample web service, and once more beside it on the port `admin`."""
    deployment = application(NAME, namespace, version, replicas=1)
    containers = deployment["spec"]["template"]["spec"]["containers"]
    admin = {
        **containers[0],
        "name": "admin",
        "ports": [{"name": "admin", "containerPort": 8081}],
        "env": [{"name": "PORT", "value": "8081"}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8081}, "periodSeconds": 1},
    }
    containers.append(admin)
    return deployment


@asynccontextmanager
async def staged(rig: Rig, service: Json, **spec: Any) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        canary = await stack.enter_async_context(rig.recording(CANARY, NAME))
        services = {name: await stack.enter_async_context(rig.recording(SERVICE, name)) for name in NAMES}
        await rig.apply(two_ports(rig.namespace, "1.0.0"))
        await rig.apply(canary_of(rig.namespace, service, **spec))
        await canary.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")
        yield Stage(rig, canary, services)


def ports_of(service: Json) -> list[Json]:
    """The ports without what the API server fills in."""
    return [{key: value for key, value in port.items() if key != "protocol"} for port in service["spec"]["ports"]]


HTTP = {"name": "http", "port": 80, "targetPort": "http"}


async def test_what_is_put_in_appears_and_what_is_taken_out_goes(rig: Rig) -> None:
    async with staged(rig, {}) as stage:
        for name in NAMES:
            assert ports_of(stage.services[name].last) == [HTTP]
        await stage.say(
            portName="grpc",
            appProtocol="kubernetes.io/h2c",
            trafficDistribution="PreferClose",
            portDiscovery=True,
            apex={"labels": {"team": "blue"}, "annotations": {"note": "apex"}},
            primary={"labels": {"team": "blue"}, "annotations": {"note": "primary"}},
            canary={"labels": {"team": "blue"}, "annotations": {"note": "canary"}},
        )
        for name, note in zip(NAMES, ("apex", "primary", "canary"), strict=True):
            made = await stage.until(name, lambda each: "trafficDistribution" in each["spec"], "new fields")
            assert ports_of(made) == [
                {**HTTP, "name": "grpc", "appProtocol": "kubernetes.io/h2c"},
                {"name": "admin", "port": 8081, "targetPort": 8081},
            ]
            assert made["metadata"]["labels"] == {"team": "blue", "app": name}
            assert made["metadata"]["annotations"] == {**MARKS, "note": note, APPLIED: applied(made)}

        await stage.say()
        for name in NAMES:
            left = await stage.until(name, lambda each: "trafficDistribution" not in each["spec"], "the fields' end")
            assert ports_of(left) == [HTTP]
            assert left["metadata"]["labels"] == {"app": name}
            assert left["metadata"]["annotations"] == {**MARKS, APPLIED: applied(left)}


def applied(service: Json) -> str:
    return str(service["metadata"]["annotations"][APPLIED])


async def test_a_port_of_another_number_takes_the_place_of_the_old_one(rig: Rig) -> None:
    async with staged(rig, {}) as stage:
        await stage.say(port=8080)
        for name in NAMES:
            made = await stage.until(name, lambda each: each["spec"]["ports"][0]["port"] == 8080, "new port")
            assert ports_of(made) == [{**HTTP, "port": 8080}]


async def test_what_others_write_on_them_stays_and_costs_no_request(rig: Rig) -> None:
    async with staged(rig, {"apex": {"labels": {"team": "blue"}}}) as stage:
        theirs = {"metadata": {"labels": {"theirs": "yes"}, "annotations": {"cloud.example.com/address": "10.0.0.1"}}}
        await rig.client.merge_patch(SERVICE, rig.namespace, NAME, theirs)
        written = await stage.until(NAME, lambda each: "theirs" in each["metadata"]["labels"], "a label of others")
        await asyncio.sleep(1)
        assert stage.services[NAME].last["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]
        await stage.say()
        left = await stage.until(NAME, lambda each: "team" not in each["metadata"]["labels"], "end of ours")
        assert left["metadata"]["labels"] == {"app": NAME, "theirs": "yes"}
        assert left["metadata"]["annotations"]["cloud.example.com/address"] == "10.0.0.1"


@pytest.mark.parametrize("unmanaged", [True, False])
async def test_a_value_that_others_have_changed_is_theirs_where_the_spec_says_so(rig: Rig, *, unmanaged: bool) -> None:
    left_to_others = {"unmanagedMetadata": {"labels": ["team"], "annotations": ["note"]}} if unmanaged else {}
    spec = {"apex": {"labels": {"team": "blue"}, "annotations": {"note": "ours"}}, **left_to_others}
    async with staged(rig, spec) as stage:
        theirs = {"metadata": {"labels": {"team": "red"}, "annotations": {"note": "theirs"}}}
        await rig.client.merge_patch(SERVICE, rig.namespace, NAME, theirs)
        await asyncio.sleep(1)
        metadata = stage.services[NAME].last["metadata"]
        expected = ("red", "theirs") if unmanaged else ("blue", "ours")
        assert (metadata["labels"]["team"], metadata["annotations"]["note"]) == expected


async def test_headless_services_are_so_from_the_start_and_a_change_is_refused(rig: Rig) -> None:
    async with staged(rig, {"headless": True}) as stage:
        assert {recording.last["spec"]["clusterIP"] for recording in stage.services.values()} == {"None"}
        await stage.say()
        stalled = await stage.canary.until(
            lambda each: any(one["type"] == "Stalled" for one in each["status"]["conditions"]),
            within=10,
            what="refusal",
        )
        (told,) = [one["message"] for one in (stalled.value or {})["status"]["conditions"] if one["type"] == "Stalled"]
        assert "spec.service.headless: Service app is headless, and that can't be changed" in told

        for name in NAMES:
            await rig.client.delete(SERVICE, rig.namespace, name)
        for name in NAMES:
            made = await stage.services[name].until(
                lambda each: each.get("spec", {}).get("clusterIP", "None") != "None", within=10, what="a new Service"
            )
            assert made.value is not None


async def test_a_service_of_somebody_elses_gets_its_port_and_gives_it_back(rig: Rig) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": rig.namespace, "labels": {"theirs": "yes"}},
        "spec": {"selector": {"app": NAME}, "ports": [{"name": "metrics", "port": 9797, "targetPort": 9797}]},
    }
    await rig.client.apply(SERVICE, theirs, field_manager=AUTHOR)
    admin = {"name": "admin", "port": 8081}
    async with staged(rig, {"ports": [admin]}) as stage:
        both = stage.services[NAME].last
        assert {port["port"] for port in both["spec"]["ports"]} == {80, 8081, 9797}
        assert both["metadata"]["labels"] == {"theirs": "yes"}
        await stage.say()
        await stage.until(
            NAME, lambda each: {port["port"] for port in each["spec"]["ports"]} == {80, 9797}, "end of the port"
        )


ADMIN = {"name": "admin", "port": 81, "targetPort": "admin"}


async def test_users_of_every_port_are_on_the_same_version(rig: Rig) -> None:
    """Blue/green by Services alone: all ports turn together."""
    async with staged(rig, {"ports": [ADMIN]}) as stage:

        async def versions() -> set[str]:
            async with httpx.AsyncClient() as http:
                urls = [f"http://{NAME}.{rig.namespace}:{port}/" for port in (80, 81)]
                answers = [await http.get(url, headers={"Connection": "close"}) for url in urls]
            return {answer.headers["x-version"] for answer in answers}

        assert await eventually(versions, lambda found: found == {"1.0.0"}) == {"1.0.0"}
        await rig.apply(two_ports(rig.namespace, "1.0.1"))
        await stage.canary.until(lambda each: phase_of(each) == "Progressing", within=20, what="start")
        await stage.canary.until(lambda each: phase_of(each) == "Succeeded", within=60, what="promotion")
        assert await eventually(versions, lambda found: found == {"1.0.1"}) == {"1.0.1"}


async def test_every_port_has_a_route_and_all_shift_together(rig: Rig) -> None:
    admin = f"{NAME}-admin"
    analysis = {"interval": "1s", "threshold": 1, "stepWeight": 25, "maxWeight": 50}
    async with (
        rig.recording(TRAEFIK_SERVICE, NAME) as first,
        rig.recording(TRAEFIK_SERVICE, admin) as second,
        staged(rig, {"ports": [ADMIN]}, provider="traefik", analysis=analysis) as stage,
    ):
        await rig.apply(two_ports(rig.namespace, "1.0.1"))
        await stage.canary.until(lambda each: phase_of(each) == "Progressing", within=20, what="start")
        await stage.canary.until(lambda each: phase_of(each) == "Succeeded", within=60, what="promotion")
        shares = [[backends_of(moment.value or {}) for moment in route.moments] for route in (first, second)]
        assert shares[0] == shares[1]
        assert [each.get("app-canary", 0) for each in shares[0]] == [0, 25, 50, 0]
        services = second.last["spec"]["weighted"]["services"]
        assert [each["port"] for each in services] == [81]

        await rig.client.delete(CANARY, rig.namespace, NAME)
        await stage.canary.until(lambda each: not each, within=60, what="end of the Canary")
        for route in (first, second):
            await route.until(lambda each: backends_of(each) == {NAME: 100}, within=10, what="the route handed back")
            assert "ownerReferences" not in route.last["metadata"]


async def test_a_name_that_another_canary_has_taken_is_refused(rig: Rig) -> None:
    async with staged(rig, {}):
        other = canary_of(rig.namespace, {"name": NAME})
        other["metadata"]["name"] = other["spec"]["targetRef"]["name"] = "other"
        await rig.apply(application("other", rig.namespace, "1.0.0", replicas=1))
        await rig.apply(other)
        told = await eventually(lambda: rig.events("other"), bool)
        assert f"Service {NAME} belongs to Canary {NAME}" in told[0]
