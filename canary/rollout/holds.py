"""What keeps a rollout from beginning, or from its next step, that is no matter of its version.

A new revision that is held waits in the phase `Waiting`, with a reason of its own, without a deadline: nothing of it
has requests. It is told of once. What holds it wakes it when it ends, so that a wait costs nothing. One that is under
way stays at its step, and is looked at as ever: it is taken back where it fails.

::

    reason                what holds it                             ends
    Frozen                a freeze window, its own or everybody's   at the end of the window
    WaitingForDependency  a Canary that it depends on               when that serves what is deployed of it
    ErrorBudgetSpent      no error budget is left                   when there is some: it is asked at each interval
    WaitingForGroup       others of its group that can't begin      when they can, or at its deadline
    Queued                so many rollouts are under way already    when it is its turn
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from canary.api.freezes import FreezeWindow, frozen
from canary.api.meta import format_time
from canary.api.status import CheckStatus, Phase
from canary.rollout import budget, overrides
from canary.rollout.budget import BUDGET_SPENT
from canary.rollout.decision import Decision, Event
from canary.rollout.groups import WAITING_FOR_GROUP, named
from canary.rollout.situation import Situation

FROZEN: Final = "Frozen"
"""Reason of a rollout that waits for the end of a freeze window."""

QUEUED: Final = "Queued"
"""Reason of a rollout that waits for its turn, and for nothing else."""

WAITING_FOR_DEPENDENCY: Final = "WaitingForDependency"
"""Reason of a rollout that waits for other Canaries."""

HOLDS: Final = frozenset({FROZEN, QUEUED, WAITING_FOR_DEPENDENCY, BUDGET_SPENT, WAITING_FOR_GROUP})
"""Reasons of rollouts that wait for nobody's approval, before they begin or on their way."""

TOGETHER: Final = timedelta(seconds=10)
"""How far apart changes may come that are made together, by one commit or one command."""

NAMED: Final = 3
"""How many rollouts are named to one that waits for them."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What a rollout waits for.

    Args:
        reason: in one CamelCase word.
        message: in words: for whom, and until when.
        until: when it ends by itself; None where something must happen before.
        brief: whether it is so brief that nobody is told.
    """

    reason: str
    message: str
    until: datetime | None = None
    brief: bool = False


def before_start(s: Situation) -> Iterator[Hold]:
    """What keeps a new revision from beginning, before anybody is asked for approval."""
    if not overrides.given(s):
        yield from _freeze(s, steps=False)
        yield from _dependencies(s)


def group(s: Situation) -> Iterator[Hold]:
    """Where others of its group have a new revision too, and can't begin: the hold, which has a deadline."""
    whole = s.canary.spec.scheduling.group
    late = [each for each in s.facts.group if each.late]
    if whole is None or not late or overrides.given(s):
        return
    until = _noticed(s) + whole.start_deadline
    if s.now < until:
        yield Hold(WAITING_FOR_GROUP, f"begins with {named(late)}, or at {format_time(until)} without", until)


def queue(s: Situation) -> Iterator[Hold]:
    """Where it is not its turn: the hold."""
    turn = s.facts.turn
    if turn is None or turn.granted or overrides.given(s):
        return
    named = ", ".join(turn.under_way[:NAMED])
    more = f" and {len(turn.under_way) - NAMED} more" if len(turn.under_way) > NAMED else ""
    went_on = f"; {named}{more} went on when it came" if named else ""
    rollouts = "rollout goes" if turn.limit == 1 else "rollouts go"
    yield Hold(QUEUED, f"{turn.limit} {rollouts} on at once, at most{went_on}")


def _freeze(s: Situation, *, steps: bool) -> Iterator[Hold]:
    own, everybodys = s.canary.spec.scheduling.freeze_windows, s.facts.freezes
    windows: tuple[FreezeWindow, ...] = (*everybodys, *own)
    if (found := frozen(windows, s.now, steps=steps)) is not None:
        yield Hold(FROZEN, f"frozen by {found}", found.until)


def _dependencies(s: Situation) -> Iterator[Hold]:
    waited = [str(each) for each in s.facts.dependencies if not each.settled]
    if waited:
        yield Hold(WAITING_FOR_DEPENDENCY, f"depends on {'; '.join(waited)}")
    elif (s.facts.dependencies or s.facts.group) and (until := _noticed(s) + TOGETHER) > s.now:
        # What is deployed together is noticed one after the other.
        keys = [each.key for each in s.facts.dependencies] + [each.key for each in s.facts.group]
        message = f"hangs on {', '.join(keys)}, which may be deployed with it"
        yield Hold(WAITING_FOR_DEPENDENCY, message, until, brief=True)


def _noticed(s: Situation) -> datetime:
    """When the revision was noticed that would begin."""
    rollout = s.status.rollout
    return rollout.started if rollout is not None and _is_meant(s) else s.now


def _is_meant(s: Situation) -> bool:
    """Whether the rollout that is noted down is that of the revision that would begin."""
    rollout, target = s.status.rollout, s.facts.target
    return rollout is not None and target is not None and rollout.revision == target.revision


