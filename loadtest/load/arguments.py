"""The command line of a load; the load tester reads it before it runs one, to refuse what is wrong at the call."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from yarl import URL

from loadtest.durations import parse_duration
from loadtest.load.openloop import Plan

HIGHEST_RATE = 2000.0
"""Requests a second at most: about what one processor can send."""

MOST_CONNECTIONS = 500
"""Connections at most: as many files as `select` can wait for, and some to spare."""

MOST_OPEN = 20_000
"""Requests that a server which answers none would leave open, at most: they cost memory."""


class WrongArgumentsError(ValueError):
    """A command line that is no load's, with the reason in words."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """A load to be made.

    Args:
        url: whom to ask.
        plan: when.
        method: how.
        headers: what is sent along.
        body: what is sent.
        connections: how many there may be at once.
        insecure: whether any certificate will do.
    """

    url: str
    plan: Plan
    method: str
    headers: tuple[tuple[str, str], ...]
    body: str | None
    connections: int
    insecure: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        msg = f"{message}; write --rate 50 --duration 1m http://HOST/"
        raise WrongArgumentsError(msg)


def read(argv: Sequence[str]) -> Arguments:
    """Read a command line.

    Raises:
        WrongArgumentsError: it is wrong.
    """
    options = _parser().parse_args(argv)
    if options.rate * options.timeout > MOST_OPEN:
        msg = f"rate times timeout is more than the {MOST_OPEN} requests that may be open; give a shorter --timeout"
        raise WrongArgumentsError(msg)
    return Arguments(
        url=options.url,
        plan=Plan(options.rate, options.duration, options.timeout),
        method=options.method or ("GET" if options.body is None else "POST"),
        headers=tuple(options.header),
        body=options.body,
        connections=options.connections,
        insecure=options.insecure,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="load", add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("--rate", type=_rate, required=True)
    add("--duration", type=_seconds, required=True)
    add("--timeout", type=_seconds, default=10.0)
    add("--method", type=_method)
    add("--header", type=_header, action="append", default=[])
    add("--body")
    add("--connections", type=_connections, default=100)
    add("--insecure", action="store_true")
    add("url", type=_url)
    return parser


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.01 <= rate <= HIGHEST_RATE:
        msg = f"{text!r} is no rate; write requests a second, from 0.01 to {HIGHEST_RATE:g}"
        raise argparse.ArgumentTypeError(msg)
    return rate


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text).total_seconds()
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not seconds:
        msg = "a duration of nothing"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def _connections(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST_CONNECTIONS):
        msg = f"{text!r} is not a number of connections from 1 to {MOST_CONNECTIONS}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _method(text: str) -> str:
    if not (text.isascii() and text.isalpha() and text.isupper()):
        msg = f"{text!a} is no method"
        raise argparse.ArgumentTypeError(msg)
    return text


def _header(text: str) -> tuple[str, str]:
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not colon or not name.isascii() or not name.replace("-", "").isalnum() or not value.isprintable():
        msg = f"{text!a} is no header; write 'Name: value'"
        raise argparse.ArgumentTypeError(msg)
    return name, value


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        (URL(text).host or "").encode("idna")  # what a resolver is asked for
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        msg = f"{text!a} is no address such as http://HOST:PORT/"
        raise argparse.ArgumentTypeError(msg)
    return text
