"""What has to be watched for a Canary: the kinds that it needs, and the objects of them that it looks at."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import structlog

from canary.api.canary import Canary, parse_canary
from canary.api.problems import InvalidResource
from canary.controller.ask import metric_templates
from canary.controller.configs import RESOURCE
from canary.controller.observe.caches import Caches, Freshness, KindState
from canary.controller.observe.index import Index, Ref, ref_to
from canary.controller.observe.kept_revisions import askable
from canary.controller.observe.routes import providers_of
from canary.controller.observe.surroundings import Pair
from canary.controller.options import Options
from canary.gates import registry as gates
from canary.kube.types import (
    ALERT_PROVIDER,
    CANARY,
    CONTROLLER_REVISION,
    JOB,
    METRIC_TEMPLATE,
    SERVICE,
    Json,
    ObjectRef,
    Resource,
)
from canary.routers import route_refs
from canary.workloads import jobs
from canary.workloads.autoscalers import autoscaler_of
from canary.workloads.base import Target, primary_name
from canary.workloads.configs import ConfigRef, references
from canary.workloads.registry import target_for
from canary.workloads.revisions import config_name, configs_of, record_name

log = structlog.get_logger(__name__)

KNOWN = frozenset({Freshness.FRESH, Freshness.ABSENT})
"""What is known of a kind is how it is."""


class Needs(NamedTuple):
    """What has to be watched for one Canary.

    Args:
        kinds: the kinds of object.
        refs: the objects whose changes concern it, and that are to be known whole.
    """

    kinds: frozenset[Resource]
    refs: frozenset[Ref]


def of_spec(canary: Canary, mesh_provider: str) -> Needs:
    """What the Canary itself names.

    Args:
        canary: the Canary.
        mesh_provider: the traffic provider of a Canary that names none.
    """
    namespace, scaler, kind = canary.namespace, canary.spec.autoscaler_ref, target_for(canary)
    scaler_kind = autoscaler_of(canary)
    named = [(SERVICE, name) for name in canary.services]
    if kind is not None:
        named += [(kind.resource, canary.target_name)]
    if kind is not None and kind.versions is None:
        named += [(kind.resource, canary.primary_name)]
        named += [(CONTROLLER_REVISION, record_name(canary, revision)) for revision in askable(canary)]
    if kind is not None and canary.wants_baseline:
        named += [(kind.resource, canary.baseline_name), (SERVICE, canary.service_baseline_name)]
    if scaler is not None and scaler_kind is not None:
        named += [(scaler_kind.resource, name) for name in (scaler.name, primary_name(scaler.name))]
    refs = {ref_to(resource, namespace, name) for resource, name in named}
    routes = [ref for each in providers_of(canary, mesh_provider) for ref in each.refs(canary)]
    routes += route_refs.remembered(canary)
    refs |= {ref_to(*ref) for ref in routes}
    refs |= {ref_to(*ref) for ref in gates.refs_of(canary)}
    refs |= {ref_to(METRIC_TEMPLATE, where, name) for where, name in metric_templates.places(canary)}
    kinds = {
        CANARY,
        SERVICE,
        *gates.kinds_of(canary),
        *(ref.resource for ref in routes),
        *(resource for resource, _ in named),
    }
    if kind is not None:
        kinds.add(CONTROLLER_REVISION if kind.versions is None else kind.versions.version_resource)
    if metric_templates.places(canary):
        kinds.add(METRIC_TEMPLATE)
    if canary.analysis.alerts:
        kinds.add(ALERT_PROVIDER)
    return Needs(frozenset(kinds), frozenset(refs))


def runs_jobs(caches: Caches, canary: Canary) -> bool:
    """Whether one of its metrics is answered by a Job."""
    templates = (caches.peek(METRIC_TEMPLATE, *place) for place in metric_templates.places(canary))
    return any(each is not None and jobs.is_job(each) for each in templates)


def of_pods(caches: Caches, canary: Canary, templates: Iterable[ConfigRef]) -> Needs:
    """What is to be known of configuration: that of pod templates, and that of revisions that may be put back.

    Args:
        caches: where the revisions are known.
        canary: the Canary.
        templates: the configuration that the pod templates of target and primary refer to.
    """
    refs = {*templates}
    for revision in askable(canary):
        kept = caches.get(CONTROLLER_REVISION, canary.namespace, record_name(canary, revision))
        refs |= {ConfigRef(ref.kind, config_name(ref, revision)) for ref in (configs_of(kept) if kept else ())}
    named = [(RESOURCE[ref.kind], ref.name) for ref in refs]
    return Needs(
        frozenset(resource for resource, _ in named),
        frozenset(ref_to(resource, canary.namespace, name) for resource, name in named),
    )


def config_refs(kind: Target | None, workload: Json | None, *, track_configs: bool) -> frozenset[ConfigRef]:
    """The configuration that a workload's pods read, where anybody is to look at it."""
    if kind is None or workload is None or not track_configs:
        return frozenset()
    return references(kind.template(workload))


