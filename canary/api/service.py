"""`spec.service`: how the Services and the traffic provider's objects are generated."""

from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from canary.api.istio import CorsPolicy, Headers, HTTPMatch, Retries, TrafficPolicy
from canary.api.meta import Model, StringMap

_DNS_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_DNS_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_GROUP = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_KIND = "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"


def _port(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("port", "{value} is neither", {"value": repr(value)})
    return value


IntOrString = Annotated[int | str, PlainValidator(_port), WithJsonSchema({"x-kubernetes-int-or-string": True})]
"""A number or a name of a port."""


GRPC = "GRPCRoute"
TCP = "TCPRoute"
TLS = "TLSRoute"
_ROUTE_KINDS: list[JsonValue] = ["HTTPRoute", GRPC, TCP, TLS]


class ListenerReference(Model):
    """The listener of a gateway that takes requests for one port."""

    group: str = Field(default="gateway.networking.k8s.io", json_schema_extra={"maxLength": 253, "pattern": _GROUP})
    """API group of the parent; Gateway API's own where absent."""
    kind: str = Field(default="Gateway", json_schema_extra={"maxLength": 63, "minLength": 1, "pattern": _KIND})
    """Kind of the parent; Gateway where absent."""
    namespace: str | None = Field(default=None, json_schema_extra={"maxLength": 63, "pattern": _DNS_LABEL})
    """Namespace of the parent; the Canary's own where absent."""
    name: str = Field(json_schema_extra={"maxLength": 253, "minLength": 1})
    """Name of the parent."""
    section_name: str | None = Field(default=None, json_schema_extra={"maxLength": 253, "pattern": _DNS_NAME})
    """Listener of the parent; all of them where absent."""
    port: int | None = Field(default=None, json_schema_extra={"minimum": 1, "maximum": 65535, "format": "int32"})
    """Port of the parent; all of them where absent."""


class ParentReference(ListenerReference):
    """The gateway that a generated HTTPRoute attaches itself to."""

    group: str = Field(
        default="gateway.networking.k8s.io",
        json_schema_extra={"x-crd-default": True, "maxLength": 253, "pattern": _GROUP},
    )
    """API group of the parent."""
    kind: str = Field(
        default="Gateway",
        json_schema_extra={"x-crd-default": True, "maxLength": 63, "minLength": 1, "pattern": _KIND},
    )
    """Kind of the parent."""


class BackendReference(Model):
    """Where mirrored requests go."""

    group: str = Field(default="", json_schema_extra={"x-crd-default": True, "maxLength": 253, "pattern": _GROUP})
    """API group of the backend; empty is Kubernetes' own."""
    kind: str = Field(
        default="Service",
        json_schema_extra={"x-crd-default": True, "maxLength": 63, "minLength": 1, "pattern": _KIND},
    )
    """Kind of the backend."""
    name: str = Field(json_schema_extra={"maxLength": 253, "minLength": 1})
    """Name of the backend."""
    namespace: str | None = Field(default=None, json_schema_extra={"maxLength": 63, "pattern": _DNS_LABEL})
    """Namespace of the backend; the Canary's own where absent."""
    port: int | None = Field(default=None, json_schema_extra={"minimum": 1, "maximum": 65535, "format": "int32"})
    """Port of the backend; a Service needs one."""


class RequestMirror(Model):
    """A copy of every request to somewhere else; its answers are thrown away."""

    backend_ref: BackendReference
    """Where the copies go."""


class Rewrite(Model):
    """How requests are changed before they are forwarded."""

    uri: str = ""
    """The path, or its matched prefix, is replaced by this."""
    authority: str = ""
    """The host is replaced by this."""
    type: str = ""
    """ReplacePrefixMatch, or ReplaceFullPath where absent (Gateway API)."""

    @property
    def path_type(self) -> str:
        """Which part of the path is replaced, in the Gateway API's words."""
        return self.type if self.type == "ReplacePrefixMatch" else "ReplaceFullPath"


class CustomMetadata(Model):
    """Labels and annotations for a generated object."""

    labels: StringMap = Field(default_factory=dict)
    """Labels to add."""
    annotations: StringMap = Field(default_factory=dict)
    """Annotations to add."""


class UnmanagedMetadata(Model):
    """Keys of labels and annotations on generated objects that are left to others."""

    labels: tuple[str, ...] = ()
    """Keys of labels."""
    annotations: tuple[str, ...] = ()
    """Keys of annotations."""


class ServicePort(Model):
    """A further port of the generated Services: its requests are divided as those of the first one are."""

    name: str = Field(json_schema_extra={"maxLength": 63, "pattern": _DNS_LABEL})
    """Name of the port."""
    port: int = Field(default=0, json_schema_extra={"x-crd-required": True, "minimum": 1, "maximum": 65535})
    """Number of the port."""
    target_port: IntOrString | None = None
    """Number or name of the container's port; the same number as port where absent."""
    app_protocol: str = ""
    """Application protocol of the port."""
    gateway_refs: tuple[ListenerReference, ...] = Field(default=(), json_schema_extra={"maxItems": 32})
    """Listeners that take requests for this port (Gateway API)."""
    route_kind: str = Field(default="", json_schema_extra={"enum": _ROUTE_KINDS})
    """Kind of the port's route: HTTPRoute where absent, GRPCRoute, or for connections TCPRoute or TLSRoute (Gateway
    API)."""

    @property
    def is_grpc(self) -> bool:
        """Whether its route is for calls over gRPC alone."""
        return self.route_kind == GRPC

    @property
    def is_of_connections(self) -> bool:
        """Whether its route divides connections, whatever they are for."""
        return self.route_kind in (TCP, TLS)

    @property
    def effective_target_port(self) -> int | str:
        """The container's port: `target_port` where it is set, else `port`."""
        return self.port if self.target_port in (None, 0, "", "0") else self.target_port


class Service(Model):
    """How the Services and the traffic provider's objects are generated."""

    name: str = ""
    """Name of the generated Services; the target's name where absent."""
    port: int = Field(default=0, json_schema_extra={"x-crd-required": True, "minimum": 1, "maximum": 65535})
    """Port of the generated Services."""
    port_name: Annotated[str, AfterValidator(lambda name: name or "http")] = "http"
    """Name of that port; http where absent."""
    target_port: IntOrString | None = None
    """Number or name of the container's port; the same number as port where absent."""
    app_protocol: str = ""
    """Application protocol of the port."""
    traffic_distribution: str = Field(
        default="", json_schema_extra={"enum": ["PreferClose", "PreferSameZone", "PreferSameNode"]}
    )
    """Which endpoints are preferred."""
    ports: tuple[ServicePort, ...] = Field(
        default=(),
        json_schema_extra={"maxItems": 32, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Further ports, whose requests are divided as those of the first one are."""
    port_discovery: bool = False
    """Whether all ports of the containers are added to the generated Services."""
    headless: bool = False
    """Whether the generated Services are headless."""
    timeout: str = ""
    """Time limit of a request, such as 15s."""
    backend_timeout: str = ""
    """Time limit of one request from the gateway to a backend, such as 5s (Gateway API)."""
    gateways: tuple[str, ...] = ()
    """Gateways of the generated routes (Istio); the mesh where absent."""
    gateway_refs: tuple[ParentReference, ...] = Field(default=(), json_schema_extra={"maxItems": 32})
    """Gateways that the generated route attaches itself to (Gateway API)."""
    route_kind: str = Field(default="", json_schema_extra={"enum": _ROUTE_KINDS})
    """Kind of the generated route: HTTPRoute where absent, GRPCRoute, or for connections TCPRoute or TLSRoute (Gateway
    API)."""
    hosts: tuple[str, ...] = ()
    """Host names of the generated routes; the Service's name where absent."""
    delegation: bool = False
    """Whether the generated VirtualService is without hosts and gateways, for another to include (Istio)."""
    traffic_policy: TrafficPolicy | None = None
    """Settings of the generated destination rules (Istio)."""
    match: tuple[HTTPMatch, ...] = ()
    """Which requests the generated routes take; any of them."""
    rewrite: Rewrite | None = None
    """How requests are changed before they are forwarded."""
    retries: Retries | None = None
    """When the data plane asks again."""
    headers: Headers | None = None
    """Changes to headers."""
    mirror: tuple[RequestMirror, ...] = ()
    """Where copies of all requests go (Gateway API)."""
    cors_policy: CorsPolicy | None = None
    """Which other origins may call from a browser."""
    mesh_name: str = ""
    """Name of the mesh (App Mesh)."""
    backends: tuple[str, ...] = ()
    """What the workload calls (App Mesh)."""
    apex: CustomMetadata = CustomMetadata()
    """Labels and annotations of the Service that users call."""
    primary: CustomMetadata = CustomMetadata()
    """Labels and annotations of the primary's Service."""
    canary: CustomMetadata = CustomMetadata()
    """Labels and annotations of the canary's Service."""
    unmanaged_metadata: UnmanagedMetadata = UnmanagedMetadata()
    """Keys of labels and annotations on generated objects that are left to others."""

    @property
    def first_port(self) -> ServicePort:
        """The port that every spec has."""
        return ServicePort(
            name=self.port_name,
            port=self.port,
            target_port=self.target_port,
            app_protocol=self.app_protocol,
            gateway_refs=self.gateway_refs,
            route_kind=self.route_kind,
        )

    @property
    def all_ports(self) -> tuple[ServicePort, ...]:
        """The ports whose requests are divided, the first one first."""
        return (self.first_port, *self.ports)

    @property
    def effective_target_port(self) -> int | str:
        """The container's port: `target_port` where it is set, else `port`."""
        return self.first_port.effective_target_port
