"""The way to one member: a client, and a watch of its Canaries, on its own and in nobody's way."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog

from canary.api.canary import Canary, parse_canary
from canary.api.problems import InvalidResource
from canary.fleet.decision import Annotate, Apply, Write
from canary.fleet.facts import Reachable, Seen, Unreachable
from canary.kube.access import Access
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError, NotFound, Retryable, Throttled, Unauthorized
from canary.kube.errors import Unreachable as NoAnswer
from canary.kube.library import ConfigError
from canary.kube.source import WatchTiming
from canary.kube.types import CANARY, Json
from canary.kube.watch import WatchCache

log = structlog.get_logger(__name__)

MANAGER: Final = "canary-hub"
"""The field manager of what is written into members."""

OUTAGE: Final = timedelta(seconds=5)
"""Shorter breaks of a watch, as proxies make them, miss nothing; so long a new connection may take to say something."""

PATIENCE: Final = 3.0
"""Seconds in which a member has to say as whom it knows the hub, before it is done without."""

AGAIN: Final = 30.0
"""Seconds after which it is asked once more."""

SILENCE: Final = 15.0
"""Seconds without a word after which a member that a release waits for is asked for one, and asked again."""

_LEAST: Final = 0.1
"""Seconds: a clock that is rounded may never come to a moment that is nearer."""

Reach = Callable[[Access], AbstractAsyncContextManager[KubeClient]]
"""Connects to the API server of a member; raises `ConfigError` where it can't."""


class Place(NamedTuple):
    """A namespace of a member, which is what is watched of it."""

    member: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A Canary that can't be read, with the reason."""

    why: str


