"""The loop: observe, decide, act, record, for one Canary at a time and never twice at once for the same."""

import asyncio
import time
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from canary.api.canary import Canary
from canary.api.problems import InvalidResource
from canary.controller import unreadable
from canary.controller.act.actor import Actor, EndBuild
from canary.controller.ask.checks import OpenChecks
from canary.controller.clock import Clock
from canary.controller.configs import ConfigReader
from canary.controller.contest import Contest
from canary.controller.observe.caches import Caches
from canary.controller.observe.index import Index
from canary.controller.observe.observer import Observer
from canary.controller.observe.surroundings import Surroundings, Told
from canary.controller.options import Options
from canary.controller.outcome import Kind, Outcome, outcome_of
from canary.controller.record.recorder import Recorder
from canary.controller.seldom import Seldom
from canary.controller.telemetry import Telemetry
from canary.controller.tracer import Tracer
from canary.kube.client import KubeClient
from canary.kube.errors import Conflict, KubeError, NotLeading
from canary.kube.memo import Memo
from canary.kube.queue import WorkQueue
from canary.kube.types import CANARY, Json
from canary.rollout.decide import decide
from canary.rollout.decision import Action, Decision
from canary.rollout.hindrances import INVALID, REFUSED
from canary.rollout.refusals import Refusals

log = structlog.get_logger(__name__)

ACTING: ContextVar[str] = ContextVar("acting", default="")
"""The Canary that the running worker works on: what it writes itself is no news to it."""

AT_ONCE = 0.02
"""Seconds after which what is due already is looked at: a decision that asks for that in vain must not take a core."""

INTERNAL = "InternalError"
"""Reason of a Canary of which no decision can be made by an error of ours."""

_APPLIED = 1024
"""Of how many objects it is kept that they are as desired: of those of the Canaries that are being rolled out."""


