"""A target that is rolled out in place, pod by pod, by moving its partition: StatefulSets.

A second workload beside it would need volumes of its own, which is wrong for most. So the pods of one workload are of
two versions, divided by their number: Kubernetes makes those from the partition on (counted from 0) from the template,
and those below it from the revision that all pods ran before. Its own controller replaces one pod at a time, the
highest first, each ready before the next. What is decided here is how far it may go.

At rest the partition is `NO_POD`, beyond every pod. So nothing moves between the moment at which somebody applies a
template and the moment at which that is noticed, and a pod that scaling adds is of the promoted version.

::

    phase             status.partition   what goes on
    Initializing      absent             waits until all pods run one version, then sets the partition
    Initialized       absent             rest
    Succeeded         absent             rest; all pods run what was promoted
    Waiting           absent             a new revision waits for confirm-rollout
    Progressing       absent             pre-rollout hooks, once all pods are well; none runs the new version yet
    Progressing       N pods - step      a step: its pods are replaced (reason UpdatingPods), an interval, a look
    WaitingPromotion  N pods - step      the last look was good; confirm-promotion is closed
    Promoting         0                  the remaining pods, which nobody looks at any more
    Failed            absent             pods come back, then rest; the template stays as it is

The last pod is the promotion. Once all pods run a version and are ready, Kubernetes makes that the current revision,
and there is nothing that a partition could bring back. So the last look is at all pods but one.

Moves down are stored before they are made: a pass that is cut off in between is repeated, and no pod is replaced twice.
What was updated when a version fails is not taken back by a higher partition: Kubernetes leaves such pods alone. They
are deleted one by one, and made anew from the revision before, which Kubernetes keeps. A pod that is not ready goes at
once: Kubernetes may wait for it for ever. The next one goes when all are well again.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from canary.api.analysis import HookType, Severity
from canary.api.partitions import NO_POD
from canary.api.status import CheckStatus, Phase
from canary.rollout import messages, start
from canary.rollout.analysis import ANALYSING
from canary.rollout.deadlines import deadline
from canary.rollout.decision import Alert, Decision, Ending, Event, SetPartition
from canary.rollout.ending import PROMOTING
from canary.rollout.gates import AT_GATES, through, to_promotion
from canary.rollout.holds import HOLDS as HELD_BY
from canary.rollout.holds import before_promotion, before_start, failed_with, on_the_way, wait_anew
from canary.rollout.in_place import InPlaceSituation
from canary.rollout.look import HOLDS, WAITING_FOR_PODS, examine, give_up_on_pods, hold_ends, next_look
from canary.rollout.partitioned_rollback import back, come_back, current_all_the_same
from canary.rollout.partitioned_waits import NOT_SEEN, TOO_FEW_PODS, wait_for_more_pods, wait_to_be_seen
from canary.rollout.people import by_people
from canary.rollout.rollback import by_hook, held, roll_back
from canary.rollout.situation import HELD, warning
from canary.rollout.tallies import counting
from canary.rollout.verdicts import come

UPDATING = "UpdatingPods"
"""Reason of a step whose pods are being replaced."""

PODS_LOST = "PodsLost"
"""Reason of a step of which no pod is ready any more."""


def proceed(s: InPlaceSituation) -> Decision:
    """Decide what is next for a Canary that nothing stops."""
    return PHASES[s.status.phase](s)


def initialise(s: InPlaceSituation) -> Decision:
    """Wait until all pods run one version, and see to it that no other comes by itself from then on."""
    target = s.facts.target
    if target is None:
        return s.stay("the target does not exist")
    if s.status.phase is not Phase.INITIALIZING:
        return Decision(
            status=s.evolve(phase=Phase.INITIALIZING, reason="Initializing", message="", last_progress_time=s.now),
            reason="initialization starts",
            wake=s.now,
        )
    if not s.completed:
        why = "the target is being rolled out already: that has to come to its end first"
        return Decision(s.evolve(message=why), why)
    kind = s.canary.spec.target_ref.kind
    told = f"New {kind} detected, initialization completed."
    return Decision(
        status=s.evolve(
            phase=Phase.INITIALIZED,
            reason="Initialized",
            message="",
            failed_checks=0,
            last_applied_spec=target.revision,
            last_promoted_spec=target.revision,
        ),
        reason="initialization is done",
        actions=(SetPartition(NO_POD),),
        events=(Event(f"Initialization done! {s.full_name}"),),
        alerts=(Alert(told, Severity.INFO, details=True),),
    )


def rest(s: InPlaceSituation) -> Decision:
    """Nothing is under way: bring back what is left of a version that failed, and start when the template changes."""
    if s.pods.partition != NO_POD and s.facts.target is not None and s.status.phase is not Phase.FAILED:
        message = f"somebody else has set the partition of {s.target_name} to {s.pods.partition}: it is set back"
        if s.status.message != message:
            return Decision(
                s.evolve(message=message), message, s.keep_all_on_primary(), (warning(message),), wake=s.now
            )
    if not s.observed:
        going_back = s.status.traffic_removed_time is not None
        return come_back(s) if going_back else s.stay(s.pending, actions=s.keep_all_on_primary())
    if s.pods.strays:
        return _at_once(s, start.start(s)) if s.gives_way else come_back(s)
    if s.reverted:
        return start.revert(s)
    if s.status.phase is Phase.FAILED and s.completed and not s.changed and s.replicas:
        return current_all_the_same(s)
    if s.status.traffic_removed_time is not None:
        return back(s)
    if s.changed or s.retry_asked:
        return start.start(s)
    return s.stay("at rest", actions=s.keep_all_on_primary())


def waiting(s: InPlaceSituation) -> Decision:
    """A new revision waits for its approval, unless it is taken back before."""
    if not s.observed:
        return s.stay(s.pending, actions=s.keep_all_on_primary())
    return come_back(s) if s.pods.strays and not s.gives_way else _at_once(s, start.waiting(s))


def progress(s: InPlaceSituation) -> Decision:
    """Go on with the analysis: first what the pods themselves call for, then the next look when it is due."""
    if (first := _beforehand(s) or by_people(s)) is not None:
        return first
    if s.canary.skip_analysis:
        return on_the_way(s, (), ()) or before_promotion(s, (), ()) or _promote(s, (), ())
    if not s.steps and not s.hopeless:
        return wait_for_more_pods(s)
    if s.status.reason == TOO_FEW_PODS:
        why = UPDATING if s.started else WAITING_FOR_PODS
        last = s.status.last_check_time if s.started else None
        status = s.evolve(reason=why, message="", last_check_time=last, last_progress_time=s.now)
        return Decision(status, "there are pods to judge the new version by", wake=s.now)
    if not s.started:
        return _before_the_first_step(s)
    if not s.released:
        return _scaled_away(s)
    if s.status.reason in (UPDATING, PODS_LOST):
        return _begin_interval(s) if s.canary_ready else _wait_for_pods(s)
    if not s.canary_serving:
        return _lost(s)
    return _look(s, _due(s), started=True)


def promoting(s: InPlaceSituation) -> Decision:
    """The remaining pods are updated, until Kubernetes says that all of them run the new version."""
    first = _beforehand(s)
    if first is not None:
        return first
    until = deadline(s)
    return s.stay(s.pending, actions=s.keep_share(), wake=until) if s.now < until else give_up_on_pods(s)


def _beforehand(s: InPlaceSituation) -> Decision | None:
    """What comes before the next step of any rollout; None where it goes on."""
    if s.facts.target is None:
        return roll_back(s, f"{s.canary.spec.target_ref.kind} {s.target_name} does not exist any more")
    if s.changed or (s.status.reason == HELD and s.retry_asked):
        return _anew(s)
    if not s.observed:
        return wait_to_be_seen(s)
    if s.status.message == NOT_SEEN:
        return Decision(s.evolve(message="", last_progress_time=s.now), "Kubernetes sees the target again", wake=s.now)
    if s.completed:
        return _finish(s)
    if s.share != s.status.canary_weight:
        return Decision(s.status, "pods have changed", actions=s.keep_share(), wake=s.now)
    if s.status.reason == HELD:
        return by_people(s) or held(s)
    if s.status.phase is not Phase.PROMOTING and (why := failed_with(s)):
        return roll_back(s, why)
    if s.status.failed_checks >= s.canary.threshold:
        return roll_back(s, f"{messages.THRESHOLD_REACHED} {s.status.failed_checks}")
    return _over_what_is_left(s) if s.pods.strays and not s.started else None


def _over_what_is_left(s: InPlaceSituation) -> Decision | None:
    """Pods of what came before are still there: they go back first, or in the end with all others, where they can't."""
    if not s.held_back:
        return come_back(s)
    return None if s.hopeless or s.canary.skip_analysis else give_up_on_pods(s)


