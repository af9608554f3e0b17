"""The resources we read and write, and where the API serves them."""

from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

Json = dict[str, Any]
"""One JSON object as the API server gives it; the only place where ``Any`` enters."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object and its place in the API.

    Attributes:
        group: API group; empty for the core group.
        version: API version within the group, such as ``v1``.
        plural: Name in URLs, such as ``deployments``.
        kind: Name in objects, such as ``Deployment``.
        namespaced: Whether its objects live in namespaces.
        earlier: Versions in which clusters may serve it instead, the latest first; what is written and read of it is
            the same in all of them.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    earlier: tuple[str, ...] = ()

    @property
    def versions(self) -> tuple[str, ...]:
        """All versions in which it may be served, the one that it is known by first."""
        return (self.version, *self.earlier)

    @property
    def api_version(self) -> str:
        """What an object of this kind carries in ``apiVersion``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """What it is called in full, as by kubectl and in the name of its definition: ``PLURAL.GROUP``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(
        self,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
        *,
        version: str = "",
    ) -> str:
        """URL path of the collection, of one object, or of a part of one object; names are escaped.

        Args:
            namespace: Namespace; None for a cluster-scoped object or a collection over all namespaces.
            name: Object name; None for the collection.
            subresource: Such as ``status`` or ``scale``; needs ``name``.
            version: Another version than the one that it is known by.

        Raises:
            ValueError: The name or the namespace is empty: that would be the path of something else.
        """
        if name == "" or (namespace == "" and self.namespaced):
            raise ValueError(f"{self.plural}: an object has a name, and a namespace has one")
        root = f"/apis/{self.group}" if self.group else "/api"
        parts = [root, version or self.version]
        if namespace is not None and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        if subresource is not None:
            parts.append(subresource)
        return "/".join(parts)


class ObjectRef(NamedTuple):
    """Where an object is: of which resource, in which namespace, under which name."""

    resource: Resource
    namespace: str
    name: str


POD = Resource("", "v1", "pods", "Pod")
SERVICE = Resource("", "v1", "services", "Service")
CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
SECRET = Resource("", "v1", "secrets", "Secret")
EVENT = Resource("", "v1", "events", "Event")
NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
DEPLOYMENT = Resource("apps", "v1", "deployments", "Deployment")
DAEMON_SET = Resource("apps", "v1", "daemonsets", "DaemonSet")
STATEFUL_SET = Resource("apps", "v1", "statefulsets", "StatefulSet")
REPLICA_SET = Resource("apps", "v1", "replicasets", "ReplicaSet")
CONTROLLER_REVISION = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
HORIZONTAL_POD_AUTOSCALER = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALED_OBJECT = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
JOB = Resource("batch", "v1", "jobs", "Job")
LEASE = Resource("coordination.k8s.io", "v1", "leases", "Lease")
ENDPOINT_SLICE = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
CANARY = Resource("flagger.app", "v1beta1", "canaries", "Canary")
CANARY_FLEET = Resource("fleet.canary.dev", "v1alpha1", "canaryfleets", "CanaryFleet")
METRIC_TEMPLATE = Resource("flagger.app", "v1beta1", "metrictemplates", "MetricTemplate")
ALERT_PROVIDER = Resource("flagger.app", "v1beta1", "alertproviders", "AlertProvider")
APISIX_ROUTE = Resource("apisix.apache.org", "v2", "apisixroutes", "ApisixRoute")
DESTINATION_RULE = Resource("networking.istio.io", "v1", "destinationrules", "DestinationRule")
GATEWAY = Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
GATEWAY_CLASS = Resource("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass", namespaced=False)
GRPC_ROUTE = Resource("gateway.networking.k8s.io", "v1", "grpcroutes", "GRPCRoute")
KNATIVE_REVISION = Resource("serving.knative.dev", "v1", "revisions", "Revision")
KNATIVE_SERVICE = Resource("serving.knative.dev", "v1", "services", "Service")
HTTP_PROXY = Resource("projectcontour.io", "v1", "httpproxies", "HTTPProxy")
MESH_HTTP_ROUTE = Resource("kuma.io", "v1alpha1", "meshhttproutes", "MeshHTTPRoute")
HTTP_ROUTE = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
ROUTE_TABLE = Resource("gateway.solo.io", "v1", "routetables", "RouteTable")
UPSTREAM = Resource("gloo.solo.io", "v1", "upstreams", "Upstream")
INGRESS = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
ROUTE = Resource("route.openshift.io", "v1", "routes", "Route")
APPLICATION = Resource("argoproj.io", "v1alpha1", "applications", "Application")
HELM_RELEASE = Resource("helm.toolkit.fluxcd.io", "v2", "helmreleases", "HelmRelease", earlier=("v2beta2", "v2beta1"))
KUSTOMIZATION = Resource("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization", earlier=("v1beta2",))
VULNERABILITY_REPORT = Resource("aquasecurity.github.io", "v1alpha1", "vulnerabilityreports", "VulnerabilityReport")
PIPELINE_RUN = Resource("tekton.dev", "v1", "pipelineruns", "PipelineRun", earlier=("v1beta1",))
TASK_RUN = Resource("tekton.dev", "v1", "taskruns", "TaskRun", earlier=("v1beta1",))
TCP_ROUTE = Resource("gateway.networking.k8s.io", "v1", "tcproutes", "TCPRoute", earlier=("v1alpha2",))
TLS_ROUTE = Resource("gateway.networking.k8s.io", "v1", "tlsroutes", "TLSRoute", earlier=("v1alpha3", "v1alpha2"))
TRAEFIK_SERVICE = Resource("traefik.io", "v1alpha1", "traefikservices", "TraefikService")
TRAFFIC_SPLITS = {
    version: Resource("split.smi-spec.io", version, "trafficsplits", "TrafficSplit")
    for version in ("v1alpha1", "v1alpha2", "v1alpha3")
}
"""By version: each is another view of the same objects, and a cluster serves some of them."""
VIRTUAL_SERVICE = Resource("networking.istio.io", "v1", "virtualservices", "VirtualService")

RESOURCES: tuple[Resource, ...] = (
    POD,
    SERVICE,
    CONFIG_MAP,
    SECRET,
    EVENT,
    NAMESPACE,
    DEPLOYMENT,
    DAEMON_SET,
    STATEFUL_SET,
    REPLICA_SET,
    CONTROLLER_REVISION,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    JOB,
    LEASE,
    ENDPOINT_SLICE,
    CANARY,
    CANARY_FLEET,
    METRIC_TEMPLATE,
    ALERT_PROVIDER,
    APISIX_ROUTE,
    DESTINATION_RULE,
    GATEWAY,
    GATEWAY_CLASS,
    GRPC_ROUTE,
    HTTP_PROXY,
    HTTP_ROUTE,
    KNATIVE_REVISION,
    KNATIVE_SERVICE,
    APPLICATION,
    HELM_RELEASE,
    KUSTOMIZATION,
    VULNERABILITY_REPORT,
    PIPELINE_RUN,
    TASK_RUN,
    MESH_HTTP_ROUTE,
    ROUTE_TABLE,
    UPSTREAM,
    INGRESS,
    ROUTE,
    TCP_ROUTE,
    TLS_ROUTE,
    TRAEFIK_SERVICE,
    *TRAFFIC_SPLITS.values(),
    VIRTUAL_SERVICE,
)

_BY_KIND = {(resource.api_version, resource.kind): resource for resource in RESOURCES}


class UnknownResourceError(LookupError):
    """No resource of ours has this apiVersion and kind."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(f"unknown resource {api_version or '(no apiVersion)'} {kind or '(no kind)'}")


