"""Everything that keeps a Canary from working, in one list: for the controller, for rehearsals, before it is applied.

Pure: what there is around the Canary is looked up, and what nobody can know is not held against it.
"""

from collections.abc import Callable, Iterable, Iterator

from canary.alerts import problems as alerts
from canary.api.analysis import CompareTo
from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.requirements import RETIRED
from canary.api.rules import problems as spec_problems
from canary.api.status import Phase
from canary.controller.ask import metric_templates
from canary.controller.lookup import Configuration, Found, Gap, Lookup
from canary.controller.observe.conflicts import rerouted, taken
from canary.controller.observe.rivals import rival_problems
from canary.controller.observe.rollouts import depends_on
from canary.controller.observe.routes import glanced, made_for, not_installed
from canary.controller.options import Options
from canary.gates import registry as gates
from canary.kube.types import CANARY, METRIC_TEMPLATE, SERVICE, Json, ObjectRef, Resource
from canary.rollout import delays
from canary.rollout.dependencies import circle
from canary.routers import steps
from canary.routers.base import Granularity, Provider
from canary.routers.registry import ALL, provider_of, router_of
from canary.routers.registry import supported as supported_providers
from canary.workloads import autoscalers, config_sync, configs, ports
from canary.workloads.autoscalers import autoscaler_of
from canary.workloads.base import Target, made_of
from canary.workloads.registry import supported as supported_kinds
from canary.workloads.registry import target_for
from metrics.builtin import counted

AT_WORK = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING})
"""Phases in which a target that disappears is the rollout's concern, not the spec's."""

Remember = Callable[[str, tuple[object, ...], Callable[[], tuple[Problem, ...]]], tuple[Problem, ...]]
"""Finds a part of the problems, by its name, anew only where what it hangs on has changed."""


def find_anew(part: str, given: tuple[object, ...], find: Callable[[], tuple[Problem, ...]]) -> tuple[Problem, ...]:
    """Remembers nothing."""
    return find()


def problems(canary: Canary, lookup: Lookup, options: Options, remember: Remember = find_anew) -> tuple[Problem, ...]:
    """Everything that keeps a Canary from working.

    Args:
        canary: the Canary.
        lookup: what there is around it.
        options: what the controller is told: its own traffic provider, which labels tell versions apart, what may be
            named in other namespaces, and whether it looks at configuration.
        remember: spares whoever asks again and again what has not changed; what it hangs on must not be changed.
    """
    kind, default = target_for(canary), options.mesh_provider
    resting = canary.status.phase not in AT_WORK
    found = [*remember("spec", _written(canary), lambda: tuple(of_spec(canary, default)))]
    router = router_of(canary, default)
    found += (*_unserved(canary, router, lookup), *_unfit(canary, router, lookup))
    if kind is None:
        message = f"targets of kind {canary.spec.target_ref.kind} are not supported"
        found.append(Problem("spec.targetRef.kind", message, f"write one of {', '.join(supported_kinds())}"))
    else:
        found += _of_target(canary, kind, lookup, options, remember, needed=resting)
    configuration = lookup.configuration(canary)
    if resting:
        found += _of_dependencies(canary, lookup, options)
        found += _of_surroundings(canary, lookup, configuration, options, remember)
    found += (*lookup.strangers(canary), *configs.problems(configuration.copied))
    found += rival_problems(lambda *place: _object(lookup.find(*place)), lookup.claims, canary)
    found += _of_autoscaler(canary, lookup, needed=resting)
    found += _of_templates(canary, lookup, options, remember)
    found += () if options.cross_namespace_refs else gates.astray(canary)
    return tuple(found)


