"""What can't be of a baseline: fresh pods of the promoted version, with as large a share as the canary."""

from collections.abc import Iterator
from typing import Final

from canary.api.analysis import CompareTo
from canary.api.canary import Canary, Strategy
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT

_LONGEST: Final = 63 - len("-baseline")
"""Characters of a name whose baseline's is still one of a Service, and the value of a label."""

_OTHERWISE: Final = "write compareTo: primary"


def problems(canary: Canary, _provider: str) -> Iterator[Problem]:
    """What keeps a baseline from being made, or from getting requests of the same kind as the canary."""
    if not canary.analysis.wants_baseline:
        return
    field, kind = canary.analysis_field, canary.spec.target_ref.kind
    places = (at for at, each in enumerate(canary.analysis.metrics) if each.compare_to is CompareTo.BASELINE)
    where = f"{field}.metrics[{next(places)}].compareTo"
    if kind != "Deployment":
        way = _OTHERWISE if canary.is_copied else "write compareTo: previous"
        yield Problem(where, f"a baseline is made of Deployments alone, and of no {kind}", way)
        return
    for name in {canary.target_name, canary.service_name}:
        if len(name) > _LONGEST:
            message = f"{name}-baseline is longer than a name can be that Services and labels have (63 characters)"
            yield Problem(where, message, f"{_OTHERWISE}, or choose a shorter name")
    yield from _divided_otherwise(where, canary)
    if canary.steps and canary.steps[0] >= TOTAL_WEIGHT:
        message = "the canary gets all requests from its first step on, and leaves the baseline none"
        yield Problem(where, message, f"begin {field}.stepWeights with less than {TOTAL_WEIGHT}, such as 10")


def _divided_otherwise(where: str, canary: Canary) -> Iterator[Problem]:
    """Those whom anything but a weight leads to the canary are others than those who reach the baseline."""
    analysis = canary.analysis
    ways = {
        "iterations": canary.strategy is not Strategy.CANARY,
        "mirror": analysis.mirror,
        "alwaysMatch": bool(analysis.always_match),
        "steps[].header": any(each.header is not None for each in analysis.steps),
        "steps[].mirror": any(each.mirror is not None for each in analysis.steps),
        "sessionAffinity": analysis.session_affinity is not None,
        "replicaRatio": analysis.replica_ratio,
    }
    for name, is_set in ways.items():
        if is_set:
            message = f"a baseline gets as many requests as the canary by weight alone, and {name} is set"
            yield Problem(where, message, f"take {canary.analysis_field}.{name} out, or {_OTHERWISE}")
