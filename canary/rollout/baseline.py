"""A baseline: fresh pods of the promoted version, as many and as old as the canary's, that get as large a share.

What a phase decides says nothing of it: here is added what each decision means for the baseline. It stands for as long
as its rollout is analysed and its spec asks for it, whatever ends either. It gets requests from when all its pods are
ready, beside a canary that has some, and gives them back to the primary as soon as none is. It goes once the data plane
has followed the route that names it no more:

::

    asked for, analysed   made beside the canary's pods ─> ready ─> a share as large as the canary's
    no longer             its share is the primary's again ─> `baselineRemovedTime` ─> settled ─> deleted

No step is made without it: it is waited for like the canary's own pods, and for as long.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.rollout.data_plane import clock_was_set_back
from canary.rollout.decision import (
    Action,
    Adopt,
    Decision,
    DropBaseline,
    DropFinalizer,
    HandBack,
    KeepBaseline,
    Orphan,
    Route,
)
from canary.rollout.orders import stopped_by
from canary.rollout.situation import Situation


def accompanied(s: Situation, decision: Decision) -> Decision:
    """The decision with what it means for a baseline; as it is where there is none and none is wanted."""
    wanted = s.has_baseline(decision.status)
    left = s.facts.baseline_left or s.split.baseline or s.status.baseline_removed_time is not None
    if not (wanted or left) or Adopt() in decision.actions:
        return decision
    routed = _routed(s, decision, wanted=wanted)
    return _kept(s, routed) if wanted else _leaving(s, routed)


def _routed(s: Situation, decision: Decision, *, wanted: bool) -> Decision:
    """Its share in what is routed; where nothing is, it is taken from it if it can't keep it."""
    led = replace(
        decision,
        first=tuple(_with_share(s, each, wanted=wanted) for each in decision.first),
        actions=tuple(_with_share(s, each, wanted=wanted) for each in decision.actions),
    )
    if _routes(led) or HandBack() in led.actions:
        return led
    kept = replace(s.split, baseline=min(s.split.baseline, _share(s, s.split, wanted=wanted)))
    return led if kept == s.split else replace(led, actions=(Route(kept), *led.actions))


def _with_share(s: Situation, action: Action, *, wanted: bool) -> Action:
    if not isinstance(action, Route):
        return action
    return Route(replace(action.split, baseline=_share(s, action.split, wanted=wanted)))


def _routes(decision: Decision) -> list[Route]:
    return [each for each in decision.protect if isinstance(each, Route)]


def _share(s: Situation, split: Split, *, wanted: bool) -> int:
    """What it gets beside a canary with this share: as much, as far as there is. Nobody's requests go to no pods."""
    now, fresh, room = s.split.baseline, s.facts.baseline, TOTAL_WEIGHT - split.canary
    if split.mirror or split.matched:
        return 0
    serving = fresh is not None and fresh.serving
    least = 0
    if not s.primary_serving:
        # It runs what the primary runs: a primary without pods gets no more than it has.
        least = room - min(s.split.primary, room) if serving else min(now, room)
    able = wanted and serving and (now > 0 or s.baseline_ready) and not s.facts.problems
    return max(least, min(split.canary, room)) if able else least


def _kept(s: Situation, decision: Decision) -> Decision:
    """It is as large as the canary is now, and anew for each revision that is rolled out."""
    decision = replace(decision, status=decision.status.replace(baseline_removed_time=None))
    target = s.facts.target
    if target is None or not target.readiness.desired or s.facts.primary is None or s.facts.problems or _is_stopped(s):
        return decision
    keep = KeepBaseline(s.baseline_revision(decision.status), target.readiness.desired)
    return replace(decision, actions=(*decision.actions, keep))


def _is_stopped(s: Situation) -> bool:
    """Whether people want nothing done but what users hang on."""
    return s.canary.metadata.deletion_timestamp is None and (s.canary.spec.suspend or bool(stopped_by(s)))


def _leaving(s: Situation, decision: Decision) -> Decision:
    """Its requests go, then the data plane follows, then it goes itself."""
    if not s.facts.baseline_left and not s.split.baseline:
        return replace(decision, status=decision.status.replace(baseline_removed_time=None))
    moved = _moved(s, decision)
    if moved is None:
        # The primary can't take its requests yet, or the API server refuses to have them led there.
        return _unreleased(s, decision)
    led = replace(decision, status=decision.status.replace(baseline_removed_time=moved))
    settled = s.settled_at(moved)
    if s.now < settled:
        return _unreleased(s, replace(led, wake=min(settled, led.wake or settled)))
    if _is_stopped(s):
        return led
    return replace(led, reason=f"{led.reason}; the baseline goes", actions=(*led.actions, DropBaseline()))


def _moved(s: Situation, decision: Decision) -> datetime | None:
    """Since when it has no requests; None while it has some that stay."""
    moved, routes = s.status.baseline_removed_time, _routes(decision)
    if s.split.baseline:
        led = HandBack() in decision.actions or (routes and not routes[-1].split.baseline and not s.refuses(*routes))
        return s.now if led else None
    if moved is None or clock_was_set_back(s, moved):
        return s.now
    # Routes that the spec names no more lead to it still.
    return s.now if s.facts.left and s.now >= s.settled_at(moved) else moved


def _unreleased(s: Situation, decision: Decision) -> Decision:
    """What is left to itself at a Canary's end must not lead to a baseline, which goes with the Canary."""
    if HandBack() in decision.actions or not s.primary_serving:
        return decision
    kept = tuple(_without_release(decision.actions))
    if len(kept) == len(decision.actions):
        return decision
    return replace(decision, reason="the baseline gives its requests back before the Canary goes", actions=kept)


def _without_release(actions: Iterable[Action]) -> Iterable[Action]:
    return (each for each in actions if not isinstance(each, Orphan | DropFinalizer))
