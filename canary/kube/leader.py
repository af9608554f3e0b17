"""Leader election by a Lease: at most one process acts, and never without the lease.

`decide_lease` is the whole decision, without a clock; `LeaderElector` is the shell around it. Another's lease
is judged by how long it hasn't changed before our own eyes, never by its timestamps, so that clocks may differ.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from random import Random

import structlog

from canary.kube.backoff import fresh_random
from canary.kube.client import KubeClient
from canary.kube.errors import AlreadyExists, Conflict, NotFound
from canary.kube.transport import Query
from canary.kube.types import LEASE, Json
from canary.kube.watch_stream import changes

log = structlog.get_logger(__name__)

# Range from which a watch of another's Lease draws for how many seconds it asks.
_WATCH_SECONDS = (300, 600)


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """How long leadership lasts; all in seconds.

    Attributes:
        duration: How long others wait after the last renewal that they saw before they take the lease.
        renew_deadline: How long after its last renewal the leader gives up by itself; less than ``duration``.
        retry_period: How often the leader renews, and how often others look (plus jitter) where they can't watch.

    Raises:
        ValueError: The three don't leave each other room.
    """

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > self.retry_period > 0:
            raise ValueError("lease: duration > renew deadline > retry period > 0 must hold")

    @property
    def slack(self) -> float:
        """Seconds that work has to stop in once the leader gives up, before another may lead."""
        return self.duration - self.renew_deadline


@dataclass(frozen=True, slots=True)
class Create:
    """There is no lease: create it, held by us."""


@dataclass(frozen=True, slots=True)
class Take:
    """The lease is free or ran out: replace its holder by us."""


@dataclass(frozen=True, slots=True)
class Renew:
    """The lease is ours: renew it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The lease is another's.

    Attributes:
        holder: Whose.
        seconds: How long until it runs out unless it is renewed.
    """

    holder: str
    seconds: float


Action = Create | Take | Renew | Wait


def decide_lease(
    lease: Json | None, identity: str, observed_at: float, now: float, *, last: Json | None = None
) -> Action:
    """Decide what to do about a lease.

    Args:
        lease: The Lease object; None where there is none.
        identity: Who asks; no two processes may share it.
        observed_at: When the lease was first seen as it is, on the same monotonic clock as ``now``, in seconds.
        now: The time.
        last: The lease as it was seen last, where there is none now: whoever held it may not know of that yet.
    """
    if lease is None:
        held = decide_lease(last, identity, observed_at, now) if last is not None else None
        return held if isinstance(held, Wait) else Create()
    spec = lease.get("spec") or {}
    holder = spec.get("holderIdentity") or ""
    if holder == identity:
        return Renew()
    left = observed_at + _duration(spec) - now
    return Wait(holder, left) if holder and left > 0 else Take()


def _duration(spec: Json) -> float:
    """For how many seconds a lease lasts after its last renewal."""
    seconds = spec.get("leaseDurationSeconds") or 0
    return float(seconds) if isinstance(seconds, int | float) else LeaseTerms().duration


def lease_spec(action: Create | Take | Renew, lease: Json | None, identity: str, terms: LeaseTerms, wall: str) -> Json:
    """What the Lease's spec becomes by an action; ``wall`` is the wall clock's time as `micro_time` writes it."""
    before: Json = (lease or {}).get("spec") or {}
    kept = isinstance(action, Renew)
    transitions = int(before.get("leaseTransitions") or 0)
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": ceil(terms.duration),
        "acquireTime": before.get("acquireTime") if kept else wall,
        "renewTime": wall,
        "leaseTransitions": transitions + isinstance(action, Take),
    }


def micro_time(moment: datetime) -> str:
    """A moment as Kubernetes' MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class StuckLeaderError(RuntimeError):
    """Work that was told to stop, as the lease is lost, didn't: only the end of the process stops it in time."""


