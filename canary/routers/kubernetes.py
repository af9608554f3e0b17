"""No data plane: the Services alone. Users stay on the primary until a version is promoted.

With `replicaRatio`, weights all the same: one Service selects the pods of both versions, and each gets a pod's share.
Both carry the label `flagger.app/service`, by which the Service that users call selects while the canary has traffic;
at rest it selects the primary alone, so that pods of the target that start then get no request. How many pods there are
is up to whoever scales them.
"""

from typing import Final

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import ALL_PRIMARY, SERVICE_LABEL, TOTAL_WEIGHT, Split
from canary.kube.types import SERVICE, Json, ObjectRef, mapping
from canary.routers.base import SERVICES_FOLLOW, Granularity, Observed, Patch, Provider, Write, refused

WEIGHT_ANNOTATION: Final = "flagger.app/canary-weight"
"""On the Service that users call: percent of the requests that the canary gets by the numbers of pods."""


def _services(canary: Canary) -> tuple[ObjectRef, ...]:
    return tuple(ObjectRef(SERVICE, canary.namespace, name) for name in canary.services)


def _stay(_canary: Canary, split: Split, _observed: Observed) -> tuple[Write, ...]:
    """Nothing beside the Services.

    Raises:
        ValueError: the split isn't all to the primary.
    """
    if split != ALL_PRIMARY:
        msg = f"without a data plane all requests go to the primary, not as {split}"
        raise ValueError(msg)
    return ()


def _selected_version(canary: Canary, observed: Observed) -> Split | None:
    """Which version the Service that users call selects: as one of the two Services of the versions does."""
    selected = _selector_of(canary, observed, canary.service_name)
    if not selected:
        return None
    if selected == _selector_of(canary, observed, canary.service_primary_name):
        return ALL_PRIMARY
    if selected == _selector_of(canary, observed, canary.service_canary_name):
        return Split(canary=TOTAL_WEIGHT)
    return None


def _problems(canary: Canary) -> tuple[Problem, ...]:
    return refused(canary, KUBERNETES)


def _shift(canary: Canary, split: Split, observed: Observed) -> tuple[Write, ...]:
    """What the Service that users call is to select so that it divides requests so.

    Raises:
        ValueError: the split mirrors or matches requests, or the Services that it goes by are not there.
    """
    if split.mirror or split.matched:
        msg = f"the numbers of pods can't divide requests as {split}"
        raise ValueError(msg)
    wanted, now = _selection(canary, split, observed), _selector_of(canary, observed, canary.service_name)
    weight = str(split.canary) if 0 < split.canary < TOTAL_WEIGHT else None
    patch: Json = {}
    if now != wanted:
        patch["spec"] = {"selector": {**dict.fromkeys(now), **wanted}}
    if _mark(canary, observed) != weight:
        patch["metadata"] = {"annotations": {WEIGHT_ANNOTATION: weight}}
    return (Patch(ObjectRef(SERVICE, canary.namespace, canary.service_name), patch),) if patch else ()


def _by_pods(canary: Canary, observed: Observed) -> Split | None:
    """The version that the Service selects, or the weight that it is marked with where it selects both."""
    if _selector_of(canary, observed, canary.service_name) != _both(canary):
        return _selected_version(canary, observed)
    weight = str(_mark(canary, observed) or "")
    known = weight.isascii() and weight.isdigit() and 0 < int(weight) < TOTAL_WEIGHT
    # Somebody has taken the mark away: some requests reach the canary, and that is all that is known.
    return Split(canary=int(weight) if known else 1)


def _problems_of_pods(canary: Canary) -> tuple[Problem, ...]:
    return refused(canary, REPLICAS)


def _both(canary: Canary) -> Json:
    return {SERVICE_LABEL: canary.service_name}


def _mark(canary: Canary, observed: Observed) -> object:
    metadata = mapping(_service(canary, observed, canary.service_name).get("metadata"))
    return mapping(metadata.get("annotations")).get(WEIGHT_ANNOTATION)


def _selection(canary: Canary, split: Split, observed: Observed) -> Json:
    if 0 < split.canary < TOTAL_WEIGHT:
        return _both(canary)
    name = canary.service_canary_name if split.canary else canary.service_primary_name
    selector = _selector_of(canary, observed, name)
    if not selector:
        msg = f"there is no Service {name} to select by"
        raise ValueError(msg)
    return selector


def _selector_of(canary: Canary, observed: Observed, name: str) -> Json:
    """What a Service selects; empty where there is none."""
    return mapping(mapping(_service(canary, observed, name).get("spec")).get("selector"))


def _service(canary: Canary, observed: Observed, name: str) -> Json:
    return observed.get(ObjectRef(SERVICE, canary.namespace, name), {})


KUBERNETES = Provider(
    names=("kubernetes",),
    makes=lambda _canary: (),
    reads=_services,
    plan=_stay,
    split=_selected_version,
    settle=SERVICES_FOLLOW,
    weights=Granularity.NONE,
    fields=frozenset({"service.ports"}),
    problems=_problems,
)

REPLICAS = Provider(
    names=("kubernetes",),
    makes=lambda _canary: (),
    reads=_services,
    plan=_shift,
    split=_by_pods,
    settle=SERVICES_FOLLOW,
    weights=Granularity.PODS,
    fields=KUBERNETES.fields | {"analysis.stepWeight", "analysis.replicaRatio"},
    problems=_problems_of_pods,
)
"""The same with `replicaRatio`."""
