"""The queries behind `request-success-rate`, `request-duration` and `request-rate`, per traffic provider, as data.

All of them ask Prometheus about the canary's requests only. What each data plane exports is stated once, as the
series that count its requests and the series that time them; the two queries follow from that:

- the success rate is 100 less the share of failures, so that a canary that fails every request has a rate of 0 and
  not a missing series. It is rounded to what a decimal can say of it: of 5 requests 2 failed is 60, and not the
  59.99999999999999 that binary fractions may make of it, which `threshold: 60` would refuse;
- without requests both are NaN, or nothing at all, which reads as no data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from metrics.errors import MisconfiguredError
from metrics.templates import Model, render
from metrics.threshold import REQUEST_DURATION, REQUEST_RATE, REQUEST_SUCCESS_RATE, UNITS

_SECONDS = 1000
_MILLISECONDS = 1
_THROTTLE = 2
"""Seconds that Traefik waits by itself from one configuration to the next."""

_EXACT = "1e-8"
"""Percent that the success rate is rounded to: of ten thousand million requests a single one still shows."""

_NO_WORD = re.compile(r"\W")
_SMI = re.compile(r"smi:v\d")


@dataclass(frozen=True, slots=True)
class Requests:
    """What a data plane counts and times, as query templates.

    Args:
        count: the counter of requests.
        labels: the matchers that pick the canary's requests.
        failed: the matcher that picks failures among them.
        duration: the histogram of durations, without `_bucket`.
        scale: how many milliseconds one unit of `duration` is.
        timed: a further matcher that `duration` needs, empty for none.
        average: whether the mean is asked for instead of the 99th percentile.
        either_form: whether `duration` may be a native histogram, which has no buckets, sum or count of these names.
        plain_words: whether the data plane writes names with `_` for every other character.
        promoted: the matchers that pick the requests that come to the primary, by the route or by the Service that
            users call; empty where the versions' requests can't be told apart, or others are among them, as probes.
        direct: whether requests that no route divides are counted too, such as those straight to the canary's Service.
        anew: the fewest seconds between two configurations, where each begins anew with the version of more weight; 0
            where it makes no difference how often there is another one.
    """

    count: str
    labels: str
    failed: str
    duration: str
    scale: int
    timed: str = ""
    average: bool = False
    plain_words: bool = False
    either_form: bool = False
    promoted: str = ""
    direct: bool = False
    anew: int = 0

    @property
    def success_rate(self) -> str:
        """The percentage of requests that didn't fail."""
        failures = _rate(self.count, f"{self.labels},{self.failed}")
        share = f"({failures} or vector(0)) / {_rate(self.count, self.labels)}"
        return f"round(100 - 100 * ({share}), {_EXACT})"

    @property
    def per_second(self) -> str:
        """How many requests a second there were."""
        return _rate(self.count, self.labels)

    @property
    def milliseconds(self) -> str:
        """The 99th percentile, or the mean, of the requests' durations in milliseconds."""
        labels = f"{self.labels},{self.timed}" if self.timed else self.labels
        if self.average:
            query = f"{_rate(f'{self.duration}_sum', labels)} / {_rate(f'{self.duration}_count', labels)}"
        else:
            buckets = _rate(f"{self.duration}_bucket", labels, by=" by (le) ")
            query = f"histogram_quantile(0.99, {buckets})"
            if self.either_form:
                query = f"({query} or histogram_quantile(0.99, {_rate(self.duration, labels)}))"
        return query if self.scale == 1 else f"{query} * {self.scale}"


def _rate(series: str, labels: str, by: str = "") -> str:
    return f"sum{by}(rate({series}{{{labels}}}[{{{{ interval }}}}]))"


_IN_POD = 'kubernetes_namespace="{{ namespace }}",kubernetes_pod_name=~"{{ pods }}"'

_APPLICATION = Requests(
    count="http_request_duration_seconds_count",
    labels=_IN_POD,
    failed='status=~"5.*"',
    duration="http_request_duration_seconds",
    scale=_SECONDS,
    either_form=True,
)
"""What the application exports itself, scraped with the pod's name and namespace."""

_TRAEFIK = Requests(
    count="traefik_service_requests_total",
    # With the port written out: `NAME-canary-primary-80` is of a Canary that is called `NAME-canary`. The second way of
    # writing it is that of safeNaming, which 3.7.12 brought: object, place in its list, Service.
    labels='service=~"({{ namespace }}-{{ service }}-canary-|'
    '.+_wrr_[0-9]+_{{ namespace }}_{{ service }}-canary_){{ ports }}@kubernetescrd"',
    # Of gRPC it is the call's own code: those of the server's faults, but for 2, which Traefik 3.7 gives to every call
    # that ends well, too.
    failed='code=~"5..|4|12|13|14|15"',
    duration="traefik_service_request_duration_seconds",
    scale=_SECONDS,
    # These are timed, and counted, at their end: how long users stay connected is no latency.
    timed='protocol!~"websocket|sse"',
    promoted='service=~"({{ namespace }}-{{ service }}-(primary-)?|'
    '.+_{{ namespace }}_{{ service }}(-primary)?_){{ ports }}@kubernetescrd"',
    anew=_THROTTLE,
)

