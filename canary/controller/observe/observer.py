"""Observe: collect what is known around one Canary into facts."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from canary.api.canary import Canary, parse_canary
from canary.api.partitions import Partitions
from canary.api.problems import Problem
from canary.controller.ask.metric_questions import is_countable
from canary.controller.configs import ConfigReader, Shared
from canary.controller.observe.caches import Caches, Freshness
from canary.controller.observe.caught_up import CaughtUp
from canary.controller.observe.foreign import ForeignObjects
from canary.controller.observe.former_routes import former_routes
from canary.controller.observe.index import Index, Ref, ref_to
from canary.controller.observe.kept_revisions import askable, kept
from canary.controller.observe.needs import (
    KNOWN,
    Needs,
    config_refs,
    missing,
    needed,
    of_pods,
    of_spec,
)
from canary.controller.observe.routes import made_for, observed
from canary.controller.observe.seen import Seen
from canary.controller.observe.surroundings import Contents, Pair, Sight, Surroundings, Told
from canary.controller.observe.versions import versions_of
from canary.controller.options import Options
from canary.controller.problems import problems
from canary.controller.status_memory import StatusMemory
from canary.gates import registry as gates
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError, NotLeading
from canary.kube.memo import Memo
from canary.kube.types import (
    POD,
    SERVICE,
    Json,
    ObjectRef,
    Resource,
    name_of,
    namespace_of,
)
from canary.rollout.facts import Answer, Facts, Question, Unseen, Workload
from canary.rollout.ready_since import Part, ReadySince
from canary.routers import steps
from canary.routers.base import Observed, Provider
from canary.routers.registry import provider_of, router_of, settle_of
from canary.workloads import baseline, config_sync
from canary.workloads.autoscalers import autoscaler_of
from canary.workloads.base import Target, images_of, made_of
from canary.workloads.configs import ConfigRef
from canary.workloads.registry import target_for


@dataclass(slots=True)
class _Known:
    """What was found out about one Canary, and need not be again while that stays which it was found out from."""

    read: tuple[Json, Canary] | None = None
    needs: Memo[Needs] = field(default_factory=lambda: Memo(1))
    reads: Memo[frozenset[ConfigRef]] = field(default_factory=lambda: Memo(2))
    found: Memo[tuple[Problem, ...]] = field(default_factory=lambda: Memo(5))
    carried: Memo[str] = field(default_factory=lambda: Memo(1))
    ready: ReadySince = field(default_factory=ReadySince)

    def parsed(self, raw: Json) -> Canary:
        """The Canary; what of it is as it was is not read again.

        Raises:
            InvalidResource: it can't be read.
        """
        if self.read is not None and self.read[0] is raw:
            return self.read[1]
        canary = parse_canary(raw, self.read)
        self.read = (raw, canary)
        return canary


class Observer:
    """Looks at the cluster through the caches.

    Args:
        client: where pods are read, which nobody watches.
        caches: what is known of the cluster.
        configs: checksums of tracked configuration.
        index: is kept up to date with which objects each Canary looks at.
        options: the controller's settings.
        statuses: what the API server has not kept of the statuses that were stored.
    """

    def __init__(
        self,
        client: KubeClient,
        caches: Caches,
        configs: ConfigReader,
        index: Index,
        options: Options,
        statuses: StatusMemory,
    ) -> None:
        self._client = client
        self._caches = caches
        self._configs = configs
        self._index = index
        self._options = options
        self._statuses = statuses
        self._caught_up = CaughtUp()
        self._known: defaultdict[str, _Known] = defaultdict(_Known)
        self._foreign = ForeignObjects(client, caches)
        self._unread_since: dict[str, datetime] = {}

    def rest(self, key: str) -> None:
        """Nothing is to be done about a Canary before something changes: what was found out is no longer kept."""
        self._known.pop(key, None)

    def forget(self, key: str) -> None:
        """A Canary is gone."""
        self.rest(key)
        self._unread_since.pop(key, None)
        self._caught_up.forget(key)

    async def look(self, raw: Json) -> Surroundings:
        """Collect the objects around a Canary.

        Raises:
            InvalidResource: the Canary can't be read.
            KubeError: it names something that is there and can't be read.
        """
        known = self._known[f"{namespace_of(raw)}/{name_of(raw)}"]
        canary = known.parsed(self._statuses.whole(raw))
        needs = await self._named(canary, known)
        pair, router = await self._pair(canary, known), router_of(canary, self._options.mesh_provider)
        places = self._caches.owners.of(canary)
        read = of_pods(self._caches, canary, pair.refs | pair.own_refs | pair.copied)
        glances, glanced = await self._glance(canary, router)
        looked = needs.refs | read.refs | pair.versions.refs | glances
        self._index.put(canary.key, looked | {ref_to(*at) for at in places})
        routes = tuple(made_for(canary, self._options.mesh_provider))
        kinds = needed(self._caches, canary, pair, needs, (*routes, *(router.refs(canary) if router else ())))
        states = await self._caches.need(canary.key, (*kinds, *read.kinds))
        with suppress(KubeError):  # that it could not be read is found where it is
            await self._caches.fill(read.refs)
        return await self._around(canary, raw, router, pair, Sight(places, routes, glanced, kinds, states))

    async def _named(self, canary: Canary, known: _Known) -> Needs:
        """What the Canary itself names: from now on what changes is known whole, and wakes the Canary again.

        Raises:
            KubeError: an object that is there can't be read.
        """
        default, led = self._options.mesh_provider, (canary.status.routed_by, canary.status.route_refs)
        named = (canary.spec, canary.metadata.deletion_timestamp, askable(canary), led)
        needs = known.needs.of("", named, lambda: of_spec(canary, default))
        self._index.add(canary.key, needs.refs)
        await self._caches.need(canary.key, needs.kinds)
        await self._caches.fill(needs.refs)
        return needs

    async def _pair(self, canary: Canary, known: _Known) -> Pair:
        """The workloads, and the configuration that their pods read.

        Raises:
            KubeError: a version that is there can't be read.
        """
        kind = target_for(canary)
        beside = kind if canary.is_copied else None
        target = self._caches.get(kind.resource, canary.namespace, canary.target_name) if kind else None
        versions = await versions_of(self._caches, self._index, canary, kind, target)
        primary = versions.primary
        if beside is not None:
            primary = self._caches.get(beside.resource, canary.namespace, canary.primary_name)
        refs = known.reads.of("target", (kind, made_of(target)), lambda: self._refs(kind, target))
        own_refs = known.reads.of("primary", (beside, made_of(primary)), lambda: self._refs(beside, primary))
        return Pair(kind, beside, target, primary, versions, refs, own_refs)

    async def _around(
        self, canary: Canary, raw: Json, router: Provider | None, pair: Pair, sight: Sight
    ) -> Surroundings:
        """All of it together, with what no watch tells."""
        default, namespace, ref = self._options.mesh_provider, canary.namespace, canary.spec.autoscaler_ref
        scaler_kind, states = autoscaler_of(canary), sight.states
        services = self._caches.named(SERVICE, namespace, canary.services)
        contents = await self._contents(canary, pair)
        foreign = await self._foreign.find(canary, pair.beside, pair.primary, services, contents.configs, scaler_kind)
        made = {place: each for place in sight.places if (each := self._caches.peek(*place)) is not None}
        routes = (*sight.routes, *(router.adjusts(canary) if router else ()))
        return Surroundings(
            canary=canary,
            raw=raw,
            provider=provider_of(canary, default),
            kind=pair.kind,
            router=router,
            target=pair.target,
            primary=pair.primary,
            services=services,
            routes=observed(router, canary, self._caches.get) if router else {},
            left=tuple(former_routes(canary, sight.places, routes, self._caches.get)),
            configs=contents.configs,
            shared=contents.shared,
            copies=contents.copies,
            autoscaler_kind=scaler_kind,
            autoscaler=self._caches.get(scaler_kind.resource, namespace, ref.name) if scaler_kind and ref else None,
            pods=contents.pods,
            missing=tuple(missing(self._caches, namespace, pair.refs, states)),
            unseen={each: states[each] for each in sight.needed if states[each].freshness not in KNOWN},
            unread=contents.unread or foreign.unread,
            foreign=foreign.problems,
            glanced=sight.glanced,
            versions=pair.versions,
            baselines={place: each for place, each in made.items() if baseline.is_made_for(canary, each)},
            running={**gates.running(made.values()), **gates.building(canary)},
        )

    async def _glance(self, canary: Canary, router: Provider | None) -> tuple[frozenset[Ref], Observed]:
        """What the traffic provider glances at: where it would be, and what can be seen of it."""
        seen: dict[ObjectRef, Json] = {}
        named: frozenset[Ref] = frozenset()
        while router is not None:
            refs = [ref for ref in router.glances(canary, seen) if ref_to(*ref) not in named]
            if not refs:
                break
            named |= {ref_to(*ref) for ref in refs}
            self._index.add(canary.key, named)
            await self._caches.need(canary.key, {ref.resource for ref in refs})
            with suppress(KubeError):
                await self._caches.fill(named)
            found = {ref: self._caches.peek(*ref) for ref in refs}
            seen |= {ref: obj for ref, obj in found.items() if obj is not None}
        return named, seen

    async def _contents(self, canary: Canary, pair: Pair) -> Contents:
        """What is read from the API server itself; where it can't be had, that is a fact as any other."""
        tracked = config_sync.snapshots(canary, pair.refs) if pair.beside else ()
        try:
            return Contents(
                configs=await self._configs.checksums(canary.namespace, tracked),
                shared=await self._shared(canary, pair),
                copies=await self._configs.checksums(canary.namespace, pair.unmarked_copies),
                pods=await self._pods(pair),
            )
        except NotLeading:
            raise
        except KubeError as error:
            return Contents({}, Shared(), {}, (), unread=str(error))

    def _refs(self, kind: Target | None, workload: Json | None) -> frozenset[ConfigRef]:
        """The configuration that a workload's pods read, where anybody is to look at it."""
        return config_refs(kind, workload, track_configs=self._options.track_configs)

    async def _shared(self, canary: Canary, pair: Pair) -> Shared:
        kind = pair.beside
        if kind is None or not self._options.track_configs:
            return Shared()
        templates = (kind.template(each) if each is not None else {} for each in (pair.target, pair.primary))
        return await self._configs.shared(canary, *templates)

    async def _pods(self, pair: Pair) -> tuple[Json, ...]:
        kind, target = pair.kind.in_place if pair.kind else None, pair.target
        if kind is None or not target or kind.is_calm(target):
            return ()
        selector = kind.pod_selector(target)
        listed = await self._client.list(POD, target["metadata"]["namespace"], label_selector=selector)
        return tuple(listed["items"])

    def facts(self, seen: Surroundings, now: datetime, answers: Mapping[Question, Answer], told: Told) -> Facts:
        """What a decision may hang on.

        Args:
            seen: what was seen around the Canary.
            now: the time.
            answers: what the outside world has said.
            told: what became of earlier decisions.
        """
        kind, router = seen.kind, seen.router
        target = primary = partitions = None
        if kind is not None and seen.target is not None:
            target = self._target(kind, seen.target, seen)
        if kind is not None and seen.primary is not None:
            revision, reads = self._primary_revision(kind, seen.primary, seen), config_sync.followed_by(seen.primary)
            images = images_of(seen.primary)
            primary = Workload(revision, kind.readiness(seen.primary), followed=reads, images=images)
        if kind is not None and kind.in_place is not None:
            partitions = kind.in_place.partitions(seen.target, seen.pods, now) if seen.target else Partitions()
        ready, analysis = self._known[seen.canary.key].ready, seen.canary.analysis
        unsettled = router.unsettled(seen.canary, seen.routes) if router else ""
        settle = settle_of(seen.canary, self._options.mesh_provider, self._options.settle)
        return Facts(
            now=now,
            target=ready.told(Part.TARGET, target, analysis, now),
            primary=ready.told(Part.PRIMARY, primary, analysis, now),
            baseline=ready.told(Part.BASELINE, seen.baseline, analysis, now),
            baseline_left=bool(seen.baselines),
            provider=router.names[0] if router and router.routes else "",
            split=steps.seen(router, seen.canary, seen.routes) if router else None,
            settle=settle,
            unsettled=unsettled,
            caught_up=self._caught_up.at(seen.canary.key, unsettled, now, settle),
            left=max((each.share for each in seen.left), default=0),
            partitions=partitions,
            followed=seen.shared.followed,
            autoscaler_minimum=(
                seen.autoscaler_kind.minimum(seen.autoscaler) if seen.autoscaler_kind and seen.autoscaler else None
            ),
            weighted=seen.is_weighted,
            countable=is_countable(seen.canary, provider_of(seen.canary, self._options.mesh_provider)),
            kept=(
                frozenset(seen.versions.there)
                if seen.versions.refs
                else kept(self._caches, seen.canary, primary.revision if primary is not None else "")
            ),
            returnable=seen.canary.metadata.deletion_timestamp is None or self._returnable(seen),
            problems=self._problems(seen),
            answers=answers,
            blind_until=self._caches.blind_until(now),
            refused=told.refused,
            unseen=self._unseen(seen, now),
            contested=told.contested,
            told=told.number,
            called=told.called,
            running=seen.running,
            freezes=self._options.freezes,
            group=self._index.rollouts.group(seen.canary.key),
            dependencies=self._index.rollouts.dependencies(seen.canary.key),
            turn=self._index.rollouts.turn(seen.canary.key, now),
        )

    def _target(self, kind: Target, target: Json, seen: Surroundings) -> Workload | None:
        """The version that is deployed; None where there is none yet."""
        if kind.versions is not None:
            latest = seen.versions.latest
            version = seen.versions.there.get(latest, {})
            return Workload(latest, kind.readiness(version), images=images_of(version)) if latest else None
        # Of contents that can't be read nobody knows whether they have changed: nothing begins by that.
        revision = seen.canary.status.last_applied_spec if seen.unread else self._carries(kind, target, seen)
        return Workload(revision, kind.readiness(target), dict(seen.configs), images=images_of(target))

    def _unseen(self, seen: Surroundings, now: datetime) -> tuple[Unseen, ...]:
        found = []
        for resource, state in seen.unseen.items():
            since = self._caches.moment(state.since, now)
            forbidden = state.freshness is Freshness.FORBIDDEN
            workload = seen.kind is not None and resource in _workloads(seen.kind)
            found.append(Unseen(resource.plural, since, forbidden, workload, state.reason))
        key = seen.canary.key
        if not seen.unread:
            self._unread_since.pop(key, None)
        else:
            since = self._unread_since.setdefault(key, now)
            in_place = seen.kind is not None and seen.kind.in_place is not None
            found.append(Unseen("contents", since, workload=in_place, words=seen.unread))
        return tuple(found)

    def _primary_revision(self, kind: Target, primary: Json, seen: Surroundings) -> str:
        """What the primary carries: as it is marked, else the target's revision where it is made of that; or empty."""
        marked = kind.primary_revision(primary)
        if marked is not None or seen.target is None:
            return marked or ""
        if seen.unread:
            return seen.canary.status.last_promoted_spec
        rules = self._options.rules
        same = kind.carries(primary, seen.target, tracked=seen.configs, copies=seen.copies, rules=rules)
        return self._carries(kind, seen.target, seen) if same else ""

    def _carries(self, kind: Target, target: Json, seen: Surroundings) -> str:
        """The revision that a primary made of the target would carry."""
        given = (made_of(target), seen.configs)
        return self._known[seen.canary.key].carried.of("", given, lambda: kind.carried(target, seen.configs))

    def _returnable(self, seen: Surroundings) -> bool:
        """Whether users can be led back to the target: kind and provider are known, and its pods can be told."""
        kind, router, canary = seen.kind, seen.router, seen.canary
        if kind is None or router is None or seen.target is None:
            return False
        if any(self._caches.state(ref.resource).freshness is Freshness.ABSENT for ref in router.makes(canary)):
            # There is nothing of its provider that could be led back.
            return False
        try:
            kind.handed_back_services(seen.target, canary, rules=self._options.rules, observed=seen.services)
            router.hand_back(canary, seen.routes)
        except ValueError:
            return False
        return True

    def _problems(self, seen: Surroundings) -> tuple[Problem, ...]:
        found, around = self._known[seen.canary.key].found, Seen(seen, self._caches, self._index.claims)
        return problems(seen.canary, around, self._options, found.of)


def _workloads(kind: Target) -> tuple[Resource, ...]:
    """The kinds of object by which it is known which pods are ready."""
    return (kind.resource,) if kind.versions is None else (kind.resource, kind.versions.version_resource)
