"""What a traffic provider is, and what providers have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from canary.api.canary import Canary, Strategy
from canary.api.field_conflicts import counted
from canary.api.istio import AnalysisMatch
from canary.api.meta import API_VERSION
from canary.api.problems import Problem
from canary.api.service import ServicePort
from canary.api.traffic import Split
from canary.kube.types import Json, ObjectRef, Resource, mapping
from canary.routers.route_kind import RouteKind

Observed = Mapping[ObjectRef, Json]
"""Objects that exist, by where they are."""

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


BY_WEIGHT: Final = frozenset({"analysis.stepWeight", "analysis.stepWeightPromotion", "analysis.stepWeightRollback"})
"""The fields that any provider honours that divides requests by whole percents."""


class Granularity(StrEnum):
    """How finely a router divides requests between the two versions."""

    NONE = "none"
    """Not at all: only tests reach the new version before its promotion."""
    PODS = "pods"
    """By the numbers of pods of each version."""
    PERCENT = "percent"
    """By whole percents."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply of a manifest that holds only the fields that are ours."""

    manifest: Json


@dataclass(frozen=True, slots=True)
class Patch:
    """A merge patch of an object that is there and stays somebody else's.

    Args:
        ref: the object.
        patch: what is written.
        guard: the version of the object that the patch is for, where it holds more than what is to change: nothing is
            written where somebody has written since. Empty where that doesn't matter.
    """

    ref: ObjectRef
    patch: Json
    guard: str = ""

    @property
    def guarded(self) -> Json:
        """The patch as the API server is to have it."""
        if not self.guard:
            return self.patch
        return {**self.patch, "metadata": {**self.patch.get("metadata", {}), "resourceVersion": self.guard}}


Write = Apply | Patch
"""What is to be done to one object; nothing where it is so already.

Nothing is deleted: what is made for a Canary goes with it.
"""


def _settled(_canary: Canary, _observed: "Observed") -> str:
    """Of a data plane that tells nothing."""
    return ""


def _no_refs(_canary: Canary) -> tuple[ObjectRef, ...]:
    return ()


def _no_glances(_canary: Canary, _seen: "Observed") -> tuple[ObjectRef, ...]:
    return ()


def _all_fit(_canary: Canary, _observed: "Observed") -> tuple[Problem, ...]:
    return ()


def _nothing(_canary: Canary, _observed: "Observed") -> tuple[Write, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Provider:
    """A traffic provider: everything about it, as pure functions and data.

    What is watched, who is woken by what, which rights are needed, what specs are refused and what the documents say
    of it follows from this.

    Args:
        names: what specs and the command line call it, the usual name first.
        makes: the objects that it makes, whether they are there or not.
        reads: the objects of others that the functions below want to see besides.
        adjusts: the objects of others in which it writes how requests are divided, and nothing else.
        glances: further objects of others that `unfit` goes by as far as they can be seen, by those of them that were
            seen so far. Nothing waits for them, and no right to them is needed.
        unfit: what is wrong with these objects: one that is missing, or that doesn't lead where it should.
        plan: what is to be written so that requests are divided so. Raises ValueError where the provider can't divide
            them so: `weights` and `problems` tell that beforehand.
        split: how the objects that are there divide requests; None where they aren't there or lead elsewhere.
        hand_back: what is to be written when the Canary goes: all requests to the Service `NAME`, and no owner.
        unsettled: why the data plane doesn't do yet what its objects say, as far as it tells; empty where it does.
        settle: how long the data plane may take to do what its objects say, after they have changed or were taken.
        weights: how finely it divides requests.
        fields: the fields of the spec, out of `ROUTED_FIELDS`, that it honours.
        problems: what it can't honour of a spec; nothing is accepted and ignored.
        routes: the kinds of object that lead users to the versions, and are made beside these, each with how that is
            read and ended when a spec names it no more; none where Services alone do.
        sources: the kinds of others that it reads besides.
        baseline: whether a third Service can get a share by weight: fresh pods to compare the canary with.
    """

    names: tuple[str, ...]
    makes: Callable[[Canary], tuple[ObjectRef, ...]]
    reads: Callable[[Canary], tuple[ObjectRef, ...]] = _no_refs
    adjusts: Callable[[Canary], tuple[ObjectRef, ...]] = _no_refs
    glances: Callable[[Canary, "Observed"], tuple[ObjectRef, ...]] = _no_glances
    unfit: Callable[[Canary, "Observed"], tuple[Problem, ...]] = _all_fit
    plan: Callable[[Canary, Split, "Observed"], tuple[Write, ...]]
    split: Callable[[Canary, "Observed"], Split | None]
    hand_back: Callable[[Canary, "Observed"], tuple[Write, ...]] = _nothing
    unsettled: Callable[[Canary, "Observed"], str] = _settled
    settle: timedelta
    weights: Granularity
    fields: frozenset[str]
    problems: Callable[[Canary], tuple[Problem, ...]]
    routes: Mapping[Resource, RouteKind] = field(default_factory=dict)
    sources: tuple[Resource, ...] = ()
    baseline: bool = False

    @property
    def family(self) -> str:
        """Its usual name without a version."""
        return self.names[0].partition(":")[0]

    def refs(self, canary: Canary) -> tuple[ObjectRef, ...]:
        """All objects that its functions want to see."""
        return (*self.makes(canary), *self.adjusts(canary), *self.reads(canary))

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
        "service.routeKind": bool(service.route_kind),
        "service.ports[].routeKind": any(port.route_kind for port in service.ports),
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
        "analysis.alwaysMatch": judged and bool(analysis.always_match),
        "analysis.mirror": judged and analysis.mirror,
        "analysis.sessionAffinity": judged and analysis.session_affinity is not None,
        "ingressRef": canary.spec.ingress_ref is not None,
        "routeRef": canary.spec.route_ref is not None,
        "upstreamRef": canary.spec.upstream_ref is not None,
    }


