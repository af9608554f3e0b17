"""What the answers of one look say: what failed, what can't be judged, and the verdicts that are kept of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from canary.api.analysis import (
    REQUEST_RATE,
    CompareTo,
    Method,
    Metric,
    NoDataPolicy,
    Policies,
    UnavailablePolicy,
    Webhook,
)
from canary.api.durations import duration_text
from canary.api.meta import utc
from canary.api.status import CheckStatus, FailureCount, Verdict
from canary.rollout import comparisons, conditions, messages
from canary.rollout.arrivals import NOT_ARRIVING
from canary.rollout.decision import Event
from canary.rollout.delays import has_delayed, is_delayed
from canary.rollout.facts import HookAnswer, HookQuestion, MetricQuestion, Undecided
from canary.rollout.kept_checks import Before, kept, place, said_before, said_by_run
from canary.rollout.situation import Situation, warning
from canary.rollout.tallies import Counts, Tallies
from metrics import verdict
from metrics.judge import Outcome
from metrics.reading import Ran, Reading, Run
from metrics.threshold import Series, Threshold

NO_DATA = "NoData"
UNAVAILABLE = "MetricsUnavailable"
ROUTE_NOT_TAKEN = "RouteNotTaken"
CHECK_TOLERATED = "CheckTolerated"
"""Reason of a step that waits for a check that fails, which counts for nothing yet."""
CHECK_RUNNING = "CheckRunning"
"""Reason of a rollout that waits for a Job to end, which has a deadline of its own."""
CHECK_WAITING = "CheckWaiting"
"""Reason of a rollout that waits for what others do, as long as the webhook says whose gate looks at it."""
GATE_UNAVAILABLE = "GateUnavailable"

AWAITED = frozenset({CHECK_RUNNING, CHECK_WAITING})
"""Reasons of a rollout that waits for an answer which is to come."""

CALLS = {
    UNAVAILABLE: "Canary analysis is held, metrics are unavailable",
    GATE_UNAVAILABLE: "Canary analysis is held, a gate can't be asked",
    ROUTE_NOT_TAKEN: "Canary analysis is held, the gateway does not do what its route says",
    NOT_ARRIVING: "Canary analysis is held, requests do not arrive",
}
"""What people on call are told of a hold that is no fault of the new version, by its reason."""

_BESIDE = frozenset({CompareTo.PRIMARY, CompareTo.BASELINE})
"""What a promoted version is not compared with: nothing of the version before stands beside it any more."""

_NOTHING = Event("")
"""What is told of a check that has passed."""

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
        reason: such as `NO_DATA`, `UNAVAILABLE` or `CHECK_RUNNING`.
        message: the same in words.
        told: what is told of it.
    """

    reason: str
    message: str
    told: Event


