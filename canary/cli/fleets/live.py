"""The live view of fleets: a line for each, and below it its members that are neither at rest nor through."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from canary.api.fleet import CanaryFleet
from canary.api.fleet_status import FleetPhase, MemberState
from canary.cli.cluster.live import Look, Paint, bar
from canary.cli.failures import CommandError
from canary.cli.fleets import show
from canary.cli.fleets.access import read
from canary.cli.fleets.waits import waits_for
from canary.kube.types import Json, name_of, namespace_of

_QUIET: Final = frozenset({MemberState.PENDING, MemberState.PASSED, MemberState.JOINED})


def frame(found: Sequence[Json], now: datetime, paint: Paint, lost: str) -> list[str]:
    """One picture of all of them."""
    width = max((len(_key(each)) for each in found), default=0)
    lines = [line for each in found for line in _of_one(each, now, paint, width)]
    at = now.astimezone(UTC).strftime("%H:%M:%SZ")
    return [*(lines or ["no CanaryFleets here"]), "", f"{at}   {lost or 'Ctrl-C ends this view, and nothing else'}"]


def _key(raw: Json) -> str:
    return f"{namespace_of(raw)}/{name_of(raw)}"


def _of_one(raw: Json, now: datetime, paint: Paint, width: int) -> Iterator[str]:
    try:
        fleet = read(raw)
    except CommandError as error:
        yield str(error)
        return
    status = fleet.status
    phase = paint((status.phase.value or "-").ljust(12), status.phase.value)
    part = f"{bar(_percent(fleet))} {status.progress}" if status.progress else ""
    yield f"{_key(raw).ljust(width)}  {phase}  {status.release or fleet.spec.release}  {part}".rstrip()
    if status.phase in (FleetPhase.SUCCEEDED, FleetPhase.EMPTY):
        return
    yield from (f"    {line}" for line in _members(fleet, paint))
    if waits := waits_for(fleet):
        yield f"    → {waits}"


def _percent(fleet: CanaryFleet) -> int:
    """How many percent of its members have passed."""
    counted = [each for each in fleet.status.members if each.state is not MemberState.JOINED]
    return 100 * sum(each.state is MemberState.PASSED for each in counted) // max(len(counted), 1)


def _members(fleet: CanaryFleet, paint: Paint) -> Iterator[str]:
    loud = [each for each in fleet.status.members if each.state not in _QUIET or each.unreachable_since is not None]
    width = max((len(each.name) for each in loud), default=0)
    for each in loud:
        state = paint(each.state.value.ljust(11), each.state.value)
        yield f"{each.name.ljust(width)}  {state}  {' '.join(each.message.split())}".rstrip()


def _table(found: Sequence[Json], now: datetime, everywhere: bool, wide: bool) -> list[str]:
    return show.fleets(found, now, everywhere=everywhere, wide=wide)


FLEETS: Final = Look(frame, _table)
"""How fleets look."""
