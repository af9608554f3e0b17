"""What was seen around one Canary, and what became of earlier decisions on it: values between looking and deciding."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.controller.configs import Shared
from canary.controller.observe.caches import KindState
from canary.controller.observe.former_routes import FormerRoute
from canary.controller.observe.versions import SeenVersions
from canary.kube.types import DEPLOYMENT, SERVICE, Json, ObjectRef, Resource
from canary.rollout.decision import Action
from canary.rollout.facts import Refusal, Workload
from canary.routers.base import Granularity, Observed, Provider
from canary.workloads import baseline
from canary.workloads.autoscalers import Autoscaler
from canary.workloads.base import Target, primary_name
from canary.workloads.configs import ConfigRef
from canary.workloads.services import is_shared


@dataclass(frozen=True, slots=True)
class Told:
    """What became of earlier decisions on a Canary.

    Args:
        refused: what the API server did not do of them, by action.
        contested: the objects and fields that somebody undoes again and again; empty where nobody does.
        number: the number of the last notice that was told.
        called: whether anybody but Kubernetes was told of one that stands in the status still.
    """

    refused: Mapping[Action, Refusal] = field(default_factory=dict)
    contested: str = ""
    number: int = 0
    called: bool = True


@dataclass(frozen=True, slots=True)
class Pair:
    """The workload that a Canary names, and the one that serves.

    Args:
        kind: of the first; None for a kind that is not supported.
        beside: of the second where that is a copy of the first; None where it is none.
        target: the first; None when there is none.
        primary: the second; None when there is none.
        versions: those of a target that keeps each of them as an object of its own.
        refs: the configuration that the target's pods read.
        own_refs: that of the primary's.
    """

    kind: Target | None
    beside: Target | None
    target: Json | None
    primary: Json | None
    versions: SeenVersions
    refs: frozenset[ConfigRef]
    own_refs: frozenset[ConfigRef]

    @property
    def copied(self) -> frozenset[ConfigRef]:
        """The primary's copies of what the target's pods read."""
        return frozenset(ConfigRef(ref.kind, primary_name(ref.name)) for ref in self.refs)

    @property
    def unmarked_copies(self) -> frozenset[ConfigRef]:
        """Those, where nothing else tells what the primary carries."""
        kind, primary = self.kind, self.primary
        unmarked = kind is not None and primary is not None and kind.primary_revision(primary) is None
        return self.copied if unmarked else frozenset()


class Sight(NamedTuple):
    """How far one sees.

    Args:
        places: of what was made for a Canary.
        routes: what its traffic provider makes.
        glanced: what its traffic provider glances at, as far as it can be seen.
        needed: the kinds without which nothing can be decided.
        states: how far what is known of each kind can be relied on.
    """

    places: Collection[ObjectRef]
    routes: tuple[ObjectRef, ...]
    glanced: Observed
    needed: tuple[Resource, ...]
    states: Mapping[Resource, KindState]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The objects that one Canary is about, as they were when it was looked at.

    Args:
        canary: the Canary.
        raw: the Canary as the API server has it.
        provider: name of its traffic provider.
        kind: what its target is; None for a kind that is not supported.
        router: its traffic provider; None for one that is not supported.
        target: the workload that it names; None when there is none.
        primary: the primary; None when there is none.
        services: its Services that exist, by name.
        routes: what its traffic provider looks at.
        glanced: what it glances at, as far as it can be seen.
        left: what gives requests to the canary by a name, or for a provider, that the spec has no more.
        configs: checksums of the tracked configuration.
        shared: the configuration that the primary shares with the target.
        copies: checksums of the primary's copies of that, where nothing else tells what the primary carries.
        autoscaler_kind: what its autoscaler is; None where the spec names none.
        autoscaler: the autoscaler that it names; None when there is none.
        pods: the pods of a target that is rolled out in place; none where all of them are as they should be.
        missing: `configmap/NAME` or `secret/NAME` of what its pods can't start without and does not exist.
        unseen: the kinds that it needs and that can't be looked at now.
        unread: why contents of its configuration could not be read; empty where they could.
        versions: the versions of a target that keeps each of them as an object of its own.
        foreign: what is wrong with objects of others that have the names of what is made for it.
        baselines: what was made as a baseline for it, whatever its spec says by now.
        running: its Jobs that have not ended, each with the moment of the rollout that it answers for.
    """

    canary: Canary
    raw: Json
    provider: str
    kind: Target | None
    router: Provider | None
    target: Json | None
    primary: Json | None
    services: Mapping[str, Json]
    routes: Observed
    left: tuple[FormerRoute, ...]
    configs: Mapping[str, str]
    shared: Shared
    copies: Mapping[str, str]
    autoscaler_kind: Autoscaler | None
    autoscaler: Json | None
    pods: tuple[Json, ...]
    missing: tuple[str, ...]
    unseen: Mapping[Resource, KindState]
    unread: str = ""
    foreign: tuple[Problem, ...] = ()
    glanced: Observed = field(default_factory=dict)
    versions: SeenVersions = field(default_factory=SeenVersions)
    running: Mapping[str, str] = field(default_factory=dict)
    baselines: Observed = field(default_factory=dict)

    @property
    def is_weighted(self) -> bool:
        """Whether requests can be divided now: by the numbers of pods, only those that one Service leads to."""
        if self.router is None:
            return False
        if self.router.weights is Granularity.PODS and self.kind is not None and self.primary is not None:
            return is_shared(self.kind.template(self.primary), self.canary)
        return self.router.weights is not Granularity.NONE

    @property
    def baseline(self) -> Workload | None:
        """The baseline by the names of the spec; None where it is not there, or no Service leads to it."""
        canary, found = self.canary, self.baselines
        service = found.get(ObjectRef(SERVICE, canary.namespace, canary.service_baseline_name))
        workload = found.get(ObjectRef(DEPLOYMENT, canary.namespace, canary.baseline_name))
        if self.kind is None or service is None or workload is None:
            return None
        return Workload(baseline.revision_of(workload), self.kind.readiness(workload))


@dataclass(frozen=True, slots=True)
class Contents:
    """What no watch tells."""

    configs: Mapping[str, str]
    shared: Shared
    copies: Mapping[str, str]
    pods: tuple[Json, ...]
    unread: str = ""
