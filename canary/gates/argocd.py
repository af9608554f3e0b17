"""An Application of Argo CD: it passes where it is Healthy and Synced, at the revision that is asked for.

Facts of Argo CD: `status.sync` has `status` and `revision`, or `revisions` where it has several sources; an operation
under way is in `status.operationState.phase`; the health of an Application is the worst of its resources, of which a
Canary in progress is `Progressing`.
"""

import re
from collections.abc import Iterator
from typing import Final

from canary.api.gates import ArgoCDGate, Gate
from canary.api.problems import Problem
from canary.gates.base import Asker, Looking, Looks, Said, State, unreadable
from canary.kube.types import APPLICATION, Json, ObjectRef, items, mapping

_HASH: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORTEST_HASH: Final = 7


def _of(gate: Looks) -> ArgoCDGate:
    return gate.argocd or ArgoCDGate(application="")


def _ref(_: str, gate: Looks) -> ObjectRef:
    return ObjectRef(APPLICATION, _of(gate).namespace, _of(gate).application)


def _said(asker: Asker, application: Json) -> Said:
    status, wanted = mapping(application.get("status")), asker.render(_of(asker.gate).revision)
    if (empty := nothing(_of(asker.gate).revision, wanted)) is not None:
        return empty
    sync, health = mapping(status.get("sync")), mapping(status.get("health"))
    several = sync.get("revisions")
    revisions = [str(each) for each in (sync.get("revision"), *(several if isinstance(several, list) else ())) if each]
    at = f"at {', '.join(revisions)}" if revisions else "at no revision"
    synced, healthy = sync.get("status") or "Unknown", health.get("status") or "Unknown"
    if wanted and not any(is_at(each, wanted) for each in revisions):
        return Said(State.WAITING, f"it is {synced} {at}, and to be at {wanted}")
    if synced != "Synced":
        return Said(State.WAITING, f"it is {synced} {at}")
    operation = mapping(status.get("operationState"))
    if operation.get("phase") in ("Running", "Terminating"):
        return Said(State.WAITING, f"it is being synced: {operation.get('message') or operation.get('phase')}")
    if _holds(status, asker.owner):
        whose = asker.owner.resource.kind
        return Said(State.PASSED, f"it is Synced {at}; its health is not asked, as it holds this {whose}'s own")
    if healthy != "Healthy":
        message = health.get("message")
        return Said(State.WAITING, f"it is Synced {at}, and {healthy}{f': {message}' if message else ''}")
    return Said(State.PASSED, f"it is Healthy and Synced {at}")


def is_at(revision: str, wanted: str) -> bool:
    """Whether a revision is the one that is asked for, which may be the beginning of a hash."""
    begins = len(wanted) >= _SHORTEST_HASH and revision.startswith(wanted)
    return revision == wanted or (begins and _HASH.fullmatch(revision) is not None)


def nothing(template: str, wanted: str) -> Said | None:
    """What a gate says whose template of a revision comes to nothing; None where it has none, or it does not."""
    if not template or wanted.strip():
        return None
    return Said(State.UNAVAILABLE, f"its revision, {template}, comes to nothing for this version")


def _holds(status: Json, owner: ObjectRef) -> bool:
    """Whether an Application deploys what asks: its health waits for the end of the rollout."""
    ours = (owner.resource.group, owner.resource.kind, owner.namespace, owner.name)
    named = (tuple(each.get(key) for key in ("group", "kind", "namespace", "name")) for each in _resources(status))
    return ours in named


def _resources(status: Json) -> list[Json]:
    return items(status.get("resources"))


def _problems(field: str, gate: Gate) -> Iterator[Problem]:
    argocd = _of(gate)
    if not argocd.application:
        yield Problem(f"{field}.application", "is empty", "name the Application")
    yield from unreadable(f"{field}.revision", argocd.revision)


GATE: Final = Looking("Argo CD", "gates/argocd", (APPLICATION,), _problems, _ref, _said)
