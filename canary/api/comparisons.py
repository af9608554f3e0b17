"""What can't be of metrics that are compared with the promoted version's."""

from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from canary.api.analysis import REQUEST_DURATION, REQUEST_SUCCESS_RATE, Advance, CompareTo, Method, Metric
from canary.api.canary import Canary
from canary.api.mann_whitney import TOGETHER
from canary.api.problems import Problem

ALL = 100


def problems(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Comparisons that can't be made, and what goes with comparisons alone."""
    analysis, field = canary.analysis, canary.analysis_field
    for index, metric in enumerate(analysis.metrics):
        where = f"{field}.metrics[{index}]"
        if metric.compare_to is None:
            yield from _alone(where, metric)
        else:
            yield from _compared(where, metric, canary)
    yield from _scores(field, canary)
    if not 0.01 <= analysis.false_rollback <= 50:
        message = f"{analysis.false_rollback:g} % is no promise"
        yield Problem(f"{field}.falseRollback", message, "write a percentage from 0.01 to 50, such as 5")
    if analysis.advance is Advance.EVIDENCE:
        yield from _on_evidence(field, canary)


def _compared(field: str, metric: Metric, canary: Canary) -> Iterator[Problem]:
    yield from _by_values(field, metric) if metric.method is Method.MANN_WHITNEY else _by_counts(field, metric)
    if not canary.is_copied and metric.compare_to is CompareTo.PRIMARY:
        message = f"beside a {canary.spec.target_ref.kind} that is rolled out in place no primary stands"
        yield Problem(f"{field}.compareTo", message, "write previous, or take it out, and set thresholdRange")


def _by_counts(field: str, metric: Metric) -> Iterator[Problem]:
    if not metric.is_built_in or metric.name not in (REQUEST_SUCCESS_RATE, REQUEST_DURATION):
        message = f"{metric.name} can't be compared: of both versions only requests, failures and slow ones are counted"
        built_in = f"the built-in {REQUEST_SUCCESS_RATE} or {REQUEST_DURATION}"
        remedy = f"take it out, compare {built_in}, or set method: mannWhitney"
        yield Problem(f"{field}.compareTo", message, remedy)
    yield from _bounds(field, metric)
    if not 0 <= metric.tolerance <= 99:
        yield Problem(f"{field}.tolerance", f"{metric.tolerance:g} is no share of requests", "write 0 to 99")
    if "mann_whitney" in metric.model_fields_set:
        yield Problem(f"{field}.mannWhitney", "goes with the method of that name", "set method: mannWhitney")


def _by_values(field: str, metric: Metric) -> Iterator[Problem]:
    for name in ("threshold", "threshold_range", "tolerance", "min_samples"):
        if name in metric.model_fields_set:
            message = "does not go with method: mannWhitney, which compares values by their ranks"
            yield Problem(f"{field}.{to_camel(name)}", message, "take it out, or set mannWhitney.effectSize")
    for name in ("allowed_increase", "allowed_decrease", "critical_increase", "critical_decrease"):
        size = getattr(metric.mann_whitney.effect_size, name)
        if size is not None and size < 0:
            where = f"{field}.mannWhitney.effectSize.{to_camel(name)}"
            yield Problem(where, f"{size:g} is no ratio", "write a number such as 1.1")


def _scores(field: str, canary: Canary) -> Iterator[Problem]:
    scores, metrics = canary.analysis.scores, canary.analysis.metrics
    if scores is None:
        return
    if not canary.analysis.scored:
        yield Problem(f"{field}.scores", "goes with method: mannWhitney", "take it out, or set method in a metric")
    for name, score in (("pass", scores.passing), ("marginal", scores.marginal)):
        if not 0 <= score <= ALL:
            yield Problem(f"{field}.scores.{name}", f"{score} is no score", "write 0 to 100")
    if scores.marginal > scores.passing:
        message = f"{scores.marginal} is more than pass, {scores.passing}"
        yield Problem(f"{field}.scores.marginal", message, "write pass or less")
    groups = {group for index in canary.analysis.scored for group in metrics[index].mann_whitney.groups or (TOGETHER,)}
    for group in sorted(scores.weights.keys() - groups):
        message = f"no metric is in the group {group!r}"
        yield Problem(f"{field}.scores.weights", message, f"write {', '.join(sorted(groups)) or 'a group'}, or none")
    total = sum(scores.weights.values())
    if min(scores.weights.values(), default=0) < 0 or total > ALL or (groups <= scores.weights.keys() and total != ALL):
        yield Problem(f"{field}.scores.weights", f"they come to {total} %", "write percentages that come to 100")


def _bounds(field: str, metric: Metric) -> Iterator[Problem]:
    """Of a duration the most may be said: slower requests are counted then."""
    limits, timed = metric.threshold_range, metric.name == REQUEST_DURATION
    remedy = "take it out, or set it in another metric of this name"
    if metric.threshold is not None:
        way = "take it out, or set thresholdRange.max: slower requests are counted then" if timed else remedy
        yield Problem(f"{field}.threshold", "does not go with compareTo, which judges by the primary", way)
    if limits is None:
        return
    if not timed:
        yield Problem(f"{field}.thresholdRange", "does not go with compareTo, which judges by the primary", remedy)
    elif limits.min is not None:
        yield Problem(f"{field}.thresholdRange.min", "does not go with compareTo: no request is too fast", remedy)
    elif limits.max is not None and limits.max <= 0:
        yield Problem(f"{field}.thresholdRange.max", f"{limits.max:g} ms is no time", "write milliseconds, such as 500")


def _alone(field: str, metric: Metric) -> Iterator[Problem]:
    for name in ("tolerance", "method", "mann_whitney"):
        if name in metric.model_fields_set:
            yield Problem(f"{field}.{to_camel(name)}", "goes with compareTo", "take it out, or set compareTo: primary")


def _on_evidence(field: str, canary: Canary) -> Iterator[Problem]:
    compared = [canary.analysis.metrics[index] for index in canary.analysis.comparisons]
    if not compared:
        message = "there is no evidence without a comparison"
        remedy = "take it out, or set compareTo: primary in a metric"
        yield Problem(f"{field}.advance", message, remedy)
    elif canary.in_place:
        message = f"the pods of a {canary.spec.target_ref.kind} are replaced step by step, each with an interval"
        yield Problem(f"{field}.advance", message, "take it out, or write onInterval")
    elif any(not each.tolerance for each in compared):
        message = "that the canary is not worse by anything at all can't be shown by any number of requests"
        yield Problem(f"{field}.advance", message, "set tolerance, such as 0.5, beside each compareTo")
