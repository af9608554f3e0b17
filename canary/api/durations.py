"""Durations as Go writes them (`1m30s`, `500ms`, `1.5h`) at the border, `timedelta` inside."""

import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, JsonValue, PlainSerializer, WithJsonSchema
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

LONGEST_TEXT: Final = 64
"""Characters of a duration at most, where the API server checks it."""

_DIGITS: Final = {"h": 5, "m": 7, "s": 9, "ms": 12, "(us|µs|μs)": 15, "ns": 18}
_PARTS: Final = "|".join(rf"(0*[0-9]{{1,{most}}}(\.[0-9]*)?|\.[0-9]+){unit}" for unit, most in _DIGITS.items())
PATTERN: Final = rf"^\+?({_PARTS})+$"
"""What the CRDs accept for a duration, none of them negative.

No number of it is more than 32 years, so that no text of `LONGEST_TEXT` characters is longer than Go's 292.
"""

REMEDY: Final = "write a duration such as 30s, 1m30s, 500ms or 1.5h"

_NANOS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(rf"([+-]?)((?:{_PART.pattern})+)", re.ASCII)
_MAX_NANOS: Final = 2**63 - 1
"""Go keeps a duration in 64 bits; what is longer it refuses."""


class Duration(timedelta):
    """A `timedelta` that remembers the words it was written in, for query templates and writing back."""

    __slots__ = ("text",)

    text: str

    @classmethod
    def of(cls, text: str) -> "Duration":
        """Parse Go's notation; finer than a microsecond is cut off.

        Raises:
            ValueError: the text is no duration.
        """
        span = cls(microseconds=_microseconds(text))
        span.text = text
        return span

    def __reduce__(self) -> tuple[Any, ...]:
        return (Duration.of, (self.text,))


def _microseconds(text: str) -> int:
    if text in {"0", "+0", "-0"}:
        return 0
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        msg = f"{text!r} is not a duration"
        raise ValueError(msg)
    nanos = sum(_nanoseconds(number, unit) for number, unit in _PART.findall(whole[2]))
    if nanos > _MAX_NANOS:
        msg = f"{text!r} is longer than a duration can be (292 years)"
        raise ValueError(msg)
    return -(nanos // 1000) if whole[1] == "-" else nanos // 1000


def _nanoseconds(number: str, unit: str) -> int:
    """Exact, where a float would lose a microsecond in a long duration."""
    integer, _, fraction = number.partition(".")
    scale = _NANOS[unit]
    whole = int(integer or "0") * scale
    return whole + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> Duration:
    """Read a duration in Go's notation, such as `1m30s`.

    Raises:
        ValueError: the text is no duration.
    """
    return Duration.of(text)


def format_duration(span: timedelta) -> str:
    """Write a duration as Go's own `String` does: `1m30s`, `1h0m0s`, `1.5s`, `500ms`, `0s`."""
    micros = span // timedelta(microseconds=1)
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    if micros == 0:
        return "0s"
    if micros < 1_000:
        return f"{sign}{micros}µs"
    if micros < 1_000_000:
        return f"{sign}{_decimal(micros, 3)}ms"
    minutes, rest = divmod(micros, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_decimal(rest, 6)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _decimal(value: int, places: int) -> str:
    whole, fraction = divmod(value, 10**places)
    return f"{whole}.{fraction:0{places}d}".rstrip("0").rstrip(".") if fraction else str(whole)


def duration_text(span: timedelta) -> str:
    """The words a duration was written in, or Go's canonical ones where it was computed."""
    return span.text if isinstance(span, Duration) else format_duration(span)


def _validate(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise PydanticCustomError("go_duration", "{why}", {"why": str(error)}) from error
    raise PydanticCustomError("go_duration", "{value} is not a duration", {"value": repr(value)})


def duration_schema(longest: str = "") -> JsonDict:
    """The schema of a duration, with a limit where one is given: by a rule, as its message can name the remedy."""
    rule, message = f"self.matches(r'{PATTERN}')", f"is not a duration; {REMEDY}"
    if longest:
        rule = f"{rule} && duration(self) <= duration('{longest}')"
        message = f"is not a duration of {longest} at most; {REMEDY}"
    rules: list[JsonValue] = [{"rule": rule, "message": message}]
    return {"type": "string", "maxLength": LONGEST_TEXT, "x-kubernetes-validations": rules}


GoDuration = Annotated[
    timedelta,
    BeforeValidator(_validate),
    PlainSerializer(duration_text, return_type=str, when_used="json"),
    WithJsonSchema(duration_schema()),
]
"""A `timedelta` in a model, a Go-style string in JSON."""
