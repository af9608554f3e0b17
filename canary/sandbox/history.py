"""What several objects were at each instant, by the API server's own history, and whether traffic was safe in it."""

from collections.abc import Iterator, Mapping

from canary.kube.store import version_of
from canary.kube.types import Json
from canary.sandbox.rig import Recording, backends_of

_ROUTE = "the route itself"


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


def ready_pods(deployment: Json) -> int:
    """The ready pods of a Deployment; none of one that is being scaled to nothing, whatever its status still says."""
    asked = deployment["spec"].get("replicas", 1)
    return min(int(asked), int((deployment.get("status") or {}).get("readyReplicas", 0)))


def unserved(route: Recording, workloads: Mapping[str, Recording]) -> list[str]:
    """Every instant at which requests were led to a workload without ready pods, in words.

    Args:
        route: the object that divides requests.
        workloads: the Deployment behind each Service that it may name.
    """
    found: list[str] = []
    for instant in instants({_ROUTE: route, **workloads}):
        for service, weight in backends_of(instant.get(_ROUTE, {})).items():
            deployment = instant.get(service)
            if weight and (deployment is None or ready_pods(deployment) == 0):
                version = max(version_of(each["metadata"]["resourceVersion"]) for each in instant.values())
                found.append(f"{service} gets {weight} without a ready pod at {version}")
    return found
