"""The parts of Istio's API that a Canary's `spec.service` and `spec.analysis` embed."""

from typing import Annotated

from pydantic import ConfigDict, Field, WithJsonSchema

from canary.api.meta import Count, Model, StringMap

Percent = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 100})]


class StringMatch(Model):
    """How a string must look; one of the four is set."""

    model_config = ConfigDict(json_schema_extra={"maxProperties": 1})

    exact: str | None = None
    """The whole string."""
    prefix: str | None = None
    """How the string begins."""
    suffix: str | None = None
    """How the string ends; not every provider can do it."""
    regex: str | None = None
    """An RE2 expression for the whole string."""


class AnalysisMatch(Model):
    """A condition on requests; all of its parts must hold."""

    headers: dict[str, StringMatch] = Field(default_factory=dict)
    """Conditions on headers, by name in lower case; `cookie` is a header."""
    query_params: dict[str, StringMatch] = Field(default_factory=dict)
    """Conditions on query parameters, by name."""
    source_labels: StringMap = Field(default_factory=dict)
    """Labels of the calling workload (Istio only)."""


class HTTPMatch(AnalysisMatch):
    """A condition on requests of the generated routes; all of its parts must hold."""

    name: str = ""
    """A name for this match."""
    uri: StringMatch | None = None
    """Condition on the path."""
    ignore_uri_case: bool = False
    """Whether the path is compared without regard to case."""
    scheme: StringMatch | None = None
    """Condition on the scheme."""
    method: StringMatch | None = None
    """Condition on the method."""
    authority: StringMatch | None = None
    """Condition on the host."""
    port: int | None = Field(default=None, json_schema_extra={"minimum": 1, "maximum": 65535})
    """Port that the request came to."""
    gateways: tuple[str, ...] = ()
    """Gateways that the match applies to (Istio only)."""
    source_namespace: str = ""
    """Namespace of the calling workload (Istio only)."""
    without_headers: dict[str, StringMatch] = Field(default_factory=dict)
    """Conditions on headers that must not hold (Istio only)."""


class Retries(Model):
    """When the data plane asks again."""

    attempts: Count | None = None
    """How many times to ask again."""
    per_try_timeout: str = ""
    """Time limit of one attempt, such as 2s."""
    retry_on: str = ""
    """Which outcomes are retried, such as gateway-error,connect-failure."""


class HeaderOperations(Model):
    """Changes to headers."""

    add: StringMap = Field(default_factory=dict)
    """Headers to add."""
    set: StringMap = Field(default_factory=dict)
    """Headers to overwrite."""
    remove: tuple[str, ...] = ()
    """Headers to take away."""


class Headers(Model):
    """Changes to the headers of requests and responses."""

    request: HeaderOperations | None = None
    """Changes to the request."""
    response: HeaderOperations | None = None
    """Changes to the response."""


class CorsPolicy(Model):
    """Which other origins may call from a browser."""

    allow_origin: tuple[str, ...] = ()
    """Origins, exact (older form)."""
    allow_origins: tuple[StringMatch, ...] = ()
    """Origins, by match."""
    allow_methods: tuple[str, ...] = ()
    """Methods for Access-Control-Allow-Methods."""
    allow_headers: tuple[str, ...] = ()
    """Headers for Access-Control-Allow-Headers."""
    expose_headers: tuple[str, ...] = ()
    """Headers for Access-Control-Expose-Headers."""
    max_age: str = ""
    """How long a preflight answer may be kept, such as 24h."""
    allow_credentials: bool | None = None
    """Whether credentials may be sent."""


