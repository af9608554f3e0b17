"""Comparisons between two looks: a canary that is worse goes at once, and one that is no worse need not wait.

The judge keeps its promise however often it is asked, so it is asked often. Nothing of a glance is stored: what it
rests on is with the metrics server.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from canary.api.analysis import Advance
from canary.api.canary import Canary
from canary.api.status import CheckStatus, Phase
from canary.rollout.decision import Decision
from canary.rollout.facts import MetricQuestion
from canary.rollout.holds import held
from canary.rollout.look import HOLDS
from canary.rollout.plan import NO_STEP
from canary.rollout.rollback import roll_back
from canary.rollout.situation import Situation
from canary.rollout.verdicts import CHECK_TOLERATED, judge
from metrics.judge import looks

ENOUGH = "EnoughEvidence"
"""Reason of a step that need not wait for its interval to end."""


def glance(s: Situation, waiting: Decision) -> Decision:
    """What follows while the next look is waited for.

    Args:
        s: the Canary and its facts.
        waiting: what is decided without a glance.
    """
    last = s.status.last_check_time
    if last is None or not _comparable(s):
        return waiting
    span = time_between(s.canary)
    number = max(0, (s.now - last) // span)
    waiting = replace(waiting, wake=_sooner(waiting.wake, last + (number + 1) * span))
    if not number:
        return waiting
    questions = tuple(MetricQuestion(f"{s.look}/{number}", index) for index in s.canary.analysis.comparisons)
    waiting = replace(waiting, asks=questions)
    if s.unanswered(questions):
        return waiting
    judged = judge(s, questions)
    if judged.fatal:
        return roll_back(s, judged.fatal, failed_checks=s.status.failed_checks + 1, checks=judged.checks)
    if judged.proven and s.canary.analysis.advance is Advance.EVIDENCE and not held(s):
        # Stored, so that the look that follows asks what it has to ask once, whatever comes between.
        status = s.evolve(reason=ENOUGH, message=judged.checks[0].message, checks=_with(s, judged.checks))
        return Decision(status=status, reason=ENOUGH, wake=s.now)
    return waiting


def glanced_at(s: Situation, looked: Decision) -> Decision:
    """A look after which it is glanced, where metrics are compared."""
    stays = looked.wake is not None and looked.status.phase is Phase.PROGRESSING
    if not s.canary.analysis.comparisons or not stays:
        return looked
    return replace(looked, wake=_sooner(looked.wake, s.now + time_between(s.canary)))


def time_between(canary: Canary) -> timedelta:
    """The time from one glance to the next: that in which the counts are cut into looks, too."""
    return looks.time_between(canary.analysis_interval)


def _comparable(s: Situation) -> bool:
    """Whether the canary has requests of its step, and nothing is waited for that would be mistaken for its fault."""
    started = s.step != NO_STEP
    settled = not s.facts.unsettled and s.split.canary == s.status.canary_weight
    waits = s.status.reason in HOLDS - {CHECK_TOLERATED}
    return bool(s.canary.analysis.comparisons) and started and settled and not waits


def _with(s: Situation, checks: tuple[CheckStatus, ...]) -> tuple[CheckStatus, ...]:
    """The verdicts of a glance, and of the last look on what it has not looked at."""
    names = {each.name for each in checks}
    return (*checks, *(each for each in s.status.checks if each.name not in names))


def _sooner(wake: datetime | None, moment: datetime) -> datetime:
    return moment if wake is None else min(wake, moment)
