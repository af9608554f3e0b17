"""What stands on command lines: a parser that says in one line what is wrong, and the types of arguments."""

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from canary.cli.failures import CommandError

if TYPE_CHECKING:
    from datetime import timedelta

    from _typeshed import SupportsWrite

    from outbound.destinations import Network

_MOST_DIGITS: Final = 12
MOST_PORT: Final = 65_535
_FLEETS: Final = frozenset({"fleet", "fleets", "canaryfleet", "canaryfleets", "cfl"})
_CANARIES: Final = frozenset({"canary", "canaries"})
_NAMESPACE: Final = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Parser(argparse.ArgumentParser):
    """A parser for which flags are written out: Flagger's can't be shortened either."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        """Say it in one line, where argparse puts the whole usage before it.

        Raises:
            CommandError: always.
        """
        raise CommandError(f"{message}; see `{self.prog} --help`", command=self.prog)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Hold a word against those that there are: of commands there are too many to name them all.

        Raises:
            ArgumentError: it is none of them.
            CommandError: it is none of the commands.
        """
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:  # noqa: SLF001 - no other name
            raise CommandError(_no_command(self.prog, str(value), action.choices), command=self.prog)
        super()._check_value(action, value)

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        """Write help, where argparse would pass over a full disk in silence."""
        if message:
            (file or sys.stderr).write(message)