def of_spec(canary: Canary, default: str) -> Iterator[Problem]:
    """What can't be of what the spec says, whatever there is.

    Args:
        canary: the Canary.
        default: the controller's own traffic provider.
    """
    provider, router = provider_of(canary, default), router_of(canary, default)
    written = spec_problems(canary, provider)
    yield from written
    yield from alerts.of_links(canary)
    yield from gates.problems(canary)
    metrics = canary.analysis.metrics
    beside = [at for at in canary.analysis.comparisons if metrics[at].compare_to is CompareTo.PRIMARY]
    fresh = [at for at, each in enumerate(metrics) if each.compare_to is CompareTo.BASELINE]
    if fresh and not canary.skip_analysis and router is not None and not router.baseline:
        where = f"{canary.analysis_field}.metrics[{fresh[0]}].compareTo"
        whose = "to routes of others" if canary.spec.route_refs else f"with provider {provider}"
        can = ", ".join(sorted({each.family for each in ALL if each.baseline}))
        message = f"{whose} no third Service gets a share of the requests, as a baseline takes it"
        yield Problem(where, message, f"write another of primary and previous, or set provider to one of {can}")
    if beside and not canary.skip_analysis and not counted(provider):
        where = f"{canary.analysis_field}.metrics[{beside[0]}].compareTo"
        message = f"with provider {provider} nobody counts the requests of the two versions apart"
        yield Problem(where, message, "write previous, or take it out, and set thresholdRange")
    if not written and not canary.skip_analysis:
        # Of a spec that can't be there is no plan.
        yield from delays.problems(canary, weighted=router is None or router.weights is not Granularity.NONE)
    if router is None:
        field = "spec.provider" if canary.spec.provider else "--mesh-provider"
        message = f"traffic provider {provider} is not supported"
        way_out = RETIRED.get(provider.partition(":")[0])
        yield Problem(field, message, way_out or f"write one of {', '.join(supported_providers())}")
    else:
        yield from router.problems(canary)
        yield from steps.problems(canary, router)


def _written(canary: Canary) -> tuple[object, ...]:
    """What people write of a Canary, to tell whether it has changed: its status changes with every step."""
    metadata = canary.metadata
    return canary.spec, metadata.uid, metadata.labels, metadata.annotations, metadata.deletion_timestamp


def _unserved(canary: Canary, router: Provider | None, lookup: Lookup) -> Iterator[Problem]:
    """The kinds of object that the provider needs, and nobody has installed."""
    refs = router.refs(canary) if router is not None else ()
    for resource in dict.fromkeys(ref.resource for ref in refs):
        if lookup.find(resource, canary.namespace, canary.service_name) is Gap.UNSERVED:
            yield not_installed(canary, resource)


def _unfit(canary: Canary, router: Provider | None, lookup: Lookup) -> tuple[Problem, ...]:
    """What is wrong with the objects of others that a provider goes by, where all of them can be seen."""
    if router is None:
        return ()
    there = {ref: lookup.find(*ref) for ref in router.refs(canary)}
    if any(isinstance(there[ref], Gap) for ref in (*router.adjusts(canary), *router.reads(canary))):
        return ()
    there |= glanced(router, canary, lookup.find)
    return router.unfit(canary, {ref: found for ref, found in there.items() if isinstance(found, dict)})


def _of_target(
    canary: Canary, kind: Target, lookup: Lookup, options: Options, remember: Remember, *, needed: bool
) -> Iterator[Problem]:
    """What can't be with the workload that the spec names."""
    target = lookup.find(kind.resource, canary.namespace, canary.target_name)
    if target is None or isinstance(target, Gap):
        if needed and target is None:
            message = f"{canary.spec.target_ref.kind} {canary.target_name} does not exist in {canary.namespace}"
            yield Problem("spec.targetRef", message, "create it, or correct its name")
        return
    services = dict(_named(lookup, SERVICE, canary.namespace, canary.services))
    yield from remember(
        "target",
        (_written(canary), made_of(target), services),
        lambda: tuple(kind.problems(canary, target, rules=options.rules, observed=services)),
    )
    primary = lookup.find(kind.resource, canary.namespace, canary.primary_name) if canary.is_copied else None
    if isinstance(primary, dict) and kind.readiness(primary).ready:
        yield from remember(
            "ports",
            (canary.spec, made_of(target), made_of(primary)),
            lambda: ports.unknown_to_primary(canary, kind.template(target), kind.template(primary)),
        )


