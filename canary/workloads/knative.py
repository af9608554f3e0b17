"""Knative Services as targets: each version is a Revision, which Knative makes, scales and keeps.

What is told here of Knative is what its controllers do as of August 2026: `pkg/reconciler` and `pkg/apis/serving/v1` of
knative/serving.
"""

from canary.api import knative
from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import Readiness
from canary.kube.types import KNATIVE_REVISION, KNATIVE_SERVICE, Json, Resource, condition_of
from canary.workloads.base import Rules, SelectorLabel, Services, name_of
from canary.workloads.uncopied import Uncopied

_REVISION_LABEL = "serving.knative.dev/revision"
"""On a pod: the name of its Revision."""


class KnativeService(Uncopied):
    """A Knative Service as target; every function is pure.

    Both versions are objects of their own already, so that nothing is copied. A Revision never changes, and what is in
    the configuration that its pods read is no part of it.
    """

    resource: Resource = KNATIVE_SERVICE
    in_place: None = None
    version_resource: Resource = KNATIVE_REVISION

    @property
    def versions(self) -> "KnativeService":
        """Itself."""
        return self

    def revision(self, target: Json) -> str:
        """The name of the Revision that was made last; empty where there is none yet."""
        return knative.latest_revision(target)

    def primary_revision(self, primary: Json) -> str | None:
        """The Revision's name."""
        return name_of(primary)

    def promoted(self, target: Json, canary: Canary) -> str:
        """The name of the Revision that serves the promoted version; empty where none does."""
        return knative.primary_revision(canary, target)

    def promotion(self, target: Json, revision: str) -> Json:
        """The merge patch that marks a Revision as the promoted one; empty where it is so already."""
        if knative.marked_revision(target) == revision:
            return {}
        return {"metadata": {"annotations": {knative.PRIMARY_REVISION: revision}}}

    def selector_label(self, target: Json, rules: Rules) -> SelectorLabel | None:
        """The label by which Knative marks the pods of the latest Revision."""
        return SelectorLabel(_REVISION_LABEL, self.revision(target)) if self.revision(target) else None

    def readiness(self, workload: Json) -> Readiness:
        """Whether a Revision is ready, by its own condition: it may have no pod, and gets one with the first request.

        Args:
            workload: the Revision; empty where it is yet to be seen.
        """
        ready = condition_of(workload, "Ready")
        count = int(ready.get("status") == "True")
        failed = ready.get("message") or ready.get("reason") or "no reason given"
        return Readiness(
            desired=1,
            updated=1,
            ready=count,
            available=count,
            total=1,
            stalled=str(failed) if ready.get("status") == "False" else "",
        )

    def replicas(self, workload: Json) -> int:
        """Always 1, the Revision itself."""
        return 1

    def template(self, workload: Json) -> Json:
        """Empty: Knative makes the pods, and nobody looks at their configuration."""
        return {}

    def problems(self, canary: Canary, target: Json, *, rules: Rules, observed: Services) -> tuple[Problem, ...]:
        """None: what Knative has stored is a Service that it can roll out."""
        return ()
