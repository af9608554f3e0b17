"""Canaries that can't be read and are to be deleted: led out by what can be read of them."""

import structlog

from canary.api.tolerant import readable
from canary.kube.client import KubeClient
from canary.kube.errors import NotFound
from canary.kube.types import CANARY, Json, name_of, namespace_of
from canary.rollout.deletion import FINALIZER

log = structlog.get_logger(__name__)


def leaving(raw: Json) -> Json:
    """The Canary to go on with: where it is to be deleted and can't be read, what can be read of it.

    Whoever deletes it can't be asked to mend it first. Its users are led to the target as at any deletion; where not
    even the target can be told it is left as it is, for `let_go`.
    """
    if "deletionTimestamp" not in raw["metadata"]:
        return raw
    left = readable(raw)
    return raw if left is None or left == raw else left


async def let_go(client: KubeClient, raw: Json | None) -> None:
    """Take our finalizer off a Canary that is to be deleted and doesn't even tell its target.

    Raises:
        KubeError: it could not be taken off.
    """
    if raw is None or "deletionTimestamp" not in raw["metadata"]:
        return
    try:
        # As it is by now: it may just have been told what is wrong with it.
        metadata = (await client.get(CANARY, namespace_of(raw), name_of(raw)))["metadata"]
    except NotFound:
        return
    finalizers = metadata.get("finalizers") or []
    if FINALIZER not in finalizers:
        return
    name = f"{metadata['name']}.{metadata['namespace']}"
    log.warning("its target can't be told: the Canary goes, and nothing is given back", canary=name)
    patch: Json = {
        "metadata": {
            "finalizers": [each for each in finalizers if each != FINALIZER],
            "resourceVersion": metadata["resourceVersion"],
        }
    }
    await client.merge_patch(CANARY, metadata["namespace"], metadata["name"], patch)
