"""`freezeWindows`: times at which no rollout begins, or none goes on. Times are those of the window's own clocks.

Where days come again is said by a recurrence rule of RFC 5545, which dateutil reads. The hour is that of the first one:
a window from Friday 18:00 that lasts 62 hours ends on Monday at 8:00, also where clocks are set in between.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from canary.api.durations import GoDuration, duration_text
from canary.api.meta import Model, format_time
from canary.api.problems import Problem

if TYPE_CHECKING:
    from dateutil.rrule import rrule

MAX_WINDOWS: Final = 32
"""Windows of one Canary at most, or of one controller."""

_PARTS: Final = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST")
_OFTEN: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_RULE: Final = r"[A-Z]+=[-+A-Z0-9,]+(;[A-Z]+=[-+A-Z0-9,]+)*"
_MOST: Final = {"BYMONTH": (12, False), "BYMONTHDAY": (31, True), "BYSETPOS": (366, True)}
"""What is counted from 1 to how many, and whether also from the end."""
_START: Final = r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?"
_AHEAD: Final = 7600
"""Years by which rules are looked up ahead: dateutil looks for days until the year 9999, which are 8,000 years where
there are none. Every 400 years all dates fall on the same days of the week again."""

_IN_A_ROW: Final = 64
"""Windows that follow on one another without a gap, of which the end of the last one is told."""


class Stops(StrEnum):
    """What a freeze stops."""

    STARTS = "starts"
    """That a rollout begins."""
    STEPS = "steps"
    """That a rollout begins, takes a step or is promoted."""


class FreezeWindow(Model):
    """A time at which no rollout begins."""

    name: str = Field(json_schema_extra={"minLength": 1, "maxLength": 63})
    """Name of the window, for whoever waits for its end."""
    start: str = Field(json_schema_extra={"pattern": f"^{_START}$", "maxLength": 19})
    """When it begins first, by the clocks of its time zone, such as 2026-12-23T18:00."""
    duration: GoDuration = Field(json_schema_extra={"x-crd-longest": "8760h"})
    """How long it lasts, such as 62h."""
    rrule: str = Field(default="", json_schema_extra={"maxLength": 256})
    """On which days it begins again, as RFC 5545 writes it, such as FREQ=WEEKLY;BYDAY=FR; on none where absent."""
    time_zone: str = Field(default="", json_schema_extra={"maxLength": 64})
    """Time zone of start, such as Europe/Berlin; UTC where absent."""
    stops: Stops = Stops.STARTS
    """What it stops: that rollouts begin (starts), or that those under way take steps and are promoted, too (steps)."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """Windows that are in force.

    Args:
        names: their names.
        until: when none is any more, of those that follow on without a gap.
    """

    names: tuple[str, ...]
    until: datetime

    def __str__(self) -> str:
        return f"{', '.join(self.names)} until {format_time(self.until)}"


def frozen(windows: Iterable[FreezeWindow], now: datetime, *, steps: bool = False) -> Frozen | None:
    """What is in force now; None where nothing is. A window with a problem is none.

    Args:
        windows: the windows.
        now: the time.
        steps: whether only those are asked for that stop rollouts under way.
    """
    counted = [each for each in windows if each.stops is Stops.STEPS or not steps]
    in_force = {each.name: end for each in counted if (end := _ends(each, now)) is not None}
    if not in_force:
        return None
    until = max(in_force.values())
    for _ in range(_IN_A_ROW):
        later = [end for each in counted if (end := _ends(each, until)) is not None]
        if not later:
            break
        until = max(later)
    return Frozen(tuple(in_force), until)


def _ends(window: FreezeWindow, now: datetime) -> datetime | None:
    """When the window ends that is in force at a time; None where it is not."""
    try:
        zone, first = _zone(window.time_zone), _first(window.start)
        begun = _begun(window.rrule, first, now.astimezone(zone).replace(tzinfo=None))
        if begun is None or begun.replace(tzinfo=zone) > now:
            return None
        end = (begun + window.duration).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return end if now < end else None


def _begun(text: str, first: datetime, now: datetime) -> datetime | None:
    """When a window began last, by its own clocks; None where it has not yet."""
    if not text:
        return first if first <= now else None
    found = _asked(text, first, lambda rule: rule.before(_ahead(now), inc=True))
    return None if found is None else found.replace(year=found.year - _AHEAD)


def _asked(text: str, first: datetime, ask: "Callable[[rrule], datetime | None]") -> datetime | None:
    """What a rule answers.

    Raises:
        ValueError: the rule is none, or dateutil can't work it out.
    """
    rule = _rule(text, first)
    try:
        return ask(rule)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # A rule of dateutil's that has raised holds its lock for good: whoever asks it again would wait for ever.
        _rule.cache_clear()
        msg = f"{text} can't be worked out"
        raise ValueError(msg) from error


@lru_cache(maxsize=512)
def _rule(text: str, first: datetime) -> "rrule":
    """The days on which a window begins.

    Raises:
        ValueError: the rule is none.
    """
    # Here and not above: who has no rules need not load what reads them.
    from dateutil.rrule import rrule, rrulestr  # noqa: PLC0415

    if why := _unread(text):
        raise ValueError(why)
    later = re.sub(r"UNTIL=(\d{4})", lambda year: f"UNTIL={int(year[1]) + _AHEAD}", text)
    try:
        found = rrulestr(later, dtstart=_ahead(first), cache=True)
    except (ValueError, TypeError) as error:
        msg = f"{text} can't be read: {error}"
        raise ValueError(msg) from error
    if not isinstance(found, rrule):
        msg = f"{text} is not one rule"
        raise ValueError(msg)
    return found


def _unread(text: str) -> str:
    """Why a rule is not even read: dateutil goes round in circles where the interval is 0."""
    if re.fullmatch(_RULE, text) is None:
        return f"{text!r} is not NAME=VALUE;NAME=VALUE"
    parts = dict(part.split("=") for part in text.split(";"))
    if len(parts) < text.count("="):
        return f"{text} says something twice"
    if unknown := [each for each in parts if each not in _PARTS]:
        return f"{unknown[0]} is none of {', '.join(_PARTS)}; the hour is that of start"
    if parts.get("FREQ") not in _OFTEN:
        return f"FREQ is none of {', '.join(_OFTEN)}"
    if wrong := next(chain(_beyond(parts), _too_many(parts)), ""):
        return wrong
    numbers = [name for name in ("INTERVAL", "COUNT") if re.fullmatch("[1-9][0-9]{0,3}", parts.get(name, "1")) is None]
    return f"{numbers[0]} is not 1 to 9999" if numbers else ""


def _beyond(parts: Mapping[str, str]) -> Iterator[str]:
    """Months, and days of a month or of a year, that there are not."""
    for name in (each for each in _MOST if each in parts):
        most, backwards = _MOST[name]
        for each in parts[name].split(","):
            if not _is_counted(each.removeprefix("-") if backwards else each, most):
                yield f"{name}={each} is not 1 to {most}" + (f", or -1 to -{most}" if backwards else "")


def _is_counted(number: str, most: int) -> bool:
    return number.isdigit() and 1 <= int(number) <= most


def _too_many(parts: Mapping[str, str]) -> Iterator[str]:
    """Numbers of days of the week that no month, or no year, has so many of; dateutil would look beyond its end."""
    most = {"MONTHLY": 5, "YEARLY": 5 if "BYMONTH" in parts else 53}.get(parts["FREQ"], 0)
    for day in parts.get("BYDAY", "").split(","):
        number = day[:-2].lstrip("+-")
        if number and not most:
            yield f"BYDAY={day} counts days, which is for MONTHLY and YEARLY"
        elif number and not _is_counted(number, most):
            yield f"BYDAY={day} has a number that is not 1 to {most}, or -1 to -{most}"


def _ahead(moment: datetime) -> datetime:
    return moment.replace(year=moment.year + _AHEAD)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises:
        ValueError: there is none.
    """
    try:
        return ZoneInfo(name or "UTC")
    except (ValueError, OSError, KeyError) as error:
        msg = f"{name} is no time zone"
        raise ValueError(msg) from error


