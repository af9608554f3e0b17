"""Services as targets: what changes is where a Service leads, and the pods behind it are somebody else's.

The target stays its author's. `NAME-primary` is a copy of its promoted spec and `NAME-canary` of the present one; the
traffic provider divides requests between the two.
"""

from collections.abc import Iterator, Mapping

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import CustomMetadata, ServicePort
from canary.api.traffic import Readiness
from canary.kube.types import SERVICE, Json, Resource, items, mapping
from canary.workloads import primary_template, services
from canary.workloads.base import (
    REVISION_ANNOTATION,
    Rules,
    SelectorLabel,
    Services,
    annotations_of,
    included,
    is_owned,
    labels_of,
    without_nulls,
)

_REVISION_DIGITS = 16
_ALIAS = "ExternalName"
# What says where a Service leads. Its addresses and node ports are its own, and so is how it is reached from outside.
_COPIED = (
    "selector",
    "externalName",
    "sessionAffinity",
    "sessionAffinityConfig",
    "publishNotReadyAddresses",
    "internalTrafficPolicy",
    "trafficDistribution",
    "ipFamilyPolicy",
    "ipFamilies",
)


class ServiceTarget:
    """A Service as target; every function is pure."""

    resource: Resource = SERVICE
    in_place: None = None
    versions: None = None

    def revision(self, target: Json) -> str:
        """A hash over where the Service leads: its own addresses and its metadata are no part of it."""
        return primary_template.digest(_copied(target), _REVISION_DIGITS)

    def carried(self, target: Json, tracked: Mapping[str, str]) -> str:
        """What the primary's revision reads once it carries this target; there is no configuration to track."""
        return self.revision(target)

    def primary(
        self,
        target: Json,
        canary: Canary,
        *,
        tracked: Mapping[str, str],
        rules: Rules,
        existing: Json | None = None,
    ) -> Json:
        """The manifest to apply for `NAME-primary`.

        Args:
            target: the Service that the spec names.
            canary: the Canary that names it.
            tracked: nothing: there are no pods to read any configuration.
            rules: which labels and annotations of the target the copy gets.
            existing: the primary that is there already; one that the Canary doesn't own stays without owner.
        """
        custom, revision = canary.spec.service.primary, self.carried(target, tracked)
        return _copy(target, canary, canary.primary_name, custom, existing, rules, revision)

    def primary_revision(self, primary: Json) -> str | None:
        """What `carried` was when the primary was last written; None where we have not written it."""
        return annotations_of(primary).get(REVISION_ANNOTATION)

    def carries(
        self, primary: Json, target: Json, *, tracked: Mapping[str, str], copies: Mapping[str, str], rules: Rules
    ) -> bool:
        """Whether a primary, whoever wrote it, leads where this target does.

        How requests are spread over the zones is the Canary's to say, not the target's.
        """
        here, there = ({**_copied(each), "trafficDistribution": None} for each in (primary, target))
        return here == there

    def selector_label(self, target: Json, rules: Rules) -> SelectorLabel | None:
        """None: the pods are somebody else's."""
        return None

    def readiness(self, workload: Json) -> Readiness:
        """Ready as soon as it is there: whoever changes it answers for the pods that it leads to."""
        return Readiness(desired=1, updated=1, ready=1, available=1, total=1)

    def replicas(self, workload: Json) -> int:
        """Always 1, the Service itself."""
        return 1

    def scaled(self, workload: Json, replicas: int) -> Json:
        """Empty: a Service has no pods of its own."""
        return {}

    def template(self, workload: Json) -> Json:
        """Empty: a Service makes no pods."""
        return {}

    def essence(self, primary: Json) -> Json:
        """The part of a primary's spec that says where it leads."""
        return _copied(primary)

    def version_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services, primary: Json | None = None
    ) -> tuple[Json, ...]:
        """The manifest to apply for `NAME-canary`, which leads where the target does.

        `NAME-primary` is the primary itself. What the Canary writes on it is kept in force between promotions too.
        """
        custom, name = canary.spec.service, canary.service_canary_name
        follower = _copy(target, canary, name, custom.canary, observed.get(name), rules)
        copied = observed.get(canary.primary_name)
        revision = self.primary_revision(copied) if copied is not None else None
        if copied is None or revision is None:
            return (follower,)
        return (_copy(copied, canary, canary.primary_name, custom.primary, copied, rules, revision), follower)

    def apex_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services, primary: Json | None = None
    ) -> tuple[Json, ...]:
        """None: the Service `NAME` is the target, and its author's."""
        return ()

    def handed_back_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services
    ) -> tuple[Json, ...]:
        """None: the Service `NAME` leads to the target's pods already."""
        return ()

    def problems(self, canary: Canary, target: Json, *, rules: Rules, observed: Services) -> tuple[Problem, ...]:
        """What keeps this Service from being rolled out by this spec."""
        return (
            *_reference_problems(canary, target),
            *_port_problems(canary, target),
            *_immutable_problems(canary, target, observed),
        )