def _at_once(s: InPlaceSituation, decision: Decision) -> Decision:
    """What begins where nothing is to be lost doesn't wait anew for pods that were waited for long enough."""
    if not (s.hopeless and s.pods.strays and decision.status.phase is Phase.PROGRESSING):
        return decision
    return replace(decision, status=decision.status.replace(last_progress_time=s.status.last_progress_time), wake=s.now)


def _anew(s: InPlaceSituation) -> Decision:
    """Another revision came, or another try is asked for: from the first step, once no pod is of what came before."""
    if s.started:
        return Decision(
            status=s.evolve(phase=Phase.PROGRESSING, partition=None, last_progress_time=s.now),
            reason="another revision came: the pods of the one before go back first",
            actions=(SetPartition(NO_POD),),
            wake=s.now,
        )
    if not s.observed:
        return s.stay(s.pending, actions=s.keep_all_on_primary())
    if s.pods.strays and not s.gives_way:
        return come_back(s)
    if s.reverted:
        return start.revert(s)
    if not s.hopeless and (hold := next(before_start(s), None)) is not None:
        return wait_anew(s, hold)
    told = Event(f"New revision detected! Restarting analysis for {s.target_name}")
    return _at_once(s, start.begin(s, events=(told,)))


def _scaled_away(s: InPlaceSituation) -> Decision:
    """Scaling took all pods of the new version: it begins again with the highest of those that are left."""
    why = "the target was scaled down, and no pod is left of the new version"
    return Decision(
        status=s.evolve(partition=None, reason=WAITING_FOR_PODS, message=why, last_check_time=None),
        reason=why,
        actions=(SetPartition(NO_POD),),
        wake=s.now,
    )


