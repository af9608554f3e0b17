"""The flags of `canary run` by which it answers the API server."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from canary.cli.arguments import namespace, port

if TYPE_CHECKING:
    from datetime import timedelta

    from canary.controller.options import Admission


def add(parser: argparse.ArgumentParser) -> None:
    """Add them to the parser."""
    group = parser.add_argument_group(
        "admission",
        "Whether the API server may ask, before it stores a Canary, a MetricTemplate or an AlertProvider, what is wrong"
        " with it. Every replica answers.",
    )
    group.add_argument("--admission-port", type=port, default=0, metavar="PORT", help="port to answer on; 0 for none")
    group.add_argument(
        "--admission-name",
        type=_name,
        default="canary-controller-admission",
        metavar="NAME",
        help="name of the Service, of the Secret with the certificate, both in the namespace of the Lease, and of the"
        " configurations of webhooks",
    )
    group.add_argument(
        "--admission-certificate-folder",
        type=Path,
        metavar="FOLDER",
        help="folder with tls.crt and tls.key that others renew, such as cert-manager; without it a certificate is"
        " made, kept in the Secret, and made known to the API server",
    )
    group.add_argument(
        "--admission-certificate-life",
        type=_life,
        default="2160h",
        metavar="DURATION",
        help="for how long a certificate is good that is made here; another comes when a third is left",
    )
    group.add_argument(
        "--admission-v1beta2",
        action="store_true",
        help="v1beta2 of the Canary is served: its definition is to trust the certificate that is made here, too",
    )


def admission_of(arguments: argparse.Namespace) -> "Admission | None":
    """How the API server is answered; None where it isn't."""
    from canary.controller.options import Admission  # noqa: PLC0415 - help has no time for it

    if not arguments.admission_port:
        return None
    return Admission(
        arguments.admission_port,
        arguments.admission_name,
        arguments.admission_certificate_folder,
        arguments.admission_certificate_life,
        arguments.admission_v1beta2,
    )


def _name(text: str) -> str:
    """Reads what a Service may be called, which is what a namespace may be."""
    try:
        return namespace(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(str(error).replace("a namespace", "a Service")) from error


def _life(text: str) -> "timedelta":
    from canary.admission.certificates import LEAST_LIFE, LONGEST_LIFE  # noqa: PLC0415 - help has no time for it
    from canary.api.durations import duration_text, parse_duration  # noqa: PLC0415 - as above

    try:
        life = parse_duration(text)
    except ValueError as error:
        msg = f"{error}; write a duration such as 2160h"
        raise argparse.ArgumentTypeError(msg) from error
    if not LEAST_LIFE <= life <= LONGEST_LIFE:
        msg = f"{text} is not from {duration_text(LEAST_LIFE)} to {duration_text(LONGEST_LIFE)}"
        raise argparse.ArgumentTypeError(msg)
    return life