def _of_surroundings(
    canary: Canary, lookup: Lookup, configuration: Configuration, options: Options, remember: Remember
) -> Iterator[Problem]:
    """What must be right before a rollout may begin."""
    for name in configuration.missing:
        message = f"the target's pods need {name}, which does not exist in {canary.namespace}"
        yield Problem("spec.targetRef", message, "create it, or mark the reference as optional")
    named = [*made_for(canary, options.mesh_provider)]
    named += [ObjectRef(SERVICE, canary.namespace, name) for name in canary.services]
    there = [(ref, lookup.find(*ref)) for ref in named]
    yield from remember("names", (canary.spec, canary.metadata.uid, there), lambda: tuple(_conflicts(canary, there)))
    if configuration.read is not None:
        yield from config_sync.problems(canary, configuration.read, tracking=options.track_configs)


def _of_dependencies(canary: Canary, lookup: Lookup, options: Options) -> Iterator[Problem]:
    """Canaries that wait for one another would never begin."""
    field = "spec.scheduling.dependsOn"
    for index, ref in enumerate(canary.spec.scheduling.depends_on):
        elsewhere = ref.namespace not in ("", canary.namespace)
        if elsewhere and not options.cross_namespace_refs:
            message = f"Canary {ref.name} is in {ref.namespace}, and references to other namespaces are switched off"
            yield Problem(f"{field}[{index}].namespace", message, "name one of this namespace")

    def named_by(key: str) -> tuple[str, ...]:
        found = lookup.find(CANARY, *key.split("/", 1))
        return depends_on(found) if isinstance(found, dict) else ()

    if canary.spec.scheduling.depends_on and (way := circle(canary.key, named_by)):
        message = f"{' depends on '.join(way)}, so that none of them would ever begin"
        yield Problem(field, message, "take one of these out")


def _conflicts(canary: Canary, there: Iterable[tuple[ObjectRef, Found]]) -> Iterator[Problem]:
    """Services and routes under the names that it needs, whose users are others'."""
    found = [(ref, obj) for ref, obj in there if isinstance(obj, dict)]
    for ref, obj in found:
        yield from taken(canary, ref, obj)
    yield from rerouted(canary, found)


def _named(lookup: Lookup, resource: Resource, namespace: str, names: Iterable[str]) -> Iterator[tuple[str, Json]]:
    """Those of these objects that there are, by name."""
    for name in names:
        found = lookup.find(resource, namespace, name)
        if isinstance(found, dict):
            yield name, found


def _of_autoscaler(canary: Canary, lookup: Lookup, *, needed: bool) -> tuple[Problem, ...]:
    ref, kind = canary.spec.autoscaler_ref, autoscaler_of(canary)
    if ref is None or kind is None:
        return autoscalers.problems(canary, None, needed=needed)
    found = lookup.find(kind.resource, canary.namespace, ref.name)
    return autoscalers.problems(canary, _object(found), needed=needed and found is not Gap.UNKNOWN)


def _of_templates(canary: Canary, lookup: Lookup, options: Options, remember: Remember) -> tuple[Problem, ...]:
    places = metric_templates.places(canary)
    if not places:
        return ()
    there = {place: lookup.find(METRIC_TEMPLATE, *place) for place in places}

    def find() -> tuple[Problem, ...]:
        by_place = lambda *place: there[place]  # noqa: E731
        allowed = options.cross_namespace_refs
        metrics = metric_templates.problems(canary, by_place, cross_namespace=allowed)
        return (*metrics, *metric_templates.budget_problems(canary, by_place, cross_namespace=allowed))

    return remember("templates", (canary.spec, there), find)


def _object(found: Found) -> Json | None:
    return None if isinstance(found, Gap) else found
