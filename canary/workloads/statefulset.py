"""StatefulSets as targets: pods with a name and volumes of their own, rolled out in place by their number."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from canary.api.canary import Canary
from canary.api.meta import utc
from canary.api.partitions import Partitions, PodState
from canary.api.problems import Problem
from canary.api.traffic import Readiness
from canary.kube.types import STATEFUL_SET, Json, Resource, condition_of, items, mapping
from canary.workloads import primary_template, replicas
from canary.workloads.base import Rules, SelectorLabel, Services, labels_of, name_of, owners_of
from canary.workloads.uncopied import Uncopied

_REVISION_LABEL = "controller-revision-hash"
"""On a pod: the name of the ControllerRevision that it was made from."""

_ROLLING = "RollingUpdate"
_NO_POD = "[^-.0-9a-z]"
"""A regular expression that no name matches."""


class StatefulSet(Uncopied):
    """A StatefulSet as target; every function is pure.

    It is both of the versions, so there is no primary, and its Services are its author's. Its pods read their
    configuration by its name, whatever they were made from: what is in it is no part of a version, and can't be taken
    back with one.
    """

    resource: Resource = STATEFUL_SET
    versions: None = None

    @property
    def in_place(self) -> "StatefulSet":
        """Itself."""
        return self

    def revision(self, target: Json) -> str:
        """A hash over the pod template: the same for as long as the same pods would be made from it."""
        return primary_template.fingerprint(self.template(target))

    def selector_label(self, target: Json, rules: Rules) -> SelectorLabel | None:
        """A label of its pods, the preferred one first; nothing has to be told from a primary."""
        selected = mapping(mapping(mapping(target.get("spec")).get("selector")).get("matchLabels"))
        preferred = [key for key in rules.selector_labels if key in selected]
        return next((SelectorLabel(key, selected[key]) for key in (*preferred, *selected)), None)

    def readiness(self, workload: Json) -> Readiness:
        """How far the StatefulSet has come, by its own status."""
        return replicas.readiness(workload)

    def replicas(self, workload: Json) -> int:
        """How many pods its spec asks for."""
        return replicas.replicas(workload)

    def template(self, workload: Json) -> Json:
        """The pod template."""
        return mapping(mapping(workload.get("spec")).get("template"))

    def problems(self, canary: Canary, target: Json, *, rules: Rules, observed: Services) -> tuple[Problem, ...]:
        """What keeps this StatefulSet from being rolled out by this spec."""
        return tuple(self._problems(canary, target))

    def _problems(self, canary: Canary, target: Json) -> Iterator[Problem]:
        name = canary.target_name
        strategy = mapping(mapping(target.get("spec")).get("updateStrategy")).get("type") or _ROLLING
        if strategy != _ROLLING:
            message = f"StatefulSet {name} has the update strategy {strategy}, and replaces no pod by itself"
            yield Problem("spec.targetRef", message, f"set spec.updateStrategy.type of {name} to {_ROLLING}")
        if self.replicas(target) == 1 and not canary.skip_analysis:
            message = f"StatefulSet {name} has one pod: once it runs a version, Kubernetes keeps none to go back to"
            yield Problem("spec.targetRef", message, "give it two pods or more, or set spec.skipAnalysis")

    def is_calm(self, target: Json) -> bool:
        """Whether its own status says that all pods run its current revision, and none is to be updated."""
        status, count = mapping(target.get("status")), self.replicas(target)
        current, total = status.get("currentReplicas") or 0, status.get("replicas") or 0
        return self._partition(target) >= count and current == total == count

    def pod_selector(self, target: Json) -> str:
        """The label selector of its pods, as the API takes it."""
        selector = mapping(mapping(target.get("spec")).get("selector"))
        parts = [f"{key}={value}" for key, value in mapping(selector.get("matchLabels")).items()]
        parts += [_requirement(each) for each in items(selector.get("matchExpressions"))]
        return ",".join(parts)

    def partitions(self, target: Json, pods: Iterable[Json], now: datetime) -> Partitions:
        """Its pods by their number.

        Args:
            target: the StatefulSet.
            pods: those that there are, of others too; none where it is calm.
            now: the time, by which a pod has been ready for long enough.
        """
        status = mapping(target.get("status"))
        states = (self._state(target, pod, now) for pod in pods)
        current, update = str(status.get("currentRevision") or ""), str(status.get("updateRevision") or "")
        found = sorted((state for state in states if state is not None), key=lambda state: state.index)
        return Partitions(self._partition(target), current, update, tuple(found))

    def partitioned(self, target: Json, partition: int | None) -> Json:
        """The manifest to apply so that pods are updated from this number on; without one, the field is nobody's again.

        It names the very object, so that none is made where that is gone.
        """
        metadata = mapping(target.get("metadata"))
        manifest: Json = {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {key: metadata.get(key) for key in ("name", "namespace", "uid")},
        }
        if partition is not None:
            manifest["spec"] = {"updateStrategy": {"rollingUpdate": {"partition": partition}}}
        return manifest

    def updated_pods(self, target: Json) -> str:
        """A regular expression for the names of the pods from the partition on."""
        first, start = self._partition(target), _start(target)
        ordinals = "|".join(str(start + index) for index in range(first, self.replicas(target)))
        return f"{_literal(name_of(target))}-({ordinals})" if ordinals else _NO_POD

    def all_pods(self, target: Json) -> str:
        """A regular expression for the names of its pods."""
        return f"{_literal(name_of(target))}-[0-9]+"

    def _partition(self, target: Json) -> int:
        strategy = mapping(mapping(target.get("spec")).get("updateStrategy"))
        return int(mapping(strategy.get("rollingUpdate")).get("partition") or 0)

    def _state(self, target: Json, pod: Json, now: datetime) -> PodState | None:
        """The pod's state; None for one that is another's, or that scaling takes away."""
        metadata, uid = mapping(pod.get("metadata")), mapping(target.get("metadata")).get("uid")
        _, _, ordinal = name_of(pod).rpartition("-")
        index = int(ordinal) - _start(target) if ordinal.isdecimal() else -1
        if not any(owner.get("uid") == uid for owner in owners_of(pod)) or not 0 <= index < self.replicas(target):
            return None
        terminating = metadata.get("deletionTimestamp") is not None
        since = None if terminating else _ready_since(pod)
        settled = timedelta(seconds=mapping(target.get("spec")).get("minReadySeconds") or 0)
        return PodState(
            name=name_of(pod),
            uid=str(metadata.get("uid") or ""),
            index=index,
            revision=str(labels_of(pod).get(_REVISION_LABEL) or ""),
            ready=since is not None,
            available=since is not None and (not settled or now - since >= settled),
            terminating=terminating,
        )


def _start(target: Json) -> int:
    """The first pod's ordinal."""
    return int(mapping(mapping(target.get("spec")).get("ordinals")).get("start") or 0)


def _ready_since(pod: Json) -> datetime | None:
    ready = condition_of(pod, "Ready")
    if ready.get("status") != "True":
        return None
    return utc(datetime.fromisoformat(str(ready.get("lastTransitionTime"))))


def _requirement(expression: Json) -> str:
    key, operator = expression.get("key"), expression.get("operator")
    values = ",".join(expression.get("values") or ())
    words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": f"{key}"}
    return words.get(str(operator), f"!{key}")


def _literal(name: str) -> str:
    """A name in a regular expression within a query, where a backslash would have to be doubled."""
    return name.replace(".", "[.]")
