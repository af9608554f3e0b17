"""`canary convert`: Argo Rollouts' objects as Canaries, or Canaries in another version, with no cluster."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from canary.cli.failures import DONE, FAILED

if TYPE_CHECKING:
    from canary.kube.types import Json


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "convert",
        help="make Canaries of Argo Rollouts' Rollouts, or Canaries of another version",
        description="Make of each Rollout in files a Canary and a Deployment, and of its AnalysisTemplates"
        " MetricTemplates, with no cluster. What has no counterpart, or one that differs, is said on standard error"
        " with file, line and field. Example: canary convert rollout.yaml templates.yaml > canary.yaml. With --to every"
        " Canary of the files is printed in that version, nothing of it lost, and all other objects as they are."
        " Example: canary convert --to v1beta2 canary.yaml",
        epilog="exit codes: 0 everything has a counterpart; 1 something has none, or would be refused; 2 a file can't"
        " be read, there is no Rollout, or with --to no Canary, or a flag is wrong",
    )
    parser.set_defaults(run=_run)
    parser.add_argument("places", nargs="+", metavar="PATH", help="file or folder; - for the standard input")
    parser.add_argument("--to", choices=("v1beta1", "v1beta2"), help="version of flagger.app to print Canaries in")
    parser.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml", help="form")


def _run(arguments: argparse.Namespace) -> int:
    # Here and not above: what is needed takes longer to load than help may take.
    from canary.cli.cluster.tables import written  # noqa: PLC0415
    from canary.cli.convert.files import converted  # noqa: PLC0415
    from canary.cli.main import tell  # noqa: PLC0415

    if arguments.to:
        from canary.cli.convert.versions import in_version  # noqa: PLC0415 - as above

        objects = list(in_version(arguments.places, arguments.to))
        print(written(objects, "json") if arguments.output == "json" else _stream(objects))
        return DONE
    found = converted(arguments.places)
    if arguments.output == "json":
        notes = [
            {
                "file": each.where,
                "line": each.place.line,
                "column": each.place.column,
                "kind": each.kind,
                "name": each.name,
                "field": each.field,
                "message": each.message,
                "lost": each.lost,
            }
            for each in found.notes
        ]
        print(written({"objects": list(found.objects), "notes": notes, "refused": list(found.refused)}, "json"))
    else:
        print(_stream(found.objects))
        sys.stdout.flush()
        tell("canary convert", [*map(str, found.notes), *(f"would be refused: {each}" for each in found.refused)])
    return FAILED if found.refused or any(each.lost for each in found.notes) else DONE


def _stream(objects: "Sequence[Json]") -> str:
    from canary.cli.cluster.tables import written  # noqa: PLC0415 - help has no time for it

    return "\n---\n".join(written(each, "yaml") for each in objects)
