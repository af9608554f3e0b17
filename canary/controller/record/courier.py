"""Tells what stands in the outboxes of Canaries: in its order, and each thing once.

Events, logs and counters are told as soon as a notice is seen. Receivers of event webhooks hear of one thing after the
other; alerts and post-rollout hooks wait for nobody. A notice counts as told when all of that is done, which the next
decision hears of as a fact and takes it out of the status.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from canary import webhooks
from canary.api.analysis import HookType, Webhook
from canary.api.canary import Canary
from canary.api.meta import utc
from canary.api.status import Notice, Phase
from canary.controller.ask.hooks import Hooks
from canary.controller.options import Options
from canary.controller.record.alerts import Addressee, Alerter, Missed, name_of
from canary.controller.telemetry import Telemetry
from canary.controller.tracer import Tracer, silent
from canary.kube.events import EventRecorder
from canary.kube.types import Json
from canary.rollout import messages
from canary.rollout.decision import Alert, Ending, Event, EventType
from canary.rollout.outbox import alerts_of, ending_of, events_of, told_of

log = structlog.get_logger(__name__)

EVENT_REASON = "Synced"
"""The reason of all events of a Canary: what dashboards and scripts select by."""

DRAIN_SECONDS = 8.0
"""How long a stop waits for what is on its way; what has not gone out by then stays in the status, for the next one."""
EVENTS_LAST = timedelta(hours=1)
"""How long an API server keeps events, unless it is told otherwise: one of before would be told anew."""

AGAIN_SECONDS = (30.0, 60.0, 120.0, 240.0)
"""How long an alert that a messenger does not take waits for its next try."""


class Courier:
    """Tells.

    Args:
        events: takes Kubernetes events.
        alerter: takes alerts.
        telemetry: the controller's metrics.
        hooks: calls event and post-rollout webhooks.
        options: the controller's settings.
        now: the clock.
        delivered: is told the key of a Canary whose notice others have heard of, which took a while.
        tracer: traces what is told.
    """

    def __init__(
        self,
        events: EventRecorder,
        alerter: Alerter,
        telemetry: Telemetry,
        hooks: Hooks,
        options: Options,
        now: Callable[[], datetime],
        delivered: Callable[[str], None],
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer or silent(now)
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
        # Alerts on their way to messengers that were away.
        self._late: set[asyncio.Task[bool]] = set()

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
        telling = [task for each in self._open.values() for task in each.values()]
        if telling:
            await asyncio.wait(telling, timeout=DRAIN_SECONDS)
        tasks: list[asyncio.Task[None] | asyncio.Task[bool]] = [*telling, *self._last_call.values(), *self._late]
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
            *(
                self._alert(raw, told, each, to, notice.time)
                for each in alerts_of(notice)
                if (to := self._alerter.addressees(told, each))
            ),
            *(self._post_rollout(raw, told, hook, notice) for hook in _post_rollout_hooks(told, ending)),
        ]
        work = [*self._event_hooks(told, events, notice), *calls]
        if not work:
            return  # told already: there is nothing to wait for
        self._last_called[key] = notice.number
        task = asyncio.create_task(_all(work), name=f"tell {key} {notice.number}")
        self._open.setdefault(key, {})[notice.number] = task
        task.add_done_callback(lambda done: self._ended(key, notice.number, done))

    async def _alert(self, raw: Json, canary: Canary, alert: Alert, to: Sequence[Addressee], at: datetime) -> None:
        """Tell everybody, until all were tried and somebody has it, or nobody ever will.

        Those that are away while others have it are told beside, for some minutes: the notice counts as told, so that
        no restart calls the others twice.
        """
        tried = await asyncio.gather(*(self._tried(raw, canary, alert, who, at) for who in to))
        away = [each for each in tried if isinstance(each, asyncio.Task)]
        if True in tried:
            return
        for each in asyncio.as_completed(away):
            if await each:
                return

    async def _tried(
        self, raw: Json, canary: Canary, alert: Alert, who: Addressee, at: datetime
    ) -> "bool | asyncio.Task[bool]":
        """Whether a messenger has it; where it is away, what goes on trying."""
        with self._tracer.span(canary, f"alert {name_of(who)}", at) as noted:
            missed = await self._alerter.send(canary, alert, who)
            noted.error = missed.reason if missed is not None else ""
        if missed is None:
            return True
        if not missed.passing:
            return self._lost(raw, canary, missed)
        task = asyncio.create_task(self._try_again(raw, canary, alert, missed), name=f"tell {canary.key} later")
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return task

    async def _try_again(self, raw: Json, canary: Canary, alert: Alert, missed: Missed) -> bool:
        for seconds in AGAIN_SECONDS:
            await asyncio.sleep(max(seconds, missed.rest.total_seconds()))
            found = await self._alerter.send(canary, alert, missed.who)
            if found is None:
                return True
            missed = found
            if not missed.passing:
                break
        return self._lost(raw, canary, missed)

    def _lost(self, raw: Json, canary: Canary, missed: Missed) -> bool:
        message = f"Alert to {missed.name} can't be sent: {missed.reason}"
        self._record(raw, Event(message, EventType.WARNING), canary.status.phase.value)
        return False

    def _event_hooks(
        self, canary: Canary, events: tuple[Event, ...], notice: Notice
    ) -> Iterable[Coroutine[None, None, object]]:
        """One call after the other for each receiver, after those that are under way."""
        for hook in webhooks.event_hooks(canary.analysis.webhooks, self._default_hook) if events else ():
            place = (canary.metadata.uid, hook.name, hook.url)
            # Body and id hang on nothing but what is stored: one that is told again is known by its receiver.
            told = [
                (_event_body(canary, hook, event, notice.time), _id(canary, hook, notice, index, event.message))
                for index, event in enumerate(events)
            ]
            call = asyncio.create_task(
                self._call_in_turn(canary, hook, told, self._last_call.get(place), notice.time),
                name=f"event hook {hook.name}",
            )
            self._last_call[place] = call
            call.add_done_callback(partial(self._called, place))
            yield _wait_for(call)

    async def _call_in_turn(
        self,
        canary: Canary,
        hook: Webhook,
        told: list[tuple[Json, str]],
        before: asyncio.Task[None] | None,
        at: datetime,
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        for body, message in told:
            outcome = await self._told(canary, hook, body, message, at)
            if not isinstance(outcome, webhooks.Approved):
                log.warning("event webhook failed", hook=hook.name, reason=outcome.message)

    async def _told(self, canary: Canary, hook: Webhook, body: Json, message: str, at: datetime) -> webhooks.Outcome:
        with self._tracer.span(canary, f"webhook {hook.name}", at) as noted:
            outcome = await self._hooks.tell(canary, hook, body, message)
            noted.attributes["webhook.message"] = outcome.message
            noted.error = "" if isinstance(outcome, webhooks.Approved) else outcome.message
        return outcome

    def _called(self, place: tuple[str, str, str], call: asyncio.Task[None]) -> None:
        if self._last_call.get(place) is call:
            del self._last_call[place]

    async def _post_rollout(self, raw: Json, canary: Canary, hook: Webhook, notice: Notice) -> None:
        phase = Phase.FAILED if ending_of(notice) is Ending.FAILED else Phase.SUCCEEDED
        body = webhooks.payload(canary, hook, phase, webhooks.checksum(canary))
        outcome = await self._told(canary, hook, body, _id(canary, hook, notice), notice.time)
        approved = isinstance(outcome, webhooks.Approved)
        event = messages.passed(hook) if approved else messages.refused(canary, hook, outcome.message)
        if event is not None:
            self._record(raw, event, phase.value)
            await asyncio.gather(*self._event_hooks(canary, (event,), notice))

    def _record(self, raw: Json, event: Event, phase: str, at: datetime | None = None) -> None:
        metadata = raw["metadata"]
        write = log.warning if event.type is EventType.WARNING else log.info
        write(event.told, canary=f"{metadata['name']}.{metadata['namespace']}", phase=phase)
        moment = utc(at).timestamp() if at is not None else None
        self._events.record(raw, type=event.type.value, reason=EVENT_REASON, message=event.told, at=moment)

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


def _event_body(canary: Canary, hook: Webhook, event: Event, at: datetime) -> Json:
    return webhooks.event_payload(
        canary,
        hook,
        canary.status.phase,
        webhooks.checksum(canary),
        message=event.told,
        event_type=event.type.value,
        now=at,
    )


def _id(canary: Canary, hook: Webhook, notice: Notice, *what: object) -> str:
    return webhooks.message_id(canary, hook, notice.number, utc(notice.time).isoformat(), *what)


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
