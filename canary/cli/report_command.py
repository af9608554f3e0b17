"""`canary report`: what a rollout came to, for pipelines."""

import argparse

from canary.cli.arguments import canary_name
from canary.cli.cluster_commands import read, to_cluster
from canary.cli.failures import DONE


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "report",
        help="what a rollout came to, as Markdown or JUnit",
        description="Report the rollout that is under way, or else the last one: outcome, cause, images, checks; for"
        " the summary of a pipeline, or its tests. Example: canary report my-app -o junit > canary.xml",
        epilog="exit codes: 0 done, whatever the outcome; 1 there is none of that name, or no rollout of it; 2 no"
        " cluster, no right to it, or a flag is wrong",
    )
    parser.set_defaults(run=_run)
    parser.add_argument("name", type=canary_name, metavar="NAME")
    to_cluster(parser)
    parser.add_argument("--revision", default="", help="the rollout of this one, as status.history names it")
    parser.add_argument(
        "-o", "--output", choices=("markdown", "junit", "json", "yaml"), default="markdown", help="form"
    )


def _run(arguments: argparse.Namespace) -> int:
    # Here and not above: what is needed takes longer to load than help may take.
    from canary.cli.cluster.report import junit, markdown, report  # noqa: PLC0415
    from canary.cli.cluster.tables import written  # noqa: PLC0415
    from canary.cli.cluster.view import view_of  # noqa: PLC0415

    told = report(view_of(read(arguments)), arguments.revision)
    match arguments.output:
        case "markdown":
            print("\n".join(markdown(told)))
        case "junit":
            print(f'<?xml version="1.0" encoding="UTF-8"?>\n{junit(told)}')
        case form:
            print(written(told.data(), form))
    return DONE
