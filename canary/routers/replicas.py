"""No data plane, and weights all the same: one Service selects the pods of both versions, and each gets a pod's share.

Both carry the label `flagger.app/service`, by which the Service that users call selects while the canary has traffic;
at rest it selects the primary alone, so that pods of the target that start then get no request.
"""

from collections.abc import Mapping

from canary.api.canary import Canary
from canary.api.traffic import ALL_PRIMARY, SERVICE_LABEL, TOTAL_WEIGHT, Split
from canary.routers.base import Capabilities, Granularity, Json, Observed, mapping
from canary.routers.kubernetes import KubernetesRouter, selector_of

WEIGHT_ANNOTATION = "flagger.app/canary-weight"
"""On the Service that users call: percent of the requests that the canary gets by the numbers of pods."""

_FIELDS = frozenset({"analysis.stepWeight", "analysis.replicaRatio"})


class ReplicaRouter(KubernetesRouter):
    """Changes what the Service that users call selects; how many pods there are is up to whoever scales them."""

    capabilities: Capabilities = Capabilities(Granularity.PODS, KubernetesRouter.capabilities.fields | _FIELDS)

    @property
    def shared(self) -> "ReplicaRouter":
        """Itself."""
        return self

    def desired(self, canary: Canary, split: Split, observed: Observed) -> tuple[Json, ...]:
        """Nothing beside the Services, of which one is changed by `shift`."""
        return ()

    def shift(self, canary: Canary, split: Split, observed: Observed) -> Json:
        """The merge patch of the Service that users call so that it divides requests so; empty where it does.

        Raises:
            ValueError: the split mirrors or matches requests, or the Services that it goes by are not there.
        """
        if split.mirror or split.matched:
            msg = f"the numbers of pods can't divide requests as {split}"
            raise ValueError(msg)
        wanted, now = _selection(canary, split, observed), selector_of(observed, canary.service_name)
        marked = mapping(mapping(observed.get(("Service", canary.service_name), {}).get("metadata")).get("annotations"))
        weight = str(split.canary) if 0 < split.canary < TOTAL_WEIGHT else None
        patch: Json = {}
        if now != wanted:
            patch["spec"] = {"selector": {**dict.fromkeys(now), **wanted}}
        if marked.get(WEIGHT_ANNOTATION) != weight:
            patch["metadata"] = {"annotations": {WEIGHT_ANNOTATION: weight}}
        return patch

    def selected(self, canary: Canary, observed: Observed) -> Mapping[str, str]:
        """What the Service that users call selects, where that gives the canary traffic; empty where it doesn't."""
        return (
            selector_of(observed, canary.service_name)
            if (self.observed_split(canary, observed) or ALL_PRIMARY).canary
            else {}
        )

    def observed_split(self, canary: Canary, observed: Observed) -> Split | None:
        """The version that the Service selects, or the weight that it is marked with where it selects both."""
        if selector_of(observed, canary.service_name) != _shared(canary):
            return super().observed_split(canary, observed)
        metadata = mapping(observed.get(("Service", canary.service_name), {}).get("metadata"))
        weight = str(mapping(metadata.get("annotations")).get(WEIGHT_ANNOTATION, ""))
        known = weight.isascii() and weight.isdigit() and 0 < int(weight) < TOTAL_WEIGHT
        # Somebody has taken the mark away: some requests reach the canary, and that is all that is known.
        return Split(canary=int(weight) if known else 1)


def _shared(canary: Canary) -> Json:
    return {SERVICE_LABEL: canary.service_name}


def _selection(canary: Canary, split: Split, observed: Observed) -> Json:
    if 0 < split.canary < TOTAL_WEIGHT:
        return _shared(canary)
    name = canary.service_canary_name if split.canary else canary.service_primary_name
    selector = selector_of(observed, name)
    if not selector:
        msg = f"there is no Service {name} to select by"
        raise ValueError(msg)
    return selector