def refused(canary: Canary, provider: Provider, remedies: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    """A problem for every field that the spec sets and the provider doesn't honour.

    Args:
        canary: the Canary.
        provider: the provider.
        remedies: where else the provider's users say what some of the fields say.
    """
    name = canary.spec.provider or provider.names[0]
    return tuple(
        Problem(
            spec_path(canary, path),
            f"the provider {name} can't honour it",
            (remedies or {}).get(path) or _remedy(canary, path),
        )
        for path, is_set in routed_fields(canary).items()
        if is_set and path not in provider.fields
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


def chosen(canary: Canary) -> Iterator[tuple[str, AnalysisMatch]]:
    """The conditions on requests that reach the canary for themselves, each with its field's path."""
    analysis = canary.analysis
    for name, conditions in (("match", analysis.match), ("alwaysMatch", analysis.always_match)):
        for index, condition in enumerate(() if canary.skip_analysis else conditions):
            yield spec_path(canary, f"analysis.{name}[{index}]"), condition


def always(canary: Canary, split: Split) -> tuple[AnalysisMatch, ...]:
    """The conditions on requests that reach the canary whatever its weight; none while it has none."""
    return canary.analysis.always_match if split.canary and not split.matched else ()


def need_weights_alone(whose: str, split: Split) -> None:
    """Where there are weights alone, requests are divided by nothing else.

    Raises:
        ValueError: the split mirrors or matches requests.
    """
    if split.mirror or split.matched:
        msg = f"{whose} neither mirror nor match requests: {split}"
        raise ValueError(msg)


def need_conditions(canary: Canary, split: Split) -> None:
    """Chosen requests can be divided only where the spec says which they are.

    Raises:
        ValueError: it doesn't.
    """
    if split.matched and not canary.analysis.match:
        msg = f"no analysis.match to divide requests by: {split}"
        raise ValueError(msg)


def route_names(canary: Canary) -> tuple[str, ...]:
    """The names of the objects that divide requests: the Service's, and for each further port that with the port's."""
    further = (f"{canary.service_name}-{port.name}" for port in canary.spec.service.ports)
    return (canary.service_name, *further)


def route_refs(canary: Canary, resource: Resource) -> tuple[ObjectRef, ...]:
    """Where the objects of a resource are that divide requests."""
    return tuple(ObjectRef(resource, canary.namespace, name) for name in route_names(canary))


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
    return max(
        (first, *(each for each in others if each is not None)), key=lambda split: (split.canary, split.baseline)
    )


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
    if owned:
        metadata.update(owner(canary, existing))
    return metadata


def written(canary: Canary, ref: ObjectRef, spec: Json, observed: Observed, *, owned: bool = True) -> Apply:
    """The object that divides requests there, by this spec."""
    return Apply(
        {
            "apiVersion": ref.resource.api_version,
            "kind": ref.resource.kind,
            "metadata": route_metadata(canary, ref.name, observed.get(ref), owned=owned),
            "spec": spec,
        }
    )


def owner(canary: Canary, existing: Json | None) -> Json:
    """The part of an object's metadata that has it go with the Canary; empty for one that was there before it."""
    owners = mapping((existing or {}).get("metadata")).get("ownerReferences") or []
    if existing is not None and not any(each.get("uid") == canary.metadata.uid for each in owners):
        return {}
    reference = {
        "apiVersion": API_VERSION,
        "kind": "Canary",
        "name": canary.metadata.name,
        "uid": canary.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {"ownerReferences": [reference]}
