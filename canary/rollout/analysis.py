"""The analysis of a new version: step by step, a look at a time, until it is promoted or taken back."""

from datetime import datetime

from canary.api.analysis import Advance, HookType
from canary.api.status import CheckStatus, Phase
from canary.api.traffic import ALL_PRIMARY, Readiness
from canary.rollout import holds, messages, steps
from canary.rollout.arrivals import with_share
from canary.rollout.bake import fallback
from canary.rollout.capacity import ROLLING_BACK, guarded, remake
from canary.rollout.deadlines import deadline
from canary.rollout.decision import Action, Decision, Event, KeepVersionServices, Route, ScaleTarget
from canary.rollout.ending import PROMOTING
from canary.rollout.facts import Workload
from canary.rollout.gates import AT_GATES, to_promotion, to_step
from canary.rollout.glance import ENOUGH, glance, glanced_at
from canary.rollout.look import HOLDS, SILENT, WAITING_FOR_PODS, examine, give_up_on_pods, hold, hold_ends, next_look
from canary.rollout.people import by_people
from canary.rollout.plan import EVERYBODY, NO_STEP, Step
from canary.rollout.rollback import DEADLINE_EXCEEDED, held, roll_back, rolling_back
from canary.rollout.situation import HELD, Situation, warning
from canary.rollout.start import begin, restart, revert
from canary.rollout.tallies import counting
from canary.rollout.verdicts import come

ANALYSING = "Analysing"


def progress(s: Situation) -> Decision:
    """Go on with the analysis: what endangers traffic first, then the next look when it is due."""
    if s.facts.primary is None and s.kept:
        return s.stay("the primary is gone and is made again", actions=remake(s))
    target = s.facts.target
    if target is None:
        return roll_back(s, f"{s.canary.spec.target_ref.kind} {s.target_name} does not exist any more")
    if s.reverted:
        return revert(s)
    if s.changed:
        return restart(s)
    if s.status.reason == HELD and target.serving:
        return by_people(s) or held(s)
    if s.status.reason == ROLLING_BACK:
        return rolling_back(s)
    if (ended := by_people(s) or _failed_before(s)) is not None:
        return ended
    if (without_pods := _without_pods(s, target)) is not None:
        return without_pods
    step = s.step
    if (step.split.canary, step.iteration) != (s.status.canary_weight, s.status.iterations) and s.can_route(step.split):
        return _change_plan(s, step)
    if (unknown := _unknown_pods(s)) is not None:
        return unknown
    due = _look_due(s)
    if due is None or s.now < due:
        return glance(s, _wait(s, due))
    return glanced_at(s, _look(s))


def _failed_before(s: Situation) -> Decision | None:
    """What follows where the version goes whatever is seen of it now; None where it need not."""
    if s.status.failed_checks >= s.canary.threshold:
        return roll_back(s, f"{messages.THRESHOLD_REACHED} {s.status.failed_checks}")
    return roll_back(s, why) if (why := holds.failed_with(s)) else None


def _without_pods(s: Situation, target: Workload) -> Decision | None:
    """What is done first where pods are missing; None where none are."""
    if (s.split.canary or s.status.canary_weight) and not target.serving:
        return _retreat(s)
    if target.readiness.desired == 0:
        return _scale_from_nothing(s, target.readiness)
    return _wait_for_baseline(s)


def _scale_from_nothing(s: Situation, seen: Readiness) -> Decision:
    """The canary has no pods and gets some; whoever takes them away again has until the deadline to stop."""
    why = "the canary is scaled up" if not seen.total else "the canary is scaled up once its former pods are gone"
    if s.status.reason != WAITING_FOR_PODS:
        return Decision(
            status=s.evolve(reason=WAITING_FOR_PODS, message=why, last_progress_time=s.now),
            reason=why,
            actions=s.wake(),
            wake=s.now + s.canary.progress_deadline,
        )
    until = deadline(s)
    if s.now < until:
        return s.stay(why, actions=s.wake(), wake=until)
    kept = f"{s.target_name} is kept at 0 replicas" if not seen.total else f"{seen.total} former pods don't go"
    return roll_back(s, f"progress deadline exceeded {kept}", reason=DEADLINE_EXCEEDED)


def _unknown_pods(s: Situation) -> Decision | None:
    """Pods of a canary that has no requests yet get none, and no look, before the data plane knows of them."""
    begun = s.status.canary_weight or s.split.canary or s.split.header
    fresh = s.facts.baseline if s.has_baseline(s.status) else None
    until = s.learning(s.facts.target, fresh) if s.canary_ready and not begun else None
    if until is None:
        return None
    return s.stay("the routers learn of the canary's pods", actions=_kept(s), wake=until)


