"""Record: store the status in one guarded write, then tell what stands in its outbox."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import structlog

from canary.api.canary import Canary, parse_canary
from canary.api.meta import Condition
from canary.api.problems import InvalidResource
from canary.controller.observe.caches import Caches
from canary.controller.record.courier import Courier
from canary.controller.status_memory import StatusMemory, advice
from canary.controller.telemetry import Telemetry
from canary.controller.tracer import Tracer, silent
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError
from canary.kube.merge import merge_patch
from canary.kube.types import CANARY, Json
from canary.rollout.decision import Decision
from canary.rollout.outbox import told_of
from canary.rollout.status_conditions import FOR_KSTATUS, stalled

log = structlog.get_logger(__name__)

MARK_SECONDS = 5.0
"""How long a stop may take to store what was told."""


class Recorder:
    """Stores and tells.

    Args:
        client: where the status is stored.
        caches: what was stored last.
        courier: tells.
        telemetry: the controller's metrics.
        now: the clock.
        tracer: traces rollouts.

    Attributes:
        statuses: what the API server does not keep of the statuses that are stored.
    """

    def __init__(
        self,
        client: KubeClient,
        caches: Caches,
        courier: Courier,
        telemetry: Telemetry,
        now: Callable[[], datetime],
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer or silent(now)
        self._client = client
        self._caches = caches
        self._courier = courier
        self._telemetry = telemetry
        self._now = now
        self.statuses = StatusMemory()
        self._advised: set[str] = set()

    async def store(self, raw: Json, canary: Canary, decision: Decision) -> Json:
        """Write the status where it has changed, and return the Canary as it is stored now.

        Raises:
            Conflict: the Canary has changed since it was looked at.
            KubeError: it could not be stored.
        """
        if decision.status == canary.status:
            return raw
        status = decision.status.to_json()
        about = canary.replace(status=decision.status) if decision.status.rollout is not None else canary
        with self._tracer.span(about, "write status"):
            stored = await self._patch(raw, merge_patch(raw.get("status") or {}, status))
        if fields := self.statuses.keep(stored, status):
            self._advise(stored, canary, advice(fields))
        return stored

    def _advise(self, raw: Json, canary: Canary, message: str) -> None:
        """Say once of each Canary, and as an error of the first, that its definition is not ours."""
        if canary.key in self._advised:
            return
        if not self._advised:
            log.error(message)
        self._advised.add(canary.key)
        self._courier.warn(raw, message)

    def tell(self, raw: Json, canary: Canary) -> None:
        """Tell what a stored status has to tell, and show where the Canary stands.

        Args:
            raw: the Canary as it is stored.
            canary: the same, read.
        """
        self._telemetry.observe(canary, canary.status)
        self._tracer.observe(canary)
        self._courier.take(raw, canary)

    def called(self, canary: Canary) -> bool:
        """Whether an alert or a post-rollout hook went out for a notice that stands in the status still."""
        return self._courier.called(canary)

    def told(self, raw: Json, canary: Canary) -> int:
        """The number of the last notice that was told; what was stored unheard of is told first."""
        outbox = canary.status.outbox
        if outbox and outbox[-1].number > told_of(canary.status, self._courier.told(canary)):
            self.tell(raw, canary)
        return self._courier.told(canary)

    async def complain(self, raw: Json, reason: str, message: str) -> None:
        """Tell the owner of a Canary of which no decision can be made: by a condition and an event on the object.

        Where the same is said there already, nothing is written: a restart has nothing new to tell.

        Raises:
            KubeError: it could not be stored.
        """
        known = raw.get("status")
        status: Json = known if isinstance(known, dict) else {}
        generation = raw["metadata"].get("generation")
        said = status.get("conditions") or ()
        before = [each for each in said if isinstance(each, dict)] if isinstance(said, list) else []
        when = self._now()
        conditions = [_said(before, each, when) for each in stalled(reason, message)]
        # Of a status that another controller has left, what tells that it is not ours stays absent.
        ours = "observedGeneration" in status or not status.get("phase")
        observed = {"observedGeneration": generation} if ours and generation is not None else {}
        if all(each in before for each in conditions) and observed.items() <= status.items():
            return
        if conditions[-1] not in before:
            self._courier.warn(raw, message)
        kept = [each for each in before if each.get("type") not in FOR_KSTATUS]
        # Health checks of others, as Argo CD's, end in an error where one of these is missing.
        missing = {name: value for name, value in (("phase", ""), ("canaryWeight", 0)) if name not in status}
        await self._patch(raw, {**missing, **observed, "conditions": [*kept, *conditions]})

    def forget(self, key: str) -> None:
        """A Canary is gone: what is kept of it goes too."""
        self.statuses.forget(key)
        self._tracer.forget(key)
        self._advised.discard(key)
        self._courier.forget(key)

    async def close(self) -> None:
        """Wait for what is on its way, for a while, and store what was told, so that nobody tells it again."""
        await self._courier.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(MARK_SECONDS):
                for raw in self._caches.list(CANARY):
                    with suppress(KubeError, InvalidResource):
                        await self._mark(raw)

    async def _mark(self, raw: Json) -> None:
        if not (raw.get("status") or {}).get("outbox"):
            return
        canary = parse_canary(raw)
        told = told_of(canary.status, self._courier.told(canary))
        if told > (canary.status.told or 0):
            left = tuple(each for each in canary.status.outbox if each.number > told)
            marked = canary.status.replace(outbox=left, told=told)
            await self._patch(raw, merge_patch(raw["status"], marked.to_json()))

    async def _patch(self, raw: Json, status: Json) -> Json:
        metadata = raw["metadata"]
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": status}
        return await self._client.merge_patch(
            CANARY, metadata["namespace"], metadata["name"], patch, subresource="status"
        )


def _said(before: list[Json], condition: Condition, now: datetime) -> Json:
    """A condition, with the times of before where it was said before."""
    said = condition.to_json()
    known = next((each for each in before if said.items() <= each.items()), None)
    return known or condition.replace(last_update_time=now, last_transition_time=now).to_json()
