"""What is decided about a fleet: what to write into which members, what to store, and when to look again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from canary.api.fleet_status import FleetStatus
from canary.api.meta import JsonObject
from canary.fleet.facts import GateQuestion


@dataclass(frozen=True, slots=True)
class Apply:
    """Have the Canary in a member be so: fields that are named here are the hub's, and no others.

    Args:
        member: name of the member.
        canary: the object.
    """

    member: str
    canary: JsonObject


@dataclass(frozen=True, slots=True)
class Annotate:
    """Put annotations on the Canary in a member.

    Args:
        member: name of the member.
        annotations: their values; None takes one off.
    """

    member: str
    annotations: Mapping[str, str | None]


Write = Apply | Annotate
"""Each is about a Canary, and idempotent: doing it again, or after a crash, ends in the same state."""


@dataclass(frozen=True, slots=True)
class SetWeights:
    """Have a route of the hub's own cluster divide requests so, and leave all else in it as it is.

    Args:
        route: what it is called among the facts.
        weights: percent of all requests by member.
    """

    route: str
    weights: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Decision:
    """One step of a release.

    What is written follows from the status that was stored before, never from the one that is stored now: whatever a
    hub that dies in between has done, its successor finds why in the status.

    Args:
        status: the status to store, with what is to be told in its outbox.
        writes: what to write; none hangs on another, and one that fails keeps no other back.
        asks: the gates that are to be asked; the answers come back among the facts.
        wake: when to look again if nothing happens before.
        routes: what routes are to say; it comes before all that is written into members.
    """

    status: FleetStatus
    writes: tuple[Write, ...] = ()
    asks: tuple[GateQuestion, ...] = ()
    wake: datetime | None = None
    routes: tuple[SetWeights, ...] = ()
