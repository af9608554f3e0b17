"""The flags of `canary run` that say how votes come by HTTP."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from canary.cli.arguments import port

if TYPE_CHECKING:
    from canary.controller.options import VoteSettings


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags to the parser."""
    group = parser.add_argument_group(
        "votes by HTTP",
        "Gates that people open may be voted on by HTTP, with a token that the API server knows, or by a signed link.",
    )
    group.add_argument(
        "--vote-address",
        type=_listened,
        metavar="[ADDRESS]:PORT",
        help="where votes are taken, such as :8082; nowhere where absent",
    )
    group.add_argument(
        "--vote-link-key",
        type=Path,
        metavar="FILE",
        help="file with the keys of links, one a line: the first one signs; no links where absent",
    )
    group.add_argument(
        "--vote-audience",
        default="",
        metavar="NAME",
        help="for whom tokens must have been made; the API server itself where empty",
    )
    group.add_argument(
        "--vote-certificate-folder",
        type=Path,
        metavar="FOLDER",
        help="folder with tls.crt and tls.key that others renew, such as cert-manager: votes are taken over TLS alone",
    )


def settings_of(arguments: argparse.Namespace) -> "VoteSettings | None":
    """What the flags say; None where no votes are taken by HTTP."""
    from canary.controller.options import VoteSettings  # noqa: PLC0415 - help has no time for it

    if arguments.vote_address is None:
        for flag in ("vote_link_key", "vote_audience", "vote_certificate_folder"):
            if getattr(arguments, flag):
                arguments.refuse(f"--{flag.replace('_', '-')} has no effect without --vote-address")
        return None
    address, number = arguments.vote_address
    return VoteSettings(
        address, number, arguments.vote_link_key, arguments.vote_audience, arguments.vote_certificate_folder
    )


def _listened(text: str) -> tuple[str, int]:
    """An address and a port, as Go writes them."""
    host, colon, number = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not is_bracketed):
        msg = f"{text!r} is not [ADDRESS]:PORT; write one such as :8082, 127.0.0.1:8082 or [::1]:8082"
        raise argparse.ArgumentTypeError(msg)
    return (host[1:-1] if is_bracketed else host), port(number)