class Link:
    """What is known of the Canaries in one namespace of a member.

    Args:
        place: where.
        access: the way there.
        reach: connects.
        may_write: seconds for which writing is allowed.
        changed: is told of a Canary that has changed; of none where all may look another way.
    """

    def __init__(
        self,
        place: Place,
        access: Access,
        reach: Reach,
        may_write: Callable[[], float],
        changed: Callable[[Place, str | None], None],
    ) -> None:
        self.access = access
        self._place, self._reach, self._may_write, self._changed = place, reach, may_write, changed
        self._client: KubeClient | None = None
        self._cache: WatchCache[Canary | Unread] | None = None
        self._broken = ""
        self._was_there = False
        self._since: datetime | None = None
        self._user, self._introduced = "", False
        self._awaited: set[str] = set()
        self._wanted = asyncio.Event()
        self._mute = ""

    def attend(self, fleet: str, *, awaited: bool) -> None:
        """Ask the member for a sign of life where it says nothing, for as long as any fleet waits for it.

        Args:
            fleet: key of a fleet.
            awaited: whether its release waits for the member.
        """
        (self._awaited.add if awaited else self._awaited.discard)(fleet)
        (self._wanted.set if self._awaited else self._wanted.clear)()

    async def run(self) -> None:
        """Follow until cancelled, however often the connection breaks."""
        structlog.contextvars.bind_contextvars(member=self._place.member)
        try:
            async with self._reach(self.access) as client:
                introducing = asyncio.create_task(self._introduce(client), name=f"introduce {self._place.member}")
                try:
                    await self._follow(client.guarded(self._may_write))
                finally:
                    introducing.cancel()
                    await asyncio.gather(introducing, return_exceptions=True)
        except ConfigError as error:
            self._broken = str(error)
        except Exception as error:
            log.exception("a member can't be watched by what nobody thought of")
            self._broken = f"it can't be watched: {type(error).__name__}"
        self._changed(self._place, None)

    async def _introduce(self, client: KubeClient) -> None:
        """Ask as whom the member knows the hub, until it says so, or says that it does not."""
        try:
            while not await self._knows(client):
                self._introduced = True  # what is to be said goes on without a name
                await asyncio.sleep(AGAIN)
        except KubeError as error:
            log.debug("a member does not say as whom it knows the hub", reason=error.message)
        except Exception:
            log.exception("it can't be asked as whom a member knows the hub")
        self._introduced = True
        self._changed(self._place, None)

    async def _knows(self, client: KubeClient) -> bool:
        """Whether the member says, in time, as whom it knows the hub.

        Raises:
            KubeError: it does not say so to anybody like us.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                self._user = await client.user()
        except (TimeoutError, Retryable):
            return False
        return True

    async def _follow(self, client: KubeClient) -> None:
        cache: WatchCache[Canary | Unread] = WatchCache(
            client, CANARY, namespace=self._place.namespace, project=_read, timing=WatchTiming(unreachable=15.0)
        )
        cache.subscribe(lambda change: self._changed(self._place, change.key.name))
        cache.on_turn(lambda _: self._changed(self._place, None))
        self._client, self._cache = client, cache
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(client, cache), name=f"listen to {self._place.member}")
            await cache.run()

    async def _listen(self, client: KubeClient, cache: WatchCache[Canary | Unread]) -> None:
        """Ask for a sign of life: a server that hangs keeps its connections, and a watch may rightly be silent."""
        while True:
            if not self._mute:
                await self._wanted.wait()
                if (rest := SILENCE - (cache.silence or 0.0)) > 0:
                    await asyncio.sleep(max(rest, _LEAST))
                    continue
            # A watch that is broken says so itself.
            mute = await _why_mute(client, self._place.namespace) if cache.current else ""
            if mute != self._mute:
                self._mute = mute
                self._changed(self._place, None)
            await asyncio.sleep(SILENCE)

    def seen(self, name: str, before: datetime | None, now: datetime) -> Seen | None:
        """What is known of a Canary; None while a new connection is tried for the first time.

        Args:
            name: the Canary's name.
            before: since when the member is said to be unreachable; None where it isn't.
            now: the time.
        """
        found = self._cache.get(self._place.namespace, name) if self._cache is not None else None
        if isinstance(found, Unread):
            return Unreachable(before or now, found.why)
        there = Reachable(found, user=self._user)
        if self._cache is not None and self._cache.current and self._introduced and not self._mute:
            self._was_there, self._since = True, None
            return there
        self._since = self._since or now
        if now - self._since < OUTAGE and (self._was_there or not self._why):
            return there if self._was_there else None
        first = self._since if self._was_there or before is None else min(before, self._since)
        return Unreachable(first, self._why or "its API server does not answer")

    def lags_lately(self, now: datetime) -> bool:
        """Whether it can't be followed since a moment ago, so that it is unreachable soon."""
        return self._since is not None and now - self._since < OUTAGE

    @property
    def _why(self) -> str:
        failure = self._cache.failure if self._cache is not None else None
        return self._broken or self._mute or (words_of(failure) if failure is not None else "")

    async def write(self, name: str, write: Write) -> None:
        """Write into the member, and take what is there then for what is seen.

        Args:
            name: the Canary's name.
            write: what to write.

        Raises:
            KubeError: it refuses, or does not answer in time.
        """
        client, cache = self._client, self._cache
        if client is None or cache is None:
            raise NoAnswer("PATCH", self._place.member, "it is not connected yet")
        match write:
            case Apply(canary=canary):
                cache.note(await client.apply(CANARY, canary, field_manager=MANAGER))
            case Annotate(annotations=annotations):
                cache.note(await self._annotate(client, name, {**annotations}))

    async def _annotate(self, client: KubeClient, name: str, annotations: dict[str, str | None]) -> Json:
        patch: Json = {"metadata": {"annotations": annotations}}
        return await client.merge_patch(CANARY, self._place.namespace, name, patch, field_manager=MANAGER)


async def _why_mute(client: KubeClient, namespace: str) -> str:
    """Why a member gives no sign of life; empty where it does."""
    try:
        await client.list(CANARY, namespace, limit=1)
    except (NotFound, Throttled):
        return ""
    except KubeError as error:
        return words_of(error)
    return ""


def words_of(error: KubeError) -> str:
    """Why a member does not do what it is asked for, in words that hold nothing secret."""
    if isinstance(error, Unauthorized):
        return "its API server does not take the hub's credentials; write new ones into its Secret"
    return error.message


def _read(raw: Json) -> Canary | Unread:
    try:
        return parse_canary(raw)
    except InvalidResource as error:
        return Unread(f"its Canary can't be read: {error}")
