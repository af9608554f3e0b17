"""ConfigMaps and Secrets by their mode, on a real API server: what the primary's pods really read, and what follows."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from canary.kube.types import CANARY, CONFIG_MAP, DEPLOYMENT, SECRET, Json, Resource
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Recording, Rig, application, phase_of
from canary.workloads.config_sync import followed_by

NAME, PRIMARY, PORT = "app", "app-primary", 9898
SLOW = {"interval": "4s", "threshold": 1, "iterations": 3}
QUICK = {"interval": "1s", "threshold": 1, "iterations": 1}


@dataclass(frozen=True, slots=True)
class Stage:
    """An application that answers with the version that its Secret `release` holds."""

    rig: Rig
    canary: Recording
    primary: Recording

    async def phase(self, wanted: str) -> None:
        await self.canary.until(lambda each: phase_of(each) == wanted, within=60, what=wanted)

    async def write(self, resource: Resource, name: str, key: str, value: str, field: str = "data") -> None:
        value = base64.b64encode(value.encode()).decode() if (resource, field) != (CONFIG_MAP, "data") else value
        await self.rig.client.merge_patch(resource, self.rig.namespace, name, {field: {key: value}})

    async def answers(self, version: str, within: float = 20) -> None:
        """Wait until users are answered by pods that have read this version, and by no others."""

        async def ask() -> set[str]:
            async with httpx.AsyncClient() as http:
                url = f"http://{NAME}.{self.rig.namespace}:{PORT}/"
                found = [await http.get(url, headers={"Connection": "close"}) for _ in range(4)]
            return {each.headers["x-version"] for each in found}

        await eventually(ask, lambda found: found == {version}, within=within)

    def reads(self) -> str:
        """The names of all configuration in the primary's pod template."""
        return str(self.primary.last["spec"]["template"]["spec"])


def template(deployment: Json) -> Json:
    """Every way to read configuration, in a container and an init container."""
    spec = deployment["spec"]["template"]["spec"]
    spec["containers"][0]["env"] = [
        {"name": "VERSION", "valueFrom": {"secretKeyRef": {"name": "release", "key": "version"}}}
    ]
    spec["containers"][0]["envFrom"] = [{"configMapRef": {"name": "absent", "optional": True}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "all", "mountPath": "/all"}]
    source = {"configMapRef": {"name": "settings"}}
    spec["initContainers"] = [{"name": "first", "image": "process:///bin/true", "envFrom": [source]}]
    spec["volumes"] = [
        {
            "name": "all",
            "projected": {"sources": [{"configMap": {"name": "files"}}, {"secret": {"name": "release"}}]},
        }
    ]
    return deployment


@asynccontextmanager
async def staged(rig: Rig, analysis: Json, **modes: str) -> AsyncIterator[Stage]:
    """The application behind its Canary; modes are those of its objects by name."""
    kinds = {"release": "Secret", "settings": "ConfigMap", "files": "ConfigMap", "absent": "ConfigMap"}
    metadata = {"namespace": rig.namespace}
    objects: list[Json] = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "release"}, "stringData": {"version": "1.0.0"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"COLOUR": "blue"}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "files"},
            "immutable": True,
            "data": {"text": "x"},
            "binaryData": {"bytes": "AAEC"},
        },
    ]
    async with rig.recording(CANARY, NAME) as canary, rig.recording(DEPLOYMENT, PRIMARY) as primary:
        for obj in objects:
            await rig.apply({**obj, "metadata": {**obj["metadata"], **metadata}})
        await rig.apply(template(application(NAME, rig.namespace, "1.0.0", replicas=1)))
        await rig.apply(
            {
                "apiVersion": CANARY.api_version,
                "kind": CANARY.kind,
                "metadata": {"name": NAME, **metadata},
                "spec": {
                    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
                    "configRefs": [{"kind": kinds[name], "name": name, "mode": mode} for name, mode in modes.items()],
                    "service": {"port": PORT},
                    "analysis": analysis,
                },
            }
        )
        stage = Stage(rig, canary, primary)
        await stage.phase("Initialized")
        await stage.answers("1.0.0")
        yield stage