_TRAEFIK_GATEWAY = replace(
    _TRAEFIK,
    # Three ways of writing it: up to 3.1, up to 3.7.5, and since then with the route and its hash in front, and a place
    # in the route for the port.
    labels='service=~"((http|grpc)route-.+-[0-9a-f]{16,}-svc-)?'
    '{{ namespace }}-{{ service }}-canary-((http|grpc)-)?[0-9]+@kubernetesgateway"',
    promoted='service=~"((http|grpc)route-.+-[0-9a-f]{16,}-svc-)?'
    '{{ namespace }}-{{ service }}-(primary-)?((http|grpc)-)?[0-9]+@kubernetesgateway"',
)

_ENVOY = Requests(
    count="envoy_cluster_upstream_rq",
    labels="",
    failed='envoy_response_code=~"5.*"',
    duration="envoy_cluster_upstream_rq_time",
    scale=_MILLISECONDS,
)

_CONTOUR = replace(
    _ENVOY,
    labels='envoy_cluster_name=~"{{ namespace }}_{{ service }}-canary_[0-9a-zA-Z-]+"',
    promoted='envoy_cluster_name=~"{{ namespace }}_{{ service }}(-primary)?_[0-9a-zA-Z-]+"',
)

_ISTIO = Requests(
    count="istio_requests_total",
    labels='reporter="destination",destination_workload_namespace="{{ namespace }}",'
    'destination_workload="{{ target }}"',
    failed='response_code=~"5.*"',
    duration="istio_request_duration_milliseconds",
    scale=_MILLISECONDS,
    # The code of a WebSocket, which is told at its end.
    timed='response_code!="101"',
    promoted='reporter="destination",destination_workload_namespace="{{ namespace }}",'
    'destination_workload="{{ target }}-primary"',
    direct=True,
)

_ISTIO_GATEWAY = replace(
    _ISTIO,
    labels=_ISTIO.labels.replace("destination", "source", 1),
    promoted=_ISTIO.promoted.replace("destination", "source", 1),
)

_LINKERD = Requests(
    count="response_total",
    labels='namespace="{{ namespace }}",deployment="{{ target }}",direction="inbound"',
    failed='classification="failure"',
    duration="response_latency_ms",
    scale=_MILLISECONDS,
)

_INGRESS_NGINX = Requests(
    count="nginx_ingress_controller_requests",
    # Ingress and Service are the primary's, whoever answered; an Ingress may have canaries of several applications.
    labels='namespace="{{ namespace }}",ingress="{{ ingress }}",'
    'canary=~"{{ namespace }}-{{ service }}-canary-{{ ports }}"',
    failed='status=~"5.*"',
    duration="nginx_ingress_controller_response_duration_seconds",
    scale=_SECONDS,
    average=True,
    promoted='namespace="{{ namespace }}",ingress="{{ ingress }}",service="{{ service }}",canary=""',
)

_TRAEFIK_AS_NGINX = replace(
    _TRAEFIK,
    labels='service=~"{{ namespace }}-{{ ingress }}-{{ service }}-{{ ports }}-canary@kubernetesingressnginx"',
    promoted='service=~"{{ namespace }}-{{ ingress }}-{{ service }}-{{ ports }}@kubernetesingressnginx"',
)
"""Traefik in place of ingress-nginx: the names of the primary's Ingress and Service, and a word behind them."""

