"""`make bench`: what the controller costs and how quick it is, beside another revision of it where one is named.

`rollouts`: settled Canaries at a 10 s interval, then a rollout of each, of five steps and two metrics, then some that
fail. `start`: from the start of a process to leading. `breaks`: the break of one watch. `storm`: thousands of new
Canaries at once.

Pods are empty and become ready after half a second; API server, controllers of Kubernetes and Prometheus are real.
All counts and times depend on the machine, and on what else it does: what tells is the ratio to another revision,
measured in the same run with the same Python.
"""

import argparse
import asyncio
from pathlib import Path

from bench.breaks import breaks
from bench.figures import Figures
from bench.lane import lanes
from bench.rollouts import rollouts
from bench.start import start
from bench.storm import storm
from canary.controller.logs import configure

CANARIES = {"rollouts": 100, "start": 100, "breaks": 500, "storm": 3000}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=CANARIES, default="rollouts")
    parser.add_argument("--against", metavar="REV", help="another revision to measure beside this checkout")
    parser.add_argument("--canaries", type=int, help="how many; 100, 500 (breaks) or 3000 (storm) unless given")
    parser.add_argument("--idle", type=float, default=60, help="rollouts: seconds to watch settled Canaries for")
    parser.add_argument("--within", type=float, default=900, help="storm: seconds until those not settled are given up")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures, too")
    given = parser.parse_args()
    configure("warning", "console")
    count = given.canaries or CANARIES[given.part]
    with lanes(given.against) as both:
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
    if given.json is not None:
        figures.write(given.json)


if __name__ == "__main__":
    main()
