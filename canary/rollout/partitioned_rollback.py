"""The way back: pods of a version that is not wanted come back, one by one, to the one that all pods ran before."""

from dataclasses import replace

from canary.api.analysis import Severity
from canary.api.partitions import NO_POD
from canary.api.status import Phase
from canary.rollout.deadlines import deadline
from canary.rollout.decision import Alert, Decision, DeletePod, DropFinalizer, Event, SetPartition
from canary.rollout.deletion import FINALIZER
from canary.rollout.in_place import InPlaceSituation
from canary.rollout.situation import warning

NOT_SEEN = "waiting for Kubernetes to see that no further pod is to be updated"
NOT_YET = "waiting for all pods to be available before the next one goes back"


def come_back(s: InPlaceSituation) -> Decision:
    """Bring the next pod back to the promoted version, when it is its turn."""
    actions = s.keep_all_on_primary()
    if not s.observed or s.pods.partition != NO_POD:
        return _wait(s, NOT_SEEN, over=s.now >= s.back_until)
    pod = s.next_to_go_back()
    if pod is not None:
        return s.stay(f"{pod.name} goes back", actions=(*actions, DeletePod(pod.name, pod.uid)))
    return _wait(s, NOT_YET, over=s.held_back)


def _wait(s: InPlaceSituation, why: str, *, over: bool) -> Decision:
    """No pod can go back for now; people are called once that has lasted too long."""
    actions = s.keep_all_on_primary()
    if not over:
        return s.stay(why, actions=actions, wake=s.back_until)
    if s.status.message.endswith(why):
        return s.stay(why, actions=actions)
    message = f"Rollback of {s.target_name} is held, {len(s.pods.strays)} pods are still to go back: {why}"
    return Decision(
        status=s.evolve(message=f"{_before(s.status.message)}; {why}"),
        reason=message,
        actions=actions,
        events=(warning(message),),
        alerts=(Alert(message, Severity.ERROR),),
    )


def _before(message: str) -> str:
    """What was said before pods could not go back."""
    return message.removesuffix(f"; {NOT_YET}").removesuffix(f"; {NOT_SEEN}")


def back(s: InPlaceSituation) -> Decision:
    """No pod is left of what was taken back."""
    return Decision(
        status=s.evolve(traffic_removed_time=None, message=_before(s.status.message)),
        reason="all pods run the promoted revision",
        actions=s.keep_all_on_primary(),
    )


def current_all_the_same(s: InPlaceSituation) -> Decision:
    """A version that failed is all that there is: there was a moment in which every pod ran it, or there was none."""
    message = f"all pods of {s.target_name} run the revision that failed: Kubernetes keeps no other to go back to"
    return Decision(
        status=s.evolve(
            phase=Phase.SUCCEEDED,
            reason="NoWayBack",
            message=message,
            last_promoted_spec=s.status.last_applied_spec,
            traffic_removed_time=None,
        ),
        reason=message,
        actions=s.keep_all_on_primary(),
        events=(warning(message),),
        alerts=(Alert(message, Severity.ERROR),),
    )


def leave(s: InPlaceSituation) -> Decision:
    """A Canary is deleted: the target is its author's again, but a version that nobody has promoted goes no further.

    With `revertOnDeletion` the target is given back as it is, and all its pods come to run its template.
    """
    if FINALIZER not in s.canary.metadata.finalizers:
        return s.stay("the Canary is being deleted")
    if s.facts.target is None:
        return s.stay("there is no target to give back", actions=(DropFinalizer(),))
    if s.status.phase is not Phase.TERMINATING:
        return Decision(
            status=s.evolve(phase=Phase.TERMINATING, reason="Terminating", message="", last_progress_time=s.now),
            reason="the Canary is to go",
            events=(Event(f"Terminating canary {s.full_name}"),),
            wake=s.now,
        )
    until = deadline(s)
    if not s.observed and s.now < until:
        return s.stay(s.pending, wake=until)
    if s.completed or s.canary.spec.revert_on_deletion:
        return s.stay("the target is its author's again", actions=(SetPartition(None), DropFinalizer()))
    if s.pods.strays and s.now < until:
        return replace(come_back(s), status=s.status, events=(), alerts=(), wake=until)
    why = f"{s.target_name} is left with a partition above all its pods: nobody has promoted its template"
    if s.status.message != why:
        return Decision(s.evolve(message=why), why, s.keep_all_on_primary(), events=(warning(why),), wake=s.now)
    return s.stay(why, actions=(*s.keep_all_on_primary(), DropFinalizer()))
