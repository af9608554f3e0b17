"""Traffic that is checked: whether the requests come where the route says that they are led.

What is counted is of the time since the last look, less what the data plane is given to follow: the weight was the same
all that time. Of a canary to which nothing comes its metrics say nothing, and neither does it itself.
"""

from dataclasses import replace
from datetime import timedelta

from canary.api.analysis import NoDataPolicy
from canary.api.durations import duration_text
from canary.api.traffic import TOTAL_WEIGHT
from canary.rollout.decision import Decision
from canary.rollout.facts import Counts, TrafficAnswer, TrafficQuestion
from canary.rollout.sample_ratio import NoneArriving, OffShare, ratio
from canary.rollout.situation import Situation, warning

NOT_ARRIVING = "TrafficNotArriving"

SECOND = timedelta(seconds=1)
"""How exactly the time of the last transition is kept."""


def traffic_question(s: Situation) -> TrafficQuestion | None:
    """The question for the requests of this step; None where there is nothing to be told from them.

    That is so where somebody else than the weight decides who gets to the canary, where it gets everything or nothing,
    where a baseline stands beside it, and before the data plane has followed.
    """
    status, analysis = s.status, s.canary.analysis
    if not s.facts.countable or s.facts.unsettled or s.facts.partitions is not None or status.last_check_time is None:
        return None
    chosen = analysis.match or analysis.always_match or analysis.mirror or analysis.session_affinity is not None
    divided = 0 < status.canary_weight < TOTAL_WEIGHT and s.split.canary == status.canary_weight
    # What a baseline gives back and gets again is the primary's, so that the ratio says nothing of the canary's weight.
    beside = s.canary.wants_baseline or s.split.baseline > 0 or s.step.split.header > 0
    if chosen or beside or not divided:
        return None
    moved = max(status.last_check_time, (status.last_transition_time or status.last_check_time) + SECOND)
    since = s.settled_at(moved)
    return TrafficQuestion(s.look, since) if s.now >= since + SECOND else None


def not_arriving(s: Situation) -> str:
    """Why the analysis is held as nothing comes to the canary, in words; empty where that is not known.

    What is known of it stays known until something has come: few requests prove nothing, and neither does silence.

    Raises:
        KeyError: the question was not answered.
    """
    metrics = s.canary.analysis.metrics
    question = traffic_question(s)
    if question is None or (metrics and all(each.no_data is NoDataPolicy.PASS for each in metrics)):
        return ""
    counts = _counts(s, question)
    found = ratio(counts, s.status.canary_weight) if counts is not None else None
    if isinstance(found, NoneArriving) and counts is not None:
        return _none_came(s, found, counts)
    came = counts is not None and counts.canary.least > 0
    return s.status.message if s.status.reason == NOT_ARRIVING and not came else ""


def with_share(s: Situation, decision: Decision) -> Decision:
    """The decision of a look, with what is told of requests that are divided otherwise than asked: once a step."""
    weight = s.status.canary_weight
    if decision.asks or s.status.off_share_weight == weight:
        return decision
    question = traffic_question(s)
    if question is None or question not in s.facts.answers:
        return decision
    counts = _counts(s, question)
    words = _otherwise(s, counts, held=NOT_ARRIVING in (s.status.reason, decision.status.reason)) if counts else ""
    if not words:
        return decision
    return replace(
        decision,
        status=decision.status.replace(off_share_weight=weight, message=decision.status.message or words),
        events=(*decision.events, warning(f"Traffic of {s.full_name} is not divided as asked: {words}")),
    )


def _otherwise(s: Situation, counts: Counts, *, held: bool) -> str:
    """How requests are divided otherwise than asked, in words; that none come is told by a hold where there is one."""
    match ratio(counts, s.status.canary_weight):
        case NoneArriving() as found if not held:
            return _none_came(s, found, counts)
        case OffShare(asked, share, seen):
            got = f"{share:.3g} % of {seen} requests in {duration_text(counts.window)}"
            service = s.canary.service_canary_name if share > asked else s.canary.service_name
            return f"the canary got {got}, its weight is {asked}: {_where_to_look(service)}"
    return ""


def _counts(s: Situation, question: TrafficQuestion) -> Counts | None:
    answer = s.answer(question)
    if not isinstance(answer, TrafficAnswer):
        msg = f"{question} was answered by {answer}"
        raise TypeError(msg)
    return answer.counts


def _none_came(s: Situation, found: NoneArriving, counts: Counts) -> str:
    return (
        f"none of {found.seen} requests arrived at the canary in {duration_text(counts.window)}; "
        f"{found.expected} were expected at weight {s.status.canary_weight}: {_where_to_look(s.canary.service_name)}"
    )


def _where_to_look(service: str) -> str:
    return f"is there another route of the same host and path, or one that leads to Service {service}?"