class LeaderElector:
    """Runs work while, and only while, this process holds a lease."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        terms: LeaseTerms | None = None,
        random: Random | None = None,
    ) -> None:
        """Set up; nothing happens before `run`.

        Args:
            client: The way to the server; not a guarded one.
            namespace: Where the Lease lives.
            name: The Lease's name.
            identity: Unique to this process, such as the pod's name and a random part.
            terms: How long leadership lasts.
            random: Where the jitter comes from.
        """
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._terms = terms or LeaseTerms()
        self._random = random or fresh_random()
        # The Lease as last written or read; None where it must be read anew.
        self._lease: Json | None = None
        self._observed: tuple[Json | None, float] = (None, 0.0)
        # The resourceVersion to watch another's Lease from; None where it couldn't be read.
        self._version: str | None = None
        self._valid_until = float("-inf")

    @property
    def is_leader(self) -> bool:
        """Whether this process may act now."""
        return self.remaining() > 0

    def remaining(self) -> float:
        """Seconds for which this process may still act without another renewal; 0 where it doesn't lead.

        Made for `KubeClient.guarded`.
        """
        return max(0.0, self._valid_until - _now())

    async def read_ahead(self) -> None:
        """Read the lease while what `run` is to lead is prepared, so that one question less stands before it.

        What can't be read is read by `run`; what somebody writes meanwhile is seen when it is written.
        """
        with suppress(Exception):
            self._lease = await self._read()
            self._observe(self._lease)

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Run ``lead`` whenever this process leads, until it returns or raises.

        It is cancelled when the lease is lost or couldn't be renewed in time, and run again when the lease is
        won again. The lease is given back at a clean end: ``lead`` is over, or this is cancelled.

        Raises:
            StuckLeaderError: ``lead`` didn't stop in time after the lease was lost: end the process.
        """
        while True:
            await self._acquire()
            log.info("leading", lease=self._name, identity=self._identity)
            if await self._hold(lead):
                return
            log.warning("leadership lost", lease=self._name, identity=self._identity)

    async def _acquire(self) -> None:
        while not await self._attempt():
            await self._until_free()

    async def _until_free(self) -> None:
        """Wait until another's lease may be had: it was given back, or hasn't been renewed for its duration.

        A watch tells so at once. Where none is to be had, the next look is some time away.
        """
        # As client-go does it: up to 1.2 retry periods of jitter.
        pause = self._terms.retry_period * (1 + 1.2 * self._random.random())
        if self._version is not None:
            try:
                async with asyncio.timeout(self._left()) as limit, aclosing(self._changes(self._version)) as events:
                    async for kind, lease in events:
                        if kind == "DELETED":
                            self._version = None
                            break
                        self._observe(lease)
                        if not (lease.get("spec") or {}).get("holderIdentity"):
                            return
                        limit.reschedule(_now() + self._left())
            except TimeoutError:
                return
            except Exception as error:  # noqa: BLE001 - whatever the server sends, the next look is in a while
                log.debug("lease can't be watched", lease=self._name, error=str(error) or repr(error))
            pause = min(pause, max(0.0, self._left()))
        await asyncio.sleep(pause)

    def _changes(self, version: str) -> AsyncGenerator[tuple[str, Json], None]:
        query: Query = {
            "fieldSelector": f"metadata.name={self._name}",
            "resourceVersion": version,
            "timeoutSeconds": self._random.randint(*_WATCH_SECONDS),
        }
        return changes(self._client, LEASE.path(self._namespace), query)

    def _left(self) -> float:
        """Seconds until the lease that was seen last runs out unless it is renewed."""
        spec, at = self._observed
        return at + _duration(spec or {}) - _now()

    async def _hold(self, lead: Callable[[], Awaitable[None]]) -> bool:
        """Run ``lead`` and keep the lease; tell whether ``lead`` ended by itself."""
        leading = asyncio.create_task(_coroutine(lead))
        keeping = asyncio.create_task(self._keep())
        try:
            await asyncio.wait({leading, keeping}, return_when=asyncio.FIRST_COMPLETED)
            ended = leading.done()
        finally:
            await self._stop(leading, keeping)
            await self._release()
        if ended or not leading.cancelled():
            leading.result()
        if not keeping.cancelled():
            keeping.result()
        return ended

    async def _stop(self, leading: asyncio.Task[None], keeping: asyncio.Task[None]) -> None:
        """Stop the work, keeping the lease while it winds down; then stop keeping the lease."""
        try:
            leading.cancel()
            await asyncio.wait({leading, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if not leading.done():
                await asyncio.wait({leading}, timeout=self._terms.slack)
            if not leading.done():
                raise StuckLeaderError(f"work didn't stop within {self._terms.slack:g} s of losing the lease")
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})

    async def _keep(self) -> None:
        """Renew until the lease is lost or its validity ends."""
        while self.is_leader:
            await asyncio.sleep(min(self._terms.retry_period, self.remaining()))
            await self._attempt()

    async def _attempt(self) -> bool:
        """Try to acquire or renew; tell whether the lease is held."""
        for _ in range(2):
            try:
                return await self._acquire_or_renew()
            except (Conflict, AlreadyExists, NotFound):
                # Somebody wrote since we read: what they wrote decides, at once.
                self._lease = None
            except Exception as error:  # noqa: BLE001 - whatever the server answers, only the lease is at stake
                self._lease = self._version = None
                log.warning("lease could not be acquired or renewed", error=str(error) or repr(error))
                break
        return self.is_leader

    async def _acquire_or_renew(self) -> bool:
        lease = self._lease or await self._read()
        self._observe(lease)
        spec, at = self._observed
        action = decide_lease(lease, self._identity, at, _now(), last=None if spec is None else {"spec": spec})
        if isinstance(action, Wait):
            self._lease, self._valid_until = None, float("-inf")
            self._version = None if lease is None else str(lease["metadata"]["resourceVersion"])
            return False
        # Counted from before the request: whoever judges by what they saw saw it later.
        asked = _now()
        self._lease = await self._write(action, lease)
        self._valid_until = asked + self._terms.renew_deadline
        return True

    async def _read(self) -> Json | None:
        try:
            return await self._client.get(LEASE, self._namespace, self._name, deadline=self._patience())
        except NotFound:
            return None

    async def _write(self, action: Create | Take | Renew, lease: Json | None) -> Json:
        spec = lease_spec(action, lease, self._identity, self._terms, micro_time(datetime.now(UTC)))
        if lease is None:
            metadata = {"namespace": self._namespace, "name": self._name}
            return await self._client.create(LEASE, {"metadata": metadata, "spec": spec}, deadline=self._patience())
        # Fields of the spec that we don't know are kept.
        changed = {**lease, "spec": {**(lease.get("spec") or {}), **spec}}
        return await self._client.replace(LEASE, changed, deadline=self._patience())

    def _patience(self) -> float:
        """Seconds that one request may take, so that there is time for another."""
        most = self._terms.renew_deadline / 2
        return min(most, self.remaining()) if self.is_leader else most

    def _observe(self, lease: Json | None) -> None:
        spec = None if lease is None else lease.get("spec")
        # What is gone is judged as it was last.
        if isinstance(spec, dict) and spec != self._observed[0]:
            self._observed = (spec, _now())

    async def _release(self) -> None:
        """Give the lease back so that another can take it at once."""
        lease, held = self._lease, self.is_leader
        self._valid_until, self._lease = float("-inf"), None
        if not held:
            return
        try:
            async with asyncio.timeout(self._terms.retry_period):
                await self._hand_back(lease)
        except Exception as error:  # noqa: BLE001 - it then runs out
            log.warning("lease could not be given back", error=str(error) or repr(error))

    async def _hand_back(self, lease: Json | None) -> None:
        """Write the lease without a holder, unless another holds it.

        A renewal that was given up on its way may have been written all the same: what is read then decides.
        """
        while True:
            lease = lease or await self._read()
            if lease is None or (lease.get("spec") or {}).get("holderIdentity") != self._identity:
                return
            spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
            try:
                await self._client.replace(LEASE, {**lease, "spec": spec}, deadline=self._patience())
            except Conflict:
                lease = None
            else:
                return


async def _coroutine(lead: Callable[[], Awaitable[None]]) -> None:
    await lead()


def _now() -> float:
    return asyncio.get_running_loop().time()
