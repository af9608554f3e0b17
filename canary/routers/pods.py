"""No route: one Service leads to all pods, and each version gets requests by how many of them are its own."""

from datetime import timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import Split
from canary.routers.base import Capabilities, Granularity, Json, Observed, routed_fields, spec_path


class PodsRouter:
    """Stands where a router is asked for, for targets that are rolled out in place."""

    capabilities: Capabilities = Capabilities(Granularity.PERCENT, frozenset({"analysis.stepWeight"}))
    settle: timedelta = timedelta(0)
    shared: None = None

    def resources(self, canary: Canary) -> tuple[str, ...]:
        """None: nothing is to be seen."""
        return ()

    def desired(self, canary: Canary, split: Split, observed: Observed) -> tuple[Json, ...]:
        """None: pods divide requests, not objects."""
        return ()

    def observed_split(self, canary: Canary, observed: Observed) -> Split | None:
        """None: no object says."""
        return None

    def unsettled(self, canary: Canary, observed: Observed) -> str:
        """Always empty: there is nothing to follow."""
        return ""

    def handed_back(self, canary: Canary, observed: Observed) -> tuple[Json, ...]:
        """None: nothing was taken."""
        return ()

    def unsupported(self, canary: Canary) -> tuple[Problem, ...]:
        """The fields of the spec that only a route can honour; what is said of Services is refused by the rules."""
        kind = canary.spec.target_ref.kind
        return tuple(
            Problem(spec_path(canary, field), f"the pods of a {kind} get requests by their own Service", "take it out")
            for field, is_set in routed_fields(canary).items()
            if is_set and field not in self.capabilities.fields and not field.startswith("service.")
        )