@dataclass(frozen=True, slots=True)
class Judgement:
    """What metrics, or webhooks, said at one look.

    Args:
        doubt: what can't be judged; None where everything can.
        failures: what is told of each check that failed.
        checks: every verdict.
        fatal: why the version goes at once, in words: a comparison says that it is worse, or a critical check has
            failed; empty where it need not.
        proven: whether metrics are compared, all comparisons say that the version is no worse, and it is not too early
            for any check.
        tolerated: the checks that failed, and count for nothing yet.
        counts: the failures that are counted check by check, with those of this look.
    """

    doubt: Doubt | None
    failures: tuple[Event, ...]
    checks: tuple[CheckStatus, ...]
    fatal: str = ""
    proven: bool = False
    tolerated: tuple[Doubt, ...] = ()
    counts: tuple[FailureCount, ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """What is to be said of metrics whose values are compared.

    Args:
        checks: the verdict on each metric, by its place in the spec.
        settled: the places of those of whose verdict nothing follows but the score.
        fatal: why the version goes, in words; empty where it need not.
    """

    checks: Mapping[int, CheckStatus] = field(default_factory=dict)
    settled: frozenset[int] = frozenset()
    fatal: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """One verdict, and what follows from it.

    Args:
        check: the verdict.
        policies: the spec's.
        told: what is told of it where it is not good.
        worse: whether it says of a comparison that the canary is worse.
        excused: whether it is no fault of the canary that it is not good.
        running: whether it is still to come.
        scored: whether nothing follows from it alone, but from the score of several together.
    """

    check: CheckStatus
    policies: Policies
    told: Event
    worse: bool = False
    excused: bool = False
    running: bool = False
    scored: bool = False


def metric_questions(s: Situation, *, primary: bool = False) -> tuple[MetricQuestion, ...]:
    """The question for each metric of the spec.

    Args:
        s: the Canary and its facts.
        primary: whether the promoted version is asked about, not the canary.
    """
    asked = enumerate(s.canary.analysis.metrics)
    # A promoted version has nobody beside it to be compared with.
    return tuple(
        MetricQuestion(s.look, index, primary=primary)
        for index, each in asked
        if not (primary and (each.compare_to in _BESIDE or each.method is Method.MANN_WHITNEY))
        and not is_delayed(s, each, primary=primary)
        and (primary or not s.is_off(each.name))
    )


def judge_hooks(s: Situation, questions: Iterable[HookQuestion]) -> Judgement:
    """What is told, and kept, of the webhooks that did not approve, and of all gates.

    A gate that has yet to answer is waited for, as long as its hook says; one that can't be asked says nothing.
    """
    events: list[Event] = []
    checks: list[CheckStatus] = []
    doubts: list[Doubt] = []
    before = said_before(s)
    for question in questions:
        hook, answer = s.canary.analysis.webhooks[question.index], s.approved(question)
        check = hook_check(s, hook, answer)
        check = kept(check, before if hook.gate is None else said_by_run(s, check))
        doubt = _hook_doubt(s, hook, answer, check)
        if check.verdict is Verdict.NO_DATA and doubt is None:
            words = f"not within {duration_text(s.canary.time_for(hook))}: {answer.message}"
            check = kept(check.replace(verdict=Verdict.FAIL, since=None, message=words), {})
        if hook.gate is not None or not answer.approved:
            checks.append(check)
        if doubt is not None:
            doubts.append(doubt)
        elif not answer.approved:
            events.append(messages.refused(s.canary, hook, check.message))
    return Judgement(gravest(*doubts), tuple(events), tuple(checks))


def hook_check(s: Situation, hook: Webhook, answer: HookAnswer) -> CheckStatus:
    """The verdict of a webhook, or of a gate, as the status keeps it."""
    verdict_ = Verdict.PASS if answer.approved else Verdict.FAIL
    if answer.undecided is not None:
        verdict_ = Verdict.UNAVAILABLE if answer.undecided is Undecided.UNAVAILABLE else Verdict.NO_DATA
    place_ = answer.run if hook.gate is not None else place(hook)
    return CheckStatus(name=hook.name, verdict=verdict_, time=s.now, message=answer.message, query=place_)


def _hook_doubt(s: Situation, hook: Webhook, answer: HookAnswer, check: CheckStatus) -> Doubt | None:
    """Why a gate leaves the look undecided; None where it has answered, or was waited for long enough."""
    words = f"{hook.name}: {answer.message}"
    match answer.undecided:
        case None:
            return None
        case Undecided.UNAVAILABLE:
            return Doubt(GATE_UNAVAILABLE, words, warning(f"{messages.halt(s.canary)} gate {words}"))
    if s.now - s.facts.counted(utc(check.since or s.now)) >= s.canary.time_for(hook):
        return None
    reason = CHECK_RUNNING if answer.undecided is Undecided.RUNNING else CHECK_WAITING
    return Doubt(reason, words, messages.awaited(s.canary, hook, answer.message))


def come(s: Situation) -> tuple[CheckStatus, ...]:
    """The verdicts that are stored, without those of gates that were still waited for."""
    gated = {hook.name for hook in s.canary.analysis.webhooks if hook.gate is not None}
    return tuple(each for each in s.status.checks if each.name not in gated or each.verdict is not Verdict.NO_DATA)


def gravest(*doubts: Doubt | None) -> Doubt | None:
    """The doubt that goes before the others: what can't be asked, before what was asked and has yet to answer."""
    found = [each for each in doubts if each is not None]
    return min(found, key=lambda each: each.reason in AWAITED, default=None)


def check_of(metric: Metric, reading: Reading) -> CheckStatus:
    """The verdict on what a metrics server said of a metric, as the status keeps it."""
    if metric.compare_to is not None:
        return comparisons.not_made(metric, reading)
    judged = _judged(metric, reading)
    return CheckStatus(
        name=judged.name,
        verdict=_SIDES[type(judged)],
        value=judged.value,
        threshold="" if judged.words else str(judged.threshold),
        query=judged.query,
        time=judged.time,
        samples=judged.samples,
        message=judged.message,
    )


def _judged(metric: Metric, reading: Reading) -> verdict.Verdict:
    limits = Threshold(metric.limits.min, metric.limits.max)
    return verdict.judge(metric.name, limits, reading, series=Series(metric.series.value), least=metric.least_requests)


def judge(
    s: Situation,
    questions: Iterable[MetricQuestion],
    *,
    nobody: bool = False,
    before: tuple[FailureCount, ...] | None = None,
) -> Judgement:
    """Apply the policy of each metric, and of each condition over them, to its verdict.

    Args:
        s: the Canary and its facts.
        questions: what was asked.
        nobody: whether no request arrives at the canary: that there is no data of it, or that its requests are too few,
            is no fault of its own then.
        before: the failures that were counted check by check before; None at a glance, which judges no conditions.

    Raises:
        KeyError: a question has no answer.
        TypeError: an answer is not a metric's.
    """
    asked = {question: _reading(s, question) for question in questions}
    primary = any(question.primary for question in asked)
    same = said_before(s, primary=primary)
    by_place = {question.index: reading for question, reading in asked.items()}
    compared, values = comparisons.compared(s, by_place), _scored(s, by_place)
    found: list[_Found] = []
    seen: dict[str, conditions.Seen] = {}
    conditioned = before is not None and bool(s.canary.analysis.conditions)
    for question, reading in asked.items():
        metric, comparison = s.canary.analysis.metrics[question.index], compared.get(question.index)
        if comparison is not None:
            said = comparisons.check_of(metric, comparison, reading)
            said = said.replace(evidence=comparisons.evidence_of(s, metric, comparison, primary=question.primary))
        else:
            said = values.checks.get(question.index) or check_of(metric, reading)
        check = kept(said, same)
        if isinstance(reading.said, Run) and reading.said.ran is Ran.PENDING:
            found.append(_Found(check, metric, Event(f"Waiting for {check.message}"), running=True))
            continue
        passes = check.verdict is Verdict.PASS
        told = messages.halted(s.canary, metric, check, primary=question.primary) if not passes else _NOTHING
        few = metric.is_built_in and metric.name == REQUEST_RATE and check.verdict is Verdict.FAIL
        excused = nobody and (few or check.verdict is Verdict.NO_DATA)
        scored = question.index in values.settled
        found.append(_Found(check, metric, told, worse=comparison is not None, excused=excused, scored=scored))
        if conditioned:
            # The status' number is absent where it is infinite.
            value = check.value if metric.compare_to is not None else _judged(metric, reading).value
            seen[metric.name] = conditions.Seen(check, value)
    if conditioned:
        found += _conditions(s, seen, same, nobody=nobody, primary=primary)
    wanted = [index for index in s.canary.analysis.comparisons if not s.canary.analysis.metrics[index].dry_run]
    proven = bool(wanted) and all(index in compared and compared[index].outcome is Outcome.NO_WORSE for index in wanted)
    score = values.fatal if not nobody else ""
    return _weighed(found, before or (), proven=proven and not has_delayed(s), score=score)


def _scored(s: Situation, readings: Mapping[int, Reading]) -> Scored:
    if not s.canary.analysis.scored:
        return Scored()
    from canary.rollout.scores import scored  # noqa: PLC0415 - few Canaries compare values, and all would load it

    return scored(s, readings)


def _conditions(
    s: Situation, seen: Mapping[str, conditions.Seen], same: Before, *, nobody: bool, primary: bool
) -> Iterable[_Found]:
    """The conditions: where nobody arrives, those that say no more than that are excused."""
    halt = messages.halt(s.canary, primary=primary)
    for condition, check in conditions.checks_of(s, seen, primary=primary):
        told = warning(f"{halt} condition {check.message}")
        yield _Found(kept(check, same), condition, told, excused=nobody)


def _weighed(found: Iterable[_Found], before: tuple[FailureCount, ...], *, proven: bool, score: str = "") -> Judgement:
    """What follows from all verdicts together."""
    doubt: Doubt | None = None
    running: Doubt | None = None
    failures: list[Event] = []
    tolerated: list[Doubt] = []
    fatal: list[str] = []
    checks: list[CheckStatus] = []
    tallies = Tallies({each.name: each for each in before})
    for each in found:
        check, policies = each.check, each.policies
        checks.append(check)
        if each.scored:
            continue
        if policies.dry_run or (each.excused and check.verdict is not Verdict.PASS):
            tallies.keep(policies, check.name)
            continue
        if each.running:
            tallies.keep(policies, check.name)
            running = running or Doubt(CHECK_RUNNING, check.message, each.told)
            continue
        match check.verdict, policies.no_data, policies.unavailable:
            case (Verdict.PASS, _, _) | (Verdict.NO_DATA, NoDataPolicy.PASS, _):
                tallies.passed(policies, check.name)
            case (Verdict.NO_DATA, NoDataPolicy.HOLD, _):
                tallies.keep(policies, check.name)
                doubt = doubt or Doubt(NO_DATA, check.message, each.told)
            case (Verdict.UNAVAILABLE, _, UnavailablePolicy.HOLD):
                tallies.keep(policies, check.name)
                doubt = doubt or Doubt(UNAVAILABLE, check.message, each.told)
            case _:
                counts, words = tallies.failed(policies, check.name)
                message, told = check.message, each.told
                if words:
                    message, told = f"{message} ({words})", replace(told, message=f"{told.message} ({words})")
                if counts is Counts.NOTHING:
                    tolerated.append(Doubt(CHECK_TOLERATED, message, told))
                    continue
                failures.append(told)
                if counts is Counts.ROLLBACK:
                    fatal.append(message)
                elif check.verdict is Verdict.FAIL and (policies.critical or each.worse):
                    fatal.append(check.message)
    why = next(iter(fatal), score)
    return Judgement(doubt or running, tuple(failures), tuple(checks), why, proven, tuple(tolerated), tallies.after)


def _reading(s: Situation, question: MetricQuestion) -> Reading:
    reading = s.answer(question)
    if not isinstance(reading, Reading):
        msg = f"{question} was answered by {reading}"
        raise TypeError(msg)
    return reading
