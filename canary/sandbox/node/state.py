"""What is known of a container and of a pod, and how that reads as a pod's status."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal

from canary.kube.types import Json


def timestamp() -> str:
    """The time now, as the API writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running yet, or not running again yet."""

    reason: str = "ContainerCreating"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """Its process is alive."""

    since: str


@dataclass(frozen=True, slots=True)
class Terminated:
    """Its process has ended."""

    status: int
    reason: str
    since: str
    until: str
    message: str = ""


@dataclass(slots=True)
class ContainerState:
    """One container, as it is now."""

    name: str
    image: str
    now: Waiting | Running | Terminated = field(default_factory=Waiting)
    before: Terminated | None = None
    restarts: int = 0
    started: bool = False
    ready: bool = False

    def as_status(self) -> Json:
        """The container's entry in the pod's status."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image,
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": _state(self.now),
            "lastState": _state(self.before) if self.before else {},
        }


def _state(state: Waiting | Running | Terminated) -> Json:
    if isinstance(state, Waiting):
        return {"waiting": {"reason": state.reason} | ({"message": state.message} if state.message else {})}
    if isinstance(state, Running):
        return {"running": {"startedAt": state.since}}
    told = {"message": state.message} if state.message else {}
    times = {"startedAt": state.since, "finishedAt": state.until}
    return {"terminated": {"exitCode": state.status, "reason": state.reason, **told, **times}}


Phase = Literal["Pending", "Running", "Succeeded", "Failed"]


@dataclass(slots=True)
class PodState:
    """One pod, as it is now."""

    ip: str
    host_ip: str
    init: list[ContainerState]
    containers: list[ContainerState]
    restart_policy: str = "Always"
    initialized: bool = False
    start_time: str = field(default_factory=timestamp)
    _conditions: dict[str, Json] = field(default_factory=dict)

    @property
    def phase(self) -> Phase:
        """The phase that follows from the containers."""
        states = [container.now for container in self.containers]
        ended = [state for state in states if isinstance(state, Terminated)]
        if len(ended) == len(states) and self._final(ended):
            return "Succeeded" if all(state.status == 0 for state in ended) else "Failed"
        running = any(isinstance(container.now, Running) or container.restarts for container in self.containers)
        return "Running" if running else "Pending"

    def _final(self, ended: list[Terminated]) -> bool:
        if self.restart_policy == "OnFailure":
            return all(state.status == 0 for state in ended)
        return self.restart_policy == "Never"

    def as_status(self, now: str) -> Json:
        """The pod's status; a condition's transition time moves only where the condition does."""
        return {
            "phase": self.phase,
            "hostIP": self.host_ip,
            "hostIPs": [{"ip": self.host_ip}],
            "podIP": self.ip,
            "podIPs": [{"ip": self.ip}],
            "startTime": self.start_time,
            "conditions": self._current_conditions(now),
            "initContainerStatuses": [container.as_status() for container in self.init],
            "containerStatuses": [container.as_status() for container in self.containers],
        }

    def _current_conditions(self, now: str) -> list[Json]:
        unready = [container.name for container in self.containers if not container.ready]
        problem = "" if not unready else f"containers with unready status: [{' '.join(unready)}]"
        if self.phase == "Succeeded":
            reason, problem = "PodCompleted", ""
        else:
            reason = "ContainersNotReady" if unready else ""
        self._set("PodScheduled", good=True, now=now)
        self._set("Initialized", good=self.initialized, now=now)
        self._set("ContainersReady", good=not unready, reason=reason, message=problem, now=now)
        self._set("Ready", good=not unready, reason=reason, message=problem, now=now)
        return list(self._conditions.values())

    def _set(self, kind: str, *, good: bool, now: str, reason: str = "", message: str = "") -> None:
        condition = {"type": kind, "status": "True" if good else "False"}
        condition |= {"reason": reason} if reason else {}
        condition |= {"message": message} if message else {}
        old = self._conditions.get(kind, {})
        moved = old.get("status") != condition["status"]
        self._conditions[kind] = condition | {"lastTransitionTime": now if moved else old["lastTransitionTime"]}