def _wait_for_baseline(s: Situation) -> Decision | None:
    """Say that the baseline's pods are waited for; None where they are not, or that is said.

    One that has lost its last ready pod under traffic gets it again when it has some: until then it is the primary's.
    """
    if s.baseline_lost and s.status.reason not in HOLDS:
        why = f"baseline {s.baseline_name} has no ready pods, the primary gets its share"
        return Decision(
            status=s.evolve(reason=WAITING_FOR_PODS, message=why, last_progress_time=s.now),
            reason=why,
            actions=s.keep_share(),
            events=(warning(f"Halt {s.full_name} advancement {why}"),),
            wake=s.now + s.canary.progress_deadline,
        )
    waits = s.status.reason == WAITING_FOR_PODS and s.target_ready and not s.canary_ready
    if not waits or s.baseline_name in s.status.message or s.now >= deadline(s):
        return None
    why = f"the pods of baseline {s.baseline_name} are not ready yet"
    return Decision(status=s.evolve(message=why), reason=why, actions=s.keep_share(), wake=deadline(s))


def _change_plan(s: Situation, step: Step) -> Decision:
    """An edit of the spec has taken the step away: on to the one that is nearest to it in the new plan."""
    return Decision(
        status=s.evolve(canary_weight=step.split.canary, iterations=step.iteration, **steps.begun_now(s)),
        reason="the plan has changed",
        first=(KeepVersionServices(),),
        actions=(*s.keep_services(), Route(step.split), *_resize(s, step)),
        wake=s.now,
    )


def _resize(s: Situation, step: Step) -> tuple[Action, ...]:
    """The canary gets the number of pods that a step goes by, where it goes by any.

    Pods by whose number no requests are divided go later, once the data plane has followed.
    """
    target, wanted = s.facts.target, step.replicas
    if target is None or not wanted or target.readiness.desired == wanted:
        return ()
    return (ScaleTarget(wanted),) if step.count is not None or target.readiness.desired < wanted else ()


def _look_due(s: Situation) -> datetime | None:
    """When the next look is due; None while the first one waits for the pods."""
    last = s.status.last_check_time
    unchecked = s.canary.skip_analysis and not holds.held(s)
    if s.canary_ready and (s.status.reason == WAITING_FOR_PODS or unchecked):
        return s.now
    if last is None:
        # Somebody who wants to roll back by hook must not have to wait for pods that never come.
        return s.now if s.canary_ready or s.hooks(HookType.ROLLBACK) else None
    if (s.status.reason == ENOUGH and s.canary.analysis.advance is Advance.EVIDENCE) or steps.was_resumed(s):
        return s.now
    due, pause = next_look(s, last), steps.ends(s)
    if pause is not None and last < pause:
        due = min(due, pause)
    return min(due, hold_ends(s)) if s.status.reason in SILENT else due


def _wait(s: Situation, due: datetime | None) -> Decision:
    """Until the next look: keep the route as the status says it is, and mind the deadline of the pods."""
    waits_for_pods = not s.canary_ready and (s.status.reason == WAITING_FOR_PODS or due is None)
    if waits_for_pods and s.now >= deadline(s):
        return give_up_on_pods(s)
    wakes = [due] if due is not None else []
    if waits_for_pods:
        wakes.append(deadline(s))
    why = s.pending if waits_for_pods else "waiting for the next look"
    return s.stay(why, actions=_kept(s), wake=min(wakes) if wakes else None)


def _kept(s: Situation) -> tuple[Action, ...]:
    """Services, pods and route of the step that the status tells."""
    split = s.step.split
    kept = (*s.keep_services(), *s.keep_pods())
    return (*kept, Route(split)) if s.can_route(split) else kept


def _retreat(s: Situation) -> Decision:
    """The canary has lost its last ready pod under traffic: users first, then begin again or give up."""
    failed = s.status.failed_checks + 1
    message = f"Halt {s.full_name} advancement canary has no ready pods, routing all traffic to primary"
    s_failed = s.evolve(
        failed_checks=failed,
        canary_weight=0,
        iterations=0,
        reason=WAITING_FOR_PODS,
        message="the canary has no ready pods",
        last_check_time=None,
        last_progress_time=s.now,
        analysis_start_time=None,
        **steps.none_begun(),
    )
    if failed >= s.canary.threshold:
        return roll_back(s, "canary has no ready pods", failed_checks=failed)
    return Decision(
        status=s_failed,
        reason="the canary has no ready pods",
        actions=(Route(ALL_PRIMARY),),
        events=(warning(message),),
        wake=s.now + s.canary.progress_deadline,
    )


def _look(s: Situation) -> Decision:
    """Ask everything that this step hangs on, and act on the answers."""
    ready = s.canary_ready
    if s.canary.skip_analysis:
        if not ready:
            return hold(s, WAITING_FOR_PODS, s.pending, (), events=())
        return holds.on_the_way(s, (), ()) or holds.before_promotion(s, (), ()) or _promote(s, (), ())
    found = examine(s, started=s.step != NO_STEP, ready=ready)
    if isinstance(found, Decision):
        return with_share(s, found)
    s = counting(s, found.counts)
    return with_share(s, _go_on(s, found.events, found.checks))


