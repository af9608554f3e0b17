"""The gates that there are."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from canary.api.analysis import HookType
from canary.api.canary import Canary
from canary.api.gates import Gate
from canary.api.problems import Problem
from canary.api.status import Verdict
from canary.gates import argocd, flux, jenkins, job, tekton, trivy
from canary.gates.base import Building, Kind, Known, Looking, Reading, Starting
from canary.kube.types import Json, ObjectRef, Resource, name_of
from canary.workloads.base import labels_of
from canary.workloads.jobs import RUN_LABEL

GATES: Mapping[str, Known] = MappingProxyType(
    {
        "job": job.GATE,
        "tekton": tekton.GATE,
        "argocd": argocd.GATE,
        "flux": flux.GATE,
        "trivy": trivy.GATE,
        "jenkins": Building("Jenkins", "", (), jenkins.problems),
    }
)
"""By the field of `webhooks[].gate`."""

RUN: Mapping[str, Kind] = MappingProxyType(
    {each.resource.plural: each for each in (job.JOBS, tekton.PIPELINES, tekton.TASKS)}
)
"""The kinds of object that are started, by their names in the API."""

STARTED: tuple[Resource, ...] = tuple(each.resource for each in RUN.values())
"""The same as resources."""

WATCHED: tuple[Resource, ...] = (*STARTED, *argocd.GATE.kinds, *flux.GATE.kinds)
"""What may be watched for gates."""


def gate_for(gate: Gate) -> Known | None:
    """What knows a gate; None where it says nothing."""
    return GATES.get(next(iter(gate.members), ""))


def kinds_of(canary: Canary) -> frozenset[Resource]:
    """The kinds of object that are watched for a Canary's gates."""
    started = (known.kind(gate).resource for gate, known in _known(canary) if isinstance(known, Starting))
    return frozenset({*started, *(ref.resource for ref in refs_of(canary))})


def refs_of(canary: Canary) -> tuple[ObjectRef, ...]:
    """The objects of others that a Canary's gates look at."""
    return tuple(known.ref(canary.namespace, gate) for gate, known in _known(canary) if isinstance(known, Looking))


def _known(canary: Canary) -> Iterator[tuple[Gate, Known]]:
    for hook in canary.analysis.webhooks:
        if hook.gate is not None and (known := gate_for(hook.gate)) is not None:
            yield hook.gate, known


def building(canary: Canary) -> Mapping[str, str]:
    """The builds that a Canary's status waits for, as `builds/VALUE`, each with the moment that it answers for."""
    named = {hook.name for hook in canary.analysis.webhooks if hook.gate is not None and hook.gate.jenkins is not None}
    return {
        f"{jenkins.PLURAL}/{check.query}": jenkins.moment_of(check.query)
        for check in canary.status.checks
        if check.name in named and check.verdict is Verdict.NO_DATA and check.query
    }


def running(objects: Iterable[Json]) -> Mapping[str, str]:
    """What of these was started and has not ended, as `jobs/NAME`, each with the moment that it answers for."""
    by_kind = {each.resource.kind: each for each in RUN.values()}
    found = ((by_kind[each["kind"]], each) for each in objects if each.get("kind") in by_kind)
    return {
        f"{kind.resource.plural}/{name_of(each)}": labels_of(each).get(RUN_LABEL, "")
        for kind, each in found
        if not kind.has_ended(each)
    }


def problems(canary: Canary) -> Iterator[Problem]:
    """What can't be of a Canary's gates, of which each says what answers."""
    for index, hook in enumerate(canary.analysis.webhooks):
        if hook.gate is None or len(hook.gate.members) != 1 or (known := gate_for(hook.gate)) is None:
            continue
        yield from known.problems(f"{canary.analysis_field}.webhooks[{index}].gate.{hook.gate.members[0]}", hook.gate)
        if isinstance(known, Reading) and hook.type is HookType.CONFIRM_ROLLOUT:
            field, message = (
                f"{canary.analysis_field}.webhooks[{index}].type",
                "nobody scans images before their pods run",
            )
            yield Problem(field, message, "write pre-rollout")


def astray(canary: Canary) -> Iterator[Problem]:
    """Gates that look at other namespaces, where that is switched off."""
    for index, hook in enumerate(canary.analysis.webhooks):
        known = gate_for(hook.gate) if hook.gate is not None else None
        if hook.gate is None or not isinstance(known, Looking):
            continue
        namespace = known.ref(canary.namespace, hook.gate).namespace
        if namespace != canary.namespace:
            field = f"{canary.analysis_field}.webhooks[{index}].gate.{hook.gate.members[0]}.namespace"
            message = f"{namespace} is another namespace, and references to other namespaces are switched off"
            yield Problem(field, message, "name an object of the Canary's namespace, or take the gate out")
