"""A traffic provider for a kind that nobody has, written as CONTRIBUTING.md says: all that one takes."""

from datetime import timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import Json, ObjectRef, Resource, items, mapping
from canary.routers.base import Apply, Granularity, Observed, Provider, refused, route_metadata
from canary.routers.route_kind import Lists, share

SHARE = Resource("example.com", "v1", "trafficshares", "TrafficShare")


def _makes(canary: Canary) -> tuple[ObjectRef, ...]:
    return (ObjectRef(SHARE, canary.namespace, canary.service_name),)


def _manifest(canary: Canary, weights: dict[str, int], observed: Observed, *, owned: bool) -> tuple[Apply, ...]:
    (ref,) = _makes(canary)
    return (
        Apply(
            {
                "apiVersion": SHARE.api_version,
                "kind": SHARE.kind,
                "metadata": route_metadata(canary, ref.name, observed.get(ref), owned=owned),
                "spec": {"backends": [{"name": name, "weight": weight} for name, weight in weights.items()]},
            }
        ),
    )


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply, ...]:
    if split.mirror or split.matched:
        msg = f"shares neither mirror nor match requests: {split}"
        raise ValueError(msg)
    weights = {canary.service_primary_name: split.primary, canary.service_canary_name: split.canary}
    return _manifest(canary, weights, observed, owned=True)


def _split(canary: Canary, observed: Observed) -> Split | None:
    (ref,) = _makes(canary)
    found = {each["name"]: each["weight"] for each in items(mapping(observed.get(ref, {}).get("spec")).get("backends"))}
    percent = share(found.pop(canary.service_canary_name, 0), found.pop(canary.service_primary_name, 0))
    return None if found or percent is None else Split(percent)


def _hand_back(canary: Canary, observed: Observed) -> tuple[Apply, ...]:
    return _manifest(canary, {canary.service_name: TOTAL_WEIGHT}, observed, owned=False)


def _unsettled(canary: Canary, observed: Observed) -> str:
    (ref,) = _makes(canary)
    taken = mapping(observed.get(ref, {}).get("status")).get("taken", True)
    return "" if taken else f"nobody has taken TrafficShare {ref.name}"


def _problems(canary: Canary) -> tuple[Problem, ...]:
    return refused(canary, MADE_UP)


def _backends(spec: Json) -> list[list[Json]]:
    return [spec["backends"]] if isinstance(spec.get("backends"), list) else []


MADE_UP = Provider(
    names=("made-up",),
    makes=_makes,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    unsettled=_unsettled,
    settle=timedelta(seconds=1),
    weights=Granularity.PERCENT,
    fields=frozenset({"analysis.stepWeight", "analysis.stepWeightPromotion", "analysis.stepWeightRollback"}),
    problems=_problems,
    routes={SHARE: Lists(backends=_backends, part=lambda spec: {"backends": spec.get("backends", [])}).kind},
)
