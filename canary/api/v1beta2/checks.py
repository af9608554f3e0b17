"""The one list of checks of v1beta2, and the metrics, conditions and webhooks that it is in v1beta1."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from canary.api.analysis import BUILT_IN_METRICS, REQUEST_DURATION
from canary.api.meta import JsonObject
from canary.api.v1beta2.moving import Moves, moved
from canary.api.v1beta2.table import CALL, CONDITION, METRIC, Pairs

CHECKS: Final = "checks"

Thresholds = Mapping[str, Any]
"""Metrics that have the older `threshold`, by name: null where it is their range, else what it says beside a range."""


class Kind(StrEnum):
    """What a check asks, in the order in which kinds stand where nobody says another."""

    METRIC = "metric"
    CONDITION = "expression"
    CALL = "call"


LISTS: Final[Mapping[Kind, tuple[str, Pairs]]] = {
    Kind.METRIC: ("metrics", METRIC),
    Kind.CONDITION: ("conditions", CONDITION),
    Kind.CALL: ("webhooks", CALL),
}
"""The list of v1beta1 that each kind is in, and where the fields of its entries stand in v1beta2."""


def kind_of(check: object) -> Kind:
    """What a check of v1beta2 asks."""
    said = check if isinstance(check, dict) else {}
    if "webhook" in said or "gate" in said:
        return Kind.CALL
    return Kind.CONDITION if "expression" in said else Kind.METRIC


def forward(pairs: Pairs) -> Moves:
    """From v1beta1 to v1beta2."""
    return [(old.split("."), new.split(".")) for old, new in pairs]


def backward(pairs: Pairs) -> Moves:
    """From v1beta2 to v1beta1."""
    return [(new.split("."), old.split(".")) for old, new in pairs]


def joined(lists: Mapping[Kind, Sequence[Any]], order: Iterable[str]) -> list[Any]:
    """The checks that lists of v1beta1 come to.

    Args:
        lists: the lists.
        order: kinds as they stood in v1beta2, as far as known; what is more than they say stands at the end.
    """
    left = {kind: [_check(kind, each) for each in lists[kind]] for kind in lists}
    made = [left[Kind(word)].pop(0) for word in order if word in set(Kind) and left.get(Kind(word))]
    return [*made, *(each for kind in Kind for each in left.get(kind, ()))]


def parted(checks: Sequence[Any], older: Thresholds) -> dict[Kind, list[Any]]:
    """The lists of v1beta1 that checks come to; an empty list is one of metrics."""
    found: dict[Kind, list[Any]] = {} if checks else {Kind.METRIC: []}
    for each in checks:
        kind = kind_of(each)
        found.setdefault(kind, []).append(_entry(kind, each, older))
    return found


def order_of(checks: Sequence[Any]) -> list[str]:
    """The kinds of checks in their order; none where it is the one that they have anyway."""
    kinds = [kind_of(each).value for each in checks]
    usual = sorted(kinds, key=[each.value for each in Kind].index)
    return [] if kinds == usual else kinds


def thresholds(metrics: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """The metrics of v1beta1 that have the older `threshold`."""
    for each in metrics:
        if isinstance(each, dict) and isinstance(each.get("name"), str) and "threshold" in each:
            if "thresholdRange" in each:
                yield each["name"], each["threshold"]
            elif _is_number(each["threshold"]):
                yield each["name"], None


def _check(kind: Kind, entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    if kind is Kind.METRIC:
        entry = _with_range(entry)
    made = moved(entry, forward(LISTS[kind][1]))
    if kind is Kind.CALL and kind_of(made) is not Kind.CALL:
        made["webhook"] = {}
    return made


def _entry(kind: Kind, check: Any, older: Thresholds) -> Any:
    if not isinstance(check, dict):
        return check
    made = moved(check, backward(LISTS[kind][1]))
    if kind is Kind.CALL and made.get("webhook") == {}:
        del made["webhook"]
    return _with_threshold(made, older) if kind is Kind.METRIC else made


def _with_range(metric: JsonObject) -> JsonObject:
    if "threshold" not in metric or not isinstance(metric.get("name"), str):
        return metric
    rest = {name: value for name, value in metric.items() if name != "threshold"}
    if "thresholdRange" in metric:
        return rest
    if not _is_number(metric["threshold"]):
        return metric
    return {**rest, "thresholdRange": {_side(metric): metric["threshold"]}}


def _with_threshold(metric: JsonObject, older: Thresholds) -> JsonObject:
    name, limits = metric.get("name"), metric.get("thresholdRange")
    if not isinstance(name, str) or name not in older or "threshold" in metric:
        return metric
    if older[name] is not None:
        return {**metric, "threshold": older[name]}
    if not isinstance(limits, dict) or limits.keys() != {_side(metric)}:
        return metric
    rest = {name: value for name, value in metric.items() if name != "thresholdRange"}
    return {**rest, "threshold": limits[_side(metric)]}


def _side(metric: JsonObject) -> str:
    """Which limit the older `threshold` is."""
    own = metric.get("query") or metric.get("templateRef") is not None
    return "min" if not own and metric["name"] in BUILT_IN_METRICS and metric["name"] != REQUEST_DURATION else "max"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
