"""The judge: from counts of two versions to a verdict, right however often it is asked.

`judge([Compared(name="errors", looks=[Look(canary, promoted, seconds), ...])])` says of each metric whether the
canary is worse, no worse, or what is missing to tell. `evidence` has the mathematics; `histogram` makes looks of
latencies, `intervals` what is shown beside a verdict; `mannwhitney` and `scores` are Kayenta's way. Pure, on the
standard library alone; knows nothing of Kubernetes, of metrics servers, or of time.
"""

from metrics.judge.forecast import Needs
from metrics.judge.looks import Counts, Look
from metrics.judge.sequential import Compared, Comparison, Judgement, Outcome, Promise, Rule, judge

__all__ = [
    "Compared",
    "Comparison",
    "Counts",
    "Judgement",
    "Look",
    "Needs",
    "Outcome",
    "Promise",
    "Rule",
    "judge",
]
