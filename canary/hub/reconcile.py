"""The loop of a hub: what is seen of a fleet's members, the decision, what it has written, its status, its words."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from canary.api.fleet import CanaryFleet, parse_fleet
from canary.api.fleet_rules import problems
from canary.api.fleet_status import FleetStatus
from canary.api.meta import utc
from canary.api.problems import InvalidResource, Problem
from canary.controller.outcome import Kind, outcome_of
from canary.fleet.decide import decide
from canary.fleet.decision import Decision
from canary.fleet.facts import Facts, Member, Reachable, Seen, Unreachable
from canary.fleet.members.base import Member as Cluster
from canary.fleet.members.base import Unusable
from canary.fleet.waves import awaited
from canary.gates import waves
from canary.hub import routes
from canary.hub.gates import Gates
from canary.hub.link import OUTAGE, Place
from canary.hub.members import Members, chosen, misplaced, name_of, namespace_of, rivals
from canary.hub.objects import Objects
from canary.hub.telemetry import Telemetry
from canary.hub.writer import Doable, Whom, Work, Writer
from canary.kube.client import KubeClient
from canary.kube.events import EventRecorder
from canary.kube.merge import merge_patch
from canary.kube.queue import WorkQueue
from canary.kube.types import CANARY_FLEET, Json

log = structlog.get_logger(__name__)

REASON: Final = "Synced"
"""The reason of all events of a fleet, as of a Canary's."""

AT_ONCE: Final = 0.02
"""Seconds after which what is due already is looked at."""


