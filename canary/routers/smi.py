"""Service Mesh Interface: one TrafficSplit for all ports, in three versions of its API, and Linkerd's, which reads it.

The versions are views of the same objects, and differ in how they write a weight. A whole number is one in all of them:
a quantity of `v1alpha1` and a number of the others.
"""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import TRAFFIC_SPLITS, Json, ObjectRef, Resource, items, mapping
from canary.routers.base import (
    BY_WEIGHT,
    TRAEFIK_FOLLOWS,
    Apply,
    Granularity,
    Observed,
    Provider,
    need_weights_alone,
    refused,
    spec_path,
    written,
)
from canary.routers.route_kind import Lists, lists, share, summed

_FIELDS = BY_WEIGHT | {"service.hosts", "service.ports"}
_REMEDIES = {"service.gatewayRefs": "take it out, or set provider: gatewayapi:v1, which Linkerd follows, too"}
_UNITS = {"m": 1, "": 1_000, "k": 1_000_000}
"""How many thousandths one of a quantity is, by what stands behind it."""


def smi(resource: Resource, *names: str) -> Provider:
    """The provider that divides requests by TrafficSplits.

    Args:
        resource: the TrafficSplit in the version that its mesh serves.
        names: what specs and the command line call it.
    """

    def ref(canary: Canary) -> ObjectRef:
        return ObjectRef(resource, canary.namespace, canary.service_name)

    def plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply, ...]:
        """The TrafficSplit that divides requests so.

        Raises:
            ValueError: the split mirrors or matches requests.
        """
        need_weights_alone("the weights of a TrafficSplit", split)
        weights = {canary.service_canary_name: split.canary, canary.service_primary_name: split.primary}
        return (written(canary, ref(canary), _spec(canary, weights), observed),)

    def hand_back(canary: Canary, observed: Observed) -> tuple[Apply, ...]:
        weights = {canary.service_name: TOTAL_WEIGHT}
        return (written(canary, ref(canary), _spec(canary, weights), observed, owned=False),)

    def problems(canary: Canary) -> tuple[Problem, ...]:
        return (*refused(canary, made, _REMEDIES), *_hosts(canary))

    made = Provider(
        names=names,
        makes=lambda canary: (ref(canary),),
        plan=plan,
        split=lambda canary, observed: _split_of(canary, observed.get(ref(canary), {})),
        hand_back=hand_back,
        # Nothing tells which mesh follows, through which adaptor; of what was measured Traefik is the slowest.
        settle=TRAEFIK_FOLLOWS,
        weights=Granularity.PERCENT,
        fields=_FIELDS,
        problems=problems,
        routes={
            resource: Lists(
                backends=lambda spec: lists([spec], "backends"),
                part=lambda spec: {"backends": items(spec.get("backends"))},
                name=_service,
                named=lambda backend, name: {**backend, "service": name},
                weight=_weight,
            ).kind
        },
    )
    return made


def _spec(canary: Canary, weights: dict[str, int]) -> Json:
    service = canary.spec.service
    return {
        "service": service.hosts[0] if service.hosts else canary.service_name,
        "backends": [{"service": name, "weight": weight} for name, weight in weights.items()],
    }


def _split_of(canary: Canary, route: Json) -> Split | None:
    """How a TrafficSplit divides requests; None where it doesn't exist or leads elsewhere."""
    weights = summed(items(mapping(route.get("spec")).get("backends")), _service, _weight)
    primary = weights.pop(canary.service_primary_name, 0)
    percent = share(weights.pop(canary.service_canary_name, 0), primary)
    return None if weights or percent is None else Split(percent)


def _thousandths(weight: object) -> int:
    """A weight, which may be a quantity such as `500m`, in thousandths; 0 where it is none."""
    text = str(weight).strip()
    unit = text[-1:] if text[-1:] in ("m", "k") else ""
    try:
        return max(0, int(Decimal(text.removesuffix(unit)) * _UNITS[unit]))
    except (InvalidOperation, OverflowError, ValueError):
        return 0


def _hosts(canary: Canary) -> Iterator[Problem]:
    if len(canary.spec.service.hosts) > 1:
        path = spec_path(canary, "service.hosts")
        yield Problem(path, "a TrafficSplit is of one Service", "name the one that callers use, or take it out")


def _service(backend: Json) -> str:
    return str(backend.get("service", ""))


def _weight(backend: Json) -> int:
    return _thousandths(backend.get("weight"))


# Linkerd is asked as Flagger asks it, by the first version.
LINKERD = smi(TRAFFIC_SPLITS["v1alpha1"], "linkerd", "smi:v1alpha1")
SMI_V1ALPHA2 = smi(TRAFFIC_SPLITS["v1alpha2"], "smi:v1alpha2")
SMI_V1ALPHA3 = smi(TRAFFIC_SPLITS["v1alpha3"], "smi:v1alpha3")
SMI = (LINKERD, SMI_V1ALPHA2, SMI_V1ALPHA3)
