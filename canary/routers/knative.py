"""Knative: the Service's own `spec.traffic`, which divides requests between its Revisions.

Ours are the entries without a tag and the mark of the promoted Revision; entries with a tag stay, for the addresses
that they give, and get no share. Both versions are named: what is deployed gets no request before its analysis.

Knative takes no change of a division in which one Revision is not ready, whatever its share: only what gets requests is
listed. Nor does it ever call one ready in which a Revision is listed twice.
"""

from datetime import timedelta

from canary.api import knative
from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import KNATIVE_REVISION, KNATIVE_SERVICE, Json, ObjectRef, condition_of, mapping
from canary.routers.base import Granularity, Observed, Patch, Provider, need_weights_alone, refused
from canary.routers.route_kind import BESIDE, share

FOLLOWS = timedelta(seconds=2)
"""How long requests may go on as before once Knative says that it has taken the division.

It says so when its gateway does, which it asks by probes. Not measured.
"""

_REMEDIES = {
    "analysis.stepWeightPromotion": "take it out: the Revision that is promoted is the one that serves already",
}


def _service(canary: Canary) -> tuple[ObjectRef, ...]:
    named = canary.targets_knative and canary.target_name
    return (ObjectRef(KNATIVE_SERVICE, canary.namespace, canary.target_name),) if named else ()


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Patch, ...]:
    """The entries that divide requests so, and the mark; nothing where no Revision is there to lead to.

    The canary is the Revision that the rollout began with: one that came since gets nothing.

    Raises:
        ValueError: the split mirrors or matches requests.
    """
    need_weights_alone("the shares of Revisions", split)
    return tuple(
        patch
        for ref in _service(canary)
        if (service := observed.get(ref)) is not None and (primary := knative.primary_revision(canary, service))
        for patch in _divided(ref, service, _entries(canary, split, service, primary), primary)
    )


def _entries(canary: Canary, split: Split, service: Json, primary: str) -> list[Json]:
    candidate = canary.status.last_applied_spec or knative.latest_revision(service) or primary
    if candidate == primary:
        return [_entry(primary, TOTAL_WEIGHT)]
    return [_entry(name, part) for name, part in ((primary, split.primary), (candidate, split.canary)) if part]


def _entry(name: str, percent: int) -> Json:
    return {"revisionName": name, "latestRevision": False, "percent": percent}


def _divided(ref: ObjectRef, service: Json, entries: list[Json], primary: str | None) -> tuple[Patch, ...]:
    """What has a Service divide requests by these entries, beside those with a tag; nothing where it does already."""
    there = knative.traffic_of(service)
    wanted = [*entries, *({**entry, "percent": 0} for entry in there if entry.get("tag"))]
    patch: Json = {}
    if knative.marked_revision(service) != (primary or ""):
        patch["metadata"] = {"annotations": {knative.PRIMARY_REVISION: primary}}
    if there != wanted:
        patch["spec"] = {"traffic": wanted}
    return (Patch(ref, patch),) if patch else ()


def _split(canary: Canary, observed: Observed) -> Split | None:
    """How the Service divides requests: all that does not go to the promoted Revision counts as the canary's."""
    for ref in _service(canary):
        service = observed.get(ref, {})
        shares = knative.shares_of(service)
        primary = shares.pop(knative.primary_revision(canary, service), 0)
        percent = share(shares.total(), primary)
        return None if percent is None else Split(percent)
    return None


def _hand_back(canary: Canary, observed: Observed) -> tuple[Patch, ...]:
    """All requests to whatever is deployed last, as Knative has it where nobody says otherwise; and no mark."""
    latest = [{"latestRevision": True, "percent": TOTAL_WEIGHT}]
    return tuple(
        patch
        for ref in _service(canary)
        if (service := observed.get(ref)) is not None and knative.is_led(canary, service)
        for patch in _divided(ref, service, latest, None)
    )


def _problems(canary: Canary) -> tuple[Problem, ...]:
    """The fields that it can't honour; what is said of Services is refused by the rules."""
    return tuple(each for each in refused(canary, KNATIVE, _REMEDIES) if not each.field.startswith("spec.service."))


def _unfit(canary: Canary, observed: Observed) -> tuple[Problem, ...]:
    """Of a Service that never gets a Revision, what Knative says of it."""
    found = []
    for ref in _service(canary):
        service = observed.get(ref, {})
        ready = condition_of(service, "Ready")
        if not knative.latest_revision(service) and ready.get("status") == "False":
            message = f"Service {ref.name} has no Revision: {_said(ready)}"
            found.append(Problem("spec.targetRef", message, f"see kubectl describe services.serving {ref.name}"))
    return tuple(found)


def _unsettled(canary: Canary, observed: Observed) -> str:
    """Why Knative has not taken the division; empty where it has."""
    for ref in _service(canary):
        service = observed.get(ref, {})
        seen = mapping(service.get("status")).get("observedGeneration") or 0
        if seen < (mapping(service.get("metadata")).get("generation") or 0):
            return f"Knative has yet to see the traffic of Service {ref.name}"
        routed = condition_of(service, "RoutesReady")
        if service and routed.get("status") != "True":
            return f"Knative has not taken the traffic of Service {ref.name}: {_said(routed)}"
    return ""


def _said(condition: Json) -> str:
    return str(condition.get("message") or condition.get("reason") or "it does not say why")


KNATIVE = Provider(
    names=("knative",),
    makes=lambda _canary: (),
    adjusts=_service,
    unfit=_unfit,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    unsettled=_unsettled,
    settle=FOLLOWS,
    weights=Granularity.PERCENT,
    fields=frozenset({"analysis.stepWeight", "analysis.stepWeightRollback"}),
    problems=_problems,
    routes={KNATIVE_SERVICE: BESIDE},
    sources=(KNATIVE_REVISION,),
)
