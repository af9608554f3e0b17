"""What is to be told stands in the status from the write that makes it true until it was told."""

from canary.api.fleet import CanaryFleet
from canary.api.fleet_status import FleetNotice, FleetStatus
from canary.api.status import NoticeEvent
from canary.fleet.facts import Facts

MOST = 50
"""Notices that a status holds; the oldest go first."""


def posted(fleet: CanaryFleet, facts: Facts, status: FleetStatus, events: tuple[NoticeEvent, ...]) -> FleetStatus:
    """The status with what is to be told in its outbox, and without what was told.

    Args:
        fleet: the fleet, with the status that was stored last.
        facts: what is known, the last notice that was told among it.
        status: the status that is to be stored.
        events: what is to be told.
    """
    told = max(fleet.status.told or 0, facts.told)
    left = tuple(each for each in fleet.status.outbox if each.number > told)
    if not events:
        return status.replace(outbox=left, told=told or None)
    last = max((each.number for each in fleet.status.outbox), default=told)
    notice = FleetNotice(number=max(last, told) + 1, time=facts.now, events=events)
    return status.replace(outbox=(*left, notice)[-MOST:], told=told or None)
