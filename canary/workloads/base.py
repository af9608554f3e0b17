"""What the kinds of target have in common: the values they share and the protocol that each fulfils."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from canary.api.canary import Canary
from canary.api.meta import API_VERSION
from canary.api.partitions import Partitions
from canary.api.problems import Problem
from canary.api.traffic import Readiness
from canary.kube.types import Json, Resource, items, mapping

PRIMARY_SUFFIX = "-primary"

REVISION_ANNOTATION = "flagger.app/revision"
"""On a primary: the revision of the target that it carries, see `Target.carried`."""

ROLL_ANNOTATION = "flagger-id"
"""On the primary's pods: changes with the revision, so that new contents of a ConfigMap restart them too."""

LABEL_VALUE_LIMIT = 63
"""Characters that Kubernetes allows in a label's value."""

NAME_LIMIT = 253
"""Characters that Kubernetes allows in the name of an object."""

_GITOPS_MARK = "toolkit.fluxcd.io"
# Written by a client or a controller about the one object that carries them: wrong on any copy.
_OWN_ANNOTATIONS = ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/")


Services = Mapping[str, Json]
"""The Services of a Canary that are there already, by name."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How the controller was told to tell the two versions apart, and what it may copy to the primary.

    Args:
        selector_labels: the pod labels that may tell the primary from the target, the preferred one first.
        include_label_prefixes: prefixes of the target's own labels and annotations that the primary gets too;
            "*" is all.
    """

    selector_labels: tuple[str, ...] = ("app", "name", "app.kubernetes.io/name")
    include_label_prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SelectorLabel:
    """The pod label that tells the two versions apart: its key, and its value on the target's pods."""

    key: str
    value: str

    @property
    def primary(self) -> str:
        """The label's value on the primary's pods."""
        return self.value + PRIMARY_SUFFIX


class InPlace(Protocol):
    """A kind of workload whose pods are updated one by one, so that one object is both of the versions."""

    def is_calm(self, target: Json) -> bool:
        """Whether its own status says that all pods run its current revision, and none is to be updated."""

    def pod_selector(self, target: Json) -> str:
        """The label selector of its pods, as the API takes it."""

    def partitions(self, target: Json, pods: Iterable[Json], now: datetime) -> Partitions:
        """How far its pods are, from the highest ordinal down."""

    def partitioned(self, target: Json, partition: int | None) -> Json:
        """The manifest to apply so that only pods from this ordinal on are updated; without one, it is nobody's."""

    def updated_pods(self, target: Json) -> str:
        """A regular expression for the names of the pods from the partition on."""

    def all_pods(self, target: Json) -> str:
        """A regular expression for the names of its pods."""


class Versions(Protocol):
    """A kind of workload that keeps each of its versions as an object of its own, and makes these by itself."""

    @property
    def version_resource(self) -> Resource:
        """What its versions are."""

    def promoted(self, target: Json, canary: Canary) -> str:
        """The name of the version that is promoted; empty where none is."""

    def promotion(self, target: Json, revision: str) -> Json:
        """The merge patch of the workload that marks a version as the promoted one; empty where it is so already."""


class Target(Protocol):
    """A kind of workload that a Canary may name: pure functions over its objects."""

    @property
    def resource(self) -> Resource:
        """The kind, as in `targetRef.kind`, and where the API serves it."""

    @property
    def in_place(self) -> InPlace | None:
        """How its pods are updated where no primary is stood beside it; None where one is."""

    @property
    def versions(self) -> Versions | None:
        """How its versions are found where they are objects of their own, the primary among them; None otherwise."""

    def revision(self, target: Json) -> str:
        """A hash over what a new version differs in, such as the pod template; or the name of the latest version."""

    def carried(self, target: Json, tracked: Mapping[str, str]) -> str:
        """What the primary's revision reads once it carries this target with this configuration."""

    def primary(
        self,
        target: Json,
        canary: Canary,
        *,
        tracked: Mapping[str, str],
        rules: Rules,
        existing: Json | None = None,
    ) -> Json:
        """The manifest to apply for the primary: everything but its replicas.

        Raises:
            ValueError: the target has no selector label (`problems` tells beforehand).
        """

    def primary_revision(self, primary: Json) -> str | None:
        """What `carried` was when the primary was last written; None where we have not written it."""

    def carries(
        self, primary: Json, target: Json, *, tracked: Mapping[str, str], copies: Mapping[str, str], rules: Rules
    ) -> bool:
        """Whether a primary, whoever wrote it, is what it would be if it were made from this target now.

        Args:
            primary: the primary.
            target: the workload that the spec names.
            tracked: checksums of its configuration.
            copies: checksums of the primary's copies of that, by their own keys.
            rules: which label tells the two apart.
        """

    def selector_label(self, target: Json, rules: Rules) -> SelectorLabel | None:
        """The label that tells this target's pods from the primary's; None where it has none."""

    def readiness(self, workload: Json) -> Readiness:
        """How far the workload has come, by its own status; or one of its versions, where these are objects."""

    def replicas(self, workload: Json) -> int:
        """How many pods its spec asks for."""

    def scaled(self, workload: Json, replicas: int) -> Json:
        """The merge patch after which the spec asks for this many pods; empty where it does, or can't be told to."""

    def template(self, workload: Json) -> Json:
        """The pod template, without what only scales; empty where there is none."""

    def essence(self, primary: Json) -> Json:
        """The part of a primary's spec that makes it what it is: all but what scales it."""

    def version_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services, primary: Json | None = None
    ) -> tuple[Json, ...]:
        """The manifests to apply so that a Service leads to each version alone.

        Args:
            target: the workload that the spec names.
            canary: the Canary.
            rules: which label tells the two versions apart.
            observed: the Services that are there already.
            primary: the primary that is there; None where it is still to be made.

        Raises:
            ValueError: the target has no selector label (`problems` tells beforehand).
        """

    def apex_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services, primary: Json | None = None
    ) -> tuple[Json, ...]:
        """The manifest to apply so that the Service that users call leads to the primary; none where it isn't ours.

        Args:
            target: the workload that the spec names.
            canary: the Canary.
            rules: which label tells the two versions apart.
            observed: the Services that are there already.
            primary: the primary that is there; None where it is still to be made.

        Raises:
            ValueError: the target has no selector label.
        """

    def handed_back_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services
    ) -> tuple[Json, ...]:
        """The manifest to apply when the Canary goes, so that users reach the target; none where they do anyway.

        Raises:
            ValueError: the target has no selector label.
        """

    def problems(self, canary: Canary, target: Json, *, rules: Rules, observed: Services) -> tuple[Problem, ...]:
        """What keeps this target from being rolled out by this spec."""