class HTTPConnections(Model):
    """Limits of HTTP connections to the workload."""

    h2_upgrade_policy: str | None = Field(
        default=None,
        alias="h2UpgradePolicy",
        json_schema_extra={"enum": ["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]},
    )
    """Whether connections are upgraded to HTTP/2."""
    http1_max_pending_requests: Count | None = Field(default=None, alias="http1MaxPendingRequests")
    """Requests that may wait for a connection."""
    http2_max_requests: Count | None = Field(default=None, alias="http2MaxRequests")
    """Requests that may be under way."""
    idle_timeout: str | None = None
    """How long an idle connection is kept, such as 1h."""
    max_requests_per_connection: Count | None = None
    """Requests after which a connection is closed."""
    max_retries: Count | None = None
    """Retries that may be under way."""


class ConnectionPool(Model):
    """Limits of connections to the workload."""

    http: HTTPConnections | None = None
    """Limits of HTTP connections."""


class HashCookie(Model):
    """The cookie that a hash is made from."""

    name: str | None = None
    """Name of the cookie."""
    path: str | None = None
    """Path of the cookie."""
    ttl: str | None = None
    """Lifetime of the cookie, such as 0s."""


class ConsistentHash(Model):
    """What a hash for choosing an endpoint is made from."""

    http_cookie: HashCookie | None = None
    """A cookie."""
    http_header_name: str | None = None
    """A header."""
    http_query_parameter_name: str | None = None
    """A query parameter."""
    minimum_ring_size: Count | None = None
    """Least number of virtual nodes of the ring."""
    use_source_ip: bool | None = None
    """The caller's address."""


class LocalityDistribution(Model):
    """Shares of traffic from one locality."""

    from_: str | None = Field(default=None, alias="from")
    """The locality that traffic comes from."""
    to: dict[str, Percent] = Field(default_factory=dict)
    """Percent of it that goes to each locality."""


class LocalityFailover(Model):
    """Where traffic goes when a region fails."""

    from_: str | None = Field(default=None, alias="from")
    """The region that fails."""
    to: str | None = None
    """The region that takes over."""


class LocalityLbSetting(Model):
    """Balancing by locality."""

    distribute: tuple[LocalityDistribution, ...] = ()
    """Shares by locality."""
    enabled: bool | None = None
    """Whether this is in force."""
    failover: tuple[LocalityFailover, ...] = ()
    """Failover by region."""


class LoadBalancer(Model):
    """How an endpoint is chosen."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["simple"]}, {"required": ["consistentHash"]}]})

    simple: str | None = Field(
        default=None,
        json_schema_extra={"enum": ["ROUND_ROBIN", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "LEAST_REQUEST"]},
    )
    """A rule that needs no settings."""
    consistent_hash: ConsistentHash | None = None
    """By hash."""
    locality_lb_setting: LocalityLbSetting | None = None
    """By locality."""
    warmup_duration_secs: str | None = None
    """How long a new endpoint gets less traffic, such as 30s."""


class OutlierDetection(Model):
    """When an endpoint is taken out for a while."""

    base_ejection_time: str | None = None
    """Least time an endpoint stays out, such as 30s."""
    consecutive5xx_errors: Count | None = Field(default=None, alias="consecutive5xxErrors")
    """5xx answers in a row."""
    consecutive_errors: Count | None = None
    """Errors in a row (older form)."""
    consecutive_gateway_errors: Count | None = None
    """Gateway errors in a row."""
    consecutive_local_origin_failures: Count | None = None
    """Local failures in a row."""
    interval: str | None = None
    """Time between two looks, such as 10s."""
    max_ejection_percent: Percent | None = None
    """Most endpoints that may be out, in percent."""
    min_health_percent: Percent | None = None
    """Healthy endpoints below which this is not in force, in percent."""
    split_external_local_origin_errors: bool | None = None
    """Whether local failures count by themselves."""


class ClientTLS(Model):
    """TLS to the workload."""

    mode: str | None = Field(default=None, json_schema_extra={"enum": ["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]})
    """Whether and how TLS is spoken."""
    client_certificate: str | None = None
    """File with the client's certificate."""
    private_key: str | None = None
    """File with the client's key."""
    ca_certificates: str | None = None
    """File with the authorities that are trusted."""
    sni: str | None = None
    """Name asked for in the handshake."""
    subject_alt_names: tuple[str, ...] = ()
    """Names that the server's certificate may carry."""


class TrafficPolicy(Model):
    """How traffic reaches the workload's endpoints (Istio destination rules)."""

    connection_pool: ConnectionPool | None = None
    """Limits of connections."""
    load_balancer: LoadBalancer | None = None
    """How an endpoint is chosen."""
    outlier_detection: OutlierDetection | None = None
    """When an endpoint is taken out."""
    tls: ClientTLS | None = None
    """TLS to the workload."""
