"""Make a baseline, and delete what was made as one."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from canary.controller.observe.caches import Caches
from canary.controller.observe.surroundings import Surroundings
from canary.kube.client import KubeClient
from canary.kube.errors import Conflict, NotFound
from canary.kube.types import SERVICE, Json
from canary.rollout.decision import DropBaseline, KeepBaseline
from canary.workloads import baseline
from canary.workloads.base import Rules


async def stand_baseline(
    client: KubeClient,
    caches: Caches,
    seen: Surroundings,
    rules: Rules,
    action: KeepBaseline | DropBaseline,
    apply: Callable[[Json], Awaitable[None]],
) -> None:
    """Do one action.

    Args:
        client: where to delete.
        caches: what is there already.
        seen: what was decided on.
        rules: which label tells workloads apart.
        action: what to do.
        apply: applies a manifest unless all is so.

    Raises:
        KubeError: the API server did not do it; doing it again is safe.
    """
    if isinstance(action, DropBaseline):
        # The Service last: by it the rest is known to be there.
        for ref, obj in sorted(seen.baselines.items(), key=lambda each: each[0].resource == SERVICE):
            with suppress(NotFound):
                await client.delete(*ref, uid=obj["metadata"]["uid"])
        return
    canary = seen.canary
    if seen.primary is None:
        raise Conflict("GET", canary.primary_name, "there is no primary to make a baseline of")
    there = caches.named(SERVICE, canary.namespace, (canary.service_baseline_name,))
    made = baseline.manifests(
        seen.primary, canary, rules=rules, observed=there, revision=action.revision, replicas=action.replicas
    )
    for manifest in made:
        await apply(manifest)
