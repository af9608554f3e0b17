"""What the answers of one look say: what failed, what can't be judged, and the verdicts that are kept of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from canary.api.analysis import REQUEST_RATE, Metric, NoDataPolicy, UnavailablePolicy
from canary.api.status import CheckStatus, Verdict
from canary.rollout import comparisons, messages
from canary.rollout.arrivals import NOT_ARRIVING
from canary.rollout.decision import Event
from canary.rollout.facts import HookAnswer, HookQuestion, MetricQuestion
from canary.rollout.situation import Situation
from metrics import verdict
from metrics.judge import Outcome
from metrics.reading import Reading
from metrics.threshold import Threshold

NO_DATA = "NoData"
UNAVAILABLE = "MetricsUnavailable"
ROUTE_NOT_TAKEN = "RouteNotTaken"

CALLS = {
    UNAVAILABLE: "Canary analysis is held, metrics are unavailable",
    ROUTE_NOT_TAKEN: "Canary analysis is held, the gateway does not do what its route says",
    NOT_ARRIVING: "Canary analysis is held, requests do not arrive",
}
"""What people on call are told of a hold that is no fault of the new version, by its reason."""


_SIDES: Mapping[type[verdict.Verdict], Verdict] = {
    verdict.Pass: Verdict.PASS,
    verdict.Fail: Verdict.FAIL,
    verdict.NoData: Verdict.NO_DATA,
    verdict.Unavailable: Verdict.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a look says neither good nor bad.

    Args:
        reason: `NO_DATA` or `UNAVAILABLE`.
        message: the same in words.
        told: what is told of it.
    """

    reason: str
    message: str
    told: Event


@dataclass(frozen=True, slots=True)
class Judgement:
    """What metrics said at one look.

    Args:
        doubt: what can't be judged; None where everything can.
        failures: what is told of each metric that failed.
        checks: every verdict.
        fatal: why the version goes at once, in words: a comparison says that it is worse, or a critical check has
            failed; empty where it need not.
        proven: whether metrics are compared, and all comparisons say that the version is no worse.
    """

    doubt: Doubt | None
    failures: tuple[Event, ...]
    checks: tuple[CheckStatus, ...]
    fatal: str = ""
    proven: bool = False


def metric_questions(s: Situation, *, primary: bool = False) -> tuple[MetricQuestion, ...]:
    """The question for each metric of the spec.

    Args:
        s: the Canary and its facts.
        primary: whether the promoted version is asked about, not the canary.
    """
    asked = enumerate(s.canary.analysis.metrics)
    # A promoted version has nobody beside it to be compared with.
    return tuple(
        MetricQuestion(s.look, index, primary=primary) for index, each in asked if not (primary and each.compare_to)
    )


def hook_failures(s: Situation, questions: Iterable[HookQuestion]) -> tuple[tuple[Event, ...], tuple[CheckStatus, ...]]:
    """What is told, and kept, of the webhooks that did not approve."""
    events: list[Event] = []
    checks: list[CheckStatus] = []
    for question in questions:
        hook = s.canary.analysis.webhooks[question.index]
        answer: HookAnswer = s.approved(question)
        if not answer.approved:
            events.append(messages.refused(s.canary, hook, answer.message))
            checks.append(
                CheckStatus(name=hook.name, verdict=Verdict.FAIL, time=s.now, message=answer.message, query=hook.url)
            )
    return tuple(events), tuple(checks)


def check_of(metric: Metric, reading: Reading) -> CheckStatus:
    """The verdict on what a metrics server said of a metric, as the status keeps it."""
    if metric.compare_to is not None:
        return comparisons.not_made(metric, reading)
    judged = verdict.judge(metric.name, Threshold(metric.limits.min, metric.limits.max), reading)
    return CheckStatus(
        name=judged.name,
        verdict=_SIDES[type(judged)],
        value=judged.value,
        threshold=str(judged.threshold),
        query=judged.query,
        time=judged.time,
        samples=judged.samples,
        message=judged.message,
    )


def judge(s: Situation, questions: Iterable[MetricQuestion], *, nobody: bool = False) -> Judgement:
    """Apply each metric's policy to its verdict.

    Args:
        s: the Canary and its facts.
        questions: what was asked.
        nobody: whether no request arrives at the canary: that there is no data of it, or that its requests are too few,
            is no fault of its own then.

    Raises:
        KeyError: a question has no answer.
        TypeError: an answer is not a metric's.
    """
    doubt: Doubt | None = None
    failures: list[Event] = []
    fatal: list[str] = []
    checks: list[CheckStatus] = []
    asked = {question: _reading(s, question) for question in questions}
    found = comparisons.compared(s, {question.index: reading for question, reading in asked.items()})
    for question, reading in asked.items():
        metric, comparison = s.canary.analysis.metrics[question.index], found.get(question.index)
        check = check_of(metric, reading) if comparison is None else comparisons.check_of(comparison, reading)
        checks.append(check)
        told = messages.halted(s.canary, metric, check, primary=question.primary)
        few = metric.is_built_in and metric.name == REQUEST_RATE and check.verdict is Verdict.FAIL
        if metric.dry_run or (nobody and (few or check.verdict is Verdict.NO_DATA)):
            continue
        if check.verdict is Verdict.FAIL and (metric.critical or comparison is not None):
            fatal.append(check.message)
        match check.verdict, metric.no_data, metric.unavailable:
            case (Verdict.PASS, _, _) | (Verdict.NO_DATA, NoDataPolicy.PASS, _):
                pass
            case (Verdict.NO_DATA, NoDataPolicy.HOLD, _):
                doubt = doubt or Doubt(NO_DATA, check.message, told)
            case (Verdict.UNAVAILABLE, _, UnavailablePolicy.HOLD):
                doubt = doubt or Doubt(UNAVAILABLE, check.message, told)
            case _:
                failures.append(told)
    wanted = [index for index in s.canary.analysis.comparisons if not s.canary.analysis.metrics[index].dry_run]
    proven = bool(wanted) and all(index in found and found[index].outcome is Outcome.NO_WORSE for index in wanted)
    return Judgement(doubt, tuple(failures), tuple(checks), next(iter(fatal), ""), proven)


def _reading(s: Situation, question: MetricQuestion) -> Reading:
    reading = s.answer(question)
    if not isinstance(reading, Reading):
        msg = f"{question} was answered by {reading}"
        raise TypeError(msg)
    return reading
