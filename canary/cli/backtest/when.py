"""Moments as people write them on a command line."""

import re
from datetime import UTC, datetime, timedelta

from canary.api.durations import parse_duration

EXAMPLES = "now, 7d, 36h, 2026-03-01, 2026-03-01T12:00:00Z or seconds since 1970"

_DAYS = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(.*)", re.ASCII)
_NUMBER = re.compile(r"\d{9,11}(\.\d+)?", re.ASCII)


def moment(text: str, now: datetime) -> datetime:
    """Read a moment: a date, a time (UTC where it names no zone), or how long ago; in whole seconds.

    Raises:
        ValueError: it is none, with words that name what can be written.
    """
    words = text.strip()
    ago = words.removeprefix("now").removeprefix("-") or "0s"
    try:
        if _NUMBER.fullmatch(words):
            found = datetime.fromtimestamp(float(words), UTC)
        elif words.startswith("now") or not re.match(r"\d{4}-?\d{2}", words):
            found = now - span(ago)
        else:
            found = datetime.fromisoformat(words)
    except (ValueError, OverflowError) as error:
        msg = f"{text!r} is no moment; write {EXAMPLES}"
        raise ValueError(msg) from error
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return found.replace(microsecond=0)


def span(text: str) -> timedelta:
    """Read a length of time as Prometheus writes it: Go's notation, with `d` and `w` in front.

    Raises:
        ValueError: it is none.
    """
    match = _DAYS.fullmatch(text)
    if match is None or not text:
        msg = f"{text!r} is no length of time"
        raise ValueError(msg)
    weeks, days, rest = match.groups()
    whole = timedelta(weeks=int(weeks or 0), days=int(days or 0))
    return whole + parse_duration(rest) if rest else whole


def written(length: timedelta) -> str:
    """A length of time in its two greatest units: `3d4h`, `1h30m`, `45s`."""
    seconds = round(length.total_seconds())
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"


def stamp(when: datetime) -> str:
    """A moment for people: day of the week, date and minute, in UTC."""
    return when.astimezone(UTC).strftime("%a %Y-%m-%d %H:%M")
