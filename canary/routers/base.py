"""What the traffic providers have in common: the protocol of a router, and what it says that it can do."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from canary.api.canary import Canary, Strategy
from canary.api.field_conflicts import counted
from canary.api.meta import API_VERSION
from canary.api.problems import Problem
from canary.api.service import ServicePort
from canary.api.traffic import Split

Json = dict[str, Any]
"""A Kubernetes object, or a part of one, as the API server speaks it."""

Observed = Mapping[tuple[str, str], Json]
"""Objects that exist in the Canary's namespace, by kind and name."""

_GITOPS_OFF = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}

SERVICES_FOLLOW = timedelta(seconds=3)
"""How long requests may go on as before after a Service has changed what it selects.

kube-proxy gathers changes for a second (`iptables.minSyncPeriod`), and a Traefik in front of the Service for two
(`providers.providersThrottleDuration`); the rest is for the EndpointSlices on the way.
"""

TRAEFIK_FOLLOWS = timedelta(seconds=5)
"""How long requests may go on as before after a route of Traefik's has changed.

After each configuration that it takes from a provider it waits for `providers.providersThrottleDuration`, 2 s where
nobody sets it, before it takes the next one; any route or EndpointSlice of the cluster makes one. Measured with 3.7,
the canary got its last request up to 2.1 s after the route was written. Twice that wait, where one more configuration
comes before the route's own, and a second for a cluster that is busy.
"""


class Granularity(StrEnum):
    """How finely a router divides requests between the two versions."""

    NONE = "none"
    """Not at all: only tests reach the new version before its promotion."""
    PODS = "pods"
    """By the numbers of pods of each version."""
    PERCENT = "percent"
    """By whole percents."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a router can do.

    Args:
        weights: how finely it divides requests.
        fields: the fields of the spec, out of `ROUTED_FIELDS`, that it honours.
    """

    weights: Granularity
    fields: frozenset[str] = frozenset()

    @property
    def match(self) -> bool:
        """Whether chosen requests, by header or cookie, can go to the canary: A/B testing."""
        return "analysis.match" in self.fields

    @property
    def mirror(self) -> bool:
        """Whether copies of requests can go to the canary."""
        return "analysis.mirror" in self.fields

    @property
    def session_affinity(self) -> bool:
        """Whether a user can be kept on a version by a cookie."""
        return "analysis.sessionAffinity" in self.fields


class SharedService(Protocol):
    """How requests are divided by what the Service that users call selects: the pods of one version, or of both."""

    def shift(self, canary: Canary, split: Split, observed: Observed) -> Json:
        """The merge patch of that Service so that it divides requests so; empty where it does.

        Raises:
            ValueError: it can't divide requests so, or the Services that it goes by are not there.
        """

    def selected(self, canary: Canary, observed: Observed) -> Mapping[str, str]:
        """What that Service selects, where that gives the canary traffic; empty where it doesn't."""


class Router(Protocol):
    """A traffic provider: pure functions from a Canary and a split to objects, and back."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @property
    def shared(self) -> SharedService | None:
        """How it divides requests where it has no object of its own for that; None where it has."""

    @property
    def settle(self) -> timedelta:
        """How long its data plane may take to do what its objects say, after they have changed or were taken."""

    def resources(self, canary: Canary) -> tuple[str, ...]:
        """The kinds of object that its functions want to see among the observed."""

    def desired(self, canary: Canary, split: Split, observed: Observed) -> tuple[Json, ...]:
        """The manifests to apply so that requests are divided so, holding only the fields that are ours.

        Raises:
            ValueError: the router can't divide requests so; `capabilities` and `unsupported` tell beforehand.
        """

    def observed_split(self, canary: Canary, observed: Observed) -> Split | None:
        """How the objects that exist divide requests; None where they don't exist or lead elsewhere."""

    def unsettled(self, canary: Canary, observed: Observed) -> str:
        """Why the data plane doesn't do yet what its objects say, as far as it tells; empty where it does."""

    def handed_back(self, canary: Canary, observed: Observed) -> tuple[Json, ...]:
        """The manifests to apply when the Canary goes: all requests to the Service `NAME`, and no owner."""

    def unsupported(self, canary: Canary) -> tuple[Problem, ...]:
        """The fields of the spec that this router can't honour; nothing is accepted and ignored."""


