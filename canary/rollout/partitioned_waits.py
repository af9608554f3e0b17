"""Waits of a target that is rolled out in place which only somebody else can end: each is told, to event and alert."""

from canary.api.analysis import Severity
from canary.rollout.deadlines import deadline
from canary.rollout.decision import Alert, Decision
from canary.rollout.in_place import InPlaceSituation
from canary.rollout.rollback import by_hook
from canary.rollout.situation import warning

TOO_FEW_PODS = "TooFewPods"
"""Reason of a rollout of which no pod can be updated and judged before all of them are."""

NOT_SEEN = "Kubernetes does not see the target as it is now: do its controllers work?"


def wait_to_be_seen(s: InPlaceSituation) -> Decision:
    """Kubernetes has not seen the target as it is now, which takes a moment, or its controllers don't work.

    Since when is not known: the last progress may be long ago. So the time begins when that was first noticed.
    """
    until = deadline(s)
    if s.now < until or s.status.message == NOT_SEEN:
        return s.stay(s.pending, actions=s.keep_share(), wake=until if s.now < until else None)
    if s.status.message != s.pending:
        noticed = s.evolve(message=s.pending, last_progress_time=s.now)
        return Decision(noticed, s.pending, s.keep_share(), wake=s.now + s.canary.progress_deadline)
    return Decision(
        status=s.evolve(message=NOT_SEEN),
        reason=NOT_SEEN,
        actions=s.keep_share(),
        events=(warning(f"Halt {s.full_name} advancement {NOT_SEEN}"),),
        alerts=(Alert(f"Canary analysis is held: {NOT_SEEN}", Severity.ERROR),),
    )


def wait_for_more_pods(s: InPlaceSituation) -> Decision:
    """Nothing is updated that can't be judged first: whoever scales the target, or skips the analysis, ends that."""
    few = "one pod alone leaves" if s.replicas else "a target without pods leaves"
    why = f"{few} nothing to judge the new version by: scale {s.canary.target_name}, or set skipAnalysis"
    if s.status.reason == TOO_FEW_PODS and s.status.message == why:
        return by_hook(s, why)
    return Decision(
        status=s.evolve(reason=TOO_FEW_PODS, message=why, last_check_time=s.now),
        reason=why,
        actions=s.keep_share(),
        events=(warning(f"Halt {s.full_name} advancement {why}"),),
        alerts=(Alert(f"Canary analysis is held: {why}", Severity.WARN),),
        wake=s.now,
    )
