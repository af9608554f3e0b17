"""`make bench`: what the controller costs and how quick it is, beside another revision of it where one is named.

`rollouts`: settled Canaries at a 10 s interval, then a rollout of each, of five steps and two metrics, then some that
fail. `start`: from the start of a process to leading. `breaks`: the break of one watch. `storm`: thousands of new
Canaries at once. `asks`: from a look to its verdict, without an API server. `speed`: from a decision to requests at the
other version, behind each gateway, beside a plain patch. `hub`: from what a member says to the status of its fleet;
members are simulated, one that hangs and one that is slow among them.

Pods are empty and become ready after half a second, but for `speed`, whose requests they answer; API server,
controllers of Kubernetes, Prometheus and gateways are real.
All counts and times depend on the machine, and on what else it does: what tells is the ratio to another revision,
measured in the same run with the same Python.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.asks import LABEL, asks
from bench.breaks import breaks
from bench.figures import Figures
from bench.hub import hub
from bench.lane import Lane, lanes
from bench.members import MOST_MEMBERS
from bench.rollouts import rollouts
from bench.speed import speed
from bench.start import start
from bench.storm import storm
from canary.controller.logs import configure

CANARIES = {"rollouts": 100, "start": 100, "breaks": 500, "storm": 3000, "asks": 1000, "hub": 200}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=(*CANARIES, "speed"), default="rollouts")
    parser.add_argument(
        "--against", metavar="REV", help="another revision to measure beside this checkout; not speed, asks, hub"
    )
    parser.add_argument(
        "--canaries",
        type=int,
        help="how many; 100, 500 (breaks), 3000 (storm) or 1000 (asks), 200 members (hub) unless given",
    )
    parser.add_argument("--idle", type=float, default=60, help="rollouts, asks, hub: seconds to watch them for")
    parser.add_argument("--within", type=float, default=900, help="storm: seconds until those not settled are given up")
    parser.add_argument("--repetitions", type=int, default=5, help="speed: rollouts behind each gateway, of 4 changes")
    parser.add_argument("--behind", default="", metavar="TEXT", help="speed: the gateways with this in their name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures, too")
    given = parser.parse_args()
    if given.part == "hub" and not 3 <= (given.canaries or CANARIES["hub"]) <= MOST_MEMBERS:
        parser.error(f"--canaries: a hub is measured with 3 to {MOST_MEMBERS} members; name as many")
    configure("warning", "console")
    if given.part == "speed":
        times = asyncio.run(speed(given.repetitions, given.behind))
        if given.json is not None:
            given.json.write_text(json.dumps([asdict(each) for each in times], indent=1) + "\n")
        return
    if given.part in ("asks", "hub"):
        figures = Figures([LABEL])
        figures.heading()
        measure = asks if given.part == "asks" else hub
        asyncio.run(measure(figures, given.canaries or CANARIES[given.part], given.idle))
    else:
        with lanes(given.against) as both:
            figures = _figures(both, given)
    if given.json is not None:
        figures.write(given.json)


def _figures(both: Sequence[Lane], given: argparse.Namespace) -> Figures:
    """Measure all lanes in one of the parts that have any."""
    count = given.canaries or CANARIES[given.part]
    figures = Figures([lane.label for lane in both])
    print(f"{given.part}: {count} Canaries")
    figures.heading()
    match given.part:
        case "rollouts":
            asyncio.run(rollouts(both, figures, count, given.idle))
        case "start":
            asyncio.run(start(both, figures, count))
        case "breaks":
            asyncio.run(breaks(both, figures, count))
        case _:
            asyncio.run(storm(both, figures, count, given.within))
    return figures


if __name__ == "__main__":
    main()
