"""The command line of `hey` as a value."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from urllib.parse import urlsplit

from loadtest.durations import parse_duration

DEFAULT_REQUESTS = 200
DEFAULT_WORKERS = 50
MOST_WORKERS = 10_000

USAGE = """\
Usage: hey [options...] URL

  -n  number of requests (default 200)
  -c  number of workers that ask side by side (default 50)
  -q  requests a second of each worker (default: as many as it can)
  -z  how long to ask, such as 30s or 1m; -n is then left aside
  -m  HTTP method (default GET)
  -H  header, as 'Name: value'; may be repeated
  -t  seconds that a request may take (default 20, 0 is without end)
  -A  Accept header
  -d  body
  -D  file with the body
  -T  Content-Type header (default text/html)
  -U  User-Agent header
  -a  user:password for basic authentication
  -x  proxy, as host:port
  -h2 HTTP/2 (needs the package h2)
  -host  Host header
  -disable-compression, -disable-keepalive, -disable-redirects
  -cpus  taken and left aside: one process does the asking
"""


class FlagError(ValueError):
    """The command line is not one of ours; the message tells why."""


class HelpAsked(Exception):  # noqa: N818 - not an error
    """The command line asks for help."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask, how often, and how.

    Args:
        url: what to ask for.
        method: how to ask.
        headers: names and values to send, in order.
        body: what to send.
        body_file: a file with what to send, instead of `body`.
        requests: how many times, all workers together; None where `duration` tells.
        duration: how long; None where `requests` tells.
        workers: how many ask side by side.
        rate: requests a second of each worker; 0 is as many as it can.
        timeout: how long one request may take; None is without end.
        host: Host header, empty for the address's own.
        auth: user and password, None for no authentication.
        proxy: address of a proxy, empty for none.
        http2: whether HTTP/2 is offered.
        compression: whether a compressed answer is asked for.
        keepalive: whether connections are used again.
        redirects: whether redirects are followed.
    """

    url: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    body_file: str = ""
    requests: int | None = DEFAULT_REQUESTS
    duration: timedelta | None = None
    workers: int = DEFAULT_WORKERS
    rate: float = 0.0
    timeout: timedelta | None = timedelta(seconds=20)
    host: str = ""
    auth: tuple[str, str] | None = None
    proxy: str = ""
    http2: bool = False
    compression: bool = True
    keepalive: bool = True
    redirects: bool = True


def parse(arguments: Sequence[str]) -> Plan:
    """Read a command line; flags are written as Go's are: `-n 5`, `-n=5`, `--n 5`, all before the address.

    Raises:
        FlagError: it makes no sense, or asks for what isn't there.
        HelpAsked: it asks for help.
    """
    rest = iter(arguments)
    plan = Plan()
    for argument in rest:
        if not argument.startswith("-") or argument in ("-", "--"):
            urls = [argument, *rest] if argument != "--" else list(rest)
            return _complete(plan, urls)
        plan = _with_flag(plan, argument, rest)
    return _complete(plan, [])


def _with_flag(plan: Plan, argument: str, rest: Iterator[str]) -> Plan:
    name, equals, value = argument.removeprefix("-").removeprefix("-").partition("=")
    if name in ("h", "help"):
        raise HelpAsked
    if name in _SWITCHES:
        return _SWITCHES[name](plan, not equals or _boolean(name, value))
    setter = _VALUES.get(name)
    if setter is None:
        msg = f"flag provided but not defined: -{name}"
        raise FlagError(msg)
    if not equals:
        following = next(rest, None)
        if following is None:
            msg = f"flag needs an argument: -{name}"
            raise FlagError(msg)
        value = following
    try:
        return setter(plan, value)
    except ValueError as error:
        msg = f"invalid value {value!r} for flag -{name}: {error}"
        raise FlagError(msg) from None


def _complete(plan: Plan, urls: Sequence[str]) -> Plan:
    """Return the plan with its address, once everything fits together."""
    if len(urls) != 1:
        msg = "an address is missing" if not urls else f"flags come before the address: {' '.join(urls[1:])}"
        raise FlagError(msg)
    url = urls[0]
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"{url!r} is not an http or https address"
        raise FlagError(msg)
    if plan.duration is not None:
        return replace(plan, url=url, requests=None)
    if plan.requests is not None and plan.requests < plan.workers:
        msg = f"-n cannot be less than -c: {plan.requests} requests for {plan.workers} workers"
        raise FlagError(msg)
    return replace(plan, url=url)


def _boolean(name: str, value: str) -> bool:
    if value in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    msg = f"invalid boolean value {value!r} for -{name}"
    raise FlagError(msg)


def _count(value: str, most: int = 2**31 - 1) -> int:
    if not re.fullmatch("[0-9]{1,10}", value) or not 0 < int(value) <= most:
        msg = f"a number from 1 to {most} is needed"
        raise ValueError(msg)
    return int(value)


def _rate(value: str) -> float:
    rate = float(value)
    if not 0 <= rate < float("inf"):
        msg = "a number of requests a second is needed"
        raise ValueError(msg)
    return rate


def _seconds(value: str) -> timedelta | None:
    if not re.fullmatch("[0-9]{1,9}", value):
        msg = "a whole number of seconds is needed"
        raise ValueError(msg)
    return timedelta(seconds=int(value)) or None


def _duration(value: str) -> timedelta | None:
    return parse_duration(value) or None


def _header(value: str) -> tuple[str, str]:
    found = re.fullmatch(r"([\w-]+):\s*(.+)", value, re.ASCII)
    if found is None:
        msg = "write a header as 'Name: value'"
        raise ValueError(msg)
    return found[1], found[2].rstrip()


def _credentials(value: str) -> tuple[str, str]:
    user, colon, password = value.partition(":")
    if not colon:
        msg = "write user:password"
        raise ValueError(msg)
    return user, password


def _named(plan: Plan, name: str, value: str) -> Plan:
    """Return the plan with a header set, in place of an earlier one of that name."""
    others = tuple(header for header in plan.headers if header[0].lower() != name.lower())
    return replace(plan, headers=(*others, (name, value)))


_VALUES: Mapping[str, Callable[[Plan, str], Plan]] = MappingProxyType(
    {
        "n": lambda plan, value: replace(plan, requests=_count(value)),
        "c": lambda plan, value: replace(plan, workers=_count(value, MOST_WORKERS)),
        "q": lambda plan, value: replace(plan, rate=_rate(value)),
        "z": lambda plan, value: replace(plan, duration=_duration(value)),
        "m": lambda plan, value: replace(plan, method=value.upper()),
        "H": lambda plan, value: replace(plan, headers=(*plan.headers, _header(value))),
        "t": lambda plan, value: replace(plan, timeout=_seconds(value)),
        "A": lambda plan, value: _named(plan, "Accept", value),
        "d": lambda plan, value: replace(plan, body=value.encode()),
        "D": lambda plan, value: replace(plan, body_file=value),
        "T": lambda plan, value: _named(plan, "Content-Type", value),
        "U": lambda plan, value: _named(plan, "User-Agent", value),
        "a": lambda plan, value: replace(plan, auth=_credentials(value)),
        "x": lambda plan, value: replace(plan, proxy=value if "://" in value else f"http://{value}"),
        "host": lambda plan, value: replace(plan, host=value),
        "cpus": lambda plan, value: replace(plan) if _count(value) else plan,
    }
)

_SWITCHES: Mapping[str, Callable[[Plan, bool], Plan]] = MappingProxyType(
    {
        "h2": lambda plan, on: replace(plan, http2=on),
        "disable-compression": lambda plan, on: replace(plan, compression=not on),
        "disable-keepalive": lambda plan, on: replace(plan, keepalive=not on),
        "disable-redirects": lambda plan, on: replace(plan, redirects=not on),
    }
)
