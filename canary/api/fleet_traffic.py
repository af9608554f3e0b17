"""`spec.traffic` of a CanaryFleet: routes of the hub's own cluster whose weights say which cluster gets how much."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, WithJsonSchema

from canary.api.durations import GoDuration
from canary.api.meta import MicroTime, Model
from canary.api.problems import Problem
from canary.api.status import Tally

WHOLE: Final = 100
"""What the shares of all clusters sum to."""

KINDS: Final = {"HTTPRoute": "gateway.networking.k8s.io", "VirtualService": "networking.istio.io"}
"""The kinds of route that divide requests between clusters, each with its API group."""

MOST_ROUTES: Final = 10
MOST_CLUSTERS: Final = 100
MOST_STEPS: Final = 20

ShareStep = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": WHOLE - 1})]
"""Percent of its share that a member gets at a step."""

STEP: Final = timedelta(minutes=1)
"""How long a step holds where a wave says nothing."""

_FIELD: Final = "spec.traffic"


class Strategy(StrEnum):
    """How the members of a wave get the release."""

    INSIDE = "inside"
    CLUSTER = "cluster"


class ShareState(StrEnum):
    """Where the share of a cluster stands."""

    WHOLE = "Whole"
    LEAVING = "Leaving"
    AWAY = "Away"
    RETURNING = "Returning"


class ClusterRoute(Model):
    """A route of somebody else's, in which the weights of clusters are set, and nothing else."""

    api_version: str = Field(default="", json_schema_extra={"x-crd-required": True})
    """API version of the route, such as gateway.networking.k8s.io/v1."""
    kind: str = Field(default="", json_schema_extra={"x-crd-required": True, "enum": [*sorted(KINDS)]})
    """HTTPRoute or VirtualService."""
    name: str = Field(default="", json_schema_extra={"x-crd-required": True, "minLength": 1, "maxLength": 253})
    """Name of the route, in the fleet's namespace."""
    host: str = Field(default="", json_schema_extra={"maxLength": 253})
    """The host of a VirtualService's destinations that counts; every one does where absent."""

    @property
    def group(self) -> str:
        """API group of the route."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """Version of the API group."""
        return self.api_version.rpartition("/")[2]

    @property
    def words(self) -> str:
        """What it is called in messages."""
        return f"{self.kind} {self.name}"


class ClusterShare(Model):
    """A cluster, what stands for it in the routes, and how much it gets of all requests."""

    name: str = Field(json_schema_extra={"minLength": 1, "maxLength": 253})
    """Name of the member."""
    backend: str = Field(default="", json_schema_extra={"maxLength": 253})
    """Name of the Service or ServiceImport, or the subset or host of the destination; the member's own where absent."""
    share: int = Field(json_schema_extra={"minimum": 0, "maximum": WHOLE})
    """How many percent of all requests it gets as a rule; all shares sum to 100."""

    @property
    def stands_for_it(self) -> str:
        """What stands for it in the routes."""
        return self.backend or self.name


class FleetTraffic(Model):
    """Who gets how much of all requests, and by which routes."""

    routes: tuple[ClusterRoute, ...] = Field(json_schema_extra={"minItems": 1, "maxItems": MOST_ROUTES})
    """The routes, in the fleet's namespace of the hub's own cluster."""
    members: tuple[ClusterShare, ...] = Field(json_schema_extra={"minItems": 2, "maxItems": MOST_CLUSTERS})
    """The clusters that they lead to."""
    settle: GoDuration | None = Field(default=None, json_schema_extra={"x-crd-longest": "1h"})
    """How long requests may go on as before once a route was written; that of the slowest of its kind where absent."""

    def share_of(self, name: str) -> ClusterShare | None:
        """What is said of a member; None where nothing is."""
        return next((each for each in self.members if each.name == name), None)


class ShareStatus(Model):
    """How much of all requests one cluster is to get."""

    name: str
    """Name of the member."""
    state: ShareState = ShareState.WHOLE
    """Whole, Leaving, Away or Returning."""
    weight: Tally = 0
    """Percent of all requests that it is to get."""
    step: Tally = 0
    """The step by which its share comes back, from 1; 0 where it doesn't."""
    since: MicroTime | None = None
    """Since when the routes say so; absent while they don't."""
    message: str = ""
    """Why it stands there, in words; empty where there is nothing to say."""


def problems(traffic: FleetTraffic) -> Iterator[Problem]:
    """What of `spec.traffic` can't work."""
    yield from _routes(traffic)
    yield from _members(traffic)


def _routes(traffic: FleetTraffic) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    if not traffic.routes:
        yield Problem(f"{_FIELD}.routes", "is empty", "name the route that leads to the clusters")
    for index, route in enumerate(traffic.routes):
        field, group = f"{_FIELD}.routes[{index}]", KINDS.get(route.kind)
        if group is None:
            message = f"{route.kind or 'a route without a kind'} divides no requests between clusters"
            yield Problem(f"{field}.kind", message, f"write one of {', '.join(sorted(KINDS))}")
        elif route.group != group:
            message = f"{route.api_version or 'no version'} is none of {group}, which has the kind {route.kind}"
            yield Problem(f"{field}.apiVersion", message, f"write {group}/v1")
        if route.host and route.kind == "HTTPRoute":
            yield Problem(f"{field}.host", "is of no HTTPRoute, whose backends have names", "take it out")
        if not route.name:
            yield Problem(f"{field}.name", "is empty", f"name the {route.kind or 'route'}")
        elif (route.kind, route.name) in seen:
            yield Problem(field, f"{route.words} is named before", "take it out")
        seen.add((route.kind, route.name))


def _members(traffic: FleetTraffic) -> Iterator[Problem]:
    names = Counter(each.name for each in traffic.members)
    backends = Counter(each.stands_for_it for each in traffic.members)
    for index, each in enumerate(traffic.members):
        field = f"{_FIELD}.members[{index}]"
        if names[each.name] > 1:
            yield Problem(f"{field}.name", f"{each.name} is named twice", "keep one of the two")
        elif backends[each.stands_for_it] > 1:
            message = f"{each.stands_for_it} stands for another member, too"
            yield Problem(f"{field}.backend", message, "name what stands for this one")
    if len(traffic.members) < 2:
        message = "names fewer than two clusters, so that none could take a share over"
        yield Problem(f"{_FIELD}.members", message, "name every cluster that the routes lead to")
    elif (total := sum(each.share for each in traffic.members)) != WHOLE:
        message = f"has shares that sum to {total}"
        yield Problem(f"{_FIELD}.members", message, f"have them sum to {WHOLE}, percent of all requests")
