"""Go's built-in template functions, as far as text is made with them. Each raises ValueError, saying why."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus

from metrics.gotemplate.values import Value, shown

_VERB = re.compile(r"%(?P<flags>[-+0]*)(?P<width>\d{0,3})(?P<precision>\.\d{0,3})?(?P<verb>.?)", re.DOTALL)


def truth(value: Value) -> bool:
    """Whether a value counts as true: not empty, not zero, not nil."""
    return bool(value)


def entry(container: Value, key: str) -> Value:
    """The entry of a map that must be there.

    Raises:
        ValueError: it isn't, or the value is no map.
    """
    if not isinstance(container, Mapping):
        msg = f"{kind(container)} has no fields, so no .{key}"
        raise ValueError(msg)
    if key not in container:
        there = ", ".join(sorted(container)) or "none"
        msg = f"no entry for {key!r}; there are {there}"
        raise ValueError(msg)
    return container[key]


def kind(value: Value) -> str:
    """What a value is, in words for messages."""
    match value:
        case None:
            return "nil"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a number with a fraction"
        case tuple():
            return "a list"
    return "a map"


def _same_kind(left: Value, right: Value) -> None:
    if kind(left) != kind(right):
        msg = f"{kind(left)} and {kind(right)} can't be compared"
        raise ValueError(msg)


def _eq(first: Value, *others: Value) -> Value:
    for other in others:
        if first is not None and other is not None:
            _same_kind(first, other)
    if isinstance(first, Mapping | tuple):
        msg = f"{kind(first)} can't be compared"
        raise ValueError(msg)
    return any(first == other for other in others)


def _ne(left: Value, right: Value) -> Value:
    return not _eq(left, right)


def _less(left: Value, right: Value) -> bool:
    _same_kind(left, right)
    match left, right:
        case (bool(), bool()) | (None, None):
            pass
        case (str(), str()):
            return left < right
        case ((int() | float()), (int() | float())):
            return left < right
    msg = f"{kind(left)} has no order"
    raise ValueError(msg)


def _lt(left: Value, right: Value) -> Value:
    return _less(left, right)


def _le(left: Value, right: Value) -> Value:
    return _less(left, right) or left == right


def _gt(left: Value, right: Value) -> Value:
    return not _le(left, right)


def _ge(left: Value, right: Value) -> Value:
    return not _less(left, right)


def _not(value: Value) -> Value:
    return not truth(value)


def _len(value: Value) -> Value:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | tuple):
        return len(value)
    msg = f"{kind(value)} has no length"
    raise ValueError(msg)


def _index(container: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(container, tuple) and isinstance(key, int) and not isinstance(key, bool):
            if not 0 <= key < len(container):
                msg = f"a list of {len(container)} has no item {key}"
                raise ValueError(msg)
            container = container[key]
        elif isinstance(container, Mapping) and isinstance(key, str):
            container = container.get(key, "")
        else:
            msg = f"index takes a map and a string, or a list and a number, not {kind(container)} and {kind(key)}"
            raise ValueError(msg)
    return container


def _print(*values: Value) -> Value:
    text = ""
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            text += " "
        text += shown(value)
    return text


def _println(*values: Value) -> Value:
    return " ".join(shown(value) for value in values) + "\n"


def _printf(pattern: Value, *values: Value) -> Value:
    if not isinstance(pattern, str):
        msg = f"printf begins with a string, not {kind(pattern)}"
        raise ValueError(msg)
    left = list(values)

    def verb(match: re.Match[str]) -> str:
        if match["verb"] == "%":
            return "%"
        if not left:
            msg = f"printf has no value for {match.group()}"
            raise ValueError(msg)
        return _formatted(match, left.pop(0))

    text = _VERB.sub(verb, pattern)
    if left:
        msg = f"printf has {len(left)} values more than its pattern takes"
        raise ValueError(msg)
    return text


def _formatted(match: re.Match[str], value: Value) -> str:
    verb = match["verb"]
    directive = f"%{match['flags']}{match['width']}{match['precision'] or ''}"
    match verb, value:
        case "v", _:
            return f"{directive}s" % shown(value)
        case "s", str():
            return f"{directive}s" % value
        case "q", str():
            return f"{directive}s" % json.dumps(value, ensure_ascii=False)
        case "t", bool():
            return f"{directive}s" % shown(value)
        case (("d" | "x" | "X" | "o"), int()) if not isinstance(value, bool):
            return f"{directive}{verb}" % value
        case "f", float():
            return f"{directive}f" % value
    msg = f"printf can't write {kind(value)} as {match.group()}"
    raise ValueError(msg)


def _urlquery(*values: Value) -> Value:
    return quote_plus(str(_print(*values)))


def _last(*values: Value) -> Value:
    return values[-1]


@dataclass(frozen=True, slots=True)
class Function:
    """A built-in function and how many arguments it takes.

    Args:
        call: from arguments to value; raises ValueError with the reason.
        least: the smallest number of arguments.
        most: the largest, None where there is none.
    """

    call: Callable[..., Value]
    least: int
    most: int | None = None


BUILTIN: Mapping[str, Function] = {
    "eq": Function(_eq, 2),
    "ne": Function(_ne, 2, 2),
    "lt": Function(_lt, 2, 2),
    "le": Function(_le, 2, 2),
    "gt": Function(_gt, 2, 2),
    "ge": Function(_ge, 2, 2),
    "not": Function(_not, 1, 1),
    "len": Function(_len, 1, 1),
    "index": Function(_index, 1),
    "print": Function(_print, 0),
    "println": Function(_println, 0),
    "printf": Function(_printf, 1),
    "urlquery": Function(_urlquery, 0),
    # The evaluator stops at the argument that decides, so the last one looked at is the answer.
    "and": Function(_last, 1),
    "or": Function(_last, 1),
}
