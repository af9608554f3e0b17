"""No data plane: the Services alone. Users stay on the primary until a version is promoted."""

from datetime import timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import ALL_PRIMARY, TOTAL_WEIGHT, Split
from canary.routers.base import (
    SERVICES_FOLLOW,
    Capabilities,
    Granularity,
    Json,
    Observed,
    SharedService,
    mapping,
    refused,
)


class KubernetesRouter:
    """Reads what the Service that users call selects; the workloads' Services are all that there is to route."""

    capabilities: Capabilities = Capabilities(Granularity.NONE, frozenset({"service.ports"}))
    settle: timedelta = SERVICES_FOLLOW

    @property
    def shared(self) -> SharedService | None:
        """None: a Service leads to the pods of one version."""
        return None

    def resources(self, canary: Canary) -> tuple[str, ...]:
        """The kinds of object that its functions want to see among the observed."""
        return ("Service",)

    def desired(self, canary: Canary, split: Split, observed: Observed) -> tuple[Json, ...]:
        """Nothing beside the Services.

        Raises:
            ValueError: the split isn't all to the primary.
        """
        if split != ALL_PRIMARY:
            msg = f"without a data plane all requests go to the primary, not as {split}"
            raise ValueError(msg)
        return ()

    def observed_split(self, canary: Canary, observed: Observed) -> Split | None:
        """Which version the Service that users call selects: as one of the two Services of the versions does."""
        selected = selector_of(observed, canary.service_name)
        if not selected:
            return None
        if selected == selector_of(observed, canary.service_primary_name):
            return ALL_PRIMARY
        if selected == selector_of(observed, canary.service_canary_name):
            return Split(canary=TOTAL_WEIGHT)
        return None

    def unsettled(self, canary: Canary, observed: Observed) -> str:
        """Always empty: Services tell nothing."""
        return ""

    def handed_back(self, canary: Canary, observed: Observed) -> tuple[Json, ...]:
        """Nothing beside the Services."""
        return ()

    def unsupported(self, canary: Canary) -> tuple[Problem, ...]:
        """The fields of the spec that Services can't honour, alone or by the numbers of pods."""
        return refused(canary, "kubernetes", self.capabilities)


def selector_of(observed: Observed, name: str) -> Json:
    """What a Service selects; empty where there is none."""
    return mapping(mapping(observed.get(("Service", name), {}).get("spec")).get("selector"))
