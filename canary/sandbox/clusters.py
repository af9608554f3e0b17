"""All clusters of a sandbox: its own, and the members beside it, started and ended together."""

import asyncio
from collections.abc import Callable, Mapping

from canary.sandbox import credentials, members
from canary.sandbox.cluster import Cluster
from canary.sandbox.credentials import CONTEXT, Way
from canary.sandbox.options import Options

Progress = Callable[[str], None]


class Clusters:
    """A cluster and its members, which its hub knows once they run.

    Attributes:
        own: the sandbox's own cluster.
        members: the others, by name.
    """

    def __init__(self, options: Options, progress: Progress) -> None:
        """Prepare them; nothing runs yet.

        Args:
            options: how the sandbox's own cluster is to be, and in its `members` how the others are.
            progress: is told, in lines, how the start goes.

        Raises:
            NotInNamespaceError: this process is in no private network.
        """
        self.own = Cluster(options, progress)
        self.members = {name: Cluster(each, _named(name, progress)) for name, each in options.members.items()}

    async def start(self) -> None:
        """Start them, one after the other, as each takes a core for some seconds.

        Raises:
            PartFailed: a part died or did not get ready.
            ToolMissingError: a program is missing and can't be built here.
            ManifestError: one of the options' manifests was not accepted.
        """
        await self.own.start()
        for name, member in self.members.items():
            await member.start()
            await members.join(self.own, name, member)
        for each in (self.own, *self.members.values()):
            if each.failure is not None:  # while others were being started, when nobody was told
                raise each.failure

    def listen(self, listener: Callable[[str], None]) -> None:
        """Have a function called, from another thread, with what is to be said when a part dies."""
        self.own.watchers.listen(lambda failure: listener(str(failure)))
        for name, member in self.members.items():
            member.watchers.listen(lambda failure, name=name: listener(f"{name}: {failure}"))  # type: ignore[misc]

    async def stop(self) -> None:
        """End everything; nothing is left behind."""
        await asyncio.gather(self.own.stop(), *(each.stop() for each in self.members.values()))

    def ways(self, servers: Mapping[str, str] | None = None) -> dict[str, Way]:
        """How the administrator gets to each of them, by the names of contexts.

        Args:
            servers: where the API servers are seen from; their addresses inside where absent.
        """
        servers = servers or {}
        found = {CONTEXT: self.own, **self.members}
        return {name: _way(each, servers.get(name, each.options.site.api_url)) for name, each in found.items()}


def _way(cluster: Cluster, server: str) -> Way:
    return Way(credentials.User(credentials.ADMIN, cluster.token()), server, cluster.certificate)


def _named(name: str, progress: Progress) -> Progress:
    return lambda line: progress(f"{name}: {line}")
