"""CanaryFleet: one release over many clusters, each with a Canary that decides alone."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, FiniteFloat

from canary.api.durations import GoDuration
from canary.api.fleet_status import FleetStatus
from canary.api.fleet_traffic import MOST_STEPS, STEP, FleetTraffic, ShareStep, Strategy
from canary.api.gates import Anything, ArgoCDGate, FluxGate, RancherFleetGate
from canary.api.labels import LabelSelector
from canary.api.meta import FLEET_API_VERSION, JsonObject, Model, Resource, StringMap
from canary.api.parsing import parse

MOST_WAVES: Final = 50
MOST_GATES: Final = 10
MOST_MEMBERS: Final = 1_000
"""Members that one wave may count; a fleet may have any number."""

_NAME: Final[JsonObject] = {"minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}


class Mode(StrEnum):
    """What is done to members."""

    MANAGE = "manage"
    WATCH = "watch"


class OnFleetFailure(StrEnum):
    """What becomes of the other members where a wave fails."""

    HOLD = "hold"
    ROLLBACK_WAVE = "rollbackWave"
    ROLLBACK_ALL = "rollbackAll"


class TemplateMetadata(Model):
    """Name, labels and annotations of the Canary in each member."""

    name: str = Field(json_schema_extra={"minLength": 1, "maxLength": 253})
    """Name of the Canary."""
    namespace: str = Field(default="", json_schema_extra={"maxLength": 63})
    """Namespace of the Canary; the fleet's own where absent."""
    labels: StringMap = Field(default_factory=dict)
    """Labels of the Canary."""
    annotations: StringMap = Field(default_factory=dict)
    """Annotations of the Canary."""


class CanaryTemplate(Model):
    """The Canary that each member has."""

    metadata: TemplateMetadata
    """Its name, labels and annotations."""
    spec: Anything
    """Its spec, with the fields of a Canary."""


class Placement(Model):
    """An object of KubeFed that says by its placement which clusters are members."""

    federated_deployment: str = Field(json_schema_extra={"minLength": 1, "maxLength": 253})
    """Name of the FederatedDeployment."""
    namespace: str = Field(default="", json_schema_extra={"maxLength": 63})
    """Its namespace; the fleet's where absent."""


class Members(Model):
    """Which of the clusters that the hub knows are members."""

    selector: LabelSelector = LabelSelector()
    """Labels that members have; every cluster is one where absent."""
    placement: Placement | None = None
    """What they are placed on besides; every cluster with these labels is a member where absent."""


class WaveGate(Model):
    """What a wave waits for before it begins; where nothing is named that answers, a person does."""

    name: str = Field(json_schema_extra=_NAME)
    """Name of the gate."""
    url: str = Field(default="", json_schema_extra={"maxLength": 4096})
    """Address that is asked, and opens it by a status of 2xx; where nothing answers, a person orders to resume."""
    argocd: ArgoCDGate | None = None
    """An Application of Argo CD, which is to be Healthy and Synced."""
    flux: FluxGate | None = None
    """A Kustomization or a HelmRelease of Flux, which is to be Ready."""
    rancher_fleet: RancherFleetGate | None = None
    """A GitRepo of Fleet, Rancher's, which is to be deployed and Ready in all of its clusters."""

    @property
    def answers(self) -> tuple[str, ...]:
        """The fields that are set of those that answer; at most one where it is right, and none for a person."""
        return tuple(name for name in ("url", "argocd", "flux", "rancher_fleet") if getattr(self, name))