def _no_command(of: str, word: str, commands: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - help has no time for it

    near = get_close_matches(word.lower(), commands, 1)
    meant = f"did you mean `{of} {near[0]}`? " if near else ""
    return f"there is no command {_quoted(word)}; {meant}`{of} --help` lists those that there are"


def whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number of a range, both ends included."""

    def read(text: str) -> int:
        digits = text.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS and least <= int(text) <= most:
            return int(text)
        msg = f"{_quoted(text)} is not a whole number from {least} to {most}"
        raise argparse.ArgumentTypeError(msg)

    return read


def port(text: str) -> int:
    """Reads the number of a TCP port; 0 is any that is free."""
    return whole(0, MOST_PORT)(text)


def address(text: str) -> str:
    """Reads the address of an HTTP server; empty is none."""
    from canary.api.addresses import is_web_address  # noqa: PLC0415 - help has no time for it

    if text and not is_web_address(text):
        # Not quoted: a hook's address is a secret.
        msg = "this is not an http:// or https:// address; write one such as https://HOST:PORT/PATH"
        raise argparse.ArgumentTypeError(msg)
    return text


def networks(text: str) -> "tuple[Network, ...]":
    """Reads networks and addresses, with commas between them."""
    from outbound.destinations import network  # noqa: PLC0415 - help has no time for it

    try:
        return tuple(network(each) for each in text.split(",") if each.strip())
    except ValueError as error:
        msg = f"{error}; write networks or addresses, such as 10.0.0.0/8,192.0.2.7"
        raise argparse.ArgumentTypeError(msg) from None


def traffic_provider(text: str) -> str:
    """Reads the name of a traffic provider."""
    from canary.routers.registry import supported  # noqa: PLC0415 - help has no time for it

    if text not in supported():
        msg = f"traffic provider {_quoted(text)} is not supported; write one of {', '.join(supported())}"
        raise argparse.ArgumentTypeError(msg)
    return text


def spans(text: str) -> "dict[str, timedelta]":
    """Durations by the name of a provider; the one without a name is for all others."""
    from canary.api.durations import REMEDY, parse_duration  # noqa: PLC0415
    from canary.routers.registry import supported  # noqa: PLC0415

    spans: dict[str, timedelta] = {}
    for part in (word.strip() for word in text.split(",") if word.strip()):
        provider, _, span = part.rpartition("=")
        if provider and provider not in supported():
            msg = f"traffic provider {provider} is not supported; write one of {', '.join(supported())}"
            raise argparse.ArgumentTypeError(msg)
        try:
            spans[provider] = parse_duration(span)
        except ValueError as error:
            msg = f"{error}; {REMEDY}"
            raise argparse.ArgumentTypeError(msg) from error
        if spans[provider] < parse_duration("0s"):
            msg = f"{span} is negative; {REMEDY}"
            raise argparse.ArgumentTypeError(msg)
    return spans


def annotations_prefix(text: str) -> str:
    """Reads what ingress-nginx's annotations begin with; there is one only that is written."""
    from canary.routers.nginx import PREFIX  # noqa: PLC0415 - help has no time for it

    if f"{text}/" != PREFIX:
        msg = f"{_quoted(text)} is not supported; write {PREFIX.rstrip('/')}, and give ingress-nginx that prefix too"
        raise argparse.ArgumentTypeError(msg)
    return text


def namespace_or_all(text: str) -> str:
    """Reads the name of a namespace; empty is all of them."""
    return text and namespace(text)


def namespace(text: str) -> str:
    """Reads the name of a namespace."""
    if not _NAMESPACE.fullmatch(text):
        msg = f"{_quoted(text)} is no name of a namespace; write small letters, digits and hyphens, 63 at most"
        raise argparse.ArgumentTypeError(msg)
    return text


class Subject(NamedTuple):
    """What a command is about.

    Args:
        of_fleet: whether it is a CanaryFleet; else a Canary.
        name: its name; empty for all that there are.
    """

    of_fleet: bool
    name: str


def subject(text: str) -> Subject:
    """Reads NAME or canary/NAME for a Canary, fleet/NAME for a CanaryFleet."""
    kind, slash, name = text.partition("/")
    if not slash:
        return Subject(of_fleet=False, name=text)
    if kind not in _FLEETS | _CANARIES or not name or "/" in name:
        msg = f"{_quoted(text)} is neither NAME, for a Canary, nor fleet/NAME"
        raise argparse.ArgumentTypeError(msg)
    return Subject(kind in _FLEETS, name)


def subjects(text: str) -> Subject:
    """Reads the same, or a kind alone, such as fleets, for all that there are."""
    return Subject(text in _FLEETS, "") if text in _FLEETS | _CANARIES else subject(text)


class SubjectWords(argparse.Action):
    """Reads NAME or KIND/NAME, or KIND NAME in two words: kubectl takes both."""

    def __init__(self, read: Callable[[str], Subject], **settings: Any) -> None:
        super().__init__(**settings)
        self._read = read

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Set what the command is about."""
        found = values if isinstance(values, Subject) else self._said(list(values))
        setattr(namespace, self.dest, found)

    def _said(self, words: list[str]) -> Subject:
        try:
            if len(words) == 1 or (len(words) == 2 and words[0] in _FLEETS | _CANARIES):
                return self._read("/".join(words))
            msg = f"{_quoted(' '.join(words))} is neither NAME, for a Canary, nor fleet NAME"
            raise argparse.ArgumentTypeError(msg)
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from None


def about(
    parser: argparse.ArgumentParser, told: str = "of a Canary; fleet/NAME or fleet NAME for a CanaryFleet"
) -> None:
    """Add the argument that says what a command is about."""
    parser.add_argument("name", nargs="+", action=SubjectWords, read=subject, metavar="NAME", help=told)


def about_all(parser: argparse.ArgumentParser, told: str) -> None:
    """Add the argument that says what a command is about, of which all are listed where it is absent."""
    every = Subject(of_fleet=False, name="")
    parser.add_argument("name", nargs="*", default=every, action=SubjectWords, read=subjects, metavar="NAME", help=told)


def canary_name(text: str) -> str:
    """Reads the name of a Canary, of what there is for Canaries alone."""
    found = subject(text)
    if found.of_fleet:
        msg = f"{_quoted(text)} is a fleet, and this is about a Canary, such as that of a member: write NAME"
        raise argparse.ArgumentTypeError(msg)
    return found.name


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:100]}…")
