"""`make study`: simulate rollouts from a seed, and write their table and pictures into docs/judge.md."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from math import sqrt
from pathlib import Path

import numpy as np

from bench.study.latency import CLASSIC, NATIVE, slower
from bench.study.ours import Ended, Plan, rollouts
from bench.study.peers import flagger, repeated, tolerant
from bench.study.picture import Axis, Curve, drawn
from bench.study.worlds import Kind, Traffic

DOCS = Path(__file__).parents[2] / "docs"
LOOKS = (10, 100, 1000)
RATES = (1, 10, 100)
BEGIN, END = "<!-- make study: begin -->", "<!-- make study: end -->"


class Study:
    """All that is simulated, each part from its own randomness.

    Args:
        number: rollouts of each kind.
        seed: of all.
        pool: the cores.
    """

    def __init__(self, number: int, seed: int, pool: ProcessPoolExecutor) -> None:
        self._number, self._seed, self._pool = number, seed, pool
        self.pictures: dict[str, str] = {}

    def parts(self) -> Iterator[str]:
        """The parts of the report."""
        for number, part in enumerate((self._healthy, self._worse, self._slower, self._evidence, self._dependent)):
            began = time.monotonic()
            yield part(number)
            print(f"{part.__name__.strip('_')}: {time.monotonic() - began:.0f} s", file=sys.stderr)

    def _ours(self, traffic: Traffic, plan: Plan, *seed: int) -> list[Ended]:
        return rollouts(traffic, plan, self._number, (self._seed, *seed), self._pool)

    def _healthy(self, part: int) -> str:
        rows, curves = [], []
        for rate in RATES:
            runs = {n: self._ours(Traffic(rate), Plan(looks=n, stays=True), part, rate, n) for n in LOOKS}
            shares = {n: _share(run) for n, run in runs.items()}
            rows.append((f"this judge, {rate} requests/s", *(_percent(shares[n], self._number) for n in LOOKS)))
            if rate == RATES[-1]:
                curves.append(Curve("this judge", list(shares.items())))
        plans = {n: Plan(looks=n, stays=True, metrics=3) for n in LOOKS[:2]}
        three = {n: _share(self._ours(Traffic(100), plan, part, 3, n)) for n, plan in plans.items()}
        cells = (_percent(three.get(n), self._number) for n in LOOKS)
        rows.append(("this judge, three metrics, 100 requests/s", *cells))
        sliding = repeated(LOOKS, 60, self._number, (self._seed, part, 1))
        growing = repeated(LOOKS[:2], None, self._number, (self._seed, part, 2))
        for level, name in enumerate(("Mann-Whitney, 0.98 (Kayenta's level)", "Mann-Whitney, 0.05 (PipeCD's)")):
            rows.append((f"{name}, last 60 values", *(_percent(sliding[n][level], self._number) for n in LOOKS)))
            found = [growing[n][level] if n in growing else None for n in LOOKS]
            rows.append((f"{name}, all values", *(_percent(each, self._number) for each in found)))
            curves.append(Curve(name.split(" (")[0], [(n, sliding[n][level]) for n in LOOKS]))
        some = min(1000, self._number)
        with_quarter = tolerant(LOOKS[:2], 60, some, (self._seed, part, 3))
        rows.append(("Kayenta's whole rule, last 60 values", *(_percent(with_quarter.get(n), some) for n in LOOKS)))
        curves.append(Curve("promised", [(n, 0.05) for n in (LOOKS[0], LOOKS[-1])]))
        x = Axis("looks", LOOKS, logarithmic=True)
        self.pictures["judge-healthy.svg"] = drawn(
            "Healthy releases rolled back, by the number of looks",
            x,
            Axis("rolled back", (0, 0.25, 0.5, 0.75, 1)),
            curves,
        )
        heading = ("healthy releases rolled back", *(f"{n:,} looks" for n in LOOKS))
        return f"### Healthy releases\n\n{_table(heading, rows)}\n\n![](images/judge-healthy.svg)"

    def _worse(self, part: int) -> str:
        rows, bad = [], {"this judge": [], "Flagger's rule": []}
        for share in (0.05, 0.012, 1.0):
            for rate in RATES:
                traffic, seed = Traffic(rate, canary=share), (self._seed, part, rate, int(1000 * share))
                runs = {
                    "Flagger's rule": flagger(traffic, self._number, seed),
                    "this judge": self._ours(traffic, Plan(), *seed[1:]),
                    "this judge, a look a minute": self._ours(traffic, Plan(look=60), *seed[1:], 60),
                }
                for name, run in runs.items():
                    rows.append((f"{100 * share:g} % at {rate}/s", name, *_found(run)))
                    if share == 0.05 and name in bad:
                        bad[name].append((rate, _median(run, lambda each: each.bad)))
        self.pictures["judge-bad.svg"] = drawn(
            "Bad requests until a canary with 5 % errors is rolled back",
            Axis("requests a second, a tenth of them the canary's", RATES, logarithmic=True),
            Axis("bad requests", (1, 10, 100, 1000), logarithmic=True),
            [Curve(name, points) for name, points in bad.items()],
        )
        heading = ("errors, where 0.5 % is usual", "rule", "found", "seconds", "bad requests", "requests")
        return f"### Worse releases\n\n{_table(heading, rows)}\n\n![](images/judge-bad.svg)"

    def _slower(self, part: int) -> str:
        rows, some = [], min(2000, self._number)
        for bounds, name in ((CLASSIC, "classic"), (NATIVE, "native")):
            for times in (1.0, 1.2, 2.0):
                run = slower(bounds, times, 100, some, (self._seed, part, int(10 * times), len(bounds)), self._pool)
                rows.append((f"{100 * (times - 1):+.0f} %", name, *_found(run)))
        heading = ("all latencies, at 100/s", "histogram", "found", "seconds", "slow requests", "requests")
        return f"### Slower releases\n\n{_table(heading, rows)}"

    def _evidence(self, part: int) -> str:
        rows, some = [], min(2000, self._number)
        for margin in (0.005, 0.01, 0.015, 0.02):
            plan = Plan(on_evidence=True, margin=margin)
            row = [f"{100 * margin:g} points"]
            for rate in RATES[1:]:
                run = rollouts(Traffic(rate), plan, some, (self._seed, part, int(1e4 * margin), rate), self._pool)
                promoted = [each.seconds for each in run if each.found is None]
                row += [f"{np.median(promoted):.0f}", f"{np.median(promoted) / 300:.2f}"]
            bad = Traffic(100, canary=0.005 + margin)
            run = rollouts(bad, plan, some, (self._seed, part, int(1e4 * margin)), self._pool)
            rows.append((*row, _percent(1 - _share(run), some)))
        fixed = ("seconds at 10/s", "of 300", "seconds at 100/s", "of 300")
        heading = ("margin", *fixed, "worse by the margin, yet promoted, at 100/s")
        return f"### Healthy releases that are promoted on evidence\n\n{_table(heading, rows)}"

    def _dependent(self, part: int) -> str:
        rows = []
        for number, kind in enumerate(Kind):
            row = [kind.value]
            for before in (180, 60, 0):
                for rate in RATES[1:]:
                    plan = Plan(looks=100, stays=True, before=before)
                    run = self._ours(Traffic(rate, kind=kind), plan, part, number, before, rate)
                    row.append(_percent(_share(run), self._number))
            rows.append(tuple(row))
        times = ("half an hour before", "ten minutes before", "nothing before")
        heading = ("bad requests are", *(f"{rate}/s, {seen}" for seen in times for rate in RATES[1:]))
        title = "Where requests hang together: healthy releases rolled back within 100 looks"
        return f"### {title}\n\n{_table(heading, rows)}"


def _share(run: list[Ended]) -> float:
    return sum(each.found is not None for each in run) / len(run)


def _median(run: list[Ended], value: Callable[[Ended], float]) -> float:
    found = [value(each) for each in run if each.found is not None]
    return float(np.median(found)) if found else float("nan")


def _found(run: list[Ended]) -> tuple[str, ...]:
    values = (lambda each: each.found), (lambda each: each.bad), (lambda each: each.requests)
    medians = [_median(run, value) for value in values]
    return _percent(_share(run), len(run)), *("-" if np.isnan(each) else f"{each:,.0f}" for each in medians)


def _percent(share: float | None, number: int) -> str:
    """A share with what chance may have it off by, twice its standard error."""
    if share is None:
        return "-"
    off = 200 * sqrt(max(share * (1 - share), 1 / number) / number)
    return f"{100 * share:.1f} % ± {off:.1f}"


def _table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bench.study", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=10_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--docs", type=Path, default=DOCS, help="the folder of judge.md")
    given = parser.parse_args()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        study = Study(given.rollouts, given.seed, pool)
        report = "\n\n".join(study.parts())
    page = given.docs / "judge.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    said = f"{given.rollouts:,} rollouts of each kind, seed {given.seed}."
    page.write_text(f"{before}{BEGIN}\n\n{said}\n\n{report}\n\n{END}{after}")
    for name, picture in study.pictures.items():
        (given.docs / "images" / name).write_text(picture)


if __name__ == "__main__":
    main()