async def test_a_snapshot_changes_by_a_rollout_and_is_copied_whole(rig: Rig) -> None:
    async with staged(rig, QUICK) as stage:
        copy = await rig.client.get(CONFIG_MAP, rig.namespace, "files-primary")
        assert (copy["data"], copy["binaryData"]) == ({"text": "x"}, {"bytes": "AAEC"})
        assert "immutable" not in copy, "its contents change with every promotion"
        for name in ("release-primary", "settings-primary", "files-primary"):
            assert f"'{name}'" in stage.reads()
        assert "absent-primary" not in stage.reads()

        await stage.write(SECRET, "release", "version", "1.0.1")
        await stage.phase("Progressing")
        await stage.answers("1.0.0")
        await stage.phase("Succeeded")
        await stage.answers("1.0.1")


async def test_a_rotated_secret_that_is_followed_reaches_the_primary_without_a_rollout(rig: Rig) -> None:
    async with staged(rig, QUICK, release="follow") as stage:
        assert "'release'" in stage.reads()
        assert "release-primary" not in stage.reads()
        before = followed_by(stage.primary.last)
        since = len(stage.canary.moments)
        await stage.write(SECRET, "release", "version", "1.0.1")
        await stage.answers("1.0.1")

        assert followed_by(stage.primary.last) not in ("", before)
        phases = {phase_of(moment.value or {}) for moment in stage.canary.moments[since:]}
        assert phases <= {"Initialized"}, "it is no new version"


async def test_it_does_so_in_mid_rollout_too_and_the_promotion_restarts_nothing_for_it(rig: Rig) -> None:
    async with staged(rig, SLOW, release="follow") as stage:
        await stage.write(CONFIG_MAP, "settings", "COLOUR", "green")
        await stage.phase("Progressing")
        await stage.write(SECRET, "release", "version", "1.0.1")
        await stage.answers("1.0.1")
        assert phase_of(stage.canary.last) == "Progressing"
        rolled = followed_by(stage.primary.last)
        await stage.phase("Succeeded")
        digests = [followed_by(moment.value) for moment in stage.primary.moments if moment.value]
        assert digests[digests.index(rolled) :] == [rolled] * (len(digests) - digests.index(rolled))


async def test_a_followed_volume_comes_by_itself_and_takes_no_new_pods(rig: Rig) -> None:
    """Pods see new contents of a mounted ConfigMap without help."""
    async with staged(rig, QUICK, files="follow") as stage:
        assert followed_by(stage.primary.last) == ""
        assert "'files'" in stage.reads()


async def test_what_is_ignored_changes_nothing(rig: Rig) -> None:
    async with staged(rig, QUICK, settings="ignore", release="ignore") as stage:
        version = stage.primary.last["metadata"]["generation"]
        await stage.write(CONFIG_MAP, "settings", "COLOUR", "green")
        await stage.write(SECRET, "release", "version", "1.0.1")
        await asyncio.sleep(2)
        assert stage.primary.last["metadata"]["generation"] == version
        assert phase_of(stage.canary.last) == "Initialized"
        assert "settings-primary" not in stage.reads()


async def test_a_name_that_no_pod_reads_is_refused(rig: Rig) -> None:
    async with staged(rig, QUICK) as stage:
        wrong = [{"kind": "Secret", "name": "releases", "mode": "follow"}]
        await rig.client.merge_patch(CANARY, rig.namespace, NAME, {"spec": {"configRefs": wrong}})
        stalled = await stage.canary.until(
            lambda each: any(one["type"] == "Stalled" for one in each["status"]["conditions"]),
            within=10,
            what="refusal",
        )
        told = next(one["message"] for one in (stalled.value or {})["status"]["conditions"] if one["type"] == "Stalled")
        assert told.startswith("spec.configRefs[0]: no pod of app reads Secret releases")
