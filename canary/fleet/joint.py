"""The joint verdict: what the Canaries of all members have compared, put together (`metrics.judge.joint`).

Each member bets by itself, and its Canary says in its status what its bets have come to. A product of what independent
members have come to is evidence against "the release is worse in no member", and may suffice long before any one
member's does. The sums of requests that are shown beside it are no more than that: nothing is judged by them, as
members differ in what is usual there.

What counts of a member is what was noted of it last, in the fleet's own status: one that can't be reached, or bakes,
counts with that. Rollouts from before it might begin do not count. A member that rolls out another version begins
anew, with what it had lost and without what it had won: whoever tries often enough would win by chance, and nothing
that was won against another version speaks against this one. That a member leaves the fleet is taken to have nothing
to do with its numbers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from canary.api.canary import Canary
from canary.api.fleet import CanaryFleet, JointVerdict
from canary.api.fleet_status import JointStatus, MemberEvidence, MemberState, MemberStatus, MetricEvidence
from canary.api.meta import JsonObject
from canary.api.status import Evidence, Verdict
from canary.fleet.waves import named
from metrics.judge.evidence import BETS, kept
from metrics.judge.joint import Joint, together
from metrics.judge.looks import Counts, total
from metrics.judge.sequential import holm, in_words, share

_TOLERANCE: Final = 0.1
"""Percent of requests, where the template says nothing."""


@dataclass(frozen=True, slots=True)
class JointFailure:
    """The release is worse, by all members together.

    Args:
        wave: the wave from which on the evidence is the strongest.
        why: the numbers, and whose they are.
    """

    wave: int
    why: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One metric, of all members.

    Args:
        name: its name.
        joint: what all members say together.
        places: what each has come to, with the name of the member and its stage, from 0.
        p_value: the one for all metrics together.
    """

    name: str
    joint: Joint
    places: tuple[tuple[str, int, MetricEvidence], ...]
    p_value: float = 1.0


def noted(member: MemberStatus, canary: Canary, *, counts: bool) -> MemberStatus:
    """A member with what its Canary has compared by now.

    Args:
        member: where it stands.
        canary: its Canary.
        counts: whether that is of the release; what is not never counts.
    """
    said = _said(canary)
    if said is None:
        return member
    if not counts:
        return member.replace(evidence=said.replace(metrics=()))
    return member.replace(evidence=_followed(member.evidence, said))


def set_aside(member: MemberStatus) -> MemberStatus:
    """A member of whose rollout nothing counts any more: people have ordered to try again."""
    known = member.evidence
    return member if known is None else member.replace(evidence=known.replace(metrics=()))


def _said(canary: Canary) -> MemberEvidence | None:
    """What a Canary says; None where it has compared nothing."""
    since, checks = canary.status.analysis_start_time, canary.status.checks
    found = [(each.name, each.evidence) for each in checks if each.evidence is not None]
    if since is None or not found:
        return None
    by_name: dict[str, MetricEvidence] = {}
    for name, evidence in found:  # of two of one name the first one counts
        by_name.setdefault(name, _of(name, evidence))
    return MemberEvidence(uid=canary.metadata.uid, since=since, metrics=tuple(by_name.values()))


def _of(name: str, evidence: Evidence) -> MetricEvidence:
    return MetricEvidence(name=name, bets=evidence.bets, canary=evidence.canary, promoted=evidence.promoted)


def _followed(known: MemberEvidence | None, said: MemberEvidence) -> MemberEvidence:
    """What counts, given what counted before."""
    if known is None:
        return said
    before = {each.name: each for each in known.metrics}
    if (known.uid, known.since) != (said.uid, said.since):
        lost = {name: tuple([min(0.0, bet) for bet in _bets(each)]) for name, each in before.items()}
        return said.replace(metrics=tuple(each.replace(lost=lost.get(each.name, ())) for each in said.metrics))
    if not known.metrics:
        return known  # it is set aside
    now = {each.name: each.replace(lost=before[each.name].lost if each.name in before else ()) for each in said.metrics}
    return known.replace(metrics=tuple({**before, **now}.values()))


def _bets(evidence: MetricEvidence) -> tuple[float, ...]:
    if len(evidence.lost) != len(evidence.bets):
        return evidence.bets
    return kept([won + lost for won, lost in zip(evidence.bets, evidence.lost, strict=True)])


def compared(fleet: CanaryFleet) -> dict[str, float]:
    """The metrics that the template compares by their counts, with what each tolerates, in percent."""
    metrics = _analysis(fleet).get("metrics") or ()
    return {
        each["name"]: float(each.get("tolerance", _TOLERANCE))
        for each in metrics
        if each.get("compareTo") and each.get("method", "sequential") == "sequential" and not each.get("dryRun")
    }


