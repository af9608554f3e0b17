"""Expressions over the numbers of metrics: what holds, what can't be told, and what is refused before anything runs."""

import math
import sys

import pytest

from canary.api import expressions
from canary.api.analysis import MAX_EXPRESSION
from canary.api.expressions import ExpressionError, NoLibraryError, Undecided, parse_expression

NUMBERS = {"error-rate": {"value": 3.0}, "requests": {"value": 40.0, "samples": 2.0}, "silent": {}}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('metrics["error-rate"].value < 1', False),
        ('metrics["error-rate"].value < 1 || metrics["requests"].samples < 50', True),
        ("metrics['error-rate'].value >= 3.0 && metrics.requests.value > 39", True),
        ('metrics["error-rate"].value / metrics.requests.value < 0.1', True),
        ("1 < metrics.requests.samples", True),
        ("!has(metrics.silent.value) || metrics.silent.value < 1", True),
        ('metrics.requests.value < 50 ? true : metrics["error-rate"].value < 1', True),
        ('metrics.requests.value > 1 // metrics["a"] and "metrics.b"', True),
    ],
)
def test_an_expression_holds_or_not(text: str, holds: bool) -> None:
    assert parse_expression(text).judge(NUMBERS) is holds


def test_an_infinity_is_a_number() -> None:
    assert parse_expression("metrics.a.value < 1").judge({"a": {"value": math.inf}}) is False


@pytest.mark.parametrize(
    "text", ["metrics.silent.value < 1", "metrics.unheard.value < 1", "metrics.silent.samples > 1"]
)
def test_without_its_number_nothing_is_told(text: str) -> None:
    assert isinstance(parse_expression(text).judge(NUMBERS), Undecided)


@pytest.mark.parametrize(
    "text",
    [
        "metrics.silent.value < 1 || metrics.requests.value > 1",
        "metrics.requests.value > 1 || metrics.silent.value < 1",
    ],
)
def test_what_is_true_whatever_the_missing_number_is_holds(text: str) -> None:
    assert parse_expression(text).judge(NUMBERS) is True


def test_what_is_false_whatever_the_missing_number_is_does_not() -> None:
    assert parse_expression("metrics.silent.value < 1 && metrics.requests.value < 1").judge(NUMBERS) is False


def test_the_metrics_that_are_asked_for_are_known_in_their_order() -> None:
    expression = parse_expression("metrics.b.value < 1 || metrics[ 'a b' ] . samples > 2 || metrics.b.samples < 3")

    assert expression.metrics == ("b", "a b")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("metrics.a.value <", "line 1, column 18: Syntax error"),
        ("metrics.a.value < 1 &&\n errors > 1", "line 2, column 2: undeclared reference to 'errors'"),
        ("metrics.a.value / 2 > 1.0", r"found no matching overload for '_/_' applied to '\(double, int\)'"),
        ('metrics.a.value < "1"', "found no matching overload"),
        ("metrics.a.value", "it is a double, and neither true nor false"),
        ("1 < 2", "it names no metric"),
        ("metrics.a.valeu < 1", r'at character 1 is neither metrics\["NAME"\].value nor .samples'),
        ('metrics["a" + "b"].value < 1', "is neither"),
        ('"a" in metrics', "at character 8"),
        ("metrics.a.value < 1 && metrics.exists(m, metrics[m].value < 1)", "undeclared reference"),
        ("[1, 2].all(n, n > metrics.a.value)", "undeclared reference"),
        ("metrics.a.value < 1" + " " * MAX_EXPRESSION, "characters, of 1024 at most"),
        ("(" * 40 + "metrics.a.value < 1" + ")" * 40, "recursion"),
        ("", "Syntax error"),
    ],
)
def test_what_can_not_be_judged_is_refused_with_its_place(text: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=why):
        parse_expression(text)


def test_without_the_library_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    expressions._environment.cache_clear()
    parse_expression.cache_clear()
    with pytest.raises(NoLibraryError):
        parse_expression("metrics.a.value < 1")
