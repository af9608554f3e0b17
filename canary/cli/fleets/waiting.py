"""`canary wait fleet/NAME`: until a release has come to what is waited for, or can't any more."""

from dataclasses import dataclass
from typing import ClassVar

from canary.api.fleet_status import FleetPhase
from canary.cli.cluster.waiting import Lost, Over
from canary.cli.fleets.access import read
from canary.cli.fleets.waits import waits_for
from canary.kube.types import CANARY_FLEET, Json, Resource


@dataclass(frozen=True, slots=True)
class Released:
    """What is waited for of a fleet.

    Args:
        phase: the phase; `promoted` for Succeeded.
        release: the only release that counts; empty for any.
    """

    resource: ClassVar[Resource] = CANARY_FLEET
    phase: str = "promoted"
    release: str = ""

    def look(self, raw: Json, *, seen: bool) -> str:
        """How the release stands, in words.

        Raises:
            Over: it is as it is waited for.
            Lost: it won't be so any more.
        """
        fleet = read(raw)
        status, wanted = fleet.status, FleetPhase.SUCCEEDED.value if self.phase == "promoted" else self.phase
        # What stands there before a hub has seen the release that is asked for is about another one.
        about = status.release == (self.release or fleet.spec.release)
        if about and status.phase.value == wanted:
            raise Over
        if about and status.phase in (FleetPhase.FAILED, FleetPhase.SUCCEEDED):
            raise Lost(f"release {status.release} is {status.phase.value}: {status.message or status.reason}")
        if seen and not about:
            raise Lost(f"release {status.release} came in the place of {self.release}")
        return f"{status.release or '-'} {status.phase.value or '-'} {status.progress}".rstrip()

    def sees(self, raw: Json) -> bool:
        """Whether the release that is waited for is under way."""
        return bool(self.release) and read(raw).status.release == self.release

    def waits(self, raw: Json) -> str:
        """What it waits for, in words."""
        return waits_for(read(raw))