def resource_of(obj: Json) -> Resource:
    """Find the resource that an object belongs to, by its ``apiVersion`` and ``kind``.

    Raises:
        UnknownResourceError: The pair is none of ``RESOURCES``.
    """
    api_version, kind = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
    try:
        return _BY_KIND[api_version, kind]
    except KeyError:
        raise UnknownResourceError(api_version, kind) from None


def namespace_of(obj: Json) -> str | None:
    """Namespace that an object names in its metadata, if any."""
    namespace = obj["metadata"].get("namespace")
    return str(namespace) if namespace else None


def ref_of(obj: Json) -> ObjectRef:
    """Where an object in a namespace is.

    Raises:
        UnknownResourceError: its kind is none of ``RESOURCES``.
    """
    return ObjectRef(resource_of(obj), namespace_of(obj) or "", name_of(obj))


def name_of(obj: Json) -> str:
    """Name that an object carries in its metadata."""
    return str(obj["metadata"]["name"])


def mapping(value: object) -> Json:
    """The value where it is a JSON object, an empty one otherwise: parts of an object may be absent or null."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Json]:
    """The JSON objects of a list, none where it is absent or null."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def condition_of(obj: Json, kind: str) -> Json:
    """The condition of a type in an object's status; an empty one where it says nothing of that."""
    found = items(mapping(obj.get("status")).get("conditions"))
    return next((each for each in found if each.get("type") == kind), {})
