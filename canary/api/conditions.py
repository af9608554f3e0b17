"""What can't be of conditions over metrics, and of what says when a check counts."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from canary.api.analysis import REQUEST_DURATION, REQUEST_SUCCESS_RATE, Metric, Policies, Series
from canary.api.canary import Canary
from canary.api.durations import duration_text
from canary.api.expressions import INSTALL, ExpressionError, NoLibraryError, parse_expression
from canary.api.problems import Problem

_EXAMPLE = 'metrics["error-rate"].value < 1 || metrics["requests"].value < 50'


def problems(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Conditions that can't be judged, and what does not go together in one check."""
    analysis, field = canary.analysis, canary.analysis_field
    counted: set[str] = set()
    for index, metric in enumerate(analysis.metrics):
        where = f"{field}.metrics[{index}]"
        yield from _policies(where, metric)
        yield from _metric(where, metric)
        if metric.is_counted and metric.name in counted:
            message = f"another metric {metric.name} counts its failures, too, and the status tells them by their names"
            yield Problem(f"{where}.name", message, "give it another name, or take consecutive and failureLimit out")
        counted |= {metric.name} if metric.is_counted else set()
    names = {metric.name for metric in analysis.metrics}
    for index, condition in enumerate(analysis.conditions):
        where = f"{field}.conditions[{index}]"
        yield from _policies(where, condition)
        if not condition.name:
            yield Problem(f"{where}.name", "is empty", "write one, such as errors-or-too-few-requests")
        elif condition.name in names:
            yield Problem(f"{where}.name", f"another check is called {condition.name}", "give it another name")
        names.add(condition.name)
        yield from _expression(f"{where}.expression", condition.expression, canary)


def _policies(field: str, check: Policies) -> Iterator[Problem]:
    told = partial(_told, check)
    if check.initial_delay < timedelta(0):
        yield Problem(
            f"{field}.initialDelay", f"{duration_text(check.initial_delay)} is no delay", "write one such as 2m"
        )
    for name in told("consecutive", "failureLimit") if check.dry_run else ():
        yield Problem(f"{field}.{name}", "does not go with dryRun, with which nothing follows", "keep one of the two")
    if check.critical and check.failure_limit is not None:
        message = "does not go with critical, of which one failed check is enough"
        yield Problem(f"{field}.failureLimit", message, "keep one of the two")


def _metric(field: str, metric: Metric) -> Iterator[Problem]:
    if metric.compare_to is not None:
        for name in _told(metric, "initialDelay", "consecutive", "failureLimit", "series"):
            message = "does not go with compareTo, which goes by all requests since the first step"
            yield Problem(f"{field}.{name}", message, "take it out")
        return
    if metric.is_built_in and metric.series is not Series.EVERY:
        yield Problem(f"{field}.series", f"the query of {metric.name} is built in, and gives one", "take it out")
    if metric.least_requests and not (metric.is_built_in and metric.name in (REQUEST_SUCCESS_RATE, REQUEST_DURATION)):
        message = f"how many requests {metric.name} is taken over is not known"
        remedy = f"take it out, and write a condition over a metric that counts them, such as {_EXAMPLE}"
        yield Problem(f"{field}.minSamples", message, remedy)


def _told(check: Policies, *names: str) -> Iterator[str]:
    """Those of these fields that say something."""
    said = {
        "initialDelay": check.initial_delay > timedelta(0),
        "consecutive": check.consecutive > 1,
        "failureLimit": check.failure_limit is not None,
        "series": isinstance(check, Metric) and check.series is not Series.EVERY,
    }
    return (name for name in names if said[name])


def _expression(field: str, text: str, canary: Canary) -> Iterator[Problem]:
    try:
        expression = parse_expression(text)
    except ExpressionError as error:
        yield Problem(field, str(error), f"write what is true or false in CEL, without loops, such as {_EXAMPLE}")
        return
    except NoLibraryError:
        yield Problem(field, "needs the package cel-expr-python, which is not installed", INSTALL)
        return
    metrics = canary.analysis.metrics
    named = Counter(metric.name for metric in metrics)
    for name in expression.metrics:
        if not named[name]:
            known = ", ".join(sorted(named))
            remedy = (
                f"name one of {known}"
                if known
                else "write the metric beside it, with dryRun where it is for this alone"
            )
            yield Problem(field, f"there is no metric {name}", remedy)
        elif named[name] > 1:
            yield Problem(field, f"there are {named[name]} metrics {name}", "give them names of their own")
