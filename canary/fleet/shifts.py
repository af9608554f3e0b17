"""`strategy: cluster`: a member's share of all requests goes to the others before its rollout begins, and comes back.

::

    Whole ──► Leaving ──► Away ──► Returning ──► Whole
      ▲          └──────────┴───────────────────────┘

Whole       it gets its normal share, and of the shares of others that are taken away its part
Leaving     it is to get nothing, and the routes don't say so, or requests may go on as before yet
Away        it gets nothing: its gate may open, and its rollout takes its course
Returning   it has passed, and gets a part of its share, step by step

A member whose version fails, in its rollout or after it, gets nothing until its Canary has gone back, and then all of
its share at once: it serves what it did before. The share of the last cluster that has its whole one stays: whatever
its member does, requests have to go somewhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from canary.api.canary import Canary
from canary.api.fleet import CanaryFleet, Wave
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberStatus
from canary.api.fleet_traffic import WHOLE, ClusterShare, FleetTraffic, ShareState, ShareStatus, Strategy
from canary.api.meta import ConditionStatus
from canary.api.status import CanaryStatus, Phase
from canary.fleet import conditions
from canary.fleet.decision import SetWeights
from canary.fleet.facts import Facts, Reachable, RouteSeen
from canary.fleet.shares import Claim, Rank, divided, part
from canary.fleet.situation import Situation
from canary.fleet.standing import awaits_release
from canary.fleet.waves import MOVING, named
from canary.rollout.bake import RESTORING
from canary.rollout.situation import HELD

_AT_WORK: Final = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING})
"""Phases of a Canary in which requests may come to a version that has not passed."""

_GOOD: Final = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED})
_GONE: Final = frozenset({ShareState.LEAVING, ShareState.AWAY})

ROUTED: Final = "Routed"
"""The condition that says whether the routes can be followed and written."""

NO_BACKEND: Final = "spec.traffic.members does not name it, so that its share can't be taken away"
"""Why a member of a wave that shifts requests between clusters waits."""

GONE: Final = "it is no member any more, and gets no more than it did until it is one again"
"""Why a cluster has not got its share back that has gone before."""

_LAST: Final = "its share can't be taken away: no other cluster that can be reached has the whole of its own"


class Need(IntEnum):
    """What a member's Canary asks for, the most urgent first."""

    NOTHING = 0
    """It is at work, or has failed and still serves what did: no request is to reach it."""
    BEGINS = 1
    """A version of the release waits in it: no request is to reach it once that may begin."""
    AS_IT_IS = 2
    """It can't be said, or nothing is to change."""
    STEPS = 3
    """It has passed: its share comes back step by step."""
    ALL = 4
    """It serves what it did before, and gets its share."""


@dataclass(frozen=True, slots=True)
class _Cluster:
    """One cluster that the routes lead to.

    Args:
        spec: what the spec says of it.
        before: where its share stood; None where that is not known yet.
        member: where it stands as a member; None where it is none.
        canary: its Canary; None where there is none, or it can't be seen.
        wave: its wave; None where it is no member.
    """

    spec: ClusterShare
    before: ShareStatus | None
    member: MemberStatus | None
    canary: Canary | None
    wave: Wave | None

    @property
    def share(self) -> ShareStatus:
        """Where its share stood; the whole of it where that is not known yet."""
        return self.before or ShareStatus(name=self.spec.name, weight=self.spec.share)

    @property
    def can_be_told(self) -> bool:
        """Whether it is known how it does."""
        return self.canary is not None

    @property
    def percents(self) -> tuple[int, ...]:
        """By which steps its share comes back."""
        return self.wave.step_weights if self.wave is not None and self.wave.strategy is Strategy.CLUSTER else ()

    @property
    def takes_over(self) -> bool:
        """Whether it may get what another one doesn't."""
        return self.share.state is ShareState.WHOLE and self.can_be_told and self.spec.share > 0


