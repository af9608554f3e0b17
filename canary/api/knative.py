"""Knative Services as targets: which of their revisions are the two versions, and what of a spec can't be honoured.

A Knative Service keeps each version of itself as a Revision, and divides requests between Revisions by its own
`spec.traffic`: the primary is a Revision, and so is the canary. No copy is made and nothing is scaled.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from canary.api.canary import Canary
from canary.api.meta import JsonObject
from canary.api.problems import Problem

PRIMARY_REVISION: Final = "flagger.app/primary-revision"
"""On a Knative Service: the name of the Revision that serves the promoted version, as Flagger writes it."""


def latest_revision(service: JsonObject) -> str:
    """The name of the Revision that was made last, ready or not; empty where there is none yet."""
    return str(_status(service).get("latestCreatedRevisionName") or "")


def primary_revision(canary: Canary, service: JsonObject) -> str:
    """The name of the Revision that serves the promoted version; empty where none serves anybody.

    Where the mark was taken off, it is what was promoted last; and before anything was, what most requests go to.
    """
    if name := marked_revision(service):
        return name
    if promoted := _promoted(canary):
        return promoted
    shares = shares_of(service)
    return max(shares, key=lambda name: (shares[name], name == latest_revision(service)), default="")


def is_led(canary: Canary, service: JsonObject) -> bool:
    """Whether the division of requests was ever taken over for this Canary, or for one before it."""
    return bool(marked_revision(service) or _promoted(canary))


def marked_revision(service: JsonObject) -> str:
    """The Revision that the Service is marked with as the promoted one; empty where it is with none."""
    annotations = _part(_part(service, "metadata"), "annotations")
    return str(annotations.get(PRIMARY_REVISION) or "")


def traffic_of(service: JsonObject) -> list[JsonObject]:
    """The entries of `spec.traffic`, with all that Knative adds to them when it stores them."""
    entries = _part(service, "spec").get("traffic") or [{"latestRevision": True, "percent": 100}]
    return [
        {
            **{key: value for key, value in entry.items() if value is not None},
            "latestRevision": not entry.get("revisionName"),
            "percent": entry.get("percent") or 0,
        }
        for entry in entries
    ]


def shares_of(service: JsonObject) -> Counter[str]:
    """The percent of requests that each Revision gets by `spec.traffic`; the latest one is the latest that is ready."""
    found: Counter[str] = Counter()
    for entry in traffic_of(service):
        name = str(entry.get("revisionName") or _status(service).get("latestReadyRevisionName") or "")
        if name and entry["percent"]:
            found[name] += entry["percent"]
    return found


def references(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Fields that are about what stands beside other targets."""
    if not canary.targets_knative:
        return
    spec = canary.spec
    if spec.service.model_fields_set:
        message = "the Services and routes of a Knative Service are Knative's, and none is made"
        yield Problem("spec.service", message, "take it out")
    if spec.route_refs:
        message = "requests are divided by the Knative Service itself, behind any route that leads to it"
        yield Problem("spec.routeRefs", message, "take it out")
    if spec.config_refs:
        message = "the Revisions of a Knative Service read their configuration by its name, and no copy is made"
        yield Problem("spec.configRefs", message, "take it out")
    if spec.autoscaler_ref is not None:
        yield Problem("spec.autoscalerRef", "Knative scales its Services by itself", "take autoscalerRef out")


def strategy(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Fields of an analysis that count pods, which are Knative's to count."""
    if not canary.targets_knative:
        return
    analysis, field = canary.analysis, canary.analysis_field
    for name, percent in (
        ("primaryReadyThreshold", analysis.primary_ready_threshold),
        ("canaryReadyThreshold", analysis.canary_ready_threshold),
    ):
        if percent != 100:
            message = "Knative says of a Revision that it is ready, not how many of its pods are"
            yield Problem(f"{field}.{name}", message, "take it out")


def _promoted(canary: Canary) -> str:
    """What was promoted last, where that is a Revision: their names begin with the Service's, and no hash does."""
    name = canary.status.last_promoted_spec
    return name if name.startswith(f"{canary.target_name}-") else ""


def _status(service: JsonObject) -> JsonObject:
    return _part(service, "status")


def _part(value: JsonObject, name: str) -> JsonObject:
    found = value.get(name)
    return found if isinstance(found, dict) else {}