def _analysis(fleet: CanaryFleet) -> JsonObject:
    spec: JsonObject = dict(fleet.spec.template.spec)
    return spec.get("analysis") or spec.get("canaryAnalysis") or {}


def judged(fleet: CanaryFleet, members: Sequence[MemberStatus]) -> tuple[Judged, ...]:
    """Each metric of which anything is known; nothing where the fleet has no joint verdict.

    A metric of which nothing is known yet is one of those among which Holm's method divides the promise, too.

    Args:
        fleet: the fleet.
        members: where its members stand.
    """
    if fleet.spec.joint_verdict is None:
        return ()
    own = tuple(_counting(members))
    names = dict.fromkeys((*compared(fleet), *(each.name for one in own for each in _metrics(one))))
    every = [_found(name, own, len(fleet.spec.waves)) for name in names]
    p_values, _ = holm([each.joint.p_value for each in every])
    return tuple(replace(each, p_value=p_value) for each, p_value in zip(every, p_values, strict=True) if each.places)


def standing(fleet: CanaryFleet, found: Iterable[Judged]) -> tuple[JointStatus, ...]:
    """What all members say together, metric by metric.

    Args:
        fleet: the fleet.
        found: the metrics as they were judged.
    """
    return tuple(_said_of(fleet, each) for each in found)


def failed(fleet: CanaryFleet, found: Iterable[Judged]) -> JointFailure | None:
    """That the release is worse, by all members together; None where nothing says so, or nobody asks.

    Args:
        fleet: the fleet.
        found: the metrics as they were judged.
    """
    worst = min(found, key=lambda each: each.p_value, default=None)
    if worst is None or worst.p_value > _level(fleet):
        return None
    whose = [name for name, stage, _ in worst.places if stage >= worst.joint.stage]
    return JointFailure(worst.joint.stage + 1, f"{_said_of(fleet, worst).message}: {named(whose)}")


def _level(fleet: CanaryFleet) -> float:
    verdict = fleet.spec.joint_verdict or JointVerdict()
    return verdict.false_rollback / 100


def _counting(members: Sequence[MemberStatus]) -> Iterator[MemberStatus]:
    """The members that take part and have compared anything; of two that have one Canary the first."""
    seen: set[str] = set()
    for each in sorted(members, key=lambda member: (member.wave, member.name)):
        if each.evidence is None or each.state is MemberState.JOINED or not each.evidence.metrics:
            continue
        if each.evidence.uid not in seen:
            seen |= {each.evidence.uid} if each.evidence.uid else set()
            yield each


def _metrics(member: MemberStatus) -> tuple[MetricEvidence, ...]:
    return member.evidence.metrics if member.evidence is not None else ()


def _found(name: str, members: Sequence[MemberStatus], waves: int) -> Judged:
    # A wave that an edit of the spec has taken away is the last one.
    known = ((each.name, min(each.wave, waves) - 1, one) for each in members for one in _metrics(each))
    # A controller that bets on something else can't be put together with others.
    places = tuple(each for each in known if each[2].name == name and len(each[2].bets) == BETS)
    stages = [[_bets(one) for _, stage, one in places if stage == at] for at in range(waves)]
    return Judged(name, together(stages), places)


def _said_of(fleet: CanaryFleet, found: Judged) -> JointStatus:
    p_value, level, tolerance = found.p_value, _level(fleet), compared(fleet).get(found.name)
    is_worse = p_value <= level
    shown = [one for _, stage, one in found.places if stage >= found.joint.stage or not is_worse]
    canary = total(Counts(each.canary.requests, each.canary.bad) for each in shown)
    promoted = total(Counts(each.promoted.requests, each.promoted.bad) for each in shown)
    over = f"in {len(shown)} member{'s' if len(shown) != 1 else ''} together"
    by = f" by more than {tolerance:g} %" if tolerance else ""
    said = f"is worse{by} ({in_words(p_value)}, where {level:.2g} is enough)"
    undecided = f"can't be told to be worse ({in_words(p_value)}, where {level:.2g} would be enough)"
    return JointStatus(
        name=found.name,
        verdict=Verdict.FAIL if is_worse else Verdict.PASS,
        value=_percent(canary),
        threshold=f"{_percent(promoted):.4g}" + (f" and {tolerance:g}" if tolerance else ""),
        samples=round(canary.requests),
        p_value=float(f"{p_value:.3g}"),
        members=len(shown),
        message=f"{found.name} {share(canary)} against {share(promoted)} {over} {said if is_worse else undecided}",
    )


def _percent(counts: Counts) -> float:
    """The share of bad requests, in percent; 0 of no requests."""
    return round(100 * counts.rate, 4) if counts.requests else 0.0
