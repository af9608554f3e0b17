"""Expressions over the numbers of metrics, in the Common Expression Language (CEL).

What CEL itself knows is left to the library of the CEL project, an extra. Of the language, loops are left out: what an
expression costs is bounded by its length. It is checked with its types before anything runs, and the metrics that it
names are known: each stands there by its name, as `metrics["error-rate"].value`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from typing import Any, Final

from canary.api.analysis import MAX_EXPRESSION

VALUE, SAMPLES = "value", "samples"
"""What an expression may ask of a metric."""

INSTALL: Final = "pip install 'canary-controller[cel]', or run the image, which has it"

_STRING = r"""(?:"[^"\\\n]*"|'[^'\\\n]*')"""
_NAMED = re.compile(
    # What stands in texts and comments names nothing.
    rf"//[^\n]*|(?<![.\w])metrics\b(?P<named>\s*(?:\.\s*(?P<plain>\w+)|\[\s*(?P<quoted>{_STRING})\s*\])"
    rf"\s*\.\s*(?:{VALUE}|{SAMPLES})\b(?!\s*\())?|{_STRING}"
)
_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")

_LOOPS = ("all", "exists", "exists_one", "existsOne", "map", "filter")
_ORDERS = {"<": "less", "<=": "less_equals", ">": "greater", ">=": "greater_equals"}
_NUMBERS = {"double": "double", "int": "int64"}


class ExpressionError(ValueError):
    """What is written is no expression that can be judged; says where, in words."""


class NoLibraryError(Exception):
    """The library of the CEL project is not installed."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """An expression that is neither true nor false, for want of a number.

    Args:
        reason: why, in the library's words.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was checked.

    Args:
        text: what is written.
        metrics: the names of the metrics whose numbers it asks for, in their order.
    """

    text: str
    metrics: tuple[str, ...]
    _compiled: Any

    def judge(self, numbers: Mapping[str, Mapping[str, float]]) -> bool | Undecided:
        """Whether it holds.

        Args:
            numbers: of each metric by its name, `value` and `samples`, as far as they are known.
        """
        metrics = {name: {key: float(number) for key, number in numbers.get(name, {}).items()} for name in self.metrics}
        value = self._compiled.eval(data={"metrics": metrics}).value()
        return value if isinstance(value, bool) else Undecided(str(value))


@lru_cache(maxsize=1024)
def parse_expression(text: str) -> Expression:
    """Check an expression.

    Raises:
        ExpressionError: it is too long, no CEL, neither true nor false, or asks for something else than numbers.
        NoLibraryError: the library is not installed.
    """
    if len(text) > MAX_EXPRESSION:
        msg = f"it has {len(text)} characters, of {MAX_EXPRESSION} at most"
        raise ExpressionError(msg)
    environment, boolean = _environment()
    try:
        compiled = environment.compile(text)
    except RuntimeError as error:
        raise ExpressionError(_words(str(error))) from error
    names = _names(text)
    if compiled.return_type() != boolean:
        msg = f"it is a {compiled.return_type().name().lower()}, and neither true nor false"
        raise ExpressionError(msg)
    if not names:
        msg = "it names no metric"
        raise ExpressionError(msg)
    return Expression(text, names, compiled)


def _names(text: str) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for found in _NAMED.finditer(text):
        if found["named"]:
            names[found["plain"] or found["quoted"][1:-1]] = None
        elif found[0].startswith("metrics"):
            msg = f'what stands at character {found.start() + 1} is neither metrics["NAME"].value nor .samples'
            raise ExpressionError(msg)
    return tuple(names)


def _words(said: str) -> str:
    """The first thing that is wrong, and where."""
    match = _ERROR.search(said)
    if match is None:
        return said.splitlines()[0]
    line, column, words = match.groups()
    return words if line == "-1" else f"line {line}, column {column}: {words}"


@cache
def _environment() -> tuple[Any, Any]:
    """What expressions are checked by, and the type that they are to have."""
    try:
        from cel_expr_python import cel  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NoLibraryError from error
    numbers = cel.Type.Map(cel.Type.STRING, cel.Type.Map(cel.Type.STRING, cel.Type.DOUBLE))
    config = cel.NewEnvConfigFromYaml(_CONFIG)
    return cel.NewEnv(config=config, variables={"metrics": numbers}), cel.Type.BOOL


def _order(sign: str, name: str) -> str:
    """A comparison of numbers, whole ones among them: `value < 1` is what people write."""
    overloads = "".join(
        f"  - {{id: {name}_{one if one == other else f'{one}_{other}'}, "
        f"args: [{{type_name: {left}}}, {{type_name: {right}}}], return: {{type_name: bool}}}}\n"
        for (left, one), (right, other) in product(_NUMBERS.items(), repeat=2)
    )
    return f"- name: _{sign}_\n  overloads:\n{overloads}"


_CONFIG = (
    f"stdlib:\n  exclude_macros: [{', '.join(_LOOPS)}]\n"
    f"  exclude_functions: [{', '.join(f'{{name: _{sign}_}}' for sign in _ORDERS)}, {{name: matches}}]\n"
    f"functions:\n{''.join(_order(sign, name) for sign, name in _ORDERS.items())}"
)
