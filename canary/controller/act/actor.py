"""Act: do what was decided, in order, writing only what is not so already."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import assert_never

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.controller.act import itself
from canary.controller.act.baseline import stand_baseline
from canary.controller.act.config_copies import apply_copy
from canary.controller.act.owned_objects import is_owner, owned_objects
from canary.controller.act.partitions import replace_pods
from canary.controller.act.revision_history import RevisionHistory
from canary.controller.configs import RESOURCE, ConfigReader
from canary.controller.contest import DELETED, Write
from canary.controller.observe.caches import Caches
from canary.controller.observe.former_routes import handed_back
from canary.controller.observe.routes import observed
from canary.controller.observe.surroundings import Surroundings
from canary.gates.jenkins import PLURAL as BUILDS
from canary.gates.registry import RUN
from canary.kube.applied import marked
from canary.kube.client import KubeClient
from canary.kube.diff import covers, differences
from canary.kube.errors import Conflict, NotFound
from canary.kube.memo import Memo
from canary.kube.ownership import take_over
from canary.kube.types import SERVICE, Json, ObjectRef, Resource, name_of, namespace_of, resource_of
from canary.rollout.decision import (
    Action,
    Adopt,
    CopyToPrimary,
    DeletePod,
    DropBaseline,
    DropFinalizer,
    DropVotes,
    EndRuns,
    HandBack,
    HoldFinalizer,
    KeepApexService,
    KeepAutoscaler,
    KeepBaseline,
    KeepRevision,
    KeepVersionServices,
    LeaveRoutes,
    Orphan,
    RestAutoscaler,
    RestorePrimary,
    RollPrimary,
    Route,
    ScalePrimary,
    ScaleTarget,
    SetPartition,
    WakeAutoscaler,
)
from canary.routers import steps
from canary.routers.base import Apply, Granularity, Patch, Provider
from canary.routers.base import Write as Planned
from canary.workloads import config_sync, configs
from canary.workloads.base import Rules, Target, Versions, made_of, owners_of, primary_name
from canary.workloads.origin import APPLIED_ANNOTATION, FLAGGER

REPLICAS = ("spec", "replicas")


@dataclass(frozen=True, slots=True)
class _Parts:
    """The surroundings of a Canary whose spec works: what every action builds on is there."""

    kind: Target
    router: Provider
    target: Json


EndBuild = Callable[[Canary, str], Awaitable[None]]
"""Ends a build of Jenkins that was started for a Canary, by what it is known by."""


class Actor:
    """Applies the actions of one decision.

    Args:
        client: where to write.
        caches: what is there already; every write goes into it at once.
        configs: contents of tracked configuration.
        rules: how versions are told apart, and what is copied.
        seen: what the decision was made on: a version that came after it is never copied.
        applied: whether an object was as desired when that was asked last.
        made: the manifests of Services, as they were made last.
        end_build: ends a build of Jenkins; it tells itself where that can't be.
    """

    def __init__(
        self,
        client: KubeClient,
        caches: Caches,
        configs: ConfigReader,
        rules: Rules,
        seen: Surroundings,
        applied: Memo[bool],
        made: Memo[tuple[Json, ...]],
        end_build: EndBuild,
    ) -> None:
        self._end_build = end_build
        self._client = client
        self._caches = caches
        self._configs = configs
        self._rules = rules
        self._seen = seen
        self._applied = applied
        self._made = made
        self.writes = 0
        self.applied: list[Write] = []
        """What was written that somebody may undo."""
        self.raw = seen.raw

    async def do(self, action: Action) -> None:
        """Apply one action.

        Raises:
            KubeError: the API server did not do it; doing it again is safe.
        """
        match action:
            case HoldFinalizer() | DropFinalizer() | DropVotes():
                await self._of_itself(action)
            case KeepVersionServices() | KeepApexService():
                await self._services(action)
            case CopyToPrimary() | RollPrimary() | KeepRevision() | RestorePrimary():
                await self._revise(action)
            case ScalePrimary() | ScaleTarget():
                await self._scale(action)
            case KeepBaseline() | DropBaseline():
                await stand_baseline(self._client, self._caches, self._seen, self._rules, action, self._apply)
            case KeepAutoscaler() | RestAutoscaler() | WakeAutoscaler():
                await self._autoscaler(action)
            case Route() | LeaveRoutes():
                await self._lead(action)
            case EndRuns(names):
                await self._end_runs(names)
            case SetPartition() | DeletePod():
                self.writes += await replace_pods(self._client, self._caches, self._seen, action)
            case Adopt():
                await self._adopt()
            case HandBack() | Orphan():
                await (self._hand_back() if isinstance(action, HandBack) else self._orphan())
            case _:
                assert_never(action)

    async def _route(self, split: Split) -> None:
        """Needs the router alone: traffic must leave a target that is gone, too."""
        if self._seen.router is None:
            msg = f"{self._seen.canary.key} has no router to divide traffic with"
            raise RuntimeError(msg)
        router, canary = self._seen.router, self._seen.canary
        for write in router.plan(steps.led(canary, split), split, observed(router, canary, self._caches.get)):
            await self._write(write)

    async def _write(self, write: Planned) -> None:
        match write:
            case Apply(manifest):
                await self._apply(manifest)
            case Patch(ref, patch):
                before = self._caches.get(*ref) or {}
                written = await self._client.merge_patch(*ref, write.guarded)
                self._wrote(written)
                self.applied.append(Write(_words(written), str(patch), tuple(differences(before, patch))))
            case _:
                assert_never(write)

    async def _lead(self, action: Route | LeaveRoutes) -> None:
        match action:
            case Route(split):
                await self._route(split)
            case LeaveRoutes():
                await self._leave_routes()

    async def _end_runs(self, names: Iterable[str]) -> None:
        """Side by side: a Jenkins that doesn't answer keeps none of the others running."""
        ended = await asyncio.gather(*map(self._end_run, names), return_exceptions=True)
        for each in ended:
            if isinstance(each, BaseException):
                raise each

    async def _end_run(self, each: str) -> None:
        plural, _, name = each.partition("/")
        if plural == BUILDS:
            await self._end_build(self._seen.canary, name)
            return
        kind, namespace = RUN[plural], self._seen.canary.namespace
        with suppress(NotFound):
            if kind.cancel is None:
                await self._client.delete(kind.resource, namespace, name)
            else:
                await self._client.merge_patch(kind.resource, namespace, name, kind.cancel)

    async def _leave_routes(self) -> None:
        """They stay as they are but for the canary, for those who still use them; one that is gone needs nothing."""
        for each in self._seen.left:
            with suppress(NotFound):
                namespace = self._seen.canary.namespace
                self._wrote(await self._client.merge_patch(each.resource, namespace, each.name, each.patch))

    async def _services(self, which: KeepVersionServices | KeepApexService) -> None:
        parts, seen = self._parts(), self._seen
        apex = isinstance(which, KeepApexService)
        wanted = parts.kind.apex_services if apex else parts.kind.version_services
        # As the actions before have left them: a primary that was promoted in this pass must not be put back.
        namespace = seen.canary.namespace
        there = self._caches.named(SERVICE, namespace, seen.canary.services)
        name = seen.canary.primary_name
        primary = self._caches.get(parts.kind.resource, namespace, name) if seen.primary is not None else None
        # No status has a part in them, of the Canary or of its workloads, and these change with every step and pod.
        given = (seen.canary.spec, seen.canary.metadata.uid, made_of(parts.target), made_of(primary))
        made = self._made.of(
            (seen.canary.key, apex),
            (*given, dict(there)),
            lambda: wanted(parts.target, seen.canary, rules=self._rules, observed=there, primary=primary),
        )
        for service in made:
            await self._apply(self._as_it_selects(parts.router, service) if apex else service)

    def _as_it_selects(self, router: Provider, service: Json) -> Json:
        """The manifest of the Service that users call, with what it selects where the canary has traffic by that.

        Two applications of different parts by one manager would take each other's fields off.
        """
        canary = self._seen.canary
        there = observed(router, canary, self._caches.get)
        split = router.split(canary, there) if router.weights is Granularity.PODS else None
        if split is None or not split.canary:
            return service
        selector = there[ObjectRef(SERVICE, canary.namespace, canary.service_name)]["spec"]["selector"]
        return {**service, "spec": {**service["spec"], "selector": selector}}

    def _parts(self) -> _Parts:
        seen = self._seen
        if seen.kind is None or seen.router is None or seen.target is None:
            msg = f"{seen.canary.key} has no target or no router to act on"
            raise RuntimeError(msg)
        return _Parts(seen.kind, seen.router, seen.target)

    async def _apply(self, desired: Json) -> None:
        """Server-side apply, unless all of it is so already, and nothing more of ours is there."""
        resource = resource_of(desired)
        existing = self._caches.get(resource, namespace_of(desired) or "", name_of(desired))
        key = (resource, namespace_of(desired), name_of(desired))
        if existing is not None and self._applied.of(key, (existing, desired), lambda: _is_applied(existing, desired)):
            return
        manifest = marked(desired, APPLIED_ANNOTATION)
        self._wrote(await self._client.apply(resource, manifest))
        fields = tuple(differences(existing, desired)) if existing is not None else (DELETED,)
        digest = manifest["metadata"]["annotations"][APPLIED_ANNOTATION]
        self.applied.append(Write(_words(desired), digest, fields or (f"annotation {APPLIED_ANNOTATION}",)))

    def _wrote(self, obj: Json) -> None:
        self.writes += 1
        self._caches.note(obj)

    async def _of_itself(self, action: HoldFinalizer | DropFinalizer | DropVotes) -> None:
        if (written := await itself.write(self._client, self.raw, action)) is None:
            return
        if not isinstance(action, DropVotes):
            self.raw = written
        self._wrote(written)

    async def _copy(self, revision: str) -> None:
        """Configuration first: the primary's pods must find it when they start."""
        parts, canary = self._parts(), self._seen.canary
        tracked = self._seen.configs
        if parts.kind.carried(parts.target, tracked) != revision:
            raise Conflict("PATCH", canary.primary_name, "the target has changed since it was looked at")
        for ref in sorted(configs.references(parts.kind.template(parts.target))):
            if ref.key not in tracked:
                continue
            obj = await self._configs.contents(canary.namespace, ref)
            if obj is None or configs.checksum(obj) != tracked[ref.key]:
                raise Conflict("GET", ref.key, "the configuration has changed since it was looked at")
            name = primary_name(ref.name)
            existing = self._caches.get(RESOURCE[ref.kind], canary.namespace, name)
            copy = configs.primary_copy(obj, canary, rules=self._rules, existing=existing)
            self._wrote(await apply_copy(self._client, RESOURCE[ref.kind], copy))
        manifest = parts.kind.primary(
            parts.target, canary, tracked=tracked, rules=self._rules, existing=self._seen.primary
        )
        manifest = config_sync.marked(manifest, self._seen.shared.to_follow)
        self._wrote(await self._client.apply(parts.kind.resource, manifest))

    async def _promote(self, versions: Versions, revision: str) -> None:
        """Mark a version as the promoted one, where each is an object of its own."""
        parts, canary = self._parts(), self._seen.canary
        if patch := versions.promotion(parts.target, revision):
            namespace, name = canary.namespace, canary.target_name
            self._wrote(await self._client.merge_patch(parts.kind.resource, namespace, name, patch))

    async def _roll(self, action: RollPrimary) -> None:
        kind, primary = self._parts().kind, self._seen.primary
        if primary is not None and config_sync.followed_by(primary) != action.followed:
            namespace, patch = self._seen.canary.namespace, config_sync.rolled(action.followed)
            self._wrote(await self._client.merge_patch(kind.resource, namespace, name_of(primary), patch))

    async def _revise(self, action: CopyToPrimary | RollPrimary | KeepRevision | RestorePrimary) -> None:
        versions = self._parts().kind.versions
        match action:
            case CopyToPrimary(revision) | RestorePrimary(revision) if versions is not None:
                await self._promote(versions, revision)
            case RollPrimary() | KeepRevision() if versions is not None:
                return  # its versions never change, and stay
            case CopyToPrimary(revision):
                await self._copy(revision)
            case RollPrimary():
                await self._roll(action)
            case _:
                keeper = RevisionHistory(self._client, self._caches, self._configs, self._rules, self._seen)
                await keeper.do(action)
                self.writes += len(keeper.written)

    async def _scale(self, action: ScalePrimary | ScaleTarget) -> None:
        parts, canary = self._parts(), self._seen.canary
        if not canary.is_copied:
            return
        namespace = canary.namespace
        name = canary.primary_name if isinstance(action, ScalePrimary) else canary.target_name
        existing = self._caches.get(parts.kind.resource, namespace, name)
        patch = parts.kind.scaled(existing, action.replicas) if existing is not None else {}
        if not patch:
            return
        written = await self._client.merge_patch(parts.kind.resource, namespace, name, patch)
        self._wrote(written)
        self.applied.append(Write(_words(written), str(patch), tuple(differences(existing, patch))))

    async def _autoscaler(self, action: KeepAutoscaler | RestAutoscaler | WakeAutoscaler) -> None:
        kind, scaler, canary = self._seen.autoscaler_kind, self._seen.autoscaler, self._seen.canary
        if kind is None or scaler is None:
            return
        if isinstance(action, KeepAutoscaler):
            existing = self._caches.get(kind.resource, canary.namespace, primary_name(name_of(scaler)))
            await self._apply(kind.primary(scaler, canary, floor=action.floor, existing=existing))
            return
        patch = kind.rested(scaler) if isinstance(action, RestAutoscaler) else kind.woken(scaler, held=action.held)
        if patch:
            self._wrote(await self._client.merge_patch(kind.resource, canary.namespace, name_of(scaler), patch))
            self.applied.append(Write(_words(scaler), str(patch), tuple(differences(scaler, patch))))

    async def _hand_back(self) -> None:
        """The users' Service and route lead to the target, and belong to no Canary any more."""
        parts, seen = self._parts(), self._seen
        for service in parts.kind.handed_back_services(
            parts.target, seen.canary, rules=self._rules, observed=await self._as_kubectl_left_it()
        ):
            await self._release(service)
        for write in parts.router.hand_back(seen.canary, seen.routes):
            await (self._release(write.manifest) if isinstance(write, Apply) else self._write(write))
        for resource, name, patch in handed_back(seen.canary, self._caches.owners.of(seen.canary), self._caches.get):
            self._wrote(await self._client.merge_patch(resource, seen.canary.namespace, name, patch))

    async def _as_kubectl_left_it(self) -> Mapping[str, Json]:
        """The Services, and that which users call with kubectl's copy of it, which no cache keeps."""
        seen, name = self._seen, self._seen.canary.service_name
        existing = seen.services.get(name)
        if existing is None or is_owner(seen, existing):
            return seen.services
        found = await self._client.find(SERVICE, seen.canary.namespace, name)
        return seen.services if found is None else {**seen.services, name: found}

    async def _orphan(self) -> None:
        """Nothing that serves traffic is collected with the Canary, nor what its pods need."""
        for resource, obj in owned_objects(self._caches, self._seen):
            if is_owner(self._seen, obj):
                await self._disown(resource, obj)

    async def _adopt(self) -> None:
        """Replicas stay nobody's: they are whoever's who scales."""
        for resource, obj in owned_objects(self._caches, self._seen):
            namespace, name = self._seen.canary.namespace, name_of(obj)
            taken = await take_over(self._client, resource, namespace, name, giver=FLAGGER, but=(REPLICAS,))
            if taken is not None:
                self._wrote(taken)

    async def _release(self, desired: Json) -> None:
        """Server-side apply, which takes off the owner that the manifest no longer names."""
        existing = self._caches.get(resource_of(desired), namespace_of(desired) or "", name_of(desired))
        if existing is not None and (not covers(existing, desired) or is_owner(self._seen, existing)):
            self._wrote(await self._client.apply(resource_of(desired), desired))

    async def _disown(self, resource: Resource, obj: Json) -> None:
        """Take our owner reference off an object, so that it outlives the Canary; one that is gone needs nothing."""
        canary = self._seen.canary
        kept = [owner for owner in owners_of(obj) if owner.get("uid") != canary.metadata.uid]
        patch = {"metadata": {"ownerReferences": kept, "resourceVersion": obj["metadata"]["resourceVersion"]}}
        with suppress(NotFound):
            self._wrote(await self._client.merge_patch(resource, canary.namespace, name_of(obj), patch))


def _is_applied(existing: Json, desired: Json) -> bool:
    return covers(existing, marked(desired, APPLIED_ANNOTATION))


def _words(obj: Json) -> str:
    return f"{obj['kind']} {name_of(obj)}"
