"""A fleet, what is known of it, and what is decided so far."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from canary.api.fleet import CanaryFleet
from canary.api.fleet_status import FleetStatus, MemberStatus
from canary.api.status import NoticeEvent
from canary.fleet.facts import Facts, GateQuestion, Member
from canary.fleet.joint import Judged


@dataclass(frozen=True, slots=True)
class Situation:
    """A value that each step of a decision changes a copy of.

    Args:
        fleet: the fleet, with the status that is stored.
        facts: what is known.
        known: its members by name, in order.
        status: the status that is to be stored, but for its members.
        members: where its members stand.
        events: what is to be told.
        asks: the gates to be asked.
        wakes: when something is due.
        gated: what the next wave waits for, in words; empty where it waits for no gate.
        joint: what all members have compared, put together; nothing that is decided by it changes it.
    """

    fleet: CanaryFleet
    facts: Facts
    known: Mapping[str, Member]
    status: FleetStatus
    members: tuple[MemberStatus, ...] = ()
    events: tuple[NoticeEvent, ...] = ()
    asks: tuple[GateQuestion, ...] = ()
    wakes: tuple[datetime, ...] = ()
    gated: str = ""
    joint: tuple[Judged, ...] = ()

    @property
    def now(self) -> datetime:
        """The time."""
        return self.facts.now

    def with_status(self, **changes: Any) -> "Situation":
        """A copy with some of the status changed."""
        return replace(self, status=self.status.replace(**changes))

    def telling(self, message: str, *, warns: bool = False) -> "Situation":
        """A copy that tells of something."""
        event = NoticeEvent(message=message.strip(), type="Warning" if warns else "Normal")
        return replace(self, events=(*self.events, event))

    def asking(self, *questions: GateQuestion) -> "Situation":
        """A copy that asks gates."""
        return replace(self, asks=(*self.asks, *questions))

    def waking(self, moment: datetime | None) -> "Situation":
        """A copy that looks again at a moment, too."""
        return self if moment is None or moment <= self.now else replace(self, wakes=(*self.wakes, moment))
