"""Durations as Go's flags write them: `1h`, `1m30s`, `500ms`."""

import re
from datetime import timedelta

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Return the duration that a text such as `1m30s` names.

    Raises:
        ValueError: it names none; the message tells what would.
    """
    if text == "0":
        return timedelta(0)
    if not _WHOLE.fullmatch(text):
        msg = f"{text!r} is not a duration; write one such as 30s, 1m30s or 500ms"
        raise ValueError(msg)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        msg = f"{text!r} is longer than any task runs"
        raise ValueError(msg) from None
