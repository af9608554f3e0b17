"""What several objects were at each instant, by the API server's own history, and whether traffic was safe in it."""

from collections.abc import Iterator, Mapping

from canary.kube.store import version_of
from canary.kube.types import Json
from canary.sandbox.harness import Recording, backends_of

_ROUTE = "the route itself"
_NOWHERE = "flagger.app/scale-to-zero"
"""What scales a DaemonSet to nothing, in its node selector."""


def instants(recordings: Mapping[str, Recording]) -> Iterator[Mapping[str, Json]]:
    """Every state that several objects were in together, oldest first, each by the name of its recording.

    All kinds share one counter of versions, so the order of two changes is known whatever order the watches told
    them in. What was not seen yet at an instant is absent from it.
    """
    changes = [
        (version_of(moment.value["metadata"]["resourceVersion"]), name, moment.value)
        for name, recording in recordings.items()
        for moment in recording.moments
        if moment.value is not None
    ]
    now: dict[str, Json] = {}
    for _, name, value in sorted(changes, key=lambda change: change[0]):
        now[name] = value
        yield dict(now)


def ready_pods(workload: Json) -> int:
    """The ready pods of a Deployment or DaemonSet; none while it is scaled to nothing, whatever it still has."""
    spec, status = workload["spec"], workload.get("status") or {}
    if "replicas" in spec:
        return min(int(spec["replicas"]), int(status.get("readyReplicas", 0)))
    asleep = _NOWHERE in spec["template"]["spec"].get("nodeSelector", {})
    return 0 if asleep else int(status.get("numberReady", 0))


def unserved(route: Recording, workloads: Mapping[str, Recording]) -> list[str]:
    """Every instant at which requests were led to a workload without ready pods, in words.

    Args:
        route: the object that divides requests.
        workloads: the Deployment or DaemonSet behind each Service that it may name.
    """
    found: list[str] = []
    for instant in instants({_ROUTE: route, **workloads}):
        for service, weight in backends_of(instant.get(_ROUTE, {})).items():
            workload = instant.get(service)
            if weight and (workload is None or ready_pods(workload) == 0):
                version = max(version_of(each["metadata"]["resourceVersion"]) for each in instant.values())
                found.append(f"{service} gets {weight} without a ready pod at {version}")
    return found
