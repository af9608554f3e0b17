"""A Kustomization or a HelmRelease of Flux: it passes where it is Ready, at the revision that is asked for.

Facts of Flux: `Ready` speaks of the generation in `status.observedGeneration`; what a Kustomization has applied is
`status.lastAppliedRevision`, such as `main@sha1:HASH`; what a HelmRelease has released last is the first of
`status.history`, by `chartVersion` and `appVersion` (before v2, `status.lastAppliedRevision`).
"""

from collections.abc import Iterator
from typing import Final

from canary.api.gates import FluxGate, Gate
from canary.api.problems import Problem
from canary.gates.argocd import is_at, nothing
from canary.gates.base import Asker, Looking, Looks, Said, State, unreadable
from canary.kube.types import HELM_RELEASE, KUSTOMIZATION, Json, ObjectRef, condition_of, items, mapping


def _of(gate: Looks) -> FluxGate:
    return gate.flux or FluxGate()


def _ref(namespace: str, gate: Looks) -> ObjectRef:
    flux = _of(gate)
    resource = HELM_RELEASE if flux.helm_release else KUSTOMIZATION
    return ObjectRef(resource, flux.namespace or namespace, flux.helm_release or flux.kustomization)


def _said(asker: Asker, obj: Json) -> Said:
    spec, status = mapping(obj.get("spec")), mapping(obj.get("status"))
    wanted, applied = asker.render(_of(asker.gate).revision), _applied(status)
    if (empty := nothing(_of(asker.gate).revision, wanted)) is not None:
        return empty
    at = f"at {', '.join(applied)}" if applied else "with nothing applied"
    paused = "; it is suspended, and nothing changes before it is resumed" if spec.get("suspend") else ""
    if status.get("observedGeneration") != mapping(obj.get("metadata")).get("generation"):
        return Said(State.WAITING, f"its spec is yet to be looked at by Flux{paused}")
    if wanted and not any(is_at(part, wanted) for each in applied for part in (each, each.rpartition(":")[2])):
        return Said(State.WAITING, f"it is {at}, and to be at {wanted}{paused}")
    ready = condition_of(obj, "Ready")
    if ready.get("status") != "True":
        message = ready.get("message") or ready.get("reason") or "nothing is said of that"
        return Said(State.WAITING, f"it is not Ready {at}: {message}{paused}")
    return Said(State.PASSED, f"it is Ready {at}")


def _applied(status: Json) -> list[str]:
    history = items(status.get("history"))
    released = [history[0].get("chartVersion"), history[0].get("appVersion")] if history else []
    return [str(each) for each in (status.get("lastAppliedRevision"), *released) if each]


def _problems(field: str, gate: Gate) -> Iterator[Problem]:
    flux = _of(gate)
    if bool(flux.kustomization) == bool(flux.helm_release):
        yield Problem(field, "names one object", "set either kustomization or helmRelease")
    yield from unreadable(f"{field}.revision", flux.revision)


GATE: Final = Looking("Flux", "gates/flux", (KUSTOMIZATION, HELM_RELEASE), _problems, _ref, _said)
