"""Why pods are not ready, in words that a person can act on."""

from collections.abc import Iterable
from typing import NamedTuple

from canary.kube.types import Json
from canary.workloads.base import items, mapping, name_of

LIMIT = 400
"""Characters of a diagnosis, and of any message it repeats: it goes into a status and an event."""

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


class _Finding(NamedTuple):
    """One pod's trouble; the lower the rank, the more it tells."""

    rank: int
    pod: str
    text: str


def diagnose(pods: Iterable[Json]) -> str:
    """Why pods are not ready: the most telling reason, the pod it was found on, and how many more share its kind.

    Args:
        pods: the pods of one workload, of any revision; those on their way out don't count.

    Returns:
        At most `LIMIT` characters; empty when every pod is ready or nothing tells yet.
    """
    found = sorted(
        finding
        for pod in pods
        if "deletionTimestamp" not in mapping(pod.get("metadata")) and (finding := _finding(pod)) is not None
    )
    if not found:
        return ""
    first = found[0]
    others = sum(1 for finding in found[1:] if finding.rank == first.rank)
    more = f" (and {others} more pod{'s' if others > 1 else ''} like it)" if others else ""
    return _shorten(f"pod {first.pod}: {first.text}", LIMIT - len(more)) + more


def _finding(pod: Json) -> _Finding | None:
    status = mapping(pod.get("status"))
    name = name_of(pod)
    if status.get("phase") == "Failed":
        return _Finding(
            2, name, _sentence(f"failed: {status.get('reason') or 'unknown reason'}", status.get("message"))
        )
    reasons = [
        reason
        for field, what in (("initContainerStatuses", "init container"), ("containerStatuses", "container"))
        for container in items(status.get(field))
        if (reason := _container_reason(container, what)) is not None
    ]
    if reasons:
        rank, text = min(reasons)
        return _Finding(rank, name, text)
    return _condition_finding(name, status)


def _container_reason(container: Json, what: str) -> tuple[int, str] | None:
    called = f'{what} "{container.get("name", "")}"'
    state = mapping(container.get("state"))
    waiting = mapping(state.get("waiting"))
    reason = str(waiting.get("reason") or "")
    if reason in _IMAGE:
        image = container.get("image") or "its image"
        return 0, _sentence(f"{called} can't pull {image}: {reason}", waiting.get("message"))
    if reason == _BACK_OFF:
        return 1, f"{called} keeps crashing: {_last_exit(container)}"
    if reason and reason not in _PASSING:
        return 1, _sentence(f"{called} can't start: {reason}", waiting.get("message"))
    ended = mapping(state.get("terminated"))
    if ended and (ended.get("exitCode") or what == "container"):
        return 3, f"{called} stopped: {_exit(ended)}"
    if what == "container" and "running" in state and not container.get("ready", False):
        return 5, f"{called} runs but {_unready(container)}"
    return None


def _unready(container: Json) -> str:
    probe = (
        "its startup probe has not passed yet"
        if container.get("started") is False
        else "is not ready: its readiness probe fails"
    )
    if not container.get("restartCount"):
        return probe
    return f"{probe}; restarted {container['restartCount']} times, {_last_exit(container)}"


def _last_exit(container: Json) -> str:
    last = mapping(mapping(container.get("lastState")).get("terminated"))
    return f"last {_exit(last)}" if last else f"restarted {container.get('restartCount', 0)} times"


def _exit(ended: Json) -> str:
    reason = ended.get("reason")
    # "Error" and "Completed" repeat what the exit code says.
    named = f" ({reason})" if reason and reason not in {"Error", "Completed"} else ""
    return _sentence(f"exit code {ended.get('exitCode', 'unknown')}{named}", ended.get("message"))


def _condition_finding(name: str, status: Json) -> _Finding | None:
    conditions = {str(item.get("type")): item for item in items(status.get("conditions"))}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return _Finding(4, name, _sentence(f"can't be scheduled: {scheduled.get('reason')}", scheduled.get("message")))
    ready = conditions.get("Ready", {})
    # Containers that don't run yet have said nothing above, and the condition only lists them.
    if ready.get("status") == "False" and ready.get("reason") not in {
        None,
        "ContainersNotReady",
        "PodCompleted",
    }:
        return _Finding(6, name, _sentence(f"is not ready: {ready.get('reason')}", ready.get("message")))
    return None


def _sentence(text: str, message: object) -> str:
    cleaned = " ".join(str(message or "").split())
    return f"{text}: {_shorten(cleaned, LIMIT)}" if cleaned else text


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
