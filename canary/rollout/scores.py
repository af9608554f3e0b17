"""What values of both versions say of a canary, scored together as Kayenta scores them."""

from collections.abc import Mapping
from datetime import datetime

from canary.api.analysis import Metric, NoDataPolicy
from canary.api.mann_whitney import TOGETHER, Scores
from canary.api.status import CheckStatus, Verdict
from canary.rollout.situation import Situation
from canary.rollout.verdicts import Scored
from metrics.judge.mannwhitney import Classified, Direction, EffectSize, Label, Measure, NaNStrategy, Series, classify
from metrics.judge.scores import Grade, Score, Thresholds, score
from metrics.reading import Reading, Sampled

LEAST = 5
"""Values of each version, of fewer of which no difference is significant at Kayenta's level."""


def scored(s: Situation, readings: Mapping[int, Reading]) -> Scored:
    """Judge the metrics whose values are compared.

    Before the last look a score below `marginal` ends the rollout, at the last one a score below `pass`. Nothing is
    scored while one of the metrics waits for values.

    Args:
        s: the Canary and its facts.
        readings: what was said of them, by their places in the spec.
    """
    wanted = s.canary.analysis.scored
    metrics = {index: s.canary.analysis.metrics[index] for index in wanted if index in readings}
    sampled = {
        index: _series(metrics[index], each.said)
        for index, each in readings.items()
        if index in metrics and isinstance(each.said, Sampled)
    }
    last = s.at_last_step
    checks = {
        index: _check(metrics[index], classify(series), readings[index].time, readings[index].query, last=last)
        for index, series in sampled.items()
    }
    waits = {index for index, check in checks.items() if _waits(metrics[index], check) or _few(sampled[index])}
    settled = frozenset(index for index in checks.keys() - waits if checks[index].verdict is not Verdict.PASS)
    if not sampled or len(sampled) < len(metrics) or waits:
        return Scored(checks, settled)
    scores = s.canary.analysis.scores or Scores()
    thresholds = Thresholds(scores.passing, min(scores.marginal, scores.passing))
    found = score(list(sampled.values()), scores.weights, thresholds)
    fails = found.grade is Grade.FAIL or (last and found.grade is not Grade.PASSES)
    return Scored(checks, settled, _words(found, scores, last=last) if fails else "")


def _series(metric: Metric, said: Sampled) -> Series:
    way = metric.mann_whitney
    sizes = way.effect_size
    return Series(
        name=metric.name,
        canary=said.canary,
        promoted=said.promoted,
        direction=Direction(way.direction.value),
        nan_strategy=NaNStrategy(way.nan_strategy.value),
        effect_size=EffectSize(
            measure=Measure(sizes.measure.value),
            allowed_increase=sizes.allowed_increase,
            allowed_decrease=sizes.allowed_decrease,
            critical_increase=sizes.critical_increase,
            critical_decrease=sizes.critical_decrease,
        ),
        critical=metric.critical,
        must_have_data=metric.no_data is NoDataPolicy.FAIL,
        groups=way.groups or (TOGETHER,),
        muted=metric.dry_run,
    )


def _few(series: Series) -> bool:
    return min(len(series.canary), len(series.promoted)) < LEAST


def _waits(metric: Metric, check: CheckStatus) -> bool:
    return check.verdict is Verdict.NO_DATA and metric.no_data is NoDataPolicy.HOLD and not metric.dry_run


def _check(metric: Metric, found: Classified, time: datetime, query: str, *, last: bool) -> CheckStatus:
    """The verdict on one metric, as the status keeps it: the canary's mean over the other's as value."""
    count = min(len(found.series.canary), len(found.series.promoted))
    message = found.reason or f"{metric.name} is no different"
    if count < LEAST:
        verdict = Verdict.NO_DATA if last else Verdict.PASS
        message = f"{metric.name} can't be told yet: {count} of {LEAST} values"
    elif found.label in (Label.NO_DATA, Label.NO_DATA_FAILS):
        verdict = Verdict.NO_DATA
    else:
        verdict = Verdict.PASS if found.label is Label.PASSES else Verdict.FAIL
    known = count >= LEAST and verdict is not Verdict.NO_DATA and found.ratio == found.ratio
    return CheckStatus(
        name=metric.name,
        verdict=verdict,
        value=found.ratio if known else None,
        threshold=f"{metric.compare_to.value if metric.compare_to is not None else ''} by mannWhitney".strip(),
        query=query,
        time=time,
        samples=count,
        message=message,
    )


def _words(found: Score, scores: Scores, *, last: bool) -> str:
    bound, name = (scores.passing, "pass") if last else (scores.marginal, "marginal")
    why = found.reason or "; ".join(each.reason for each in found.metrics if each.label is not Label.PASSES)
    groups = ", ".join(f"{each.name} {each.score:g}" for each in found.groups if each.score is not None)
    return f"score {found.score:g} is less than {bound} ({name}): {why}" + (f" ({groups})" if groups else "")