def is_awaited(fleet: CanaryFleet, status: FleetStatus, member: MemberStatus, canary: CanaryStatus) -> bool:
    """Whether what waits in a member is what the hub is to let begin.

    Args:
        fleet: the fleet.
        status: where it stands.
        member: where the member stands.
        canary: where its Canary stands.
    """
    # One to which a release comes that is done elsewhere may begin, where that can be told by its images.
    late = status.phase is FleetPhase.SUCCEEDED and bool(fleet.spec.images)
    may = member.state in MOVING and (status.phase is FleetPhase.PROGRESSING or late)
    # Before it is noted down what it had done before, nobody could tell later what it has done since.
    return may and member.applied is not None and awaits_release(member, canary, fleet.spec)


def may_begin(fleet: CanaryFleet, member: MemberStatus) -> bool:
    """Whether no request reaches a member any more, where its wave wants that.

    Args:
        fleet: the fleet, with the status that is stored.
        member: the member.
    """
    if fleet.spec.waves[member.wave - 1].strategy is Strategy.INSIDE:
        return True
    share = fleet.status.share(member.name)
    return share is not None and share.state is ShareState.AWAY and share.since is not None


def routed(fleet: CanaryFleet, facts: Facts) -> Iterator[SetWeights]:
    """What routes are to say now that don't.

    Args:
        fleet: the fleet, with the status that is stored.
        facts: what is known.
    """
    wanted = {each.name: each.weight for each in fleet.status.traffic}
    named = {each.name for each in fleet.spec.traffic.members} if fleet.spec.traffic is not None else set()
    if fleet.watches or fleet.status.release != fleet.spec.release or wanted.keys() != named or not wanted:
        return
    for each in facts.routes:
        if not each.problem and not each.gives(wanted):
            yield SetWeights(each.name, wanted)


def with_condition(fleet: CanaryFleet, status: FleetStatus, facts: Facts) -> FleetStatus:
    """The status with whether all routes can be followed and written, where there are any.

    Args:
        fleet: the fleet, with the status that is stored.
        status: the status that is to be stored.
        facts: what is known.
    """
    if not facts.routes or fleet.watches:
        return status
    problem = _routes_problem(facts.routes)
    held = ConditionStatus.FALSE if problem else ConditionStatus.TRUE
    message = problem or f"{named([each.name for each in facts.routes])} can be written"
    reason = "NotRouted" if problem else "Routed"
    routed = conditions.standing(fleet.status, ROUTED, held, reason, message, facts.now)
    return status.replace(conditions=(*status.conditions, routed))


def _told_of_routes(s: Situation) -> Situation:
    """The situation with what there is to tell of routes: that one can't be followed or written, and that all can."""
    problem = _routes_problem(s.facts.routes)
    before = s.fleet.status.condition(ROUTED)
    was = before.message if before is not None and before.status == ConditionStatus.FALSE else ""
    if problem and problem != was:
        return s.telling(f"Requests can't be shifted between clusters: {problem}", warns=True)
    return s.telling("Requests can be shifted between clusters again") if was and not problem else s


def shifted(s: Situation) -> Situation:
    """The situation with what each cluster is to get, and why, once it is known where its members stand."""
    traffic = s.fleet.spec.traffic
    if traffic is None or s.fleet.watches:
        return s.with_status(traffic=()) if s.status.traffic else s
    clusters = [_cluster(s, each) for each in traffic.members]
    shares = {each.spec.name: each.share for each in clusters}
    needs = {each.spec.name: _need(s, each) for each in clusters}
    for each in sorted(clusters, key=lambda each: needs[each.spec.name]):
        free = [other for other in clusters if other is not each and _takes_over(other, shares)]
        has_other = bool(free) or not each.spec.share
        shares[each.spec.name] = _moved(s, traffic, each, needs[each.spec.name], has_other=has_other)
    weights = divided([_claim(each, shares[each.spec.name]) for each in clusters])
    after = tuple(shares[each.spec.name].replace(weight=weights[each.spec.name]) for each in clusters)
    s = _told(_told_of_routes(s), clusters, after).with_status(traffic=after)
    return _said_of_members(_waking(s, traffic, clusters))


def _cluster(s: Situation, spec: ClusterShare) -> _Cluster:
    member = next((each for each in s.members if each.name == spec.name), None)
    seen = s.known[spec.name].seen if spec.name in s.known else None
    canary = seen.canary if isinstance(seen, Reachable) else None
    wave = s.fleet.spec.waves[member.wave - 1] if member is not None else None
    return _Cluster(spec, s.status.share(spec.name), member, canary, wave)