class Reconciler:
    """Drives all fleets.

    Args:
        client: the hub's own cluster.
        objects: what is known of it.
        members: the clusters that there are.
        led: the routes that lead to them.
        writer: writes into both.
        gates: asks gates.
        events: takes events.
        queue: which fleets are due.
        telemetry: is told where fleets stand.
        now: the clock.
    """

    def __init__(
        self,
        client: KubeClient,
        objects: Objects,
        members: Members,
        led: routes.Routes,
        writer: Writer,
        gates: Gates,
        events: EventRecorder,
        queue: WorkQueue[str],
        telemetry: Telemetry,
        now: Callable[[], datetime],
    ) -> None:
        self._client, self._objects, self._members, self._routes = client, objects, members, led
        self._writer, self._gates, self._events, self._queue, self._now = writer, gates, events, queue, now
        self._telemetry = telemetry
        self._told: dict[str, tuple[str, int]] = {}
        self._unread: dict[str, str] = {}
        self._found: dict[str, tuple[tuple[str, int], tuple[Problem, ...]]] = {}
        self._since: dict[Whom, datetime] = {}

    async def work(self) -> None:
        """Work on one fleet after the other, until cancelled; several may work side by side."""
        while True:
            key = await self._queue.get()
            try:
                await self._safely(key)
            finally:
                self._queue.done(key)

    async def _safely(self, key: str) -> None:
        """One pass; whatever goes wrong in it concerns this fleet alone."""
        began = self._now()
        try:
            wake = await self._pass(key)
        except Exception as error:
            outcome = outcome_of(error)
            self._telemetry.passed(outcome.kind, self._now() - began)
            if outcome.kind is Kind.BUG:
                log.exception("a pass failed by a bug", fleet=key)
            elif outcome.kind is not Kind.CONFLICT:
                log.warning("a pass failed, and is tried again", fleet=key, reason=outcome.reason)
            self._queue.retry(key, at_least=outcome.retry_after)
            return
        self._telemetry.passed(Kind.DONE, self._now() - began)
        self._queue.forget(key)
        if wake is not None:
            self._queue.schedule(key, max(AT_ONCE, (wake - self._now()).total_seconds()))

    async def _pass(self, key: str) -> datetime | None:
        """Observe, decide, act, record; when to look again."""
        raw = self._objects.fleets.get(*key.split("/", 1))
        fleet = self._read(key, raw) if raw is not None else None
        if raw is None:
            self._forget(key)
            return None
        if fleet is None:
            self._put_aside(key)
            self._telemetry.unreadable(key)
            return None
        self._telemetry.observe(fleet, fleet.status)
        self._tell(raw, fleet.status)
        facts = self._facts(key, fleet)
        if facts is None:
            return self._now() + OUTAGE
        decision = decide(fleet, facts)
        work: dict[str, Doable] = {**self._routes.work(fleet, decision.routes), **self._work(fleet, decision)}
        await self._writer.write(key, work)
        await self._store(raw, fleet, decision)
        self._telemetry.observe(fleet, decision.status)
        self._members.attend(key, {Place(each, namespace_of(fleet)) for each in awaited(decision.status)})
        self._gates.ask(key, fleet, decision.asks)
        return min(self._wakes(key, fleet, decision), default=None)

    def _read(self, key: str, raw: Json) -> CanaryFleet | None:
        """The fleet; None where it can't be read, which is told once."""
        try:
            fleet = parse_fleet(raw)
        except InvalidResource as error:
            if self._unread.get(key) != str(error):
                self._unread[key] = str(error)
                self._event(raw, str(error), "Warning")
            return None
        self._unread.pop(key, None)
        return fleet

    def _facts(self, key: str, fleet: CanaryFleet) -> Facts | None:
        """What is known; None while a member is connected to for the first time that the release can't do without."""
        now, members, known = self._now(), [], self._members.known
        if known is None:
            return None
        placements = self._objects.placements()
        found = self._problems(key, fleet) or tuple(misplaced(fleet, placements))
        found = found or tuple(rivals(fleet, self._members.fleets, known, placements))
        found = found or tuple(routes.rivals(fleet, self._members.fleets))
        for cluster in () if found else chosen(fleet, known, placements):
            seen = self._seen(key, fleet, cluster, now)
            if seen is None and (_begins(fleet) or fleet.status.member(cluster.name) is not None):
                return None
            members += [Member(cluster.name, cluster.labels, seen)] if seen is not None else []
        led = () if found else self._routes.seen(fleet, lambda name: self._writer.refused(Whom(key, name)))
        if led is None:
            return None
        answers = self._gates.answers(key, fleet.spec.release)
        return Facts(now, tuple(members), answers, self._told_of(key, fleet.metadata.uid), found, led)

    def _problems(self, key: str, fleet: CanaryFleet) -> tuple[Problem, ...]:
        """What keeps the fleet from working; its spec is looked at once a generation."""
        version = (fleet.metadata.uid, fleet.metadata.generation)
        if self._found.get(key, (None, ()))[0] != version:
            self._found[key] = (version, (*problems(fleet), *waves.problems(fleet)))
        return self._found[key][1] or self._objects.gaps()

    def _seen(self, key: str, fleet: CanaryFleet, cluster: Cluster, now: datetime) -> Seen | None:
        known, whom = fleet.status.member(cluster.name), Whom(key, cluster.name)
        before = known.unreachable_since if known is not None else None
        if isinstance(cluster.connection, Unusable):
            since = self._since.setdefault(whom, before or now)
            return Unreachable(since, str(cluster.connection))
        self._since.pop(whom, None)
        link = self._members.link(Place(cluster.name, namespace_of(fleet)))
        seen = link.seen(name_of(fleet), before, now) if link is not None else None
        return replace(seen, refused=self._writer.refused(whom)) if isinstance(seen, Reachable) else seen

    def _work(self, fleet: CanaryFleet, decision: Decision) -> dict[str, Work]:
        """What is to be written, by member."""
        by_member = defaultdict(list)
        for write in decision.writes:
            by_member[write.member].append(write)
        links = {name: self._members.link(Place(name, namespace_of(fleet))) for name in by_member}
        return {name: Work(link, name_of(fleet), by_member[name]) for name, link in links.items() if link is not None}

    async def _store(self, raw: Json, fleet: CanaryFleet, decision: Decision) -> None:
        """Store the status where it has changed, and tell what it has to tell.

        Raises:
            Conflict: the fleet has changed since it was looked at.
            KubeError: it could not be stored.
        """
        whole = decision.status.to_json()
        if FleetStatus.model_validate(whole) == fleet.status:
            return
        metadata = raw["metadata"]
        status = merge_patch(raw.get("status") or {}, whole)
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": status}
        place = metadata["namespace"], metadata["name"]
        stored = await self._client.merge_patch(CANARY_FLEET, *place, patch, subresource="status")
        self._objects.fleets.note(stored)
        self._tell(stored, decision.status)

    def _tell(self, raw: Json, status: FleetStatus) -> None:
        """Tell what stands in the outbox and was not told yet; what is told again by another hub is one Event."""
        metadata = raw["metadata"]
        key, uid = f"{metadata['namespace']}/{metadata['name']}", metadata["uid"]
        last = max(status.told or 0, self._told_of(key, uid))
        for notice in (each for each in status.outbox if each.number > last):
            self._told[key] = uid, notice.number
            for index, event in enumerate(notice.events):
                self._event(raw, event.message, event.type, utc(notice.time) + timedelta(microseconds=index))

    def _told_of(self, key: str, uid: str) -> int:
        """Number of the last notice of a fleet that was told; 0 of one that was made anew."""
        known, number = self._told.get(key, ("", 0))
        return number if known == uid else 0

    def _event(self, raw: Json, message: str, kind: str, at: datetime | None = None) -> None:
        metadata = raw["metadata"]
        write = log.warning if kind == "Warning" else log.info
        write(message, fleet=f"{metadata['namespace']}/{metadata['name']}")
        self._events.record(raw, kind, REASON, message, at.timestamp() if at is not None else None)

    def _wakes(self, key: str, fleet: CanaryFleet, decision: Decision) -> Iterator[datetime]:
        now, due = self._now(), self._writer.due_in(key)
        if decision.wake is not None:
            yield decision.wake
        if due is not None:
            yield now + timedelta(seconds=due)
        links = (self._members.link(Place(each.name, namespace_of(fleet))) for each in decision.status.members)
        # One that can't be followed is unreachable after a while, of which nothing but the time tells.
        if any(link is not None and link.lags_lately(now) for link in links) or self._routes.lag_lately(fleet):
            yield now + OUTAGE

    def _put_aside(self, key: str) -> None:
        """Keep nothing of the work on a fleet."""
        self._members.attend(key, ())
        self._gates.forget(key)
        self._writer.forget(key)
        self._queue.forget(key)
        self._found.pop(key, None)
        self._since = {whom: since for whom, since in self._since.items() if whom.fleet != key}

    def _forget(self, key: str) -> None:
        """A fleet is gone."""
        self._put_aside(key)
        self._told.pop(key, None)
        self._unread.pop(key, None)
        self._telemetry.forget(key)


def _begins(fleet: CanaryFleet) -> bool:
    """Whether its release is still to begin: who is in which wave is said then."""
    return fleet.status.release != fleet.spec.release