class Reconciler:
    """Drives all Canaries.

    Args:
        client: where to write.
        caches: what is known of the cluster.
        queue: which Canaries are due.
        index: which Canary looks at which objects.
        board: what is asked of the outside world.
        recorder: stores and tells.
        telemetry: the controller's metrics.
        options: the controller's settings.
        now: the clock.
        end_build: ends a build of Jenkins.
        tracer: traces rollouts.
    """

    def __init__(
        self,
        client: KubeClient,
        caches: Caches,
        queue: WorkQueue[str],
        index: Index,
        board: OpenChecks,
        recorder: Recorder,
        telemetry: Telemetry,
        options: Options,
        now: Clock,
        end_build: EndBuild,
        tracer: Tracer,
    ) -> None:
        self._tracer = tracer
        self._end_build = end_build
        self._client = client
        self._caches = caches
        self._queue = queue
        self._index = index
        self._board = board
        self._recorder = recorder
        self._telemetry = telemetry
        self._options = options
        self._now = now
        self._configs = ConfigReader(client, caches)
        index.let_go = self._configs.forget
        index.rollouts.whole = recorder.statuses.whole
        self._observer = Observer(client, caches, self._configs, index, options, recorder.statuses)
        self._applied: Memo[bool] = Memo(_APPLIED)
        self._contest = Contest()
        self._seldom = Seldom()
        self._made: Memo[tuple[Json, ...]] = Memo(_APPLIED)
        self._refusals: dict[str, Refusals] = {}
        self._looking: dict[str, float] = {}
        self._looked_at: dict[str, datetime] = {}
        self._invalid: dict[str, tuple[int, str]] = {}

    async def run(self) -> None:
        """Work until cancelled, on as many Canaries at once as the options say."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._options.workers):
                group.create_task(self._work(), name=f"worker {number}")

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            ACTING.set(key)
            began = time.monotonic()
            try:
                outcome = await self._safely(key)
                self._follow(key, outcome)
                self._telemetry.passed(outcome.kind, timedelta(seconds=time.monotonic() - began))
            finally:
                self._queue.done(key)
                for other in self._index.rollouts.passed(key):
                    self._queue.add(other)
            # A pass that finds nothing to do waits for nothing: probes and watches have their turn between two of them.
            await asyncio.sleep(0)

    async def _safely(self, key: str) -> Outcome:
        """One pass; whatever goes wrong in it concerns this Canary alone."""
        try:
            try:
                return await self._pass(key)
            except InvalidResource as error:
                return await self._unreadable(key, error)
        except Exception as error:
            outcome = outcome_of(error)
            if outcome.kind is Kind.BUG:
                log.exception("a pass failed by a bug", canary=key)
            if outcome.kind in (Kind.BUG, Kind.REFUSED):
                await self._complain(key, INTERNAL if outcome.kind is Kind.BUG else REFUSED, outcome.reason)
            return outcome

    def _follow(self, key: str, outcome: Outcome) -> None:
        """The one place that says what follows from a pass: when the next one is, and what the log says."""
        match outcome.kind:
            case Kind.DONE:
                self._queue.forget(key)
                self._schedule(key, outcome.wake)
            case Kind.MOVED:
                self._queue.forget(key)
                self._queue.add(key)
                self._schedule(key, outcome.wake)
            case Kind.CONTESTED:
                self._queue.forget(key)
                self._warn("does not settle, is somebody undoing our changes?", key, outcome)
                self._schedule(key, outcome.wake)
                self._queue.rest(key, self._contest.rest(key).total_seconds())
            case Kind.CONFLICT:
                log.debug("conflict, looking again", canary=key, reason=outcome.reason)
                self._queue.retry(key)
            case Kind.RETRY:
                self._warn("API server unavailable, trying again", key, outcome)
                self._queue.retry(key, at_least=outcome.retry_after)
                if outcome.wake is not None:
                    self._queue.add_after(key, max(AT_ONCE, (outcome.wake - self._now()).total_seconds()))
            case Kind.WITHHELD:
                self._warn("the API server refuses", key, outcome)
                self._queue.urge(key)
            case Kind.REFUSED:
                log.error("the API server refuses", canary=key, reason=outcome.reason)
                self._queue.retry(key)
            case Kind.BUG:
                self._queue.retry(key)
            case Kind.NOT_LEADING:
                log.info("no longer leading", canary=key)
            case _:
                assert_never(outcome.kind)

    def _warn(self, event: str, key: str, outcome: Outcome) -> None:
        self._seldom.warning(event, canary=key, reason=outcome.reason, now=_loop_time())

    def _schedule(self, key: str, wake: datetime | None) -> None:
        """Look again when a decision asks for it: a timer waits for no rest."""
        if wake is not None:
            self._queue.schedule(key, max(AT_ONCE, (wake - self._now()).total_seconds()))

    async def _pass(self, key: str) -> Outcome:
        """Observe, decide, act, record."""
        namespace, _, name = key.partition("/")
        raw = self._caches.get(CANARY, namespace, name)
        if raw is None:
            self._forget(key)
            return Outcome(Kind.DONE, "the Canary is gone")
        raw = unreadable.leaving(raw)
        seen = await self._observer.look(raw)
        self._invalid.pop(key, None)
        refusals, now = self._refusals.get(key) or Refusals(), self._now()
        decision = self._decided(raw, seen, refusals, now)
        # What is written belongs to the status that will be stored: a route carries the cookies of its own step.
        told = seen.canary.replace(status=decision.status)
        # Of a rollout that ends with this decision, the stored status still tells.
        about = told if told.status.rollout is not None else seen.canary
        actor = Actor(
            self._client,
            self._caches,
            self._configs,
            self._options.rules,
            replace(seen, canary=told),
            self._applied,
            self._made,
            self._end_build,
        )
        for action in decision.protect:
            if (error := await self._do(actor, action, about, refusals, urgent=True)) is not None:
                return _before_told(error, refusals.quiet_until(seen.canary), self._now())
        stored = await self._stored(actor.raw, seen.canary, decision)
        self._board.ask(seen.canary, decision.asks)
        for action in decision.upkeep:
            if await self._do(actor, action, about, refusals, urgent=False) is not None:
                self._queue.add(key)
        moved = (stored is not raw or actor.writes > 0) and not _has_looked(seen.canary, decision, now)
        undone = self._contest.note(key, actor.applied, _loop_time())
        return self._outcome(key, decision, refusals.next_due(now), now, Kind.MOVED if moved else Kind.DONE, undone)

    def _decided(self, raw: Json, seen: Surroundings, refusals: Refusals, now: datetime) -> Decision:
        """Decide on what was seen and what became of earlier decisions, and let everybody here know."""
        key = seen.canary.key
        heard = self._recorder.told(raw, seen.canary), self._recorder.called(seen.canary)
        became = Told(refusals.facts(seen.canary, now), self._contest.undone(key, _loop_time()), *heard)
        facts = self._observer.facts(seen, now, self._board.answers(key), became)
        remembered = replace(facts, clock_set=self._now.set_at(now), looked_at=self._looked_at.get(key))
        decision = decide(seen.canary, remembered)
        if decision.looked_at is not None:
            self._looked_at[key] = decision.looked_at
        current = facts.target is None or facts.target.revision == decision.status.last_applied_spec
        self._index.rollouts.decided(key, decision.status.phase, current=current)
        refusals.heed(seen.canary, decision, now)
        if not refusals:
            self._refusals.pop(key, None)
        self._time_look(seen.canary, decision)
        log.debug(decision.reason, canary=key, actions=[type(each).__name__ for each in decision.done])
        return decision

    async def _stored(self, raw: Json, canary: Canary, decision: Decision) -> Json:
        """Store the status, and tell of what has come of it."""
        stored = await self._recorder.store(raw, canary, decision)
        if stored is not raw:
            self._caches.note(stored)
        if stored is not raw or not self._telemetry.shows(canary):
            self._recorder.tell(stored, canary.replace(status=decision.status))
        return stored

    def _outcome(
        self, key: str, decision: Decision, due: datetime | None, now: datetime, kind: Kind, undone: bool
    ) -> Outcome:
        """How a pass has ended, and when the next is due by itself."""
        over = self._contest.over(key, _loop_time())
        wakes = [each for each in (decision.wake, decision.tidy, due) if each is not None]
        wakes += [now + over] if over is not None else []
        if undone and over is not None:
            kind = Kind.CONTESTED
        if kind is Kind.DONE and not wakes and not decision.asks:
            self._rest(key)
        return Outcome(kind, decision.reason, min(wakes, default=None))

    def _rest(self, key: str) -> None:
        """Nothing is to be done before something changes: what was found out is not kept till then."""
        self._observer.rest(key)
        for apex in (True, False):
            self._made.drop((key, apex))

    async def _do(
        self, actor: Actor, action: Action, canary: Canary, refusals: Refusals, *, urgent: bool
    ) -> Outcome | None:
        """Do one action. What is not done is a fact of the next decision; None where it is done.

        Raises:
            Conflict: somebody else was quicker, so that all is to be looked at again.
            NotLeading: another controller acts now.
        """
        writes, key, began = actor.writes, canary.key, self._now()
        try:
            await actor.do(action)
        except (Conflict, NotLeading):
            raise
        except Exception as error:
            outcome = outcome_of(error)
            if outcome.kind is Kind.BUG:
                log.exception("an action failed by a bug", canary=key, action=type(action).__name__)
            answered = outcome.kind is not Kind.RETRY
            self._tracer.did(canary, f"write {type(action).__name__}", began, outcome.reason)
            refusals.add(action, outcome.reason, self._now(), answered=answered, urgent=urgent)
            self._refusals[key] = refusals
            return replace(outcome, kind=Kind.WITHHELD) if answered else outcome
        if actor.writes > writes:
            self._tracer.did(canary, f"write {type(action).__name__}", began)
        if refusals:
            refusals.remove(action, wrote=actor.writes > writes)
            if not refusals:
                self._refusals.pop(key, None)
        return None

    def _time_look(self, canary: Canary, decision: Decision) -> None:
        """Measure looks from the first question to the decision that the answers led to."""
        if decision.asks:
            self._looking.setdefault(canary.key, time.monotonic())
        elif (began := self._looking.pop(canary.key, None)) is not None:
            self._telemetry.looked(canary, timedelta(seconds=time.monotonic() - began))

    async def _unreadable(self, key: str, error: InvalidResource) -> Outcome:
        """A Canary that can't even be read: say so once, and go on when it changes."""
        await self._complain(key, INVALID, str(error))
        namespace, _, name = key.partition("/")
        await unreadable.let_go(self._client, self._caches.get(CANARY, namespace, name))
        return Outcome(Kind.DONE, str(error))

    async def _complain(self, key: str, reason: str, message: str) -> None:
        """Tell once of a Canary of which no decision can be made or stored."""
        namespace, _, name = key.partition("/")
        raw = self._caches.get(CANARY, namespace, name)
        if raw is None:
            return
        self._telemetry.unreadable(key)
        said = (raw["metadata"].get("generation", 0), message)
        if self._invalid.get(key) == said:
            return
        self._invalid[key] = said
        try:
            await self._recorder.complain(raw, reason, message)
        except KubeError as error:
            log.warning("what is wrong can't be stored", canary=key, reason=str(error))

    def _forget(self, key: str) -> None:
        self._board.forget(key)
        self._index.drop(key)
        self._caches.forget(key)
        self._queue.discard(key)
        self._telemetry.forget(key)
        self._recorder.forget(key)
        self._looking.pop(key, None)
        self._looked_at.pop(key, None)
        self._invalid.pop(key, None)
        self._refusals.pop(key, None)
        self._contest.forget(key)
        self._seldom.forget(key)
        self._observer.forget(key)


def _before_told(error: Outcome, until: datetime | None, now: datetime) -> Outcome:
    """What follows from a write that was not done: one that is not answered is told by then, in between two tries."""
    if error.kind is not Kind.RETRY or until is None:
        return error
    return replace(error, kind=Kind.WITHHELD) if now >= until else replace(error, wake=until)


def _has_looked(before: Canary, decision: Decision, now: datetime) -> bool:
    """Whether a look has just ended, and nothing is to be done before the next one unless something changes."""
    status = decision.status
    looked = status.last_check_time == now and status.phase is before.status.phase
    return looked and decision.wake is not None and decision.wake > now


def key_of(obj: Json) -> str:
    """The key of a Canary in the queue."""
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