async def prepare(caches: Caches, index: Index, options: Options, named: Callable[[], object] = lambda: None) -> None:
    """Watch what the Canaries that there are need, before the first of them is looked at.

    Afterwards each kind was listed whole, with the objects that they name, or it is known why it can't be.

    Args:
        caches: the watches.
        index: learns what the Canaries name.
        options: the controller's.
        named: is called once all is listed that they name themselves, before the configuration that pods name is.
    """
    await caches.synced(CANARY)
    canaries = [canary async for canary in _readable(caches)]
    await _watch(caches, index, canaries, lambda canary: of_spec(canary, options.mesh_provider))
    named()
    await _watch(caches, index, canaries, lambda canary: of_pods(caches, canary, _config_refs(caches, canary, options)))
    caches.stop_asking()


async def _watch(caches: Caches, index: Index, canaries: Iterable[Canary], needs_of: Callable[[Canary], Needs]) -> None:
    """Name the objects of all Canaries before any of their kinds is listed, and the kinds before one is waited for."""
    needs: dict[str, Needs] = {}
    for canary in canaries:
        try:
            needs[canary.key] = needs_of(canary)
        except Exception:
            log.exception("nobody knows what a Canary needs before it is looked at", canary=canary.key)
            continue
        index.add(canary.key, needs[canary.key].refs)
    await caches.listed({kind for each in needs.values() for kind in each.kinds})
    for key, each in needs.items():
        await caches.need(key, each.kinds)


def _config_refs(caches: Caches, canary: Canary, options: Options) -> frozenset[ConfigRef]:
    kind = target_for(canary)
    if kind is None:
        return frozenset()
    names = (canary.target_name, canary.primary_name)
    workloads = [caches.peek(kind.resource, canary.namespace, name) for name in names]
    refs = {ref for each in workloads for ref in config_refs(kind, each, track_configs=options.track_configs)}
    return frozenset({*refs, *(ConfigRef(ref.kind, primary_name(ref.name)) for ref in refs)})


async def _readable(caches: Caches) -> AsyncIterator[Canary]:
    for number, raw in enumerate(caches.list(CANARY)):
        if number % 50 == 0:
            await asyncio.sleep(0)
        try:
            yield parse_canary(raw)
        except InvalidResource:
            continue


def needed(
    caches: Caches, canary: Canary, pair: Pair, needs: Needs, routes: Iterable[ObjectRef]
) -> tuple[Resource, ...]:
    """The kinds without which nothing can be decided, in the order in which people are told of them.

    Args:
        caches: where the metrics are known.
        canary: the Canary.
        pair: its workloads.
        needs: what it names itself.
        routes: what its traffic provider makes, and looks at.
    """
    kind = pair.kind
    found = (
        *(each.resource for each in (kind, autoscaler_of(canary)) if each is not None),
        *((kind.versions.version_resource,) if kind is not None and kind.versions is not None else ()),
        SERVICE,
        *(ref.resource for ref in route_refs.remembered(canary)),
        *((CONTROLLER_REVISION,) if canary.status.bake is not None else ()),
        *(ref.resource for ref in routes),
        *(RESOURCE[each.kind] for each in sorted(pair.refs | pair.own_refs)),
        *((METRIC_TEMPLATE,) if METRIC_TEMPLATE in needs.kinds else ()),
        *((JOB,) if runs_jobs(caches, canary) else ()),
    )
    return tuple(dict.fromkeys(found))


def missing(
    caches: Caches, namespace: str, refs: Iterable[ConfigRef], states: Mapping[Resource, KindState]
) -> Iterator[str]:
    """The configuration that pods can't do without, and that is surely not there.

    Args:
        caches: what is known of the cluster.
        namespace: of the pods.
        refs: what they read.
        states: how far what is known of each kind can be relied on.
    """
    for each in sorted(refs):
        resource = RESOURCE[each.kind]
        looked = not each.optional and states[resource].freshness in KNOWN
        if looked and not caches.is_known(resource, namespace, each.name):
            yield each.key
