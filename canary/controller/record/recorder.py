"""Record: store the status in one guarded write, then tell of it, each thing once."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime

import structlog

from canary import webhooks
from canary.api.analysis import HookType, Webhook
from canary.api.canary import Canary
from canary.api.meta import Condition, ConditionStatus
from canary.api.status import Phase
from canary.controller.options import Options
from canary.controller.record.alerts import Alerter
from canary.controller.status_memory import StatusMemory, advice
from canary.controller.telemetry import Telemetry
from canary.kube.client import KubeClient
from canary.kube.events import EventRecorder
from canary.kube.types import CANARY, Json
from canary.rollout import messages
from canary.rollout.decide import INVALID, STALLED
from canary.rollout.decision import Decision, Ending, Event, EventType

log = structlog.get_logger(__name__)

EVENT_REASON = "Synced"
"""The reason of all events of a Canary: what dashboards and scripts select by."""


class Recorder:
    """Stores and tells.

    Args:
        client: where the status is stored.
        events: takes Kubernetes events.
        alerter: takes alerts.
        telemetry: the controller's metrics.
        hooks: connections for event and post-rollout webhooks.
        options: the controller's settings.
        now: the clock.

    Attributes:
        statuses: what the API server does not keep of the statuses that are stored.
    """

    def __init__(
        self,
        client: KubeClient,
        events: EventRecorder,
        alerter: Alerter,
        telemetry: Telemetry,
        hooks: webhooks.Clients,
        options: Options,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._events = events
        self._alerter = alerter
        self._telemetry = telemetry
        self._hooks = hooks
        self._now = now
        self._default_hook = (
            Webhook(name="events", url=options.event_webhook, type=HookType.EVENT) if options.event_webhook else None
        )
        self._telling: set[asyncio.Task[None]] = set()
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
        patch = {
            "metadata": {"resourceVersion": raw["metadata"]["resourceVersion"]},
            "status": merge_patch(raw.get("status") or {}, status),
        }
        stored = await self._client.merge_patch(CANARY, canary.namespace, canary.name, patch, subresource="status")
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
        self._events.record(raw, type=EventType.WARNING.value, reason=EVENT_REASON, message=message)

    def tell(self, raw: Json, canary: Canary, decision: Decision) -> None:
        """Say what has happened, once it is stored; whatever takes time goes on beside."""
        told = canary.replace(status=decision.status)
        if decision.status != canary.status or not self._telemetry.shows(canary):
            self._telemetry.observe(told, decision.status)
        for event in decision.events:
            self._tell_event(raw, told, event)
        for alert in decision.alerts:
            self._later(self._alerter.send(told, alert), "alert")
        if decision.ending is not None:
            self._telemetry.ended(told, decision.ending)
            for hook in told.hooks(HookType.POST_ROLLOUT):
                self._later(self._post_rollout(raw, told, hook, decision.ending), f"post-rollout hook {hook.name}")

    async def complain(self, raw: Json, message: str) -> None:
        """Tell the owner of a Canary that can't even be read: by a condition and an event on the object itself.

        Raises:
            KubeError: it could not be stored.
        """
        metadata, status = raw["metadata"], raw.get("status")
        kept = [
            each
            for each in (status.get("conditions") if isinstance(status, dict) else None) or ()
            if isinstance(each, dict) and each.get("type") != STALLED
        ]
        stalled = Condition(type=STALLED, status=ConditionStatus.TRUE, reason=INVALID, message=message)
        when = self._now()
        stalled = stalled.replace(last_update_time=when, last_transition_time=when)
        patch = {
            "metadata": {"resourceVersion": metadata["resourceVersion"]},
            "status": {"conditions": [*kept, stalled.to_json()]},
        }
        await self._client.merge_patch(CANARY, metadata["namespace"], metadata["name"], patch, subresource="status")
        log.warning(message, canary=f"{metadata['name']}.{metadata['namespace']}")
        self._events.record(raw, type=EventType.WARNING.value, reason=EVENT_REASON, message=message)

    def forget(self, key: str) -> None:
        """A Canary is gone: what is kept of it goes too."""
        self.statuses.forget(key)
        self._advised.discard(key)

    async def close(self) -> None:
        """Stop telling; what has not gone out by now is lost."""
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)

    def _tell_event(self, raw: Json, canary: Canary, event: Event) -> None:
        name = f"{canary.name}.{canary.namespace}"
        write = log.warning if event.type is EventType.WARNING else log.info
        write(event.message, canary=name, phase=canary.status.phase.value)
        self._events.record(raw, type=event.type.value, reason=EVENT_REASON, message=event.message)
        for hook in webhooks.event_hooks(canary.analysis.webhooks, self._default_hook):
            body = webhooks.event_payload(
                canary,
                hook,
                canary.status.phase,
                webhooks.checksum(canary),
                message=event.message,
                event_type=event.type.value,
                now=self._now(),
            )
            self._later(self._event_hook(hook, body), f"event hook {hook.name}")

    async def _event_hook(self, hook: Webhook, body: Json) -> None:
        outcome = await webhooks.call(self._hooks, hook, body)
        if not isinstance(outcome, webhooks.Approved):
            log.warning("event webhook failed", hook=hook.name, reason=outcome.message)

    async def _post_rollout(self, raw: Json, canary: Canary, hook: Webhook, ending: Ending) -> None:
        phase = Phase.FAILED if ending is Ending.FAILED else Phase.SUCCEEDED
        body = webhooks.payload(canary, hook, phase, webhooks.checksum(canary))
        outcome = await webhooks.call(self._hooks, hook, body)
        if isinstance(outcome, webhooks.Approved):
            event = messages.passed(hook)
        else:
            event = messages.refused(canary, hook, outcome.message)
        if event is not None:
            self._tell_event(raw, canary, event)

    def _later(self, work: Coroutine[None, None, None], what: str) -> None:
        task = asyncio.create_task(work, name=what)
        self._telling.add(task)
        task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("telling failed", what=task.get_name(), exc_info=error)


def merge_patch(before: Json, after: Json) -> Json:
    """The JSON merge patch (RFC 7386) from one object to another."""
    patch: Json = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := merge_patch(old, value):
                patch[key] = inner
        elif key not in before or value != old:
            patch[key] = value
    return patch