def routed_fields(canary: Canary) -> dict[str, bool]:
    """Every field of a spec that is a router's to honour, and whether this spec sets it.

    Where new versions are not judged, what the analysis says has no effect and counts as not set.
    """
    service, analysis = canary.spec.service, canary.analysis
    judged = not canary.skip_analysis
    weighted = canary.strategy is Strategy.CANARY and bool(analysis.step_weight or analysis.step_weights)
    return {
        "service.timeout": bool(service.timeout),
        "service.backendTimeout": bool(service.backend_timeout),
        "service.gateways": bool(service.gateways),
        "service.gatewayRefs": bool(service.gateway_refs),
        "service.hosts": bool(service.hosts),
        "service.ports": bool(service.ports),
        "service.ports[].gatewayRefs": any(port.gateway_refs for port in service.ports),
        "service.delegation": service.delegation,
        "service.trafficPolicy": service.traffic_policy is not None,
        "service.match": bool(service.match),
        "service.rewrite": service.rewrite is not None,
        "service.retries": service.retries is not None,
        "service.headers": service.headers is not None,
        "service.mirror": bool(service.mirror),
        "service.corsPolicy": service.cors_policy is not None,
        "service.meshName": bool(service.mesh_name),
        "service.backends": bool(service.backends),
        "analysis.stepWeight": judged and weighted,
        "analysis.stepWeightPromotion": judged and analysis.step_weight_promotion > 0,
        "analysis.stepWeightRollback": judged and analysis.step_weight_rollback > 0,
        "analysis.replicaRatio": judged and analysis.replica_ratio,
        "analysis.match": judged and bool(analysis.match),
        "analysis.mirror": judged and analysis.mirror,
        "analysis.sessionAffinity": judged and analysis.session_affinity is not None,
        "ingressRef": canary.spec.ingress_ref is not None,
        "routeRef": canary.spec.route_ref is not None,
        "upstreamRef": canary.spec.upstream_ref is not None,
    }


def refused(canary: Canary, provider: str, capabilities: Capabilities) -> tuple[Problem, ...]:
    """A problem for every field that the spec sets and the provider's capabilities don't name."""
    return tuple(
        Problem(
            spec_path(canary, field),
            f"the provider {provider} can't honour it",
            _remedy(canary, field),
        )
        for field, is_set in routed_fields(canary).items()
        if is_set and field not in capabilities.fields
    )


def _remedy(canary: Canary, field: str) -> str:
    if field == "analysis.stepWeight":
        return f"set {counted(canary)}; or choose a provider with weights"
    return _REMEDIES.get(field, "take it out, or choose a provider that can")


_REMEDIES = {
    "analysis.stepWeightPromotion": "take it out, or choose a provider with weights",
    "analysis.replicaRatio": "take it out, or set provider: kubernetes",
    "analysis.stepWeightRollback": "take it out, or choose a provider with weights",
}


def spec_path(canary: Canary, field: str) -> str:
    """The field's full path, with the name that this spec gives to its analysis."""
    room, _, rest = field.partition(".")
    return f"{canary.analysis_field}.{rest}" if room == "analysis" else f"spec.{field}"


def route_names(canary: Canary) -> tuple[str, ...]:
    """The names of the objects that divide requests: the Service's, and for each further port that with the port's."""
    further = (f"{canary.service_name}-{port.name}" for port in canary.spec.service.ports)
    return (canary.service_name, *further)


def routed_ports(canary: Canary) -> Iterator[tuple[str, ServicePort]]:
    """The ports whose requests are divided, each with the name of the object that divides them."""
    return zip(route_names(canary), canary.spec.service.all_ports, strict=True)


def together(splits: Iterable[Split | None]) -> Split | None:
    """How requests to all ports are divided, from how those to each are; None where those to the first aren't.

    They differ for a moment only, while they are written one after the other, or where a port is new. Until all say
    the same, the greatest share counts: nobody must think that the canary has less.
    """
    first, *others = splits
    if first is None:
        return None
    return max((first, *(each for each in others if each is not None)), key=lambda split: split.canary)


def route_metadata(canary: Canary, name: str, existing: Json | None, *, owned: bool = True) -> Json:
    """The metadata of an object that divides requests.

    An object that was there before the Canary gets no owner, so that it outlives the Canary. One that is not to be
    `owned` any more is given back to GitOps tools too.
    """
    apex = canary.spec.service.apex
    metadata: Json = {"name": name, "namespace": canary.metadata.namespace}
    if annotations := {**apex.annotations, **(_GITOPS_OFF if owned else {})}:
        metadata["annotations"] = annotations
    if apex.labels:
        metadata["labels"] = dict(apex.labels)
    owners = mapping((existing or {}).get("metadata")).get("ownerReferences") or []
    if owned and (existing is None or any(owner.get("uid") == canary.metadata.uid for owner in owners)):
        metadata["ownerReferences"] = [
            {
                "apiVersion": API_VERSION,
                "kind": "Canary",
                "name": canary.metadata.name,
                "uid": canary.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    return metadata


def mapping(value: object) -> Json:
    """The value where it is a JSON object, an empty one otherwise: parts of an object may be absent or null."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Json]:
    """The JSON objects of a list, none where it is absent or null."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def share(canary_weight: int, primary_weight: int) -> int | None:
    """The canary's percent of two weights, of whatever total; None where nothing gets requests.

    A share below one percent counts as one: only 0 means that the canary gets nothing.
    """
    total = canary_weight + primary_weight
    return None if total <= 0 else -(-100 * canary_weight // total)
