"""Routes of others that a Canary names: only the weights of the two versions in them are set."""

from collections.abc import Iterator, Sequence

from pydantic import Field

from canary.api.meta import LocalReference, Model
from canary.api.problems import Problem

KINDS = {
    "GRPCRoute": "gateway.networking.k8s.io",
    "HTTPProxy": "projectcontour.io",
    "HTTPRoute": "gateway.networking.k8s.io",
    "Ingress": "networking.k8s.io",
    "Route": "route.openshift.io",
    "TCPRoute": "gateway.networking.k8s.io",
    "TLSRoute": "gateway.networking.k8s.io",
    "TraefikService": "traefik.io",
    "VirtualService": "networking.istio.io",
}
"""The kinds of which it is known where their weights stand, each with its API group."""

_POINTER = "^/spec/.+"


class WeightPointers(Model):
    """Where in a route the weights of the two versions stand, as JSON pointers (RFC 6901)."""

    primary: str = Field(default="", json_schema_extra={"x-crd-required": True, "pattern": _POINTER})
    """Where the primary's weight stands, such as /spec/backends/0/weight."""
    canary: str = Field(default="", json_schema_extra={"x-crd-required": True, "pattern": _POINTER})
    """Where the canary's weight stands, such as /spec/backends/1/weight."""


class WeightedRoute(LocalReference):
    """A route of somebody else's, in which the weights of the two versions are set, and nothing else."""

    api_version: str = Field(default="", json_schema_extra={"x-crd-required": True})
    """API version of the route, such as gateway.networking.k8s.io/v1."""
    kind: str = Field(default="", json_schema_extra={"x-crd-required": True})
    """Kind of the route, such as HTTPRoute."""
    plural: str = ""
    """Name of the kind in URLs, beside weights; the kind in lower case with an s where absent."""
    weights: WeightPointers | None = None
    """Where the weights stand, for kinds of which that is not known."""

    @property
    def group(self) -> str:
        """API group of the route."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """Version of the API group."""
        return self.api_version.rpartition("/")[2]


def problems(refs: Sequence[WeightedRoute]) -> Iterator[Problem]:
    """References whose weights nobody knows how to set."""
    seen: set[tuple[str, str, str]] = set()
    for index, ref in enumerate(refs):
        field = f"spec.routeRefs[{index}]"
        if not ref.name:
            yield Problem(f"{field}.name", "is empty", f"name the {ref.kind or 'route'}")
        elif (place := (ref.group, ref.kind, ref.name)) in seen:
            yield Problem(field, f"{ref.kind} {ref.name} is named before", "take it out")
        else:
            seen.add(place)
        yield from _pointed(field, ref) if ref.weights is not None else _known(field, ref)


def _known(field: str, ref: WeightedRoute) -> Iterator[Problem]:
    group = KINDS.get(ref.kind)
    if group is None:
        why = f"nobody knows where a {ref.kind or 'route without a kind'} has its weights"
        remedy = f"write one of {', '.join(sorted(KINDS))}, or set weights, with two JSON pointers"
        yield Problem(f"{field}.kind", why, remedy)
    elif ref.group != group:
        why = f"{ref.api_version or 'no version'} is none of {group}, which has the kind {ref.kind}"
        version = "v1alpha1" if group == "traefik.io" else "v1"
        yield Problem(f"{field}.apiVersion", why, f"write {group}/{version}, or set weights, with two JSON pointers")


def _pointed(field: str, ref: WeightedRoute) -> Iterator[Problem]:
    """Weights by pointers are for kinds that Kubernetes itself knows nothing of: their numbers are no weights."""
    if "." not in ref.group or ref.group.endswith((".k8s.io", "flagger.app")):
        why = f"{ref.api_version or 'no version'} {ref.kind} is no route of a gateway's own"
        yield Problem(f"{field}.apiVersion", why, "name a kind of a gateway, or leave weights out")
    pointers = {"primary": ref.weights.primary, "canary": ref.weights.canary} if ref.weights is not None else {}
    for name, pointer in pointers.items():
        if not pointer.startswith("/spec/") or pointer == "/spec/":
            why = f"{pointer!r} is no place in the route's spec"
            yield Problem(f"{field}.weights.{name}", why, "write one such as /spec/backends/0/weight")
    if len(set(pointers.values())) < len(pointers):
        yield Problem(f"{field}.weights.canary", "is the primary's place too", "name the place of the canary's weight")
