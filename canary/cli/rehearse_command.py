"""`canary rehearse`: what a rollout will do, by the real decisions in virtual time, with no cluster."""

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from canary.cli.failures import FAILED, UNUSABLE

if TYPE_CHECKING:
    from canary.cli.rehearse.programme import Settings, Told

FORMATS = ("table", "json", "yaml", "svg")
WIDTH = 120
"""Of lines of YAML."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "rehearse",
        help="see what a rollout will do, before it does it",
        description="Play rollouts of Canaries in virtual time: the real decisions, with no cluster. "
        "Example: canary rehearse -f canary.yaml",
        epilog="exit codes: 0 as expected; 1 otherwise than expected; 2 a spec can't run, or a file can't be used",
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "-f",
        "--filename",
        action="append",
        default=[],
        metavar="FILE|FOLDER|-",
        help="specs, or folders of specs; - for the standard input",
    )
    parser.add_argument(
        "--scenario",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME|FILE",
        help="scenarios to play, by name or from files; all that come with the program where absent",
    )
    parser.add_argument(
        "--scenarios",
        action="store_true",
        help="list the scenarios that come with the program; with -o yaml as one writes them",
    )
    parser.add_argument("-o", "--output", choices=FORMATS, default="table", help="form of what is printed")
    parser.add_argument("--mesh-provider", default="", help="traffic provider of Canaries that name none")
    parser.add_argument(
        "--ready-after", metavar="DURATION", help="how long pods take to become ready, such as 30s (5s where absent)"
    )
    parser.add_argument("--members", type=int, help="how many members a CanaryFleet has, where nothing names them (6)")
    parser.add_argument(
        "--replicas", type=int, help="how many pods a target has; what the same file says where absent, else 2"
    )


def run(arguments: argparse.Namespace) -> int:
    """Rehearse what the arguments name, and return the exit code."""
    if arguments.scenarios:
        _list(arguments.output)
        return 0
    settings = _settings(arguments)
    # Decisions make no garbage that only the collector could find, but give it much to look through.
    gc.disable()
    try:
        return _rehearse(arguments, settings)
    finally:
        gc.enable()


def _list(form: str) -> None:
    """Name the scenarios that there are, or tell them as one writes them."""
    from canary.cli.rehearse.builtin import STORIES  # noqa: PLC0415
    from canary.cli.rehearse.fleets.stories import STORIES as FLEET_STORIES  # noqa: PLC0415

    told = [story.model_dump(mode="json", by_alias=True, exclude_unset=True) for story in STORIES]
    match form:
        case "yaml":
            import yaml  # noqa: PLC0415

            print(yaml.safe_dump_all(told, sort_keys=False, allow_unicode=True, width=WIDTH), end="")
        case "json":
            print(json.dumps(told, indent=2, ensure_ascii=False))
        case _:
            width = max(len(story.name) for story in STORIES)
            print("\n".join(f"{story.name:{width}}  {story.description}" for story in STORIES))
            print("\nof CanaryFleets:")
            print("\n".join(f"{story.name:{width}}  {story.description}" for story in FLEET_STORIES))


def _settings(arguments: argparse.Namespace) -> "Settings":
    # Here and not above: what is needed takes longer to load than help may take.
    from canary.api.durations import REMEDY, parse_duration  # noqa: PLC0415
    from canary.cli.rehearse.fleets.play import MOST_MEMBERS  # noqa: PLC0415
    from canary.cli.rehearse.fleets.programme import MEMBERS  # noqa: PLC0415
    from canary.cli.rehearse.programme import Settings, scenarios_named  # noqa: PLC0415
    from canary.cli.rehearse.reading import UnreadableError  # noqa: PLC0415

    if not arguments.filename:
        raise UnreadableError("-f", "is missing; name a file, a folder, or - for the standard input")
    try:
        ready_after = parse_duration(arguments.ready_after) if arguments.ready_after else None
    except ValueError as error:
        raise UnreadableError("--ready-after", f"{error}; {REMEDY}") from error
    wanted, told = scenarios_named(arguments.scenario)
    if arguments.replicas is not None and arguments.replicas < 1:
        raise UnreadableError("--replicas", f"{arguments.replicas} is no number of pods; write 1 or more")
    members = MEMBERS if arguments.members is None else arguments.members
    if not 1 <= members <= MOST_MEMBERS:
        raise UnreadableError("--members", f"{members} is no number of members; write 1 to {MOST_MEMBERS}")
    return Settings(wanted, told, arguments.mesh_provider, ready_after, arguments.replicas, members)


def _rehearse(arguments: argparse.Namespace, settings: "Settings") -> int:
    from pathlib import Path  # noqa: PLC0415

    from canary.cli.rehearse.programme import rehearse  # noqa: PLC0415
    from canary.cli.rehearse.report import tally, totals  # noqa: PLC0415

    began = time.monotonic()
    told = rehearse(arguments.filename, settings)
    if arguments.output != "table":
        reports = list(told)
        _draws_something(arguments.output, reports)
        _print(arguments.output, reports)
    else:
        folders = any(Path(place).is_dir() for place in arguments.filename)
        reports = _tell(told, in_lines=folders)
        if folders or tally(reports)["canaries"] > 1:
            print(totals(reports, timedelta(seconds=time.monotonic() - began)))
    counts = tally(reports)
    if counts["refused"] or counts["objects"] or counts["unusable"]:
        return UNUSABLE
    return FAILED if counts["failed"] else 0


def _tell(told: "Iterable[Told]", *, in_lines: bool) -> "list[Told]":
    """Say each as it comes: in lines, or where there are few at length."""
    from canary.cli.rehearse.gathering import Trouble  # noqa: PLC0415
    from canary.cli.rehearse.grids import show  # noqa: PLC0415
    from canary.cli.rehearse.programme import Report  # noqa: PLC0415
    from canary.cli.rehearse.report import grids, line  # noqa: PLC0415

    reports = []
    for report in told:
        reports.append(report)
        if isinstance(report, Trouble) or (isinstance(report, Report) and report.problems):
            print(line(report), file=sys.stdout if in_lines else sys.stderr)
        elif in_lines:
            print(line(report), flush=True)
        else:
            show(grids(report))
    return reports


def _draws_something(form: str, reports: "list[Told]") -> None:
    """Refuse to draw an empty picture: of a fleet there is none."""
    from canary.cli.rehearse.fleets.report import FleetReport  # noqa: PLC0415
    from canary.cli.rehearse.reading import UnreadableError  # noqa: PLC0415

    if form == "svg" and reports and all(isinstance(each, FleetReport) for each in reports):
        raise UnreadableError("-o", "svg draws Canaries, and there are only CanaryFleets; write table, json or yaml")


def _print(form: str, reports: "list[Told]") -> None:
    """Say all at once, for programs; what can't be rehearsed goes to people too."""
    import yaml  # noqa: PLC0415

    from canary.charts import svg  # noqa: PLC0415
    from canary.cli.rehearse.gathering import Trouble  # noqa: PLC0415
    from canary.cli.rehearse.pictures import charts  # noqa: PLC0415
    from canary.cli.rehearse.programme import Report  # noqa: PLC0415
    from canary.cli.rehearse.report import data, line  # noqa: PLC0415

    match form:
        case "json":
            print(json.dumps(data(reports), indent=2, ensure_ascii=False))
        case "yaml":
            print(yaml.safe_dump(data(reports), sort_keys=False, allow_unicode=True, width=WIDTH), end="")
        case _:
            print(svg(*(chart for each in reports if isinstance(each, Report) for chart in charts(each))), end="")
    for each in reports:
        if isinstance(each, Trouble) or (isinstance(each, Report) and each.problems):
            print(line(each), file=sys.stderr)