class Wave(Model):
    """Members that get the release together."""

    name: str = Field(json_schema_extra=_NAME)
    """Name of the wave."""
    selector: LabelSelector = LabelSelector()
    """Labels of its members, of those that no wave before has; any where absent."""
    count: int | None = Field(default=None, json_schema_extra={"minimum": 1, "maximum": MOST_MEMBERS})
    """How many members it has at most; the last wave has all that are left."""
    percent: int | None = Field(default=None, json_schema_extra={"minimum": 1, "maximum": 100})
    """How many percent of the fleet's members it has at most, rounded up."""
    quorum: int = Field(default=100, json_schema_extra={"minimum": 1, "maximum": 100})
    """Percent of its members that must pass, rounded up; all where absent."""
    max_parallel: int | None = Field(default=None, json_schema_extra={"minimum": 1, "maximum": MOST_MEMBERS})
    """How many of its members roll out at once; all where absent, and one with strategy cluster."""
    soak: GoDuration = Field(default=timedelta(0), json_schema_extra={"x-crd-longest": "720h"})
    """How long it must have passed before the next wave begins, or the release is done."""
    gates: tuple[WaveGate, ...] = Field(default=(), json_schema_extra={"maxItems": MOST_GATES})
    """What must be open before it begins."""
    strategy: Strategy = Strategy.INSIDE
    """Where requests are shifted: inside each member, or between clusters too, so that it gets none as it rolls out."""
    step_weights: tuple[ShareStep, ...] = Field(default=(), json_schema_extra={"maxItems": MOST_STEPS})
    """With strategy cluster: percent of its share that a member gets one after the other, before all of it is back."""
    step_interval: GoDuration = Field(default=STEP, json_schema_extra={"x-crd-longest": "720h"})
    """With strategy cluster: how long each of them holds."""

    @property
    def most_at_once(self) -> int | None:
        """How many of its members roll out at once; None for all."""
        return 1 if self.max_parallel is None and self.strategy is Strategy.CLUSTER else self.max_parallel


class JointVerdict(Model):
    """One verdict on what the Canaries of all members have compared."""

    false_rollback: Annotated[FiniteFloat, Field(json_schema_extra={"minimum": 0.01, "maximum": 50})] = 1.0
    """Percent of releases that it may fail though they are as good in every member; 1 where absent."""


class FleetSpec(Model):
    """One release over many clusters."""

    release: str = Field(json_schema_extra={"minLength": 1, "maxLength": 253})
    """Name of the release, such as v1.4.2: with another one, the waves begin anew."""
    images: StringMap = Field(default_factory=dict, json_schema_extra={"maxProperties": 32})
    """The image of each container that tells a rollout of this release from others; any rollout is one where absent."""
    mode: Mode = Mode.MANAGE
    """What is done: manage writes Canaries into members, watch writes nothing and only judges."""
    template: CanaryTemplate
    """The Canary that each member has."""
    members: Members = Members()
    """Which clusters are members."""
    traffic: FleetTraffic | None = None
    """How requests are divided between clusters; nothing is done about that where absent."""
    waves: tuple[Wave, ...] = Field(json_schema_extra={"maxItems": MOST_WAVES})
    """Who gets the release one after the other; the last wave has all that are left."""
    on_failure: OnFleetFailure = OnFleetFailure.HOLD
    """What becomes of others where a wave fails: hold, rollbackWave or rollbackAll."""
    joint_verdict: JointVerdict | None = None
    """The release fails, too, where what all members have compared says together that it is worse; not where absent."""
    member_deadline: GoDuration | None = Field(default=None, json_schema_extra={"x-crd-longest": "8760h"})
    """How long a member may take once it may begin, before it counts as failed; without end where absent."""
    unreachable_deadline: GoDuration | None = Field(default=None, json_schema_extra={"x-crd-longest": "8760h"})
    """How long a member that may begin can be unreachable before it counts as failed; without end where absent."""


class CanaryFleet(Resource):
    """One release over many clusters, wave by wave."""

    api_version: str = FLEET_API_VERSION
    kind: str = "CanaryFleet"
    spec: FleetSpec
    """What is released, to whom, and in which order."""
    status: FleetStatus = FleetStatus()
    """Where it stands."""

    @property
    def watches(self) -> bool:
        """Whether nothing is to be written."""
        return self.spec.mode is Mode.WATCH


def parse_fleet(raw: JsonObject) -> CanaryFleet:
    """Read a CanaryFleet from the API server's JSON.

    Raises:
        InvalidResource: it can't be read; the error holds every problem.
    """
    return parse(CanaryFleet, raw)
