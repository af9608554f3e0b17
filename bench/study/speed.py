"""How long one judgement takes, beside scipy's Mann-Whitney test on the same data: `python -m bench.study.speed`."""

import random
import time
from collections.abc import Callable
from statistics import median

from scipy.stats import mannwhitneyu

from metrics.judge import Compared, Counts, Look, Rule, judge
from metrics.judge.evidence import worse
from metrics.judge.mannwhitney import Series, classify

_LOOKS = 20
_TIMES, _REPEATED = 20, 50


def main() -> None:
    """Measure in turns, so that what else the machine does hits all alike."""
    chance = random.Random(1)  # noqa: S311 - numbers, no secrets
    looks = [
        Look(Counts(100, chance.choice((0, 0, 1, 1, 2))), Counts(900, chance.randint(2, 8)), 10) for _ in range(_LOOKS)
    ]
    usual = [Counts(1000, chance.randint(2, 8)) for _ in range(180)]
    canary, promoted = [look.canary.rate for look in looks], [look.promoted.rate for look in looks]
    rule, series = Rule(margin=0.003), Series(name="errors", canary=canary, promoted=promoted)
    measured: dict[str, Callable[[], object]] = {
        "scipy.stats.mannwhitneyu": lambda: mannwhitneyu(canary, promoted, method="asymptotic"),
        "worse": lambda: worse(looks),
        "judge": lambda: judge([Compared(name="errors", looks=looks, rule=rule)]),
        "judge, half an hour before": lambda: judge([Compared(name="errors", looks=looks, rule=rule, usual=usual)]),
        "mannWhitney": lambda: classify(series),
    }
    taken: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(_REPEATED):
        for name, call in measured.items():
            began = time.process_time()
            for _ in range(_TIMES):
                call()
            taken[name].append((time.process_time() - began) / _TIMES)
    beside = median(taken["scipy.stats.mannwhitneyu"])
    print(f"{_LOOKS} looks at two versions, milliseconds of CPU, and how many times faster than scipy's test")
    for name, times in taken.items():
        print(f"{name:28} {1000 * median(times):8.3f} {beside / median(times):8.1f}")


if __name__ == "__main__":
    main()
