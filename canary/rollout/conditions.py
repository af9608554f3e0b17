"""What expressions over several metrics say at a look."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from canary.api.analysis import MetricCondition
from canary.api.expressions import (
    SAMPLES,
    VALUE,
    Expression,
    ExpressionError,
    NoLibraryError,
    Undecided,
    parse_expression,
)
from canary.api.status import CheckStatus, Verdict
from canary.rollout.delays import is_delayed
from canary.rollout.situation import Situation


class Seen(NamedTuple):
    """A metric of this look: its verdict, and its number, which no status can tell where it is infinite."""

    check: CheckStatus
    value: float | None


def checks_of(
    s: Situation, seen: Mapping[str, Seen], *, primary: bool = False
) -> Iterator[tuple[MetricCondition, CheckStatus]]:
    """The verdicts of the conditions all whose metrics were looked at.

    Args:
        s: the Canary and its facts.
        seen: the metrics of this look, by name.
        primary: whether the promoted version was looked at.
    """
    for condition in s.canary.analysis.conditions:
        if is_delayed(s, condition, primary=primary) or (not primary and s.is_off(condition.name)):
            continue
        try:
            expression = parse_expression(condition.expression)
        except (ExpressionError, NoLibraryError) as error:
            # The rules refuse it; where they are not asked, nothing is known.
            yield condition, _check(s, condition, Verdict.UNAVAILABLE, f"can't be told: {error}")
            continue
        if all(name in seen for name in expression.metrics):
            yield condition, _judged(s, condition, expression, {name: seen[name] for name in expression.metrics})


def _judged(
    s: Situation, condition: MetricCondition, expression: Expression, metrics: Mapping[str, Seen]
) -> CheckStatus:
    found = expression.judge({name: _numbers(each) for name, each in metrics.items()})
    if isinstance(found, Undecided):
        side, why = _undecided(found, metrics)
        return _check(s, condition, side, f"can't be told: {why}")
    words = ", ".join(f"{name} {_shown(each)}" for name, each in metrics.items())
    verdict = Verdict.PASS if found else Verdict.FAIL
    return _check(s, condition, verdict, f"is {str(found).lower()}: {words}")


def _undecided(found: Undecided, metrics: Mapping[str, Seen]) -> tuple[Verdict, str]:
    """A server that can't be asked comes first: what it would say may be all that is missing."""
    for side, words in ((Verdict.UNAVAILABLE, "can't be asked for"), (Verdict.NO_DATA, "has no data")):
        names = [name for name, each in metrics.items() if each.check.verdict is side]
        if names:
            return side, f"{', '.join(names)} {words}"
    return Verdict.NO_DATA, found.reason


def _numbers(seen: Seen) -> dict[str, float]:
    said = {VALUE: seen.value, SAMPLES: seen.check.samples}
    return {name: number for name, number in said.items() if number is not None}


def _shown(seen: Seen) -> str:
    return "has no value" if seen.value is None else f"is {seen.value:.6g}"


def _check(s: Situation, condition: MetricCondition, verdict: Verdict, words: str) -> CheckStatus:
    return CheckStatus(
        name=condition.name,
        verdict=verdict,
        threshold="true",
        query=condition.expression,
        time=s.now,
        message=f"{condition.name} {words}",
    )
