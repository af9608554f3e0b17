"""What the kinds of target that make pods from a template have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import Readiness
from canary.kube.types import Json, Resource, mapping
from canary.workloads import ports, primary_template, services
from canary.workloads.base import (
    LABEL_VALUE_LIMIT,
    NAME_LIMIT,
    REVISION_ANNOTATION,
    Rules,
    SelectorLabel,
    Services,
    annotations_of,
    included,
    is_owned,
    keep_selector,
    labels_of,
    name_of,
    owner_reference,
    primary_name,
    selected_by,
    was_left,
    without_nulls,
)

_CONFIG_DIGITS = 8


class PodTemplates(ABC):
    """Targets with a pod template and a selector, whose primary is a copy of them; every function is pure."""

    resource: Resource
    in_place: None = None
    versions: None = None
    cloned: ClassVar[tuple[str, ...]]
    """The fields of the spec that the primary gets as they are: what decides how it rolls its pods."""

    @abstractmethod
    def readiness(self, workload: Json) -> Readiness:
        """How far the workload has come, by its own status."""

    @abstractmethod
    def replicas(self, workload: Json) -> int:
        """How many pods its spec asks for."""

    @abstractmethod
    def scaled(self, workload: Json, replicas: int) -> Json:
        """The merge patch after which the spec asks for this many pods; empty where it does already."""

    def template(self, workload: Json) -> Json:
        """The pod template, without what only scales."""
        return mapping(mapping(workload.get("spec")).get("template"))

    def revision(self, target: Json) -> str:
        """A hash over the pod template: the same for as long as the same pods would be made from it."""
        return primary_template.fingerprint(self.template(target))

    def carried(self, target: Json, tracked: Mapping[str, str]) -> str:
        """What the primary's revision reads once it carries this target with this configuration.

        Args:
            target: the workload that the spec names.
            tracked: checksums of its configuration, as `configs.tracked_configs` gives them.
        """
        revision = self.revision(target)
        return f"{revision}-{primary_template.digest(dict(tracked), _CONFIG_DIGITS)}" if tracked else revision

    def primary(
        self,
        target: Json,
        canary: Canary,
        *,
        tracked: Mapping[str, str],
        rules: Rules,
        existing: Json | None = None,
    ) -> Json:
        """The manifest to apply for the primary: everything but what scales it.

        Args:
            target: the workload that the spec names.
            canary: the Canary that names it.
            tracked: checksums of its configuration; the primary reads its own copy of each.
            rules: which label tells the two apart, and what else the primary gets.
            existing: the primary that is there already; one that was not made for a Canary stays without owner.

        Raises:
            ValueError: the target has no selector label; `problems` tells beforehand.
        """
        label = self._label(target, rules)
        value = selected_by(existing).get(label.key, label.primary)
        carried = self.carried(target, tracked)
        metadata: Json = {
            "name": primary_name(name_of(target)),
            "namespace": canary.metadata.namespace,
            "labels": {**included(labels_of(target), rules.include_label_prefixes), label.key: value},
            "annotations": {
                **included(annotations_of(target), rules.include_label_prefixes),
                REVISION_ANNOTATION: carried,
            },
        }
        if is_owned(canary, existing) or was_left(existing):
            metadata["ownerReferences"] = [owner_reference(canary)]
        spec = mapping(target.get("spec"))
        made = {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": {label.key: label.primary}},
                "template": primary_template.primary_template(
                    self.template(target), label, tracked=tracked, roll=carried, value=value
                ),
                **{field: without_nulls(spec[field]) for field in self.cloned if spec.get(field) is not None},
            },
        }
        return keep_selector(made, existing)

    def primary_revision(self, primary: Json) -> str | None:
        """What `carried` was when the primary was last written; None where we have not written it."""
        return annotations_of(primary).get(REVISION_ANNOTATION)

    def carries(
        self, primary: Json, target: Json, *, tracked: Mapping[str, str], copies: Mapping[str, str], rules: Rules
    ) -> bool:
        """Whether a primary, whoever wrote it, makes the same pods as this target, with the same configuration.

        Args:
            primary: the primary.
            target: the workload that the spec names.
            tracked: checksums of its configuration.
            copies: checksums of the primary's copies of that, by their own keys.
            rules: which label tells the two apart.
        """
        label = self.selector_label(target, rules)
        if label is None or any(copies.get(primary_name(key)) != tracked[key] for key in tracked):
            return False
        return primary_template.same_pods(
            self.template(primary),
            self.template(target),
            tracked=tracked,
            selected={label.key, *selected_by(primary)},
        )

    def selector_label(self, target: Json, rules: Rules) -> SelectorLabel | None:
        """The label that tells this target's pods from the primary's: the first allowed that it selects by."""
        selected = mapping(mapping(mapping(target.get("spec")).get("selector")).get("matchLabels"))
        known = (key for key in rules.selector_labels if isinstance(selected.get(key), str))
        return next((SelectorLabel(key, selected[key]) for key in known), None)

    def essence(self, primary: Json) -> Json:
        """The part of a primary's spec that makes its pods what they are."""
        spec = mapping(primary.get("spec"))
        kept = {field: spec[field] for field in ("selector", *self.cloned) if spec.get(field) is not None}
        made: Json = without_nulls({**kept, "template": self.template(primary)})
        return made

    def version_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services, primary: Json | None = None
    ) -> tuple[Json, ...]:
        """The manifests to apply for `NAME-primary` and `NAME-canary`, which lead to one version each.

        Raises:
            ValueError: the target has no selector label.
        """
        return services.versions(canary, self._label(target, rules), self.template(target), observed, primary)

    def apex_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services, primary: Json | None = None
    ) -> tuple[Json, ...]:
        """The manifest to apply for `NAME`, the Service that users call.

        Raises:
            ValueError: the target has no selector label.
        """
        return (services.apex(canary, self._label(target, rules), self.template(target), observed, primary),)

    def handed_back_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services
    ) -> tuple[Json, ...]:
        """The manifest to apply for `NAME` when the Canary goes and its users must reach the target again.

        Raises:
            ValueError: the target has no selector label.
        """
        return (services.handed_back(canary, self._label(target, rules), self.template(target), observed),)

    def problems(self, canary: Canary, target: Json, *, rules: Rules, observed: Services) -> tuple[Problem, ...]:
        """What keeps this target from being rolled out by this spec."""
        return (
            *self._label_problems(self.selector_label(target, rules), canary, rules),
            *ports.problems(canary, self.template(target)),
            *_repeated_port_problems(canary, self.template(target)),
            *services.problems(canary, observed, self.template(target)),
            *services.sharing_problems(canary, self.template(target)),
        )

    def _label(self, target: Json, rules: Rules) -> SelectorLabel:
        label = self.selector_label(target, rules)
        if label is None:
            allowed = ", ".join(rules.selector_labels)
            msg = f"{self.resource.kind} {name_of(target)} has none of the selector labels {allowed}"
            raise ValueError(msg)
        return label

    def _label_problems(self, label: SelectorLabel | None, canary: Canary, rules: Rules) -> tuple[Problem, ...]:
        name = canary.target_name
        if len(canary.primary_name) > NAME_LIMIT:
            message = f"{canary.primary_name} would be a name of more than {NAME_LIMIT} characters"
            return (Problem("spec.targetRef.name", message, f"give {self.resource.kind} {name} a shorter name"),)
        if label is None:
            allowed = ", ".join(rules.selector_labels)
            message = f"{self.resource.kind} {name} selects its pods by none of the labels {allowed}"
            remedy = f"select by one of them in spec.selector.matchLabels of {name}, or name yours in --selector-labels"
            return (Problem("spec.targetRef", message, remedy),)
        if len(label.primary) > LABEL_VALUE_LIMIT:
            message = (
                f"the primary's label {label.key}: {label.primary} would be longer than {LABEL_VALUE_LIMIT} characters"
            )
            remedy = f"shorten the value of that label in spec.selector.matchLabels of {name}"
            return (Problem("spec.targetRef", message, remedy),)
        if canary.wants_baseline and len(label.value) + len("-baseline") > LABEL_VALUE_LIMIT:
            message = f"the baseline's label {label.key} would be longer than {LABEL_VALUE_LIMIT} characters"
            return (Problem("spec.targetRef", message, f"shorten its value in {name}, or write compareTo: primary"),)
        return ()


def _repeated_port_problems(canary: Canary, pod_template: Json) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            "spec.targetRef",
            f"container {container} of {canary.target_name} declares port {number} more than once",
            "declare it once, and name that one in probes and Services",
        )
        for container, number in primary_template.repeated_ports(pod_template)
    )
