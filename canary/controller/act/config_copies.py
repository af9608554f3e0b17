"""Write the primary's copies of ConfigMaps and Secrets."""

from canary.kube.client import KubeClient
from canary.kube.errors import Invalid
from canary.kube.types import Json, Resource, name_of, namespace_of
from canary.workloads import configs


async def apply_copy(client: KubeClient, resource: Resource, copy: Json) -> Json:
    """Apply a copy, as it is stored then; one that can't become what it is to be is deleted and made anew.

    Pods that run have read it already, or keep what they have mounted. One that starts in the moment between the two
    is tried again by its kubelet.

    Raises:
        KubeError: the API server did not do it; doing it again is safe.
    """
    try:
        return await client.apply(resource, copy)
    except Invalid:
        namespace = namespace_of(copy) or ""
        existing = await client.find(resource, namespace, name_of(copy))
        if existing is None or not configs.is_fixed(existing, copy):
            raise
        await client.delete(resource, namespace, name_of(copy), uid=existing["metadata"]["uid"])
        return await client.apply(resource, copy)