TRAFFIC: Mapping[str, tuple[Requests, ...]] = {
    # What these load balancers count does not tell the versions apart, or is not for Prometheus.
    "alb": (_APPLICATION,),
    "openshift": (_APPLICATION,),
    "kubernetes": (_APPLICATION,),
    "traefik": (_TRAEFIK,),
    # Who serves a Gateway is not in the Canary. The first of these whose series exist answers: what the gateway
    # saw comes before what the application says of itself.
    "gatewayapi": (_TRAEFIK_GATEWAY, _CONTOUR, _ISTIO_GATEWAY, _LINKERD, _APPLICATION),
    # A workload without a sidecar says nothing of itself; then it counts what those say that ask it.
    "istio": (_ISTIO, _ISTIO_GATEWAY),
    "contour": (_CONTOUR,),
    "appmesh": (replace(_ENVOY, labels=_IN_POD),),
    "gloo": (
        replace(
            _ENVOY,
            labels='envoy_cluster_name=~"{{ namespace }}-{{ service }}-canaryupstream-{{ ports }}_[0-9a-zA-Z-]+"',
            promoted='envoy_cluster_name=~"{{ namespace }}-{{ service }}(-primaryupstream)?-{{ ports }}_[0-9a-zA-Z-]+"',
        ),
    ),
    "kuma": (
        replace(
            _ENVOY,
            labels='service=~"{{ service }}-canary_{{ namespace }}_svc_[0-9a-zA-Z-]+"',
            promoted='service=~"{{ service }}(-primary)?_{{ namespace }}_svc_[0-9a-zA-Z-]+"',
            direct=True,
        ),
    ),
    "knative": (replace(_ENVOY, labels='envoy_cluster_name=~"{{ namespace }}/{{ route }}"'),),
    "linkerd": (_LINKERD,),
    # Who follows a TrafficSplit is not in it.
    "smi": (_LINKERD, _ISTIO, _APPLICATION),
    "osm": (
        Requests(
            count="osm_request_total",
            labels='destination_namespace="{{ namespace }}",destination_kind="Deployment",'
            'destination_name="{{ target }}"',
            failed='response_code=~"5.*"',
            duration="osm_request_duration_ms",
            scale=_MILLISECONDS,
        ),
    ),
    "nginx": (_INGRESS_NGINX, _TRAEFIK_AS_NGINX),
    "skipper": (
        Requests(
            count="skipper_response_duration_seconds_count",
            labels='route=~"kube(ew)?_{{ namespace }}__{{ ingress }}_canary__.*__{{ service }}_canary(_[0-9]+)?"',
            failed='code=~"5.."',
            duration="skipper_serve_route_duration_seconds",
            scale=_SECONDS,
            average=True,
            plain_words=True,
            promoted='route=~"kube(ew)?_{{ namespace }}__{{ ingress }}'
            '(_canary__.*__{{ service }}_primary|__.*__{{ service }})(_[0-9]+)?"',
        ),
    ),
    "apisix": (
        Requests(
            count="apisix_http_status",
            labels='route=~"{{ namespace }}_{{ route }}-{{ service }}-canary_.+"',
            failed='code=~"5.."',
            duration="apisix_http_latency",
            timed='type="request"',
            scale=_MILLISECONDS,
        ),
    ),
}
"""By traffic provider, what its data plane exports about the canary's requests, best source first."""


_QUERIES: Mapping[str, Callable[[Requests], str]] = {
    REQUEST_SUCCESS_RATE: lambda source: source.success_rate,
    REQUEST_DURATION: lambda source: source.milliseconds,
    REQUEST_RATE: lambda source: source.per_second,
}


@lru_cache(maxsize=256)
def template_of(metric: str, provider: str) -> str:
    """The query template of a built-in metric.

    Args:
        metric: `request-success-rate`, `request-duration` or `request-rate`.
        provider: the traffic provider as the Canary or the command line names it; a version behind a colon
            (`gatewayapi:v1`) makes no difference, and `smi:NAME` is NAME where that is a mesh.

    Raises:
        MisconfiguredError: there is no such built-in metric, or none for that provider.
    """
    if metric not in UNITS:
        raise MisconfiguredError(f"{metric!r} is no built-in metric; there are {', '.join(sorted(UNITS))}")
    return _first(_QUERIES[metric](source) for source in _sources(provider))


@lru_cache(maxsize=256)
def series_of(metric: str, provider: str) -> tuple[str, ...]:
    """The series that the query of a built-in metric looks at, best source first.

    Raises:
        MisconfiguredError: there are no built-in metrics for that provider.
    """
    found = (source.duration if metric == REQUEST_DURATION else source.count for source in _sources(provider))
    return tuple(dict.fromkeys(found))


def requests_of(provider: str) -> str:
    """The query template of the requests a second that the built-in metrics rest on.

    Raises:
        MisconfiguredError: there are no built-in metrics for that provider.
    """
    return _first(source.per_second for source in _sources(provider))


def sources_of(provider: str) -> tuple[Requests, ...]:
    """What tells anything of the canary's requests, best source first; empty where nothing does."""
    return TRAFFIC.get(_family(provider), ())


def counted(provider: str) -> tuple[Requests, ...]:
    """What tells how many requests come to each version, best source first; empty where nothing does."""
    return tuple(source for source in sources_of(provider) if source.promoted)


def query_of(metric: str, provider: str, model: Model) -> str:
    """The query of a built-in metric for one Canary.

    Raises:
        MisconfiguredError: there is no such built-in metric, or none for that provider.
    """
    return render(template_of(metric, provider), model_for(provider, model))


def model_for(provider: str, model: Model) -> Model:
    """The model with its names as the provider's data plane writes them.

    Raises:
        MisconfiguredError: there are no built-in metrics for that provider.
    """
    if not any(source.plain_words for source in _sources(provider)):
        return model
    return replace(
        model,
        namespace=_NO_WORD.sub("_", model.namespace),
        service=_NO_WORD.sub("_", model.service),
        ingress=_NO_WORD.sub("_", model.ingress),
    )


def _first(queries: Iterable[str]) -> str:
    """The first of these that has an answer."""
    each = list(queries)
    return each[0] if len(each) == 1 else "\nor\n".join(f"({query})" for query in each)


def _sources(provider: str) -> tuple[Requests, ...]:
    sources = TRAFFIC.get(_family(provider))
    if sources is None:
        known = ", ".join(sorted(TRAFFIC))
        raise MisconfiguredError(f"there are no built-in metrics for provider {provider!r}, only for {known}")
    return sources


def _family(provider: str) -> str:
    return "smi" if _SMI.match(provider) else provider.removeprefix("smi:").partition(":")[0]
