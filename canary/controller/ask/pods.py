"""The pods of a workload, which nobody watches: they are listed where somebody asks."""

from canary.kube.client import KubeClient
from canary.kube.types import POD, Json, namespace_of
from canary.workloads.base import Rules, Target


async def pods_of(client: KubeClient, kind: Target | None, workload: Json | None, rules: Rules) -> list[Json] | None:
    """The pods of a workload; None where there is none, or none whose pods can be told.

    Args:
        client: where they are read.
        kind: what it is.
        workload: it; None where there is none.
        rules: by which label its pods are told.

    Raises:
        KubeError: they can't be listed.
    """
    label = kind.selector_label(workload, rules) if kind is not None and workload is not None else None
    if label is None or workload is None:
        return None
    listed = await client.list(POD, namespace_of(workload), label_selector=f"{label.key}={label.value}")
    found: list[Json] = listed["items"]
    return found