def _takes_over(cluster: _Cluster, shares: Mapping[str, ShareStatus]) -> bool:
    return cluster.takes_over and shares[cluster.spec.name].state is ShareState.WHOLE


def _need(s: Situation, cluster: _Cluster) -> Need:
    member, canary = cluster.member, cluster.canary
    if member is None or canary is None:
        return Need.AS_IT_IS
    status, whole = canary.status, cluster.share.state is ShareState.WHOLE
    concerned = not whole or (_by_cluster(cluster.wave) and member.opened is not None)
    if concerned and _is_bad_or_unproven(status):
        return Need.NOTHING
    if concerned and _begins(s, member, status):
        return Need.AS_IT_IS if s.status.paused and whole else Need.BEGINS
    if s.status.paused or whole or status.phase in (Phase.EMPTY, Phase.INITIALIZING):
        return Need.AS_IT_IS
    return Need.STEPS if status.phase in _GOOD else Need.ALL


def _by_cluster(wave: Wave | None) -> bool:
    return wave is not None and wave.strategy is Strategy.CLUSTER


def _is_bad_or_unproven(status: CanaryStatus) -> bool:
    bad = status.phase is Phase.FAILED and status.reason in (RESTORING, HELD)
    return bad or status.phase in _AT_WORK


def _begins(s: Situation, member: MemberStatus, status: CanaryStatus) -> bool:
    """Whether a member is to begin whose share is to go first."""
    return _by_cluster(s.fleet.spec.waves[member.wave - 1]) and is_awaited(s.fleet, s.status, member, status)


def _moved(s: Situation, traffic: FleetTraffic, cluster: _Cluster, need: Need, *, has_other: bool) -> ShareStatus:
    """Where a cluster's share stands now, but for its weight."""
    share = _carried(s, cluster.share)
    match need:
        case Need.NOTHING | Need.BEGINS if share.state in _GONE:
            return _left(s, traffic, share)
        case Need.BEGINS if problem := _routes_problem(s.facts.routes):
            return share.replace(message=f"its share can't be taken away: {problem}")
        case Need.NOTHING | Need.BEGINS:
            leaving = {"state": ShareState.LEAVING, "step": 0, "since": None, "message": ""}
            return share.replace(**leaving) if has_other else share.replace(message=_LAST)
        case Need.STEPS:
            return _next_step(s, cluster, share)
        case Need.ALL:
            return share.replace(state=ShareState.WHOLE, step=0, since=None, message="")
        case _:
            return share.replace(message=_why_as_it_is(s, cluster, share))


def _why_as_it_is(s: Situation, cluster: _Cluster, share: ShareStatus) -> str:
    if cluster.member is None:
        whole = share.state is ShareState.WHOLE
        return "it is no member, and gets no more than its share" if whole else GONE
    if cluster.member.unreachable_since is not None:
        return "it can't be reached, and gets no more than it did"
    if share.state is ShareState.WHOLE:
        return ""
    return "the release stands still" if s.status.paused else "its Canary is being set up"


def _carried(s: Situation, share: ShareStatus) -> ShareStatus:
    """The share, with the time from which on the routes say what is stored of it."""
    routes = s.facts.routes
    there = bool(routes) and all(not (each.problem or each.behind) for each in routes)
    carried = there and all(each.gives({share.name: share.weight}) for each in routes)
    return share.replace(since=(share.since or s.now) if carried else None)


def _routes_problem(routes: Iterable[RouteSeen]) -> str:
    return next((f"{each.name}: {_problem(each)}" for each in routes if _problem(each)), "")


def _problem(route: RouteSeen) -> str:
    """Why a route's weights can't be known or set; empty where they can."""
    return route.problem or (f"it can't be written: {route.refused}" if route.refused else "")


def _settle(s: Situation, traffic: FleetTraffic) -> timedelta:
    slowest = max((each.settle for each in s.facts.routes), default=timedelta(0))
    return slowest if traffic.settle is None else traffic.settle


