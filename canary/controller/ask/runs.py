"""What is run for a moment of a rollout: found where there is one already, else started."""

from canary.api.canary import Canary
from canary.controller.observe.caches import Caches
from canary.kube.client import KubeClient
from canary.kube.errors import AlreadyExists, Conflict
from canary.kube.types import Json, Resource, name_of
from canary.workloads import jobs


def not_ours(run: Json, canary: Canary) -> str:
    """Why what is there by a name is not what was started for a Canary, in words; empty where it is."""
    if jobs.is_of(run, canary):
        return ""
    return f"there is a {run.get('kind')} {name_of(run)} that is not this Canary's; delete or rename it"


class Runs:
    """Starts Jobs and their like.

    Args:
        client: where they are made, and their pods are read.
        caches: where they are seen.
    """

    def __init__(self, client: KubeClient, caches: Caches) -> None:
        self._client = client
        self._caches = caches

    async def there(self, resource: Resource, wanted: Json) -> Json:
        """The object of that name as it is; where there is none, it is made.

        Raises:
            KubeError: it is neither there nor to be had.
        """
        namespace, name = wanted["metadata"]["namespace"], name_of(wanted)
        if (known := self._caches.get(resource, namespace, name)) is not None:
            return known
        try:
            made = await self._client.create(resource, wanted)
        except AlreadyExists as error:
            # Started before a crash, and not seen yet.
            found = await self._client.find(resource, namespace, name)
            if found is None:
                raise Conflict("POST", name, "it was there a moment ago") from error
            made = found
        self._caches.note(made)
        return made

    async def parts(self, run: Json, resource: Resource, label: str) -> list[Json]:
        """The objects that carry the name of a run in a label, such as the pods of a Job.

        Raises:
            KubeError: they can't be listed.
        """
        selector = f"{label}={name_of(run)}"
        listed = await self._client.list(resource, run["metadata"]["namespace"], label_selector=selector)
        found: list[Json] = listed["items"]
        return found
