"""Why pods are not ready, in words that a person can act on."""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from canary.kube.types import Json, items, mapping
from canary.workloads.base import name_of

LIMIT = 400
"""Characters of a diagnosis: it goes into a status and an event."""

_IMAGE = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_BACK_OFF = "CrashLoopBackOff"
# Shown on the way to a better or a worse state: they say nothing yet.
_PASSING = frozenset({"ContainerCreating", "PodInitializing"})
# Repeat what an exit code says.
_PLAIN_EXITS = frozenset({"Error", "Completed"})


class _Rank(IntEnum):
    """How much a finding tells: the first of these is told."""

    IMAGE = 0
    START = 1
    CRASH = 2
    FAILED = 3
    REPLICAS = 4
    UNSCHEDULABLE = 5
    STOPPED = 6
    NOT_READY = 7
    CONDITION = 8


class _Finding(NamedTuple):
    rank: _Rank
    subject: str
    text: str


def diagnose(pods: Iterable[Json], workload: Json | None = None) -> str:
    """Why pods are not ready: the most telling reason, where it was found, and how many more pods share its kind.

    Args:
        pods: the pods of one workload, of any revision; those on their way out don't count.
        workload: what makes them, which tells why there are none (a quota, an admission webhook, no node that fits).

    Returns:
        At most `LIMIT` characters; empty when every pod is ready or nothing tells yet.
    """
    alive = (pod for pod in pods if "deletionTimestamp" not in mapping(pod.get("metadata")))
    found = sorted([*_workload_findings(workload or {}), *(f for pod in alive for f in _pod_findings(pod))])
    if not found:
        return ""
    first = found[0]
    others = len({finding.subject for finding in found if finding.rank == first.rank}) - 1
    more = f" (and {others} more pod{'s' if others > 1 else ''} like it)" if others else ""
    return _shorten(f"{first.subject}: {first.text}", LIMIT - len(more)) + more


def _workload_findings(workload: Json) -> Iterator[_Finding]:
    status = mapping(workload.get("status"))
    if status.get("desiredNumberScheduled") == 0:
        yield _Finding(_Rank.REPLICAS, name_of(workload), "no node fits its node selector, affinity and tolerations")
    failure = _conditions(status).get("ReplicaFailure", {})
    if failure.get("status") == "True":
        text = _sentence("can't make pods", failure.get("message") or failure.get("reason"))
        yield _Finding(_Rank.REPLICAS, name_of(workload), text)


def _pod_findings(pod: Json) -> Iterator[_Finding]:
    status = mapping(pod.get("status"))
    subject = f"pod {name_of(pod)}"
    if status.get("phase") == "Failed":
        text = _sentence(f"failed: {status.get('reason') or 'for no reason that it tells'}", status.get("message"))
        yield _Finding(_Rank.FAILED, subject, text)
    for field, what in (("initContainerStatuses", "init container"), ("containerStatuses", "container")):
        for container in items(status.get(field)):
            yield from (_Finding(rank, subject, text) for rank, text in _container_findings(container, what))
    yield from (_Finding(rank, subject, text) for rank, text in _condition_findings(status))


def _container_findings(container: Json, what: str) -> Iterator[tuple[_Rank, str]]:
    called = f'{what} "{container.get("name", "")}"'
    state = mapping(container.get("state"))
    waiting, ended = mapping(state.get("waiting")), mapping(state.get("terminated"))
    reason = str(waiting.get("reason") or "")
    if reason in _IMAGE:
        image = container.get("image") or "its image"
        yield _Rank.IMAGE, _sentence(f"{called} can't pull {image}: {reason}", waiting.get("message"))
    elif reason == _BACK_OFF:
        yield _Rank.CRASH, f"{called} keeps crashing: {_last_exit(container)}"
    elif reason and reason not in _PASSING:
        yield _Rank.START, _sentence(f"{called} can't start: {reason}", waiting.get("message"))
    elif ended and (ended.get("exitCode") or what == "container"):
        yield _Rank.STOPPED, f"{called} stopped: {_exit(ended)}"
    elif "running" in state and what == "container" and not container.get("ready", False):
        yield _Rank.NOT_READY, _unready(called, container)


def _unready(called: str, container: Json) -> str:
    probe = "startup" if container.get("started") is False else "readiness"
    text = f"{called} runs but its {probe} probe has not passed"
    return f"{text}; {_last_exit(container)}" if container.get("restartCount") else text


def _last_exit(container: Json) -> str:
    last = mapping(mapping(container.get("lastState")).get("terminated"))
    restarts = f"{container.get('restartCount') or 0} restarts"
    return f"{restarts}, last with {_exit(last)}" if last else restarts


def _exit(ended: Json) -> str:
    reason = ended.get("reason")
    named = f" ({reason})" if reason and reason not in _PLAIN_EXITS else ""
    return _sentence(f"exit code {ended.get('exitCode', 'unknown')}{named}", ended.get("message"))


def _condition_findings(status: Json) -> Iterator[tuple[_Rank, str]]:
    conditions = _conditions(status)
    scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
    if scheduled.get("status") == "False":
        text = f"can't be scheduled: {scheduled.get('reason')}"
        yield _Rank.UNSCHEDULABLE, _sentence(text, scheduled.get("message"))
    # The containers themselves say more than the condition that counts them.
    elif ready.get("status") == "False" and ready.get("reason") not in {None, "ContainersNotReady", "PodCompleted"}:
        yield _Rank.CONDITION, _sentence(f"is not ready: {ready.get('reason')}", ready.get("message"))


def _conditions(status: Json) -> dict[str, Json]:
    return {str(item.get("type")): item for item in items(status.get("conditions"))}


def _sentence(text: str, message: object) -> str:
    """The text with the message that the cluster gives, on one line."""
    cleaned = " ".join(str(message or "").split())
    return f"{text}: {cleaned}" if cleaned else text


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