def _copied(service: Json) -> Json:
    """The part of a Service's spec that its copies get."""
    spec = mapping(service.get("spec"))
    made: Json = {field: without_nulls(spec[field]) for field in _COPIED if spec.get(field) is not None}
    made["type"] = _ALIAS if spec.get("type") == _ALIAS else "ClusterIP"
    if _is_headless(service):
        made["clusterIP"] = services.HEADLESS
    if ports := items(spec.get("ports")):
        made["ports"] = [without_nulls({**port, "nodePort": None}) for port in ports]
    return made


def _copy(
    source: Json,
    canary: Canary,
    name: str,
    custom: CustomMetadata,
    existing: Json | None,
    rules: Rules,
    revision: str = "",
) -> Json:
    """A copy of a Service, marked with what it carries: so that it is seen when a field is there no longer."""
    spec = _copied(source)
    if distribution := canary.spec.service.traffic_distribution:
        spec["trafficDistribution"] = distribution
    prefixes = rules.include_label_prefixes
    labels = included(labels_of(source), prefixes)
    mark = {REVISION_ANNOTATION: revision or primary_template.digest(spec, _REVISION_DIGITS)}
    annotations = {**included(annotations_of(source), prefixes), **mark}
    made = services.metadata(canary, name, custom, existing, labels=labels, annotations=annotations)
    return {"apiVersion": SERVICE.api_version, "kind": SERVICE.kind, "metadata": made, "spec": spec}


def _is_headless(service: Json) -> bool:
    return mapping(service.get("spec")).get("clusterIP") == services.HEADLESS


def _reference_problems(canary: Canary, target: Json) -> Iterator[Problem]:
    spec, name = mapping(target.get("spec")), canary.target_name
    if canary.service_name != name:
        message = f"the Service that users call is the target, {name}"
        yield Problem("spec.service.name", message, f"take it out, or write {name}")
    if not spec.get("selector") and spec.get("type") != _ALIAS:
        message = f"Service {name} has no selector: where it leads is written in EndpointSlices, which are not copied"
        yield Problem("spec.targetRef", message, f"set spec.selector of {name}")
    if canary.spec.autoscaler_ref is not None:
        yield Problem("spec.autoscalerRef", "a Service has no pods to scale", "take it out")


def _port_problems(canary: Canary, target: Json) -> Iterator[Problem]:
    """The copies have the target's ports: what the spec says of its port must be so already."""
    service = canary.spec.service
    declared = items(mapping(target.get("spec")).get("ports"))
    if not declared or service.port == 0:
        return
    ports = {port.get("port"): port for port in declared if port.get("protocol", "TCP") == "TCP"}
    named = {"name": service.port_name} if "port_name" in service.model_fields_set else {}
    yield from _differences(canary, "spec.service", service.first_port, ports, named)
    for index, port in enumerate(service.ports):
        # Its name is that of its route; that of the target's own port stays.
        yield from _differences(canary, f"spec.service.ports[{index}]", port, ports, {})


def _differences(
    canary: Canary, path: str, port: ServicePort, ports: Mapping[object, Json], named: Mapping[str, str]
) -> Iterator[Problem]:
    name, there = canary.target_name, ports.get(port.port)
    if there is None:
        known = ", ".join(str(number) for number in ports) or "its ports, of protocol TCP"
        yield Problem(f"{path}.port", f"Service {name} has no port {port.port}", f"write one of {known}")
        return
    asked: dict[str, object] = {"appProtocol": port.app_protocol, **named}
    if port.target_port:
        asked["targetPort"] = port.effective_target_port
    for field, value in asked.items():
        if value and value != there.get(field):
            message = f"port {port.port} of Service {name} has the {field} {there.get(field) or '(none)'}"
            remedy = "take it out: the copies have the target's ports as they are"
            yield Problem(f"{path}.{'portName' if field == 'name' else field}", message, remedy)


def _immutable_problems(canary: Canary, target: Json, observed: Services) -> Iterator[Problem]:
    headless = _is_headless(target)
    if canary.spec.service.headless and not headless:
        message = f"Service {canary.target_name} is not headless, and its copies are as it is"
        yield Problem("spec.service.headless", message, "take it out, or make the target headless")
    families = _families(target)
    for name in (canary.primary_name, canary.service_canary_name):
        there = observed.get(name)
        if there is None or not is_owned(canary, there):
            continue
        changed = ""
        if _is_headless(there) is not headless:
            changed = "headless" if headless else "not headless any more"
        elif families[:1] != _families(there)[:1] and families and _families(there):
            changed = f"of the family {families[0]} now"
        if changed:
            message = f"{canary.target_name} is {changed}, and Service {name} can't follow"
            yield Problem("spec.targetRef", message, f"delete Service {name}, and it is made anew")


def _families(service: Json) -> list[str]:
    """The families of its addresses: Kubernetes lets nobody change the first one."""
    found = mapping(service.get("spec")).get("ipFamilies")
    return [str(each) for each in found] if isinstance(found, list) else []
