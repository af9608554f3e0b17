"""`canary lint`: what is wrong with files of specs, and where, with no cluster."""

import argparse
import json
import sys

from canary.cli.failures import DONE, FAILED, UNUSABLE

FORMATS = ("text", "json")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "lint",
        help="find what is wrong with files of specs",
        description="Check Canaries, CanaryFleets, MetricTemplates and AlertProviders in files as the API server does"
        " and as the controller does, with no cluster; objects of other kinds are passed over, and looked at where a"
        " Canary names them. Example: canary lint deploy/",
        epilog="exit codes: 0 nothing is wrong; 1 something is; 2 a file can't be checked, or a flag is wrong",
    )
    parser.set_defaults(run=run)
    parser.add_argument("places", nargs="+", metavar="PATH", help="file or folder; - for the standard input")
    parser.add_argument("-o", "--output", choices=FORMATS, default="text", help="form of what is printed")
    parser.add_argument("--mesh-provider", default="", help="traffic provider of Canaries that name none")


def run(arguments: argparse.Namespace) -> int:
    """Check what the arguments name, and return the exit code."""
    # Here and not above: what is needed takes longer to load than help may take.
    from canary.cli.lint.files import Unusable  # noqa: PLC0415
    from canary.cli.lint.findings import check  # noqa: PLC0415
    from canary.cli.lint.report import data, lines, summary, tally, why  # noqa: PLC0415
    from canary.cli.main import tell  # noqa: PLC0415

    seen = list(check(arguments.places, arguments.mesh_provider))
    if arguments.output == "json":
        print(json.dumps(data(seen), indent=2, ensure_ascii=False))
    else:
        for each in seen:
            if not isinstance(each, Unusable):
                for line in lines(each):
                    print(line)
    sys.stdout.flush()
    tell("canary lint", [why(each) for each in seen if isinstance(each, Unusable)])
    counts = tally(seen)
    if arguments.output != "json" and counts["objects"]:
        print(summary(seen))
    if counts["unusable"]:
        return UNUSABLE
    return FAILED if counts["problems"] else DONE