def primary_name(name: str) -> str:
    """The name of the primary's copy of a workload, a ConfigMap or a Secret."""
    return name + PRIMARY_SUFFIX


def name_of(obj: Json) -> str:
    """The object's name."""
    return str(mapping(obj.get("metadata")).get("name", ""))


def made_of(workload: Json | None) -> tuple[object, ...]:
    """What people write of a workload, to tell whether it has changed: its status changes with every pod."""
    if workload is None:
        return ()
    return name_of(workload), workload.get("spec"), labels_of(workload), annotations_of(workload), owners_of(workload)


def images_of(workload: Json | None) -> dict[str, str]:
    """The image of each container of a workload's pods, or of a version that is an object of its own."""
    spec = mapping((workload or {}).get("spec"))
    pods = mapping(mapping(spec.get("template")).get("spec")) or spec
    named = ((str(each.get("name") or ""), each.get("image")) for each in items(pods.get("containers")))
    return {name: image for name, image in named if isinstance(image, str)}


def labels_of(obj: Json) -> dict[str, str]:
    """The object's labels."""
    return mapping(mapping(obj.get("metadata")).get("labels"))


def annotations_of(obj: Json) -> dict[str, str]:
    """The object's annotations."""
    return mapping(mapping(obj.get("metadata")).get("annotations"))


def owners_of(obj: Json) -> list[Json]:
    """The object's owner references."""
    return items(mapping(obj.get("metadata")).get("ownerReferences"))


def selected_by(workload: Json | None) -> dict[str, str]:
    """The labels that a workload selects its pods by; none where there is no workload."""
    selector = mapping(mapping((workload or {}).get("spec")).get("selector"))
    return mapping(selector.get("matchLabels"))


def keep_selector(manifest: Json, existing: Json | None) -> Json:
    """The manifest of a workload with the selector that it has already, and with pods that it selects.

    To the API server a selector can't be changed once it is there, whatever the copied one has become.
    """
    if existing is None or not selected_by(existing):
        return manifest
    spec = manifest["spec"]
    metadata = mapping(spec["template"].get("metadata"))
    labels = {**mapping(metadata.get("labels")), **selected_by(existing)}
    pod_template = {**spec["template"], "metadata": {**metadata, "labels": labels}}
    selector = without_nulls(mapping(existing.get("spec"))["selector"])
    return {**manifest, "spec": {**spec, "selector": selector, "template": pod_template}}


def owner_reference(canary: Canary, *, controller: bool = True) -> Json:
    """The reference that ties an object to its Canary, so that it is collected with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Canary",
        "name": canary.metadata.name,
        "uid": canary.metadata.uid,
        "controller": controller,
        "blockOwnerDeletion": True,
    }


def is_owned(canary: Canary, existing: Json | None) -> bool:
    """Whether an object belongs to this Canary: it doesn't exist yet, or names it among its owners.

    An object that was there before the Canary stays its author's: no owner reference is added, so that it
    outlives the Canary.
    """
    return existing is None or any(owner.get("uid") == canary.metadata.uid for owner in owners_of(existing))


def was_left(existing: Json | None) -> bool:
    """Whether an object was made for a Canary that is gone: it is marked by it, and nobody owns it now."""
    return existing is not None and not owners_of(existing) and REVISION_ANNOTATION in annotations_of(existing)


def portable(entries: Mapping[str, str]) -> dict[str, str]:
    """Labels or annotations without those that are about one object only, or give a copy to GitOps tools."""
    return {
        key: value for key, value in entries.items() if _GITOPS_MARK not in key and not key.startswith(_OWN_ANNOTATIONS)
    }


def included(entries: Mapping[str, str], prefixes: Collection[str]) -> dict[str, str]:
    """The portable labels or annotations whose key begins with one of the prefixes; "*" stands for any."""
    wanted = tuple(prefix for prefix in prefixes if prefix)
    return {key: value for key, value in portable(entries).items() if "*" in wanted or key.startswith(wanted)}


def without_nulls(value: Any) -> Any:
    """A deep copy of JSON without null fields: to the API server they say the same as absent ones."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
