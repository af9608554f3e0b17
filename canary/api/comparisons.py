"""What can't be of metrics that are compared with the promoted version's."""

from collections.abc import Iterator

from canary.api.analysis import REQUEST_SUCCESS_RATE, Advance, Metric
from canary.api.canary import Canary
from canary.api.problems import Problem


def problems(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Comparisons that can't be made, and what goes with comparisons alone."""
    analysis, field = canary.analysis, canary.analysis_field
    for index, metric in enumerate(analysis.metrics):
        where = f"{field}.metrics[{index}]"
        yield from _alone(where, metric) if metric.compare_to is None else _compared(where, metric, canary)
    if not 0.01 <= analysis.false_rollback <= 50:
        message = f"{analysis.false_rollback:g} % is no promise"
        yield Problem(f"{field}.falseRollback", message, "write a percentage from 0.01 to 50, such as 5")
    if analysis.advance is Advance.EVIDENCE:
        yield from _on_evidence(field, canary)


def _compared(field: str, metric: Metric, canary: Canary) -> Iterator[Problem]:
    if not metric.is_built_in or metric.name != REQUEST_SUCCESS_RATE:
        message = f"{metric.name} can't be compared: of both versions only requests and failures are counted"
        yield Problem(f"{field}.compareTo", message, f"take it out, or compare the built-in {REQUEST_SUCCESS_RATE}")
    if not canary.is_copied:
        message = f"beside a {canary.spec.target_ref.kind} that is rolled out in place no primary stands"
        yield Problem(f"{field}.compareTo", message, "take it out, and set thresholdRange")
    for name, written in (("threshold", metric.threshold), ("thresholdRange", metric.threshold_range)):
        if written is not None:
            remedy = "take it out, or set it in another metric of this name"
            yield Problem(f"{field}.{name}", "does not go with compareTo, which judges by the primary", remedy)
    if not 0 <= metric.tolerance <= 99:
        yield Problem(f"{field}.tolerance", f"{metric.tolerance:g} is no share of requests", "write 0 to 99")


def _alone(field: str, metric: Metric) -> Iterator[Problem]:
    if "tolerance" in metric.model_fields_set:
        yield Problem(f"{field}.tolerance", "goes with compareTo", "take it out, or set compareTo: primary")


def _on_evidence(field: str, canary: Canary) -> Iterator[Problem]:
    compared = [canary.analysis.metrics[index] for index in canary.analysis.comparisons]
    if not compared:
        message = "there is no evidence without a comparison"
        remedy = "take it out, or set compareTo: primary in a metric"
        yield Problem(f"{field}.advance", message, remedy)
    elif any(not each.tolerance for each in compared):
        message = "that the canary is not worse by anything at all can't be shown by any number of requests"
        yield Problem(f"{field}.advance", message, "set tolerance, such as 0.5, beside each compareTo")
