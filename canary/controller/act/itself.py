"""What is written to the Canary itself, beside its status: our finalizer, and the end of votes that are over."""

from canary.kube.client import KubeClient
from canary.kube.types import CANARY, Json
from canary.rollout.decision import DropFinalizer, DropVotes, HoldFinalizer
from canary.rollout.deletion import FINALIZER


async def write(client: KubeClient, canary: Json, action: HoldFinalizer | DropFinalizer | DropVotes) -> Json | None:
    """Apply one action: the Canary as it is then; None where nothing was to be written.

    Args:
        client: where to write.
        canary: the Canary as it was looked at.
        action: what is to be done.

    Raises:
        KubeError: the API server did not do it; doing it again is safe.
    """
    metadata = canary["metadata"]
    if isinstance(action, DropVotes):
        # A vote that came since has a name of its own: names are made of what is asked.
        patch: Json = {"metadata": {"annotations": dict.fromkeys(action.keys)}}
    else:
        finalizers = [each for each in metadata.get("finalizers") or [] if each != FINALIZER]
        if isinstance(action, HoldFinalizer):
            finalizers.append(FINALIZER)
        if finalizers == (metadata.get("finalizers") or []):
            return None
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata["resourceVersion"]}}
    return await client.merge_patch(CANARY, metadata["namespace"], metadata["name"], patch)