def _left(s: Situation, traffic: FleetTraffic, share: ShareStatus) -> ShareStatus:
    """A share that is to be away, which it is once the data plane must have followed."""
    share = share.replace(message="")
    if share.state is ShareState.AWAY:
        return share
    if share.since is not None and s.now >= share.since + _settle(s, traffic):
        return share.replace(state=ShareState.AWAY)
    behind = next((f"{each.name}: {each.behind}" for each in s.facts.routes if each.behind), "")
    return share.replace(message=_routes_problem(s.facts.routes) or behind)


def _next_step(s: Situation, cluster: _Cluster, share: ShareStatus) -> ShareStatus:
    """A share that comes back: each step holds for its time from when the routes say so."""
    percents, interval = cluster.percents, cluster.wave.step_interval if cluster.wave is not None else timedelta(0)
    begins = share.state is not ShareState.RETURNING
    if not begins and (share.since is None or s.now < share.since + interval):
        return share.replace(message=_routes_problem(s.facts.routes))
    step = 1 if begins else share.step + 1
    if step > len(percents):
        return share.replace(state=ShareState.WHOLE, step=0, since=None, message="")
    return share.replace(state=ShareState.RETURNING, step=step, since=None, message="")


def _claim(cluster: _Cluster, share: ShareStatus) -> Claim:
    name, whole = cluster.spec.name, cluster.spec.share
    match share.state:
        case ShareState.LEAVING | ShareState.AWAY:
            return Claim(name, whole, Rank.AWAY, 0)
        case ShareState.RETURNING:
            return Claim(name, whole, Rank.RETURNING, _part(cluster, share))
        case _ if cluster.can_be_told:
            return Claim(name, whole)
        case _:
            return Claim(name, whole, Rank.UNREACHABLE, share.weight)


def _part(cluster: _Cluster, share: ShareStatus) -> int:
    """The most that it gets at its step; of a step that an edit of the spec has taken away, the last one's."""
    percents = cluster.percents[: share.step]
    return part(cluster.spec.share, percents[-1] if percents else WHOLE)


def _waking(s: Situation, traffic: FleetTraffic, clusters: Iterable[_Cluster]) -> Situation:
    """The situation with the moments at which a share is away, or a step over."""
    by_name = {each.spec.name: each for each in clusters}
    for share in s.status.traffic:
        wave = by_name[share.name].wave
        s = s.waking(_due(share, _settle(s, traffic), wave.step_interval if wave is not None else timedelta(0)))
    return s


def _due(share: ShareStatus, settle: timedelta, interval: timedelta) -> datetime | None:
    if share.since is None:
        return None
    lasts = {ShareState.LEAVING: settle, ShareState.RETURNING: interval}.get(share.state)
    return share.since + lasts if lasts is not None else None


def _told(s: Situation, clusters: Iterable[_Cluster], after: tuple[ShareStatus, ...]) -> Situation:
    for cluster, share in zip(clusters, after, strict=True):
        before = cluster.before
        known = (before.state, before.step) if before is not None else (ShareState.WHOLE, 0)
        if known != (share.state, share.step):
            s = s.telling(f"Member {share.name} {_words(cluster.spec, share)}")
        if share.message == _LAST and (before is None or before.message != _LAST):
            s = s.telling(f"Member {share.name} keeps its share: {_LAST}", warns=True)
    return s


def _words(spec: ClusterShare, share: ShareStatus) -> str:
    match share.state:
        case ShareState.LEAVING:
            return "is to get no requests: others take its share"
        case ShareState.AWAY:
            return "gets no requests"
        case ShareState.RETURNING:
            return f"gets requests again: {share.weight} of its {spec.share} percent"
        case _:
            return f"has its share again: {spec.share} percent"


def _said_of_members(s: Situation) -> Situation:
    """The situation with what members wait for whose share is to go first, in their own words."""
    return replace(s, members=tuple(_said(s, each) for each in s.members))


def _said(s: Situation, member: MemberStatus) -> MemberStatus:
    seen = s.known[member.name].seen
    canary = seen.canary if isinstance(seen, Reachable) else None
    if canary is None or not _begins(s, member, canary.status):
        return member
    share = s.status.share(member.name)
    if share is None:
        return member.replace(message=NO_BACKEND)
    if share.state is ShareState.AWAY:
        return member
    waits = "requests may still reach it" if share.state is ShareState.LEAVING else "its share is taken away first"
    return member.replace(message=share.message or waits)
