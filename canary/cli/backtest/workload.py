"""Whose series a backtest asks for.

The queries of a spec ask for the canary. In a healthy week hardly any request reached one, so the same queries are put
about those who served: the primary, or the workload as it was before a Canary took it over.
"""

from collections.abc import Mapping

from canary.controller.ask.metric_subjects import Workload, rewrite_for

__all__ = ["ORDER", "Workload", "choose", "rewrite_for"]

ORDER = (Workload.CANARY, Workload.PRIMARY, Workload.PLAIN)

_ENOUGH = 0.5
"""A workload with this part of the data that another one has goes before it."""


def choose(found: Mapping[Workload, int]) -> Workload:
    """The workload to look at, by how much data there is of each: the first that has enough."""
    most = max(found.values(), default=0)
    return next(each for each in ORDER if each in found and found[each] >= most * _ENOUGH)
