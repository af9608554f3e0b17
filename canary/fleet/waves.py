"""Who is in which wave, and what a wave's members come to together."""

import math
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from canary.api.fleet import CanaryFleet, Wave
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState, MemberStatus
from canary.fleet.facts import Member

MOVING = frozenset({MemberState.OPEN, MemberState.PROGRESSING})
"""States of members that may begin, or have begun, and are not judged yet."""


def chosen(fleet: CanaryFleet, members: Iterable[Member]) -> dict[str, Member]:
    """The members of a fleet by name, in the order of their names."""
    found = {each.name: each for each in members if fleet.spec.members.selector.matches(each.labels)}
    return {name: found[name] for name in sorted(found)}


def assigned(fleet: CanaryFleet, members: Mapping[str, Member], known: Mapping[str, int], first: int) -> dict[str, int]:
    """The wave of every member, from 1.

    Args:
        fleet: the fleet.
        members: its members by name, in order.
        known: the waves of those that have one already: they keep it.
        first: the first wave that takes further ones.
    """
    waves = {name: known[name] for name in members if name in known}
    sizes = Counter(waves.values())
    for name, member in members.items():
        if name not in waves:
            waves[name] = _room(fleet.spec.waves, member, sizes, first, len(members))
            sizes[waves[name]] += 1
    return waves


def _room(waves: Sequence[Wave], member: Member, sizes: Mapping[int, int], first: int, total: int) -> int:
    """The first wave that takes a member; the last one takes all that are left."""
    last = len(waves)
    for number in range(first, last):
        wave = waves[number - 1]
        if wave.selector.matches(member.labels) and sizes[number] < most(wave, total):
            return number
    return last


def most(wave: Wave, total: int) -> int:
    """How many members a wave has at most.

    Args:
        wave: the wave.
        total: how many members the fleet has.
    """
    if wave.percent is not None:
        return math.ceil(total * wave.percent / 100)
    return wave.count if wave.count is not None else total


@dataclass(frozen=True, slots=True)
class Tally:
    """What the members of a wave come to together.

    Args:
        size: how many there are.
        required: how many must pass.
        passed: how many have passed.
        failed: how many have failed.
    """

    size: int
    required: int
    passed: int
    failed: int

    @property
    def has_passed(self) -> bool:
        """Whether enough have passed; of none it takes none."""
        return self.passed >= self.required

    @property
    def has_failed(self) -> bool:
        """Whether so many have failed that enough can't pass any more."""
        return self.failed > self.size - self.required


def tally(wave: Wave, members: Iterable[MemberStatus], without_share: Container[str] = ()) -> Tally:
    """The joint verdict of a wave.

    Args:
        wave: the wave.
        members: those that are in it.
        without_share: members that don't get the whole of their share of requests: they have not passed yet.
    """
    own = [*members]
    passed = sum(each.state is MemberState.PASSED and each.name not in without_share for each in own)
    failed = sum(each.state is MemberState.FAILED for each in own)
    return Tally(len(own), math.ceil(len(own) * wave.quorum / 100), passed, failed)


def in_wave(members: Iterable[MemberStatus], number: int) -> list[MemberStatus]:
    """The members of a wave that take part in the release."""
    return [each for each in members if each.wave == number and each.state is not MemberState.JOINED]


def awaited(status: FleetStatus) -> Iterator[str]:
    """The members for which a release waits: that they do something, or are back."""
    for each in status.members:
        if each.state is MemberState.ROLLING_BACK or (each.state in MOVING and status.phase is FleetPhase.PROGRESSING):
            yield each.name


def named(names: Sequence[str], most: int = 3) -> str:
    """Names in words, the first few of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