def _before_the_first_step(s: InPlaceSituation) -> Decision:
    """No pod is touched before all are well, or where none is that could be lost."""
    if not s.whole and not s.hopeless:
        return _wait_for_pods(s)
    last = s.status.last_check_time
    due = s.now if last is None or s.status.reason == WAITING_FOR_PODS else s.due(last, s.canary.analysis_interval)
    return _look(s, due, started=False)


def _wait_for_pods(s: InPlaceSituation) -> Decision:
    until = deadline(s)
    return by_hook(s, s.pending, wake=until) if s.now < until else give_up_on_pods(s)


def _begin_interval(s: InPlaceSituation) -> Decision:
    """The pods of this step serve: from now on it is judged by what is seen of them, and by nothing older.

    A pod of the version before had the same name, so that what metrics say of its time is about that one.
    """
    loads = s.loads()
    if s.unanswered(loads):
        return s.stay("calling the rollout hooks", asks=tuple(loads))
    told = (Event(f"Advance {s.full_name} canary weight {s.share}"),) if s.status.reason == UPDATING else ()
    return Decision(
        status=s.evolve(
            reason=ANALYSING,
            message="",
            last_check_time=s.now,
            last_progress_time=s.now,
            analysis_start_time=s.now,
        ),
        reason="the pods of this step are available",
        actions=s.keep_share(),
        events=told,
        wake=s.now + s.canary.analysis_interval,
    )


def _lost(s: InPlaceSituation) -> Decision:
    """The new version has lost its last ready pod: a failed check, and the step is judged from its beginning."""
    why, failed = "canary has no ready pods", s.status.failed_checks + 1
    if failed >= s.canary.threshold:
        return roll_back(s, why, failed_checks=failed)
    return Decision(
        status=s.evolve(failed_checks=failed, reason=PODS_LOST, message=why, last_progress_time=s.now),
        reason=why,
        actions=s.keep_share(),
        events=(warning(f"Halt {s.full_name} advancement {why}"),),
        wake=s.now + s.canary.progress_deadline,
    )