def _first(text: str) -> datetime:
    """When a window begins first.

    Raises:
        ValueError: the text is no time.
    """
    if re.fullmatch(_START, text) is None:
        msg = f"{text!r} is no time without a zone"
        raise ValueError(msg)
    return datetime.fromisoformat(text)


def problems(windows: Iterable[FreezeWindow], field: str) -> Iterator[Problem]:
    """What is wrong with windows.

    Args:
        windows: the windows.
        field: path of the list that they are in.
    """
    known: set[str] = set()
    for index, window in enumerate(windows):
        where = f"{field}[{index}]"
        if window.name in known:
            yield Problem(f"{where}.name", f"{window.name} is the name of another one", "give each its own name")
        known.add(window.name)
        yield from _of_window(window, where)


def _of_window(window: FreezeWindow, field: str) -> Iterator[Problem]:
    try:
        first: datetime | None = _first(window.start)
    except ValueError as error:
        first = None
        yield Problem(f"{field}.start", str(error), "write one such as 2026-12-23T18:00, and the zone as timeZone")
    if window.duration <= timedelta(0):
        text = duration_text(window.duration)
        yield Problem(f"{field}.duration", f"{text} is no time", "write a duration such as 62h")
    try:
        _zone(window.time_zone)
    except ValueError as error:
        yield Problem(f"{field}.timeZone", str(error), "write a name of the IANA database, such as Europe/Berlin")
    if window.rrule and (why := _unreadable(window.rrule, first or datetime(2026, 1, 1))):  # noqa: DTZ001 - windows count in a zone's own time
        yield Problem(f"{field}.rrule", why, "write a rule such as FREQ=WEEKLY;BYDAY=FR, or take it out")


def _unreadable(text: str, first: datetime) -> str:
    """Why a rule can't be used; empty where it can."""
    try:
        found = _asked(text, first, lambda rule: next(iter(rule), None))
    except ValueError as error:
        return str(error)
    return "" if found is not None else f"{text} is never"
