"""Services that a Canary's spec named before: how much they give the canary still, and how that is taken from it."""

from canary.api.traffic import SERVICE_LABEL, TOTAL_WEIGHT
from canary.kube.types import Json, mapping
from canary.routers.kubernetes import WEIGHT_ANNOTATION


def service_share(service: Json, canary: Json) -> int:
    """Percent of the requests to a Service that users call which reach the pods of the canary's Service beside it."""
    metadata = mapping(service.get("metadata"))
    if _selector(service) == {SERVICE_LABEL: metadata.get("name")}:
        weight = str(mapping(metadata.get("annotations")).get(WEIGHT_ANNOTATION, ""))
        return int(weight) if weight.isascii() and weight.isdigit() else 1
    return TOTAL_WEIGHT if leads_as(service, canary) else 0


def leads_as(service: Json, other: Json) -> bool:
    """Whether two Services lead to the same pods."""
    return bool(_selector(service)) and _selector(service) == _selector(other)


def leading_to(service: Json, other: Json) -> Json:
    """The merge patch that has a Service lead to the pods of another one."""
    return {
        "metadata": {"annotations": {WEIGHT_ANNOTATION: None}},
        "spec": {"selector": {**dict.fromkeys(_selector(service)), **_selector(other)}},
    }


def _selector(service: Json) -> Json:
    return mapping(mapping(service.get("spec")).get("selector"))