def _due(s: InPlaceSituation) -> datetime:
    if s.status.reason == WAITING_FOR_PODS and s.canary_ready:
        return s.now
    due = next_look(s, s.status.last_check_time or s.now)
    return min(due, hold_ends(s)) if s.status.reason in HOLDS else due


def _look(s: InPlaceSituation, due: datetime, *, started: bool) -> Decision:
    if s.now < due:
        return s.stay("waiting for the next look", actions=s.keep_share(), wake=due)
    found = examine(s, started=started, ready=s.canary_ready)
    return found if isinstance(found, Decision) else _go_on(counting(s, found.counts), found.events, found.checks)


def _go_on(s: InPlaceSituation, passed: tuple[Event, ...], checks: tuple[CheckStatus, ...]) -> Decision:
    """This look was good: the next step, or promotion, as far as the gates allow."""
    if not s.started:
        told = s.status.reason in AT_GATES | HELD_BY
        passed = () if told else (Event(f"Starting canary analysis for {s.target_name}"), *passed)
    if (held_here := on_the_way(s, checks, passed)) is not None:
        return held_here
    pods = None if s.hopeless else s.next_step
    if pods is None:
        opened = to_promotion(s, checks, events=passed, weights=True)
        if isinstance(opened, Decision):
            return opened
        return before_promotion(s, checks, opened) or _promote(s, opened, checks)
    opened = through(s, s.hooks(HookType.CONFIRM_TRAFFIC_INCREASE), checks, events=passed)
    return opened if isinstance(opened, Decision) else _take(s, pods, opened, checks)


def _take(s: InPlaceSituation, pods: int, events: tuple[Event, ...], checks: tuple[CheckStatus, ...]) -> Decision:
    """So many pods are to run the new version; it is told when they do."""
    return Decision(
        status=s.evolve(
            phase=Phase.PROGRESSING,
            partition=s.replicas - pods,
            reason=UPDATING,
            message="",
            checks=checks or s.status.checks,
            last_check_time=s.now,
            last_progress_time=s.now,
        ),
        reason=f"the next step: {pods} of {s.replicas} pods",
        events=events,
        wake=s.now,
    )


def _promote(s: InPlaceSituation, events: tuple[Event, ...], checks: tuple[CheckStatus, ...]) -> Decision:
    return Decision(
        status=s.evolve(
            phase=Phase.PROMOTING,
            partition=0,
            reason=PROMOTING,
            message="",
            checks=checks or come(s),
            last_check_time=s.now,
            last_progress_time=s.now,
        ),
        reason="the analysis is completed",
        events=(*events, Event(f"Updating the remaining pods of {s.target_name}")),
        wake=s.now,
    )


def _finish(s: InPlaceSituation) -> Decision:
    """All pods run it: whatever they are scaled to, they are made from it from now on."""
    unchecked = s.canary.skip_analysis or s.status.phase is not Phase.PROMOTING
    analysis = "was skipped" if unchecked else "completed successfully"
    told = f"Canary analysis was skipped for {s.target_name}" if unchecked else f"All pods of {s.target_name} run it"
    return Decision(
        status=s.evolve(
            phase=Phase.SUCCEEDED,
            reason="Succeeded",
            message="",
            last_promoted_spec=s.status.last_applied_spec,
        ),
        reason="the promotion is completed",
        actions=(SetPartition(NO_POD),),
        events=(Event(f"Promotion completed! {told}"),),
        alerts=(Alert(f"Canary analysis {analysis}, promotion finished.", Severity.INFO),),
        ending=Ending.PROMOTED_UNCHECKED if unchecked else Ending.PROMOTED,
    )


def promote(s: InPlaceSituation) -> Decision:
    """Somebody wants the version in all pods, whatever its analysis and its gates say."""
    return _promote(s, (), ())


PHASES: dict[Phase, Callable[[InPlaceSituation], Decision]] = {
    Phase.EMPTY: initialise,
    Phase.INITIALIZING: initialise,
    Phase.INITIALIZED: rest,
    Phase.WAITING: waiting,
    Phase.PROGRESSING: progress,
    Phase.WAITING_PROMOTION: progress,
    Phase.PROMOTING: promoting,
    Phase.FINALISING: promoting,
    Phase.SUCCEEDED: rest,
    Phase.FAILED: rest,
    Phase.TERMINATING: rest,
    Phase.TERMINATED: rest,
}
