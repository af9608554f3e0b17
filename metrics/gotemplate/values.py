"""The values of a template, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Value: TypeAlias = "str | int | float | bool | Mapping[str, Value] | tuple[Value, ...] | None"

_NO_EXPONENT_BELOW = 21


def shown(value: Value) -> str:
    """The text that a value is written as.

    Raises:
        ValueError: nil, which has no place in a text.
    """
    if value is None:
        msg = "there is no value here"
        raise ValueError(msg)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{_inner(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, tuple):
        return "[" + " ".join(map(_inner, value)) + "]"
    return str(value)


def _inner(value: Value) -> str:
    return "<nil>" if value is None else shown(value)


def _float(value: float) -> str:
    text = repr(value).removesuffix(".0")
    if "e" in text and 1 <= abs(value) < 10**_NO_EXPONENT_BELOW:
        return str(int(value))
    return text


class Plain:
    """How text and values are written, piece by piece: as they are. Others know where a value may stand, and how."""

    def text(self, text: str) -> str:
        """Characters of the template itself, as they are written."""
        return text

    def value(self, value: Value) -> str:
        """A value, as it is written.

        Raises:
            ValueError: it can't be written here.
        """
        return shown(value)
