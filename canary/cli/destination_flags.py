"""Flags that say which addresses may be called by what others write."""

import argparse
from typing import TYPE_CHECKING

from canary.cli.arguments import networks

if TYPE_CHECKING:
    from outbound.destinations import Destinations


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags to a command."""
    group = parser.add_argument_group(
        "who is called",
        "Addresses that webhooks, messengers and metrics servers may have, whoever names them. Where several networks"
        " hold an address, the narrowest counts.",
    )
    group.add_argument(
        "--allow-destination",
        type=networks,
        action="extend",
        default=[],
        metavar="NETWORK,...",
        help="networks that may be called though a wider one is denied, or they are those of the machine's metadata",
    )
    group.add_argument(
        "--deny-destination",
        type=networks,
        action="extend",
        default=[],
        metavar="NETWORK,...",
        help="networks that must not be called; link-local ones and those of clouds' metadata never are",
    )


def destinations_of(arguments: argparse.Namespace) -> "Destinations":
    """What they say."""
    from outbound.destinations import Destinations  # noqa: PLC0415 - help has no time for it

    return Destinations(tuple(arguments.allow_destination), tuple(arguments.deny_destination))
