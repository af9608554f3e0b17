"""The versions' shares of the requests as weights of their Services, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from canary.api.canary import Canary
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.routers.route_kind import share


def by_rules(canary: Canary, weights: Sequence[Mapping[str, int]]) -> Split | None:
    """What the rules of a route say by the weights that each gives to Services; None where they lead elsewhere."""
    ours = {canary.service_primary_name, canary.service_canary_name, canary.service_baseline_name}
    if not weights or not all(found and found.keys() <= ours for found in weights):
        return None
    first, *rest = weights
    if len(rest) > 1 or any(canary.service_canary_name in found for found in rest):
        return None
    found = by_weights(canary, first)
    return None if found is None else replace(found, matched=bool(rest))


def by_weights(canary: Canary, weights: Mapping[str, int]) -> Split | None:
    """How the weights of the versions' Services divide requests, whatever their total; None where nobody gets any.

    A share below one percent counts as one, as only 0 means that a version gets nothing.
    """
    names = (canary.service_canary_name, canary.service_baseline_name, canary.service_primary_name)
    new, fresh, primary = (weights.get(name, 0) for name in names)
    percent = share(new, fresh + primary)
    if percent is None:
        return None
    return Split(percent, baseline=min(share(fresh, new + primary) or 0, TOTAL_WEIGHT - percent))


def weights_of(canary: Canary, split: Split) -> dict[str, int]:
    """The weight of each version's Service; of the baseline's only while it gets requests, as it goes after that."""
    fresh = {canary.service_baseline_name: split.baseline} if split.baseline else {}
    return {canary.service_primary_name: split.primary, canary.service_canary_name: split.canary, **fresh}
