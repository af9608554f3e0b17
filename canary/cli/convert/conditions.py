"""Conditions of AnalysisTemplates, as the range of values that passes."""

import re
from dataclasses import dataclass
from typing import Final

_EMPTY: Final = re.compile(r"^(?:isNaN\(result(?:\[0\])?\)|len\(result\)\s*==\s*0|result\s*==\s*nil)\s*\|\|\s*")
_DEFAULT: Final = re.compile(r"default\((result(?:\[0\])?)\s*,\s*(-?\d+(?:\.\d+)?)\)")
_COMPARISON: Final = re.compile(
    r"^\(?\s*(?:asFloat\(|asInt\()?result(?:\[0\])?\)?\s*(<=|>=|<|>|==)\s*(-?\d+(?:\.\d+)?)\s*\)?$"
)
_AND: Final = re.compile(r"\s*&&\s*|\s+and\s+")
_OR: Final = re.compile(r"\s*\|\|\s*|\s+or\s+")
_OPPOSITE: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


@dataclass(frozen=True, slots=True)
class Range:
    """The values that pass.

    Args:
        least: the least; None for any.
        most: the most; None for any.
        is_open: whether an end was left out that is among them now.
        empty_passes: whether an answer without data passes.
    """

    least: float | None = None
    most: float | None = None
    is_open: bool = False
    empty_passes: bool = False


def passing(success: str, failure: str) -> Range | None:
    """The values that pass, by a condition of success, or else of failure; None where that is no range."""
    if success:
        return _all(success)
    # A failure is what is on either side: what passes is on the other side of each.
    parts = [_comparison(each) for each in _OR.split(failure.strip())] if failure else []
    known = [each for each in parts if each is not None]
    if not parts or len(known) < len(parts) or any(operator not in _OPPOSITE for operator, _ in known):
        return None
    return _range([(_OPPOSITE[operator], limit) for operator, limit in known], empty_passes=False)


def _all(text: str) -> Range | None:
    bare = _EMPTY.sub("", text.strip())
    empty_passes = bare != text.strip()
    if default := _DEFAULT.search(bare):
        bare = _DEFAULT.sub(default[1], bare)
    parts = [_comparison(each) for each in _AND.split(bare)]
    known = [each for each in parts if each is not None]
    found = _range(known, empty_passes=empty_passes) if len(known) == len(parts) else None
    if found is None or default is None:
        return found
    inside = (found.least is None or float(default[2]) >= found.least) and (
        found.most is None or float(default[2]) <= found.most
    )
    return Range(found.least, found.most, found.is_open, inside)


def _comparison(text: str) -> tuple[str, float] | None:
    found = _COMPARISON.match(text.strip())
    return (found[1], float(found[2])) if found else None


def _range(comparisons: list[tuple[str, float]], *, empty_passes: bool) -> Range | None:
    least = [limit for operator, limit in comparisons if operator in (">", ">=", "==")]
    most = [limit for operator, limit in comparisons if operator in ("<", "<=", "==")]
    is_open = any(operator in "<>" for operator, _ in comparisons)
    found = Range(max(least, default=None), min(most, default=None), is_open, empty_passes)
    if found.least is not None and found.most is not None and found.least > found.most:
        return None
    return found
