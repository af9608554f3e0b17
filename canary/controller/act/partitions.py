"""Act on pods that are rolled out in place: how far their workload may update them, and which it makes anew."""

from contextlib import suppress

from canary.controller.observe.caches import Caches
from canary.controller.observe.surroundings import Surroundings
from canary.kube.client import KubeClient
from canary.kube.diff import covers
from canary.kube.errors import NotFound
from canary.kube.types import POD
from canary.rollout.decision import DeletePod, SetPartition
from canary.workloads.base import name_of


async def replace_pods(client: KubeClient, caches: Caches, seen: Surroundings, action: SetPartition | DeletePod) -> int:
    """Apply one action, unless it is so already: how much was written.

    Raises:
        TypeError: the target is not rolled out in place, or there is none.
        KubeError: the API server did not do it; doing it again is safe.
    """
    namespace = seen.canary.namespace
    if isinstance(action, DeletePod):
        # A pod that has taken its place since has the same name and another uid: that is a conflict.
        with suppress(NotFound):
            await client.delete(POD, namespace, action.name, uid=action.uid)
        return 1
    if seen.kind is None or seen.kind.in_place is None or seen.target is None:
        msg = f"{seen.canary.key} has no target that is rolled out in place"
        raise TypeError(msg)
    desired = seen.kind.in_place.partitioned(seen.target, action.partition)
    existing = caches.get(seen.kind.resource, namespace, name_of(seen.target))
    if action.partition is not None and existing is not None and covers(existing, desired):
        return 0
    caches.note(await client.apply(seen.kind.resource, desired))
    return 1