def budget_at_start(s: Situation) -> Decision | None:
    """The error budget, once nothing else holds a new revision: what follows where it is not known, or spent."""
    asked = budget.question(s)
    if asked is None:
        return None
    actions, due = s.keep_all_on_primary(), budget.next_asked(s)
    if s.status.phase is Phase.WAITING and s.status.reason == BUDGET_SPENT and s.now < due:
        return s.stay(s.status.message, actions=actions, wake=due)
    if s.unanswered((asked,)):
        return s.stay("asking for the error budget", asks=(asked,), actions=actions)
    spent = budget.spent(s, asked)
    return wait(s, Hold(BUDGET_SPENT, spent, s.now + s.canary.analysis_interval)) if spent else None


def on_the_way(s: Situation, checks: tuple[CheckStatus, ...], passed: tuple[Event, ...]) -> Decision | None:
    """Keep a rollout at its step, after a good look; None where it may go on.

    Args:
        s: the Canary and its facts.
        checks: the verdicts of the look.
        passed: what there is to tell of it.
    """
    if overrides.in_force(s):
        return None
    due = s.due(s.status.last_check_time or s.now, s.canary.analysis_interval)
    if held(s) and s.canary.skip_analysis and s.now < due:
        return s.stay(s.status.message, actions=s.keep_share(), wake=due)
    hold = next(_freeze(s, steps=True), None)
    asked = budget.question(s) if hold is None else None
    if asked is not None:
        if s.unanswered((asked,)):
            return s.stay("asking for the error budget", asks=(asked,), actions=s.keep_share())
        spent = budget.spent(s, asked)
        hold = Hold(BUDGET_SPENT, spent) if spent else None
    return _stay_at_step(s, hold, checks, passed) if hold is not None else None


def before_promotion(s: Situation, checks: tuple[CheckStatus, ...], passed: tuple[Event, ...]) -> Decision | None:
    """Keep a version that is good from being promoted before all of its group are; the arguments are those above."""
    unready = [each for each in s.facts.group if each.unready]
    if not unready or overrides.in_force(s):
        return None
    hold = Hold(WAITING_FOR_GROUP, f"is ready, and is promoted with {named(unready)}")
    return _stay_at_step(s, hold, checks, passed)


def failed_with(s: Situation) -> str:
    """Why it is taken back with others of its group, in words; empty where none of them has failed meanwhile."""
    began = s.status.rollout_start_time
    failed = [each for each in s.facts.group if began is not None and each.failed_since(began)]
    return f"its group is taken back, failed: {named(failed)}" if failed and not overrides.in_force(s) else ""


def _stay_at_step(s: Situation, hold: Hold, checks: tuple[CheckStatus, ...], passed: tuple[Event, ...]) -> Decision:
    end = s.now + s.canary.analysis_interval
    told = (*passed, Event(f"Halt {s.full_name} advancement {hold.message}"))
    return Decision(
        status=s.evolve(
            reason=hold.reason,
            message=hold.message,
            checks=checks or s.status.checks,
            last_check_time=s.now,
            last_progress_time=s.now,
        ),
        reason=f"the rollout stays where it is: {hold.message}",
        actions=s.keep_share(),
        events=told if s.status.reason != hold.reason else (),
        wake=end if hold.until is None else min(end, hold.until),
    )


def queued_before(s: Situation) -> bool:
    """Whether all that this very revision waits for is its turn: what comes before that was asked already."""
    return s.status.phase is Phase.WAITING and s.status.reason == QUEUED and _is_meant(s)


def held(s: Situation) -> str:
    """What has held the rollout so far, in words; empty where nothing has."""
    return s.status.message if s.status.reason in HOLDS else ""


def wait(s: Situation, hold: Hold) -> Decision:
    """Keep a new revision from beginning; that is stored, and told, where it is news."""
    actions = s.keep_all_on_primary()
    waits = s.status.phase is Phase.WAITING and s.status.reason == hold.reason
    # Whom a place in the queue was behind at first is not told anew with each of them that ends.
    if waits and (s.status.message == hold.message or hold.reason == QUEUED):
        on = s.stay(f"the rollout waits: {hold.message}", actions=actions, wake=hold.until)
        return replace(on, looked_at=s.now) if hold.reason == BUDGET_SPENT else on
    silent = hold.brief or (waits and hold.reason == BUDGET_SPENT)
    told = () if silent else (Event(f"Waiting with {s.full_name}: {hold.message}"),)
    since = s.status.queued_since if s.status.phase is Phase.WAITING else None
    return Decision(
        status=s.evolve(
            phase=Phase.WAITING,
            reason=hold.reason,
            message=hold.message,
            canary_weight=0,
            iterations=0,
            failed_checks=0,
            last_check_time=s.now if hold.reason == BUDGET_SPENT else None,
            queued_since=since or (s.now if hold.reason == QUEUED else None),
        ),
        reason=f"the rollout waits: {hold.message}",
        actions=actions,
        events=told,
        wake=hold.until,
    )


def wait_anew(s: Situation, hold: Hold) -> Decision:
    """Keep a revision from beginning that comes while another one is rolled out, which ends by that.

    That one counts for nothing from now on: should it come again, it is a new revision as any other.
    """
    told = Event(f"New revision detected! Ending analysis for {s.target_name}")
    waiting = wait(s, hold)
    removed = s.now if s.facts.partitions is None else None
    status = waiting.status.replace(last_applied_spec=s.promoted, traffic_removed_time=removed, last_retry=s.retry)
    return replace(waiting, status=status, events=(told, *waiting.events))