def _go_on(s: Situation, passed: tuple[Event, ...], checks: tuple[CheckStatus, ...]) -> Decision:
    """This look was good: take the next step, or promote, as far as the gates allow."""
    if s.step == NO_STEP:
        told = s.status.reason in AT_GATES | holds.HOLDS
        passed = (
            () if told else (Event(f"Starting canary analysis for {s.target_name}"), *messages.counted(s.plan), *passed)
        )
    if s.plan.written and (current := s.step) != NO_STEP:
        over = steps.unfinished(s, current, checks, passed)
        if isinstance(over, Decision):
            return over
        passed = over
    if (held_here := holds.on_the_way(s, checks, passed)) is not None:
        return held_here
    if s.step == NO_STEP:
        # The load that the first step is judged by must flow when it begins, not an interval later. What these hooks
        # say counts from the first look on: before, one that judges the canary's traffic has nothing to judge.
        loads = s.loads()
        if s.unanswered(loads):
            return s.stay("calling the rollout hooks", asks=tuple(loads))
    step = s.plan.next(s.status)
    if step is None:
        opened = to_promotion(s, checks, events=passed, weights=not s.plan.iterations)
        if isinstance(opened, Decision):
            return opened
        return holds.before_promotion(s, checks, opened) or _promote(s, opened, checks)
    opened = to_step(s, step, checks, events=passed)
    if isinstance(opened, Decision):
        return opened
    if s.plan.iterations and step.split == EVERYBODY and (together := holds.before_promotion(s, checks, opened)):
        return together
    target = s.facts.target
    if target is not None and target.readiness.desired < step.replicas:
        return _scale_up(s, step, checks)
    return _advance(s, step, opened, checks)


def _scale_up(s: Situation, step: Step, checks: tuple[CheckStatus, ...]) -> Decision:
    """A step that goes by the number of pods begins once they are ready, with another look."""
    told = f"Scaling {s.target_name} to {step.replicas} pods for canary weight {step.split.canary}"
    return Decision(
        status=s.evolve(
            reason=WAITING_FOR_PODS,
            message=told,
            checks=checks,
            last_check_time=s.now,
            last_progress_time=s.now,
        ),
        reason=told,
        actions=(*s.keep_services(), ScaleTarget(step.replicas)),
        events=(Event(told),),
        wake=s.now + s.canary.analysis_interval,
    )


def _advance(s: Situation, step: Step, passed: tuple[Event, ...], checks: tuple[CheckStatus, ...]) -> Decision:
    """Take the next step of the plan."""
    if s.plan.iterations and step.split == EVERYBODY:
        stop = "Stop traffic mirroring and route" if s.canary.analysis.mirror else "Routing"
        told = f"{stop} all traffic to canary"
    elif s.plan.written and (step.split.matched or step.split.canary == s.status.canary_weight):
        told = f"Advance {s.full_name} {steps.in_words(s, step, s.plan.begun(s.status))}"
    elif s.plan.iterations:
        told = f"Advance {s.full_name} canary iteration {step.iteration}/{s.plan.iterations}"
    else:
        told = f"Advance {s.full_name} canary weight {step.split.canary}"
    # Where the primary has no ready pods, traffic can't leave the canary that mends it.
    fits = s.can_route(step.split)
    return Decision(
        status=s.evolve(
            phase=Phase.PROGRESSING,
            canary_weight=step.split.canary if fits else s.split.canary,
            iterations=step.iteration,
            checks=checks,
            reason=ANALYSING,
            message=str(step.count) if step.count is not None and not step.count.exact else "",
            last_check_time=s.now,
            last_progress_time=s.now,
            analysis_start_time=s.now if s.step == NO_STEP else s.status.analysis_start_time,
            **steps.begun_now(s),
        ),
        reason=f"the next step: {told}",
        first=(KeepVersionServices(),) if fits else (),
        actions=(*s.keep_services(), *_resize(s, step), Route(step.split)) if fits else s.keep_services(),
        events=(*passed, Event(told)),
        wake=s.now + s.canary.analysis_interval,
    )


def _promote(s: Situation, passed: tuple[Event, ...], checks: tuple[CheckStatus, ...]) -> Decision:
    """The version is good.

    That is stored before the primary is touched: a crash in between must not lead back to an analysis that could
    still fail, with the new version already in the primary.
    """
    namespace = s.canary.namespace
    copying = f"Copying {s.target_name} template spec to {s.canary.primary_name}.{namespace}"
    return Decision(
        status=s.evolve(
            phase=Phase.PROMOTING,
            reason=PROMOTING,
            message="",
            checks=checks or come(s),
            last_check_time=s.now,
            last_progress_time=s.now,
            bake=fallback(s),
        ),
        reason="the analysis is completed",
        actions=s.keep_share(),
        events=(*passed, Event(copying)),
        wake=s.now,
    )


def promote(s: Situation) -> Decision:
    """Somebody wants the version promoted, whatever its analysis and its gates say."""
    return _promote(guarded(s), (), ())


def begin_anew(s: Situation) -> Decision:
    """Somebody wants the analysis to begin anew, which it can where traffic may leave the canary."""
    if not s.primary_can_take_over:
        return s.stay("the primary has no ready pods to take the traffic")
    return begin(s, events=(Event(f"Restarting analysis for {s.target_name}"),))
