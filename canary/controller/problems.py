"""Everything that keeps a Canary from working, in one list: for the controller, for rehearsals, before it is applied.

Pure: what there is around the Canary is looked up, and what nobody can know is not held against it.
"""

from collections.abc import Callable, Iterable, Iterator

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.requirements import RETIRED
from canary.api.rules import problems as spec_problems
from canary.api.status import Phase
from canary.controller.ask import metric_templates
from canary.controller.lookup import Configuration, Found, Gap, Lookup
from canary.controller.observe.conflicts import rerouted, taken
from canary.controller.observe.rivals import rival_problems
from canary.controller.observe.routes import glanced, made_for, not_installed
from canary.controller.options import Options
from canary.kube.types import METRIC_TEMPLATE, SERVICE, Json, ObjectRef, Resource
from canary.routers.base import Provider
from canary.routers.registry import provider_of, router_of
from canary.routers.registry import supported as supported_providers
from canary.workloads import autoscalers, config_sync, configs, ports
from canary.workloads.autoscalers import AUTOSCALERS
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
        found += _of_surroundings(canary, lookup, configuration, options, remember)
    found += (*lookup.strangers(canary), *configs.problems(configuration.copied))
    found += rival_problems(lambda *place: _object(lookup.find(*place)), lookup.claims, canary)
    found += _of_autoscaler(canary, lookup, needed=resting)
    found += _of_templates(canary, lookup, options, remember)
    return tuple(found)


def of_spec(canary: Canary, default: str) -> Iterator[Problem]:
    """What can't be of what the spec says, whatever there is.

    Args:
        canary: the Canary.
        default: the controller's own traffic provider.
    """
    provider, router = provider_of(canary, default), router_of(canary, default)
    yield from spec_problems(canary, provider)
    if canary.analysis.comparisons and not canary.skip_analysis and not counted(provider):
        where = f"{canary.analysis_field}.metrics[{canary.analysis.comparisons[0]}].compareTo"
        message = f"with provider {provider} nobody counts the requests of the two versions apart"
        yield Problem(where, message, "take it out, and set thresholdRange")
    if router is None:
        field = "spec.provider" if canary.spec.provider else "--mesh-provider"
        message = f"traffic provider {provider} is not supported"
        way_out = RETIRED.get(provider.partition(":")[0])
        yield Problem(field, message, way_out or f"write one of {', '.join(supported_providers())}")
    else:
        yield from router.problems(canary)


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
    ref = canary.spec.autoscaler_ref
    kind = AUTOSCALERS.get(ref.kind) if ref is not None else None
    if ref is None or kind is None:
        return autoscalers.problems(canary, None, needed=needed)
    found = lookup.find(kind.resource, canary.namespace, ref.name)
    return autoscalers.problems(canary, _object(found), needed=needed and found is not Gap.UNKNOWN)


def _of_templates(canary: Canary, lookup: Lookup, options: Options, remember: Remember) -> tuple[Problem, ...]:
    refs = [metric.template_ref for metric in canary.analysis.metrics if metric.template_ref is not None]
    if not refs:
        return ()
    places = [(ref.namespace or canary.namespace, ref.name) for ref in refs]
    there = {place: lookup.find(METRIC_TEMPLATE, *place) for place in places}

    def find() -> tuple[Problem, ...]:
        by_place = lambda *place: there[place]  # noqa: E731
        return tuple(metric_templates.problems(canary, by_place, cross_namespace=options.cross_namespace_refs))

    return remember("templates", (canary.spec, there), find)


def _object(found: Found) -> Json | None:
    return None if isinstance(found, Gap) else found
