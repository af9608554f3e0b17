"""How all requests are divided between clusters: by their normal shares, but for those that get less.

What a cluster gets less is divided among the others in proportion. One that comes back step by step gets no more than
its step's part, and one that can't be reached no more than it had: nobody could tell how it takes that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction

from canary.api.fleet_traffic import WHOLE


class Rank(IntEnum):
    """Who takes what is left over, the first of them that there are; all others get no more than they may."""

    FREE = 0
    UNREACHABLE = 1
    RETURNING = 2
    AWAY = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """What one cluster may get.

    Args:
        name: its name.
        share: its normal share, in percent of all requests.
        rank: where it stands.
        most: the most that it may get; None where nothing bounds it.
    """

    name: str
    share: int
    rank: Rank = Rank.FREE
    most: int | None = None


def part(share: int, percent: int) -> int:
    """So many percent of a share, rounded down; one percent of all requests at least, of a share that is any."""
    return min(share, max(1, share * percent // WHOLE))


def divided(claims: Sequence[Claim]) -> dict[str, int]:
    """The weight of each cluster; all weights sum to 100.

    Args:
        claims: those of all clusters, of which one has a share.
    """
    found = _within(claims)
    missing = WHOLE - sum(found.values(), Fraction(0))
    takers = [each for each in claims if each.share and each.rank is _last(claims)]
    more = _in_proportion({each.name: each.share for each in takers}, missing)
    return _rounded({name: weight + more.get(name, 0) for name, weight in found.items()})


def _last(claims: Iterable[Claim]) -> Rank | None:
    """The rank of those that take what nobody else may have."""
    return min((each.rank for each in claims if each.share), default=None)


def _within(claims: Sequence[Claim]) -> dict[str, Fraction]:
    """What each gets by its share, none more than it may: who is at its most leaves the rest to the others."""
    found: dict[str, Fraction] = {}
    open_ = {each.name: each for each in claims}
    while open_:
        rest = WHOLE - sum(found.values(), Fraction(0))
        wanted = _in_proportion({each.name: each.share for each in open_.values()}, rest)
        full = [each for each in open_.values() if each.most is not None and wanted[each.name] > each.most]
        if not full:
            return found | wanted
        for each in full:
            found[each.name] = Fraction(each.most or 0)
            del open_[each.name]
    return found


def _in_proportion(shares: Mapping[str, int], amount: Fraction) -> dict[str, Fraction]:
    total = sum(shares.values())
    return {name: amount * share / total if total else Fraction(0) for name, share in shares.items()}


def _rounded(weights: Mapping[str, Fraction]) -> dict[str, int]:
    """Whole percents with the same sum: the largest remainders are rounded up."""
    floors = {name: int(weight) for name, weight in weights.items()}
    missing = int(sum(weights.values())) - sum(floors.values())
    remainders = sorted(weights, key=lambda name: (floors[name] - weights[name], name))
    return {name: floor + (name in remainders[:missing]) for name, floor in floors.items()}
