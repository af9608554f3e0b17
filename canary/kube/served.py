"""How the API server serves kinds: in which of several versions, and whether it streams whole lists."""

from canary.kube.types import Resource


class ServedVersions:
    """What was found out so far, for all clients of one connection.

    A kind is watched before anything of it is written, so that the watch finds out. Elsewhere it keeps the version that
    it is known by.

    Attributes:
        streams_lists: Whether it sends a whole list as part of a watch, as far as is known: where it can't for one kind
            (an etcd before 3.5.13, or a feature gate), it is not asked to for the kinds that are followed later.
    """

    def __init__(self) -> None:
        self._found: dict[Resource, int] = {}
        self.streams_lists = True

    def of(self, resource: Resource) -> str:
        """The version in which to ask for a kind."""
        return resource.versions[self._found.get(resource, 0)]

    def is_not_there(self, resource: Resource) -> bool:
        """Ask in the next version from now on, as there is nothing of the one so far.

        Returns:
            Whether there is still one to be tried; else none of them is served, and the first is asked for again.
        """
        tried = self._found.get(resource, 0)
        self._found[resource] = (tried + 1) % len(resource.versions)
        return self._found[resource] != 0
