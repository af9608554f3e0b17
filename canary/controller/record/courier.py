"""Tells what stands in the outboxes of Canaries: in its order, and each thing once.

Events, logs and counters are told as soon as a notice is seen. Receivers of event webhooks hear of one thing after the
other; alerts and post-rollout hooks wait for nobody. A notice counts as told when all of that is done, which the next
decision hears of as a fact and takes it out of the status.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from functools import partial

import structlog

from canary import webhooks
from canary.api.analysis import HookType, Webhook
from canary.api.canary import Canary
from canary.api.meta import utc
from canary.api.status import Notice, Phase
from canary.controller.options import Options
from canary.controller.record.alerts import Alerter
from canary.controller.telemetry import Telemetry
from canary.kube.events import EventRecorder
from canary.kube.types import Json
from canary.rollout import messages
from canary.rollout.decision import Alert, Ending, Event, EventType
from canary.rollout.outbox import alerts_of, ending_of, events_of, told_of
from outbound.connections import Connections

log = structlog.get_logger(__name__)

EVENT_REASON = "Synced"
"""The reason of all events of a Canary: what dashboards and scripts select by."""

DRAIN_SECONDS = 8.0
"""How long a stop waits for what is on its way; what has not gone out by then stays in the status, for the next one."""
EVENTS_LAST = timedelta(hours=1)
"""How long an API server keeps events, unless it is told otherwise: one of before would be told anew."""

AGAIN_SECONDS = (30.0, 60.0, 120.0, 240.0)
"""How long an alert that no messenger takes waits for its next try."""


class Courier:
    """Tells.

    Args:
        events: takes Kubernetes events.
        alerter: takes alerts.
        telemetry: the controller's metrics.
        hooks: connections for event and post-rollout webhooks.
        options: the controller's settings.
        now: the clock.
        delivered: is told the key of a Canary whose notice others have heard of, which took a while.
    """

    def __init__(
        self,
        events: EventRecorder,
        alerter: Alerter,
        telemetry: Telemetry,
        hooks: Connections,
        options: Options,
        now: Callable[[], datetime],
        delivered: Callable[[str], None],
    ) -> None:
        self._events = events
        self._alerter = alerter
        self._telemetry = telemetry
        self._hooks = hooks
        self._now = now
        self._delivered = delivered
        self._default_hook = (
            Webhook(name="events", url=options.event_webhook, type=HookType.EVENT) if options.event_webhook else None
        )
        self._taken: dict[str, int] = {}
        # The number of the last notice by which people or hooks were called, which must not happen twice.
        self._last_called: dict[str, int] = {}
        self._open: dict[str, dict[int, asyncio.Task[None]]] = {}
        self._last_call: dict[tuple[str, str, str], asyncio.Task[None]] = {}

    def told(self, canary: Canary) -> int:
        """The number of the last notice of a Canary that was told, as far as this process knows; 0 for none."""
        key = canary.key
        underway = self._open.get(key)
        return min(underway) - 1 if underway else self._taken.get(key, 0)

    def called(self, canary: Canary) -> bool:
        """Whether anybody but Kubernetes was told of a notice that stands in the status still."""
        outbox = canary.status.outbox
        return bool(outbox) and self._last_called.get(canary.key, 0) >= outbox[0].number

    def take(self, raw: Json, canary: Canary) -> None:
        """Tell what a stored status has to tell and nobody was told yet; whatever takes time goes on beside."""
        key = canary.key
        if not canary.status.outbox:
            return
        last = max(told_of(canary.status, 0), self._taken.get(key, 0))
        for notice in canary.status.outbox:
            if notice.number > last:
                self._taken[key] = notice.number
                if notice.alerts or notice.ending or self._now() - utc(notice.time) < EVENTS_LAST:
                    self._tell(raw, canary, notice)

    def warn(self, raw: Json, message: str) -> None:
        """Tell of something that no status could be stored about: by an event on the Canary itself."""
        self._record(raw, Event(message, EventType.WARNING), "")

    def forget(self, key: str) -> None:
        """A Canary is gone; what is on its way about it still goes out."""
        self._taken.pop(key, None)
        self._last_called.pop(key, None)

    async def close(self) -> None:
        """Wait for what is on its way, for a while; the rest is told by whoever reads the status next."""
        tasks = [task for each in self._open.values() for task in each.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
        tasks += self._last_call.values()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tell(self, raw: Json, canary: Canary, notice: Notice) -> None:
        key, told = canary.key, canary.replace(status=canary.status.replace(phase=notice.phase))
        events, ending = events_of(notice), ending_of(notice)
        for index, event in enumerate(events):
            # Its time names an event: one that is told again, by another process, is there already.
            self._record(raw, event, notice.phase.value, at=notice.time + timedelta(microseconds=index))
        if ending is not None:
            self._telemetry.ended(told, ending)
        calls = [
            *(self._alert(told, each) for each in alerts_of(notice) if self._alerter.anybody(told, each)),
            *(self._post_rollout(raw, told, hook, ending) for hook in _post_rollout_hooks(told, ending)),
        ]
        work = [*self._event_hooks(told, events), *calls]
        if not work:
            return  # told already: there is nothing to wait for
        self._last_called[key] = notice.number
        task = asyncio.create_task(_all(work), name=f"tell {key} {notice.number}")
        self._open.setdefault(key, {})[notice.number] = task
        task.add_done_callback(lambda done: self._ended(key, notice.number, done))

    async def _alert(self, canary: Canary, alert: Alert) -> None:
        """Send an alert until somebody has it; where all messengers are away for long, it is given up."""
        for wait in AGAIN_SECONDS:
            if (await self._alerter.send(canary, alert)).done:
                return
            await asyncio.sleep(wait)
        await self._alerter.send(canary, alert)

    def _event_hooks(self, canary: Canary, events: tuple[Event, ...]) -> Iterable[Coroutine[None, None, object]]:
        """One call after the other for each receiver, after those that are under way."""
        for hook in webhooks.event_hooks(canary.analysis.webhooks, self._default_hook) if events else ():
            place = (canary.metadata.uid, hook.name, hook.url)
            bodies = [self._event_body(canary, hook, event) for event in events]
            call = asyncio.create_task(
                self._call_in_turn(hook, bodies, self._last_call.get(place)), name=f"event hook {hook.name}"
            )
            self._last_call[place] = call
            call.add_done_callback(partial(self._called, place))
            yield _wait_for(call)

    def _event_body(self, canary: Canary, hook: Webhook, event: Event) -> Json:
        return webhooks.event_payload(
            canary,
            hook,
            canary.status.phase,
            webhooks.checksum(canary),
            message=event.message,
            event_type=event.type.value,
            now=self._now(),
        )

    async def _call_in_turn(self, hook: Webhook, bodies: list[Json], before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        for body in bodies:
            outcome = await webhooks.call(self._hooks, hook, body)
            if not isinstance(outcome, webhooks.Approved):
                log.warning("event webhook failed", hook=hook.name, reason=outcome.message)

    def _called(self, place: tuple[str, str, str], call: asyncio.Task[None]) -> None:
        if self._last_call.get(place) is call:
            del self._last_call[place]

    async def _post_rollout(self, raw: Json, canary: Canary, hook: Webhook, ending: Ending | None) -> None:
        phase = Phase.FAILED if ending is Ending.FAILED else Phase.SUCCEEDED
        outcome = await webhooks.call(
            self._hooks, hook, webhooks.payload(canary, hook, phase, webhooks.checksum(canary))
        )
        approved = isinstance(outcome, webhooks.Approved)
        event = messages.passed(hook) if approved else messages.refused(canary, hook, outcome.message)
        if event is not None:
            self._record(raw, event, phase.value)
            await asyncio.gather(*self._event_hooks(canary, (event,)))

    def _record(self, raw: Json, event: Event, phase: str, at: datetime | None = None) -> None:
        metadata = raw["metadata"]
        write = log.warning if event.type is EventType.WARNING else log.info
        write(event.message, canary=f"{metadata['name']}.{metadata['namespace']}", phase=phase)
        moment = utc(at).timestamp() if at is not None else None
        self._events.record(raw, type=event.type.value, reason=EVENT_REASON, message=event.message, at=moment)

    def _ended(self, key: str, number: int, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return  # the process stops: it is told by whoever reads the status next
        if (error := task.exception()) is not None:
            log.error("telling failed", what=task.get_name(), exc_info=error)
        underway = self._open.get(key, {})
        underway.pop(number, None)
        if not underway:
            self._open.pop(key, None)
        if self._taken.get(key) == number:
            self._delivered(key)


def _post_rollout_hooks(canary: Canary, ending: Ending | None) -> tuple[Webhook, ...]:
    return tuple(canary.hooks(HookType.POST_ROLLOUT)) if ending is not None else ()


async def _all(work: Iterable[Coroutine[None, None, object]]) -> None:
    """Do all of it side by side; that something goes wrong in one keeps none of the others from being done."""
    done = await asyncio.gather(*work, return_exceptions=True)
    errors = [each for each in done if isinstance(each, Exception)]
    if errors:
        raise ExceptionGroup("telling failed", errors)


async def _wait_for(call: asyncio.Task[None]) -> None:
    await asyncio.shield(call)
