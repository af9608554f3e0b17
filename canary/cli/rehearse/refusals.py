"""What the controller would say of a spec before it does anything, as far as that can be told without a cluster."""

from datetime import timedelta
from typing import Final

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.controller.lookup import Lookup
from canary.controller.options import Options
from canary.controller.problems import problems
from canary.routers.base import Granularity
from canary.routers.registry import ALL, router_of

ANY_PROVIDER: Final = "in force"
"""What the rules are told where neither the spec nor the command line names a provider: a name that none has."""

UNNAMED_PROVIDER: Final = "--mesh-provider"
"""The field of what is wrong with that one."""


def problems_of(canary: Canary, beside: Lookup, provider: str) -> tuple[Problem, ...]:
    """Everything that keeps a spec from working, as the controller finds it.

    Args:
        canary: the Canary.
        beside: what there is around it.
        provider: the traffic provider in force; empty where it is not known, and any is taken for good.
    """
    found = problems(canary, beside, Options(mesh_provider=provider or ANY_PROVIDER))
    return found if provider else tuple(each for each in found if each.field != UNNAMED_PROVIDER)


def is_weighted(canary: Canary, provider: str) -> bool:
    """Whether requests are divided by weight; a traffic provider that is not known is taken for one that does."""
    router = router_of(canary, provider)
    return router is None or router.weights is not Granularity.NONE


def settle_of(canary: Canary, provider: str) -> timedelta:
    """How long the data plane is given to follow; one that is not known is taken for the slowest that is."""
    router = router_of(canary, provider)
    return max(each.settle for each in ALL) if router is None else router.settle
