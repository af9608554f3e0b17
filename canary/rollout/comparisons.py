"""What comparisons with the promoted version say of a canary: of all metrics together, however often one looks."""

from collections.abc import Mapping
from itertools import accumulate

from canary.api.analysis import Metric
from canary.api.status import CheckStatus, Counted, Evidence, Verdict
from canary.rollout.situation import Situation
from metrics.judge import Compared, Comparison, Counts, Outcome, Promise, Rule, judge
from metrics.judge.evidence import kept
from metrics.question import Empty
from metrics.reading import Compared as CountedBoth
from metrics.reading import Reading, Unread
from metrics.threshold import plain


def compared(s: Situation, readings: Mapping[int, Reading]) -> dict[int, Comparison]:
    """Judge the metrics that are compared.

    Args:
        s: the Canary and its facts.
        readings: what was said of them, by their places in the spec; who has no counts is left out.
    """
    counts = {index: each.said for index, each in readings.items() if isinstance(each.said, CountedBoth)}
    metrics = s.canary.analysis.metrics
    given = [_given(s, metrics[index], said) for index, said in counts.items()]
    found = judge(given, _promise(s)) if given else None
    return dict(zip(counts, found.comparisons, strict=True)) if found else {}


def check_of(metric: Metric, found: Comparison, reading: Reading) -> CheckStatus:
    """The verdict of a comparison, as the status keeps it: the canary's rate, and how many requests it had.

    Of failures it is the success rate, in percent; of latencies the share that is slow.
    """
    bound = reading.said.bound if isinstance(reading.said, CountedBoth) else None
    known = found.canary.requests and found.promoted.requests
    rate, usual, tolerance = (100 * each for each in (found.canary.rate, found.promoted.rate, found.rule.tolerance))
    if bound is None:
        value, threshold = 100 - rate, f"{_other(metric)} {100 - usual:.4g} less {tolerance:g}"
    else:
        value, threshold = rate, f"{_other(metric)} {usual:.4g} and {tolerance:g}"
    return CheckStatus(
        name=metric.name,
        verdict=_verdict(found),
        value=value if known else None,
        threshold=threshold if known else _other(metric),
        query=reading.query,
        time=reading.time,
        samples=round(found.canary.requests),
        message=found.message,
    )


def evidence_of(s: Situation, metric: Metric, found: Comparison, *, primary: bool) -> Evidence | None:
    """What a comparison has come to, for whoever puts it together with those of other clusters.

    One process of bets a rollout: what begins anew, with each step or with the promotion, would be another one. Of a
    metric from which nothing follows here nothing follows elsewhere.

    Args:
        s: the Canary and its facts.
        metric: the metric.
        found: the comparison.
        primary: whether the promoted version is looked at.
    """
    if primary or s.stretches > 1 or metric.dry_run:
        return None
    return Evidence(bets=kept(found.bets), canary=_counted(found.canary), promoted=_counted(found.promoted))


def _counted(counts: Counts) -> Counted:
    return Counted(requests=round(counts.requests, 1), bad=round(counts.bad, 1))


def not_made(metric: Metric, reading: Reading) -> CheckStatus:
    """The verdict where the requests of the two versions could not be asked for, or none were counted."""
    said = reading.said
    reason = said.reason if isinstance(said, Empty | Unread) else "the answer has no counts of two versions"
    return CheckStatus(
        name=metric.name,
        verdict=Verdict.UNAVAILABLE if isinstance(said, Unread) else Verdict.NO_DATA,
        threshold=_other(metric),
        query=reading.query,
        time=reading.time,
        message=f"{metric.name} can't be compared: {reason}",
    )


def _promise(s: Situation) -> Promise:
    """What the spec promises of a rollout: what is judged by itself has its part of it."""
    return Promise(false_rollback=s.canary.analysis.false_rollback / 100 / s.stretches)


def _verdict(found: Comparison) -> Verdict:
    """Undecided is no fault, but of too few requests nothing follows."""
    match found.outcome:
        case Outcome.WORSE:
            return Verdict.FAIL
        case Outcome.NO_WORSE:
            return Verdict.PASS
    return Verdict.PASS if found.enough else Verdict.NO_DATA


def _other(metric: Metric) -> str:
    return metric.compare_to.value if metric.compare_to is not None else ""


def _given(s: Situation, metric: Metric, said: CountedBoth) -> Compared:
    rule = Rule(tolerance=metric.tolerance / 100, min_samples=metric.min_samples)
    name = metric.name if said.bound is None else f"{metric.name} above {plain(round(said.bound, 3))} ms"
    return Compared(name=name, looks=said.looks, rule=rule, step=_step(s, said), usual=said.usual)


def _step(s: Situation, said: CountedBoth) -> int:
    """Which look is the first of the current step."""
    begun = s.status.last_transition_time
    before = (begun - said.since).total_seconds() if begun is not None else 0.0
    return sum(end <= before for end in accumulate(look.seconds for look in said.looks))
