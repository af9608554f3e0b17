"""Stands in for Knative's controllers and webhooks: what they make of a Service and its Revisions.

Written after knative/serving as of August 2026 (98e5ef9): `pkg/apis/serving/v1/route_defaults.go` and
`route_validation.go` for what is stored, `pkg/reconciler/configuration/configuration.go` for Revisions,
`pkg/reconciler/route/traffic/traffic.go` for which divisions are taken, and `pkg/reconciler/service/service.go` for
what is said of it. There is no Configuration and no Route of their own, no pod and no gateway: `status.traffic` is what
the gateway would do.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from copy import deepcopy

from canary.kube.client import KubeClient
from canary.kube.errors import Conflict, NotFound
from canary.kube.types import KNATIVE_REVISION, KNATIVE_SERVICE, Json, Resource, name_of, resource_of

GENERATION = "serving.knative.dev/configurationGeneration"
LATEST = {"latestRevision": True, "percent": 100}

Ready = Callable[[Json], bool | None]
"""Whether a Revision gets ready; None while nobody can say."""


def service(name: str, namespace: str, image: str, **fields: object) -> Json:
    """A Knative Service as its author applies it; further fields of its spec, such as `traffic`."""
    return {
        "apiVersion": KNATIVE_SERVICE.api_version,
        "kind": KNATIVE_SERVICE.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}, **fields},
    }


def image_of(revision: Json) -> str:
    """What a Revision runs."""
    return str(revision["spec"]["containers"][0]["image"])


def objections(traffic: Iterable[Json]) -> list[str]:
    """What the webhook has against a division of requests."""
    entries = list(traffic)
    found = [
        f"may not set revisionName when latestRevision is {entry['latestRevision']}"
        for entry in entries
        if "latestRevision" in entry and bool(entry.get("revisionName")) is bool(entry["latestRevision"])
    ]
    tags = Counter(entry["tag"] for entry in entries if entry.get("tag"))
    found += [f"Multiple definitions for {tag!r}" for tag, count in tags.items() if count > 1]
    total = sum(entry.get("percent") or 0 for entry in entries)
    return found if total == LATEST["percent"] else [*found, f"Traffic targets sum to {total}, want 100"]


def defaulted(obj: Json) -> Json:
    """A Service as the webhook has it stored."""
    entries = obj["spec"].get("traffic") or [LATEST]
    made = [{"latestRevision": not entry.get("revisionName"), "percent": 0, **entry} for entry in entries]
    return {**obj, "spec": {**obj["spec"], "traffic": made}}


def next_revision(obj: Json, revisions: Iterable[Json]) -> Json | None:
    """The Revision that is still to be made: for each new template one, though it was there before."""
    template, newest = obj["spec"]["template"]["spec"], max(revisions, key=_generation, default=None)
    if newest is not None and newest["spec"] == template:
        return None
    generation = 1 if newest is None else _generation(newest) + 1
    name = name_of(obj)
    labels = {"serving.knative.dev/service": name, "serving.knative.dev/configuration": name}
    return {
        "apiVersion": KNATIVE_REVISION.api_version,
        "kind": KNATIVE_REVISION.kind,
        "metadata": {
            "name": f"{name}-{generation:05d}",
            "namespace": obj["metadata"]["namespace"],
            "labels": {**labels, GENERATION: str(generation)},
        },
        "spec": deepcopy(template),
    }


def revision_status(*, ready: bool | None) -> Json:
    """What is said of a Revision."""
    if ready is None:
        return {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "Deploying"}]}
    failed = {"reason": "ContainerMissing", "message": "the image can't be pulled"}
    return {"conditions": [{"type": "Ready", "status": str(ready), **({} if ready else failed)}]}


def service_status(obj: Json, revisions: Iterable[Json]) -> Json:
    """What is said of a Service: a division in which one Revision is missing or not ready changes nothing."""
    made = sorted(revisions, key=_generation)
    ready = [name_of(each) for each in made if _is_ready(each)]
    before = obj.get("status") or {}
    latest = {"latestCreatedRevisionName": name_of(made[-1])} if made else {}
    latest |= {"latestReadyRevisionName": ready[-1]} if ready else {}
    named = [
        {**entry, "revisionName": entry.get("revisionName") or latest.get("latestReadyRevisionName", "")}
        for entry in defaulted(obj)["spec"]["traffic"]
    ]
    bad = [entry["revisionName"] for entry in named if entry["revisionName"] not in ready]
    pairs = Counter((entry["revisionName"], entry.get("tag")) for entry in named)
    said = f"Revision {bad[0]!r} failed to become ready." if bad else "Traffic is not yet migrated to the latest."
    taken = not bad and max(pairs.values()) == 1
    conditions = [
        {"type": "ConfigurationsReady", "status": str(bool(made and _is_ready(made[-1])))},
        {"type": "RoutesReady", "status": str(taken), **({} if taken else {"message": said})},
    ]
    whole = all(each["status"] == "True" for each in conditions)
    return {
        **latest,
        "observedGeneration": obj["metadata"]["generation"],
        "traffic": before.get("traffic", []) if bad else named,
        "conditions": [*conditions, {"type": "Ready", "status": str(whole)}],
    }


def served(obj: Json) -> dict[str, int]:
    """The percent of requests that each Revision gets of the gateway."""
    found: Counter[str] = Counter()
    for entry in (obj.get("status") or {}).get("traffic") or ():
        found[entry["revisionName"]] += entry["percent"]
    return {name: percent for name, percent in found.items() if percent}


class Knative:
    """The controllers, on an API server.

    Args:
        client: their way to it.
        namespace: the only one that they look at.
        ready: which Revisions get ready.
    """

    def __init__(self, client: KubeClient, namespace: str, ready: Ready) -> None:
        self._client = client
        self._namespace = namespace
        self.ready = ready
        self.objections: list[str] = []
        """What the webhook would have refused."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Knative"]:
        """Have them at work while the context lasts."""
        task = asyncio.create_task(self._run(), name="knative")
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _run(self) -> None:
        while True:
            for obj in await self._listed(KNATIVE_SERVICE):
                with suppress(Conflict, NotFound):
                    await self._reconcile(obj)
            await asyncio.sleep(0.05)

    async def _listed(self, resource: Resource) -> list[Json]:
        found: list[Json] = (await self._client.list(resource, self._namespace))["items"]
        return found

    async def _reconcile(self, obj: Json) -> None:
        self.objections += objections(defaulted(obj)["spec"]["traffic"])
        owned = [each for each in await self._listed(KNATIVE_REVISION) if _owner(each) == name_of(obj)]
        if (missing := next_revision(obj, owned)) is not None:
            owned.append(await self._client.create(KNATIVE_REVISION, missing))
        for index, each in enumerate(owned):
            owned[index] = await self._say(each, revision_status(ready=self.ready(each)))
        await self._say(obj, service_status(obj, owned))

    async def _say(self, obj: Json, status: Json) -> Json:
        if obj.get("status") == status:
            return obj
        ref, patch = (resource_of(obj), self._namespace, name_of(obj)), {"status": status}
        return await self._client.merge_patch(*ref, patch, subresource="status")


def _owner(revision: Json) -> str:
    return str(revision["metadata"]["labels"]["serving.knative.dev/service"])


def _generation(revision: Json) -> int:
    return int(revision["metadata"]["labels"][GENERATION])


def _is_ready(revision: Json) -> bool:
    conditions = (revision.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
