"""Canaries whose gates are voted on, and the votes that are written on them."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from canary.api.canary import Canary, parse_canary
from canary.kube.client import KubeClient
from canary.kube.errors import Conflict, NotFound
from canary.kube.types import CANARY, Json
from canary.rollout.links import BadKey, BadLink, Link, keys_of, opened
from canary.rollout.votes import Vote
from canary.rollout.voting import by_link

MANAGER: Final = "canary-votes"
"""Whose fields votes are that come by HTTP."""

TRIES: Final = 5
"""How often a vote is written where somebody else writes the Canary at the same time."""

AT_ONCE: Final = 8
"""Canaries that are read or written at once; other calls wait."""

DEADLINE: Final = 8.0
"""Seconds that a call may take, that wait included."""

Decided = Callable[[Canary], Vote]
"""The vote that is to be written on a Canary as it stands; raises what is in the way."""


class NoLinks(Exception):  # noqa: N818 - reads as what it is where it is caught
    """There is no key that links could be signed by."""


class Ballot:
    """Where votes are written.

    Args:
        client: the way to the API server.
        namespace: the only one that is served; None for all.
        key_file: the file with the keys of links; None where there are no links.
        now: the clock.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str | None,
        key_file: Path | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._key_file = key_file
        self._now = now
        self._turn = asyncio.Semaphore(AT_ONCE)

    @property
    def time(self) -> str:
        """Now, as votes have it."""
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    async def canary(self, namespace: str, name: str) -> Canary:
        """A Canary as it stands.

        Raises:
            NotFound: there is none, or its namespace is not served.
            InvalidResource: its spec can't be read.
            KubeError: the API server can't be asked.
            TimeoutError: it does not answer.
        """
        async with asyncio.timeout(DEADLINE), self._turn:
            return parse_canary(await self._read(namespace, name))

    async def cast(self, namespace: str, name: str, decided: Decided, *, used: Link | None = None) -> Vote:
        """Write a vote on a Canary, and with it the link that was used for it: both, or neither.

        Nobody else writes the Canary between the look at it and that: of two who use the same link one finds it used.

        Args:
            namespace: the Canary's.
            name: the Canary's.
            decided: the vote, and its own errors.
            used: the link; None where there was none.

        Raises:
            NotFound: there is none, or its namespace is not served.
            InvalidResource: its spec can't be read.
            KubeError: the API server can't be asked.
            TimeoutError: it does not answer.
        """
        async with asyncio.timeout(DEADLINE), self._turn:
            for _ in range(TRIES - 1):
                try:
                    return await self._write(namespace, name, decided, used)
                except Conflict:
                    continue
            return await self._write(namespace, name, decided, used)

    def link(self, text: str) -> Link:
        """Read a link that somebody has come with.

        Raises:
            NoLinks: there is no key, or none that can be used.
            LinkRefused: nobody has made it, or its time is over.
        """
        link = opened(text, self._keys(), self._now())
        if self._namespace not in (None, link.namespace):
            raise BadLink("this link is for a namespace that is not served here")
        return link

    async def cast_by(self, link: Link, why: str) -> Vote:
        """Write the vote of a link.

        Raises:
            LinkRefused: it was used.
            VoteRefused: the vote would count for nothing.
            NotFound: there is no such Canary any more.
            InvalidResource: its spec can't be read.
            KubeError: the API server can't be asked.
            TimeoutError: it does not answer.
        """
        at = self.time
        return await self.cast(link.namespace, link.name, lambda each: by_link(each, link, at=at, why=why), used=link)

    def _keys(self) -> Sequence[bytes]:
        """Read anew for each link, so that a change counts at once."""
        if self._key_file is None:
            raise NoLinks("no links are served here")
        try:
            return keys_of(self._key_file.read_text())
        except (OSError, ValueError, BadKey) as error:
            raise NoLinks("no links are served here: their key can't be used") from error

    async def _read(self, namespace: str, name: str) -> Json:
        found = None
        if self._namespace in (None, namespace):
            found = await self._client.find(CANARY, namespace, name)
        if found is None:
            raise NotFound("GET", CANARY.path(namespace, name), f"there is no Canary {namespace}/{name}")
        return found

    async def _write(self, namespace: str, name: str, decided: Decided, used: Link | None) -> Vote:
        raw = await self._read(namespace, name)
        vote = decided(parse_canary(raw))
        annotations = {vote.key: vote.text()} | ({used.key: used.mark()} if used is not None else {})
        metadata = {"annotations": annotations, "resourceVersion": raw["metadata"]["resourceVersion"]}
        await self._client.merge_patch(CANARY, namespace, name, {"metadata": metadata}, field_manager=MANAGER)
        return vote
