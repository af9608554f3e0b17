"""How a rollout comes on from a step that the spec writes out: after a good look, once what it waits for has come.

::

    step                   waits for                           stored            without a deadline
    pause, with duration   the time                            stepSince
    pause                  a person: canary resume             stepResumed       yes
    experiment             the time                            stepSince
    analysis               good looks                          stepLooks
    gate                   a webhook, or people who approve    approvals         yes

Whatever it waits for, it is looked at as ever, and is taken back where it fails. All that it hangs on is stored: a
controller that dies in a step goes on there, and a wait neither begins anew nor is left out.
"""

from datetime import datetime
from typing import Final

from canary.api.meta import format_time
from canary.api.status import CheckStatus
from canary.rollout.decision import Decision, Event
from canary.rollout.gates import Passage, named, through
from canary.rollout.plan import NO_STEP, Step
from canary.rollout.situation import Situation
from canary.rollout.status_change import StepChange
from canary.rollout.step_plan import Looks, Opened, Paused, Resumed

PAUSING: Final = "PausedAtStep"
"""Reason of a rollout whose step is a pause."""

TO_BE_RESUMED: Final = "WaitingToBeResumed"
"""Reason of a rollout whose step ends when a person resumes it."""

LOOKING: Final = "LookingAgain"
"""Reason of a rollout whose step takes some more good looks."""

AT_STEPS: Final = frozenset({PAUSING, TO_BE_RESUMED, LOOKING})


def begun_now(s: Situation) -> StepChange:
    """What the status says of a step that is begun; nothing where the spec writes none out."""
    return {"step_since": s.now, "step_looks": 0, "step_resumed": False} if s.plan.written else none_begun()


def none_begun() -> StepChange:
    """What the status says before the first step."""
    return {"step_since": None, "step_looks": 0, "step_resumed": False}


def ends(s: Situation) -> datetime | None:
    """When the pause that it is at is over; None where it is at none that ends by itself."""
    step = s.step
    if step == NO_STEP or not isinstance(step.ends, Paused):
        return None
    return s.due(_since(s), step.ends.length)


def waits_for_person(s: Situation) -> bool:
    """Whether it goes on from its step when a person resumes it."""
    step = s.step
    return step != NO_STEP and isinstance(step.ends, Resumed) and not s.status.step_resumed


def was_resumed(s: Situation) -> bool:
    """Whether it stands still though a person has resumed it since the last look."""
    return s.status.step_resumed and s.status.reason == TO_BE_RESUMED


def unfinished(s: Situation, step: Step, checks: tuple[CheckStatus, ...], events: tuple[Event, ...]) -> Passage:
    """What follows from a good look at a step that waits for more; what there is to tell where it is over.

    Args:
        s: the Canary and its facts.
        step: the step that it is at.
        checks: the verdicts of the look.
        events: what there is to tell of it.
    """
    match step.ends:
        case Looks(count) if s.status.step_looks + 1 < count:
            good = s.status.step_looks + 1
            return _stay(s, LOOKING, f"good look {good} of {count}", checks, step_looks=good)
        case Paused() if (until := ends(s)) is not None and s.now < until:
            does = "compares" if _is_experiment(s, step) else "pauses"
            return _stay(s, PAUSING, f"{does} until {format_time(until)}", checks, wake=until)
        case Resumed() if not s.status.step_resumed:
            return _stay(s, TO_BE_RESUMED, f"waits for a person: canary resume {s.canary.name}", checks)
        case Opened(gate):
            return through(s, named(s, gate), checks, events=events)
    return events


def in_words(s: Situation, step: Step, number: int) -> str:
    """A step, as its event names it."""
    said = [str(each) for each in s.canary.analysis.steps[number : step.iteration]]
    return f"step {step.iteration}/{s.plan.written}: {', '.join(said)}"


def _is_experiment(s: Situation, step: Step) -> bool:
    return s.canary.analysis.steps[step.iteration - 1].experiment is not None


def _since(s: Situation) -> datetime:
    return s.status.step_since or s.status.analysis_start_time or s.now


def _stay(
    s: Situation,
    reason: str,
    message: str,
    checks: tuple[CheckStatus, ...],
    *,
    step_looks: int | None = None,
    wake: datetime | None = None,
) -> Decision:
    told = f"step {s.plan.begun(s.status)} of {s.plan.written} {message}"
    next_look = s.now + s.canary.analysis_interval
    return Decision(
        status=s.evolve(
            reason=reason,
            message=told,
            checks=checks,
            last_check_time=s.now,
            last_progress_time=s.now,
            step_looks=s.status.step_looks if step_looks is None else step_looks,
            step_since=_since(s),
        ),
        reason=told,
        actions=s.keep_share(),
        events=(Event(f"Halt {s.full_name} advancement {told}"),) if s.status.reason != reason != LOOKING else (),
        wake=next_look if wake is None else min(wake, next_look),
    )
